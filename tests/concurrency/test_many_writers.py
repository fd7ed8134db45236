"""Many processes and threads on one lake: nothing is lost, doubled or half seen."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from datlake_sdk import DatlakeClient, JobContext, NotFound
from tests.places import Place, serve, stop

EACH = 5
WRITER = """
import sys
from datlake_sdk import DatlakeClient
client = DatlakeClient(timeout=30)
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[1])):
    run_id = client.start_run("writer").run_id
    done = client.register_snapshot("shared", f"s3://b/{run_id}", "csv", job_name="writer", run_id=run_id)
    print(done.version, flush=True)
    client.complete_run("writer", run_id)
"""


def versions_of(places: list[Place], each: int) -> list[int]:
    """The versions that a process for each place registered, all of them let go at the same moment."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(each)],
            env=place.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for place in places
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    outcomes: list[tuple[str, str]] = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        outcomes.append(process.communicate(timeout=60))
        assert process.returncode == 0, outcomes[-1][1]
    return sorted(int(line) for out, _ in outcomes for line in out.split())


def check(client: DatlakeClient, versions: list[int]) -> None:
    """Versions 1…n without gap or repeat; every run ended well, with the one output that it registered."""
    assert versions == list(range(1, len(versions) + 1))
    stored = list(client.list_snapshots("shared", limit=1000))
    assert [item.version for item in stored] == list(reversed(versions))
    runs = {run.run_id: run for run in client.list_runs("writer", limit=1000)}
    assert len(runs) == len(versions)
    for item in stored:
        run = runs[str(item.run_id)]
        assert (run.state, [data.version for data in run.outputs]) == ("completed", [item.version])


def test_twenty_processes_on_a_lake_that_is_not_there_yet(tmp_path: Path) -> None:
    """All of them make it at the same moment, and it is one lake."""
    place = Place(str(tmp_path / "new" / "lake"), tmp_path, "default")
    versions = versions_of([place] * 20, 1)
    with place.client() as client:
        check(client, versions)


def test_twenty_processes_register_snapshots_of_one_table(place: Place) -> None:
    versions = versions_of([place] * 20, EACH)
    with place.client() as client:
        check(client, versions)


def test_embedded_and_served_processes_share_one_folder(tmp_path: Path) -> None:
    """A notebook beside the team's server is no accident waiting to happen."""
    home = tmp_path / "lake"
    process, url = serve(home)
    try:
        embedded, served = Place(str(home), home, "default"), Place(url, home, "default")
        versions = versions_of([embedded, served] * 10, EACH)
        for place in (embedded, served):
            with place.client() as client:
                check(client, versions)
    finally:
        stop(process)


def test_sixteen_threads_share_one_client(client: DatlakeClient, tmp_path: Path) -> None:
    """Mixed calls; answers belong to who asked."""
    source = tmp_path / "source"
    source.write_text("bytes")
    gate = threading.Barrier(16)

    def work(number: int) -> set[int]:
        gate.wait(20)
        seen = set()
        for turn in range(4):
            with JobContext(client, "job", {"n": number}) as job:
                uri, run_id = f"s3://b/{number}/{turn}", job.run_id
                seen.add(client.register_snapshot("shared", uri, "csv", job_name="job", run_id=run_id).version)
                job.log_event("told", {"n": number})
            run = client.get_run(job.run_id)
            assert (run.metadata, run.state) == ({"n": number}, "completed")
            assert [event.data for event in client.events(job.run_id)] == [{"n": number}]
            uri = client.upload_object("b", f"{number}/{turn}", source)
            assert b"".join(client.read_object(uri)) == b"bytes"
            with pytest.raises(NotFound) as caught:
                client.get_table(f"none-{number}", request_id=f"ask-{number}")
            assert caught.value.request_id == f"ask-{number}"
            assert f"none-{number}" in caught.value.message
        return seen

    with ThreadPoolExecutor(16) as pool:
        versions = sorted(version for seen in pool.map(work, range(16)) for version in seen)
    assert versions == list(range(1, 65))
    assert len(client.list_objects("b").items) == 64


def test_one_of_many_writers_that_expect_the_same_version_wins(client: DatlakeClient) -> None:
    """Optimistic concurrency is worth nothing if two can win."""
    from datlake_sdk import Conflict

    gate = threading.Barrier(8)

    def write(number: int) -> int | None:
        gate.wait(20)
        try:
            return client.register_snapshot("t", f"s3://b/{number}", "csv", expected_version=0).version
        except Conflict as error:
            assert error.current_version == 1  # noqa: PT017 -- some win, some lose
            return None

    with ThreadPoolExecutor(8) as pool:
        won = [version for version in pool.map(write, range(8)) if version is not None]
    assert won == [1]


def test_a_reader_never_sees_half_an_operation(client: DatlakeClient) -> None:
    """A completion writes the ending, the metadata and the artifacts; they are there together or not at all."""
    from datlake_sdk import Artifact

    stop_reading = threading.Event()
    halves: list[str] = []

    def read() -> None:
        while not stop_reading.is_set():
            for run in client.list_runs(limit=5).items:
                facts = (run.state == "completed", "done" in run.metadata, len(run.artifacts) == 2, bool(run.endings))
                if len(set(facts)) != 1:
                    halves.append(f"{run.run_id} {facts}")

    reader = threading.Thread(target=read)
    reader.start()
    two = [Artifact(type="file", uri=f"s3://b/{number}") for number in range(2)]
    for _ in range(60):
        run = client.start_run("j")
        client.complete_run("j", run.run_id, metadata={"done": True}, artifacts=two)
    stop_reading.set()
    reader.join()
    assert halves == []


FORKS = """
import os, signal, threading, time
from datlake_sdk import DatlakeClient
client = DatlakeClient()
client.start_run("parent")
stop = threading.Event()

def write():
    while not stop.is_set():
        client.start_run("parent")

def fork():
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            client.register_snapshot("t", f"s3://b/{os.getpid()}", "csv")
            client.get_table("t")
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0

writer = threading.Thread(target=write)
forkers = [threading.Thread(target=fork) for _ in range(2)]
for thread in (writer, *forkers): thread.start()
for thread in forkers: thread.join()
stop.set(); writer.join()
print(client.get_table("t").snapshot_count)
"""


def test_a_process_may_fork_while_its_threads_write(place: Place) -> None:
    """A child that inherited a lock as held would hang, and with it everybody who waits for the lake."""
    done = place.run(FORKS)
    assert (done.returncode, done.stdout.strip()) == (0, "40"), done.stderr
