"""Fork, spawn and threads (R9): a child hangs on no lock of its parent's, and each gets the answer to its question."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import pytest

from tests.faults.forker import Counted
from tests.faults.load import ROOT
from tests.faults.oracle import broken_versions, passes_afresh
from tests.faults.pooled import TASKS
from tests.faults.rounds import IS_LONG, keep, none_of, rounds
from tests.faults.workers import flushed, on_host
from tests.places import Place

FORKS = rounds(12, 1_000)
LIMIT_S = 120 if not IS_LONG else 3600

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")


def said(place: Place, *arguments: str) -> tuple[str, str]:
    """The run and what a program said of it at its end."""
    done = subprocess.run(
        # Unbuffered: a child hangs on the lock of Python's own buffer for stderr, as it would without Datlake.
        [sys.executable, "-u", "-W", "ignore::DeprecationWarning", "-m", *arguments],
        env=on_host(place, place.home),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    run_id, _, rest = done.stdout.splitlines()[-1].partition(" ")
    return run_id, rest


@pytest.mark.timeout(LIMIT_S)
def test_a_process_may_fork_under_every_lock_of_ours(place: Place) -> None:
    """Threads log, ask, append, open and end runs while others fork, again and again."""
    run_id, told = said(place, "tests.faults.forker", str(FORKS))
    counted = msgspec.json.decode(told, type=Counted)
    flushed(place)  # what children left that ended before it was sent
    with place.client() as client:
        children = [event.data["pid"] for event in client.events(run_id, event_type="child", limit=1000)]
        snapshots = list(client.list_snapshots("children", limit=1000))
        assert broken_versions(snapshots) == []
        assert passes_afresh(client)
    lost = counted.well - len(set(children) & {one.uri.rpartition("/")[2] for one in snapshots})
    where = "served" if place.address.startswith("http") else "embedded"
    claims = [
        none_of("deadlocks", counted.hung),
        none_of("mixed answers", counted.mixed),
        none_of("children that ended otherwise", counted.other),
        none_of("children whose story is lost", lost),
        none_of("events twice", len(children) - len(set(children))),
    ]
    keep(f"R9 {where}", f"{FORKS} forks under every lock, {where}", claims)
    assert counted == Counted(well=FORKS)
    assert (lost, len(children)) == (0, len(set(children)))


@pytest.mark.parametrize("way", ["none", "fork", "forkserver", "spawn"])
def test_a_pool_of_processes_ends_in_the_state_of_one_process_that_did_it_all(place: Place, way: str) -> None:
    """However the workers are started."""
    run_id, done = said(place, "tests.faults.pooled", way)
    assert done == "True"
    flushed(place)
    with place.client() as client:
        run = client.get_run(run_id)
        assert run.state == "completed"
        assert {item.uri: item.row_count for item in run.outputs} == {f"s3://pooled/{n}": n for n in range(TASKS)}
        told = [event.data["n"] for event in client.events(run_id, event_type="task")]
        assert (len(told), set(told)) == (TASKS, set(range(TASKS)))
