"""A run whose story is told by pools, threads and forked servers looks as if one process had told it all."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from datlake_sdk import DatlakeClient, JobContext
from datlake_sdk._connection import transport_of
from datlake_sdk._outbox import overview
from tests.behaviour.pool_work import TABLES, TASKS, WAYS
from tests.places import Place, eventually, free_port

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")


class Told(NamedTuple):
    """What a lake shows of a run, but for what names the run itself; lists where twice would be wrong."""

    state: str
    endings: int
    inputs: list[str]
    outputs: list[tuple[str, int | None]]
    events: list[tuple[str, str]]
    tables: list[list[tuple[str, int | None]]]
    versions: list[list[int]]


def told(client: DatlakeClient, run_id: str) -> Told:
    """What the lake shows of the run."""
    run = client.get_run(run_id)
    tables = [list(client.list_snapshots(f"{run.job_name}-{number}", limit=1000)) for number in range(TABLES)]
    return Told(
        run.state,
        len(run.endings),
        sorted(data.uri or "" for data in run.inputs),
        sorted((data.uri or "", data.row_count) for data in run.outputs),
        sorted((event.event_type, repr(event.data)) for event in client.events(run_id, limit=1000)),
        [sorted((snapshot.uri, snapshot.row_count) for snapshot in table) for table in tables],
        [sorted(snapshot.version for snapshot in table) for table in tables],
    )


@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_run_that_many_tell_ends_in_the_state_of_one_that_a_single_process_told(place: Place, way: str) -> None:
    """Pools of eight by every way to start them, with the run as an argument or inherited; threads; a forking server.

    The pools end their workers by a signal and the server's leave by `os._exit`: what these had not sent yet is sent by
    others.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-m", "tests.behaviour.pool_work", way],
        env=place.environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    alone, shared = done.stdout.split()
    with place.client() as client:
        overview.flush(client.settings, lambda: transport_of(client), 30)
        expected = told(client, alone)
        assert told(client, shared) == expected
        assert (expected.state, expected.endings, len(expected.events)) == ("completed", 1, 2 * TASKS + 2)
        assert [uri for uri, _ in expected.outputs] == sorted(f"s3://out/{number}" for number in range(TASKS))
        assert overview.standing(client.settings, client._outbox().folder).waiting == 0


def test_a_run_that_arrived_elsewhere_uses_the_key_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker's key comes from its own environment; what the run's process had is in no pickle, of any protocol."""
    with DatlakeClient(f"http://127.0.0.1:{free_port()}", api_key="dlk_of_the_parent", home=tmp_path) as client:
        job = JobContext(client, "nightly", {"note": "x"})
        monkeypatch.setenv("DATLAKE_API_KEY", "dlk_of_the_worker")
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            data = pickle.dumps(job, protocol)
            assert b"dlk_" not in data
            there = pickle.loads(data)  # noqa: S301 -- our own
            assert isinstance(there, JobContext)
            assert (there.run_id, there.client.base_url) == (job.run_id, client.base_url)
            assert there.client.settings.api_key == "dlk_of_the_worker"
            there.client.close()


def test_what_arrived_elsewhere_never_ends_the_run_and_says_so(client: DatlakeClient) -> None:
    """Neither its block, nor an exception in it, nor `complete`; its own warnings tell, and the run's do not."""
    with JobContext(client, "nightly") as job:
        there = pickle.loads(pickle.dumps(job))  # noqa: S301 -- our own
        assert isinstance(there, JobContext)
        with there:
            there.log_event("told")
        with pytest.raises(ZeroDivisionError), there:
            raise ZeroDivisionError
        assert there.warnings == []
        assert there.complete(success=False) is None
        assert there.complete() is None
        assert client.get_run(job.run_id).state == "running"
        [warning] = there.warnings
        assert "ended by the process that started it" in warning
    assert job.warnings == []
    eventually(lambda: [event.event_type for event in client.events(job.run_id)] == ["told"], within_s=10)
    run = client.get_run(job.run_id)
    assert (run.state, len(run.endings)) == ("completed", 1)
    there.client.close()
