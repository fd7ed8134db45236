"""Many processes of one host log through an outage of their server: each event arrives, and arrives once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.figures import figure
from tests.faults.load import ROOT
from tests.faults.rounds import IS_LONG, keep, none_of, rounds
from tests.faults.servers import Served
from tests.faults.talker import JOB
from tests.faults.workers import flushed, on_host
from tests.places import Place

PROCESSES = rounds(8, 64)
EVENTS = rounds(100, 1_000)
PAUSE_S = 0.02
OUTAGE_S = rounds(1, 6)
# Far beyond what an end may take: a process that waits for ever is seen, and a slow machine is no failure.
ENDS_WITHIN_S = 60
LIMIT_S = 120 if not IS_LONG else 1_800


class Said(NamedTuple):
    """What a process says of itself at its end."""

    run_id: str
    logged_s: float
    ended_s: float


def talking(place: Place, number: int) -> subprocess.Popen[str]:
    """One process, begun."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.talker", str(number), str(EVENTS), str(PAUSE_S)],
        env=on_host(place, place.home),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> Said:
    """What the process said, which ended well and in time."""
    out, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    run_id, logged_s, ended_s = out.split()
    return Said(run_id, float(logged_s), float(ended_s))


class Outbox(NamedTuple):
    """What waits on this host."""

    operations: int
    size_bytes: int


def outbox(place: Place) -> Outbox:
    """What `datlake outbox` says of it."""
    done = subprocess.run(
        [sys.executable, "-m", "datlake_sdk", "outbox", "--json"],
        env=on_host(place, place.home),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    [found] = json.loads(done.stdout)["destinations"]
    return Outbox(found["waiting"], found["size_bytes"])


def through_an_outage(server: Served, place: Place) -> tuple[list[Said], Outbox]:
    """All processes log; their server dies when the last has begun, and is back while they still log.

    With what they said, what waited at the end of the outage.
    """
    with ExitStack() as stack:
        processes = [stack.enter_context(talking(place, number)) for number in range(PROCESSES)]
        try:
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline() == "begun\n"
            server.kill()
            time.sleep(OUTAGE_S)
            full = outbox(place)
            server.start()
            return [ended(process) for process in processes], full
        finally:
            for process in processes:
                process.kill()


@pytest.mark.timeout(LIMIT_S)
def test_each_event_of_many_processes_is_there_once_after_an_outage_of_their_server(tmp_path: Path) -> None:
    """No process fails or waits for the server; what the last could not send is sent by `datlake outbox flush`."""
    with Served(tmp_path / "lake") as server:
        place = Place(server.url, server.home, "default")
        said, full = through_an_outage(server, place)
        left = outbox(place)
        began = time.monotonic()
        flushed(place)
        flush_s = time.monotonic() - began
        assert outbox(place).operations == 0
        with server.client() as client:
            runs = {run.run_id: run for run in client.list_runs(JOB, limit=1_000)}
            events = [event for run_id in runs for event in client.events(run_id, event_type="said", limit=1_000)]
        told = Counter((event.run_id, event.data["number"]) for event in events)
        expected = {(each.run_id, number) for each in said for number in range(EVENTS)}
        claims = [
            none_of("events lost", len(expected - told.keys())),
            none_of("events twice", len(events) - len(told)),
            none_of("events nobody logged", len(told.keys() - expected)),
            none_of("runs not completed", sum(run.state != "completed" for run in runs.values())),
        ]
        figures = [
            figure("end of a process", "s", [each.ended_s for each in said]),
            figure("waiting at the end of the outage", "operations", [full.operations]),
            figure("outbox at the end of the outage", "kB", [full.size_bytes / 1e3]),
            figure("waiting when all had ended", "operations", [left.operations]),
            figure("outbox when all had ended", "kB", [left.size_bytes / 1e3]),
            figure("flush", "s", [flush_s]),
        ]
        keep("R3 crowd", f"{PROCESSES} processes log {EVENTS} events each through one outage", claims, figures)
        assert {run.run_id for run in runs.values()} == {each.run_id for each in said}
        assert [claim.measured for claim in claims] == [0, 0, 0, 0]
        assert len(events) == PROCESSES * EVENTS
        assert max(each.ended_s for each in said) < ENDS_WITHIN_S
