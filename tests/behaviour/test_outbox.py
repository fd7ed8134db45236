"""What a job accepts arrives: later, once, whole, whoever delivers it. Real servers, real deaths."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from datlake_sdk import JobContext
from tests.places import Place, eventually, free_port, serve, stop

JOB = """
import os, sys, time
from datlake_sdk import JobContext
with JobContext("nightly", {"a": 1}, ship_logs=True) as job:
    print(job.run_id, flush=True)
    job.add_input("s3://in/x")
    job.register_snapshot("t", "s3://b/t", "csv", {"a": "int"}, row_count=3)
    for number in range(20):
        job.log_event("told", {"number": number})
    job.attach_json("report", {"sum": 6})
    DIE
"""


@pytest.fixture
def away(tmp_path: Path) -> Place:
    """A server that is not there yet: its address, and the folder that will be its lake."""
    return Place(f"http://127.0.0.1:{free_port()}", tmp_path / "served", "default")


def datlake(place: Place, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line, ended."""
    command = [sys.executable, "-m", "datlake_sdk", *words]
    return subprocess.run(command, env=place.environment(), capture_output=True, text=True, timeout=60, check=False)


def waiting(place: Place) -> int:
    """How many operations wait on this host."""
    found = json.loads(datlake(place, "outbox", "--json").stdout)
    return sum(each["waiting"] for each in found["destinations"])


def check_whole(place: Place, run_id: str, state: str) -> None:
    """The run has everything that the job told of it, once."""
    with place.client() as client:
        run = client.get_run(run_id)
        assert (run.state, run.metadata["a"]) == (state, 1)
        assert [data.table_name for data in run.outputs] == ["t"]
        assert [data.uri for data in run.inputs] == ["s3://in/x"]
        events = [event.data["number"] for event in client.events(run_id) if event.event_type == "told"]
        assert events == list(range(20))
        assert [snapshot.run_id for snapshot in client.list_snapshots("t")] == [run_id]


def test_a_job_whose_lake_is_away_is_delivered_by_flush_once_and_whole(away: Place) -> None:
    done = away.run(JOB.replace("DIE", "pass"))
    run_id = done.stdout.strip()
    assert (done.returncode, waiting(away) > 20) == (0, True)
    tried = datlake(away, "outbox", "flush")
    assert (tried.returncode, "cannot reach" in tried.stderr) == (4, True)
    server, _ = serve(away.home, int(away.address.rpartition(":")[2]))
    try:
        sent = datlake(away, "outbox", "flush", "--json")
        assert (sent.returncode, json.loads(sent.stdout)["waiting"]) == (0, 0)
        check_whole(away, run_id, "completed")
        with away.client() as client:
            kept = {
                artifact.name: b"".join(client.read_object(artifact.uri))
                for artifact in client.get_run(run_id).artifacts
            }
        assert json.loads(kept["report"]) == {"sum": 6}
        assert b"Run " in kept["run.log"]
        assert json.loads(datlake(away, "outbox", "flush", "--json").stdout)["delivered"] == 0
    finally:
        stop(server)


@pytest.mark.parametrize(
    ("death", "code", "state"),
    [
        ("os.kill(os.getpid(), 9)", -9, "running"),
        ("os._exit(3)", 3, "running"),
        ("time.sleep(0.3); os.kill(os.getpid(), 15)", -15, "aborted"),
    ],
    ids=["SIGKILL", "_exit", "SIGTERM"],
)
def test_what_a_killed_job_had_accepted_is_delivered_by_the_next_job(
    away: Place, death: str, code: int, state: str
) -> None:
    """Killed between `register_snapshot` and the end, with its lake away: nobody but the disk knows of it."""
    killed = away.run(JOB.replace("DIE", death))
    assert (killed.returncode, waiting(away) > 20) == (code, True)
    server, _ = serve(away.home, int(away.address.rpartition(":")[2]))
    try:
        next_job = "from datlake_sdk import JobContext\nwith JobContext('next'):\n    pass\n"
        eventually(lambda: away.run(next_job).returncode == 0 and waiting(away) == 0, within_s=30)
        check_whole(away, killed.stdout.strip(), state)
    finally:
        stop(server)


def test_a_job_goes_on_where_the_same_process_can_deliver(away: Place) -> None:
    """A restart of the server in the middle of a job is nobody's business."""
    with away.client() as client:
        with JobContext(client, "j") as job:
            job.log_event("before")
            answer = job.register_snapshot("t", "s3://b/1", "csv")
            server, _ = serve(away.home, int(away.address.rpartition(":")[2]))
            try:
                eventually(lambda: "t" in [table.table_name for table in client.list_tables()], within_s=30)
                later = job.register_snapshot("t", "s3://b/2", "csv")
                assert (answer["deferred"], later["deferred"], later["version"]) == (True, False, 2)
            except BaseException:
                stop(server)
                raise
        try:
            assert client.get_run(job.run_id).state == "completed"
        finally:
            stop(server)


def test_a_refused_operation_is_kept_with_its_answer_and_holds_up_nothing(away: Place) -> None:
    """A snapshot of the same id with other content is refused, whenever it arrives."""
    snapshot_id = "0190c6a0-0000-7000-8000-000000000001"
    source = (
        "from datlake_sdk import JobContext\n"
        "from datlake_sdk._connection import outbox_of\n"
        "from datlake_sdk.wire.operations import RegisterSnapshot\n"
        "with JobContext('j') as job:\n"
        "    for uri in ('s3://b/1', 's3://b/2'):\n"
        "        outbox_of(job.client).keep(RegisterSnapshot(table_name='t', uri=uri, format='csv', job_name='j',\n"
        f"            run_id=job.run_id, snapshot_id='{snapshot_id}'))\n"
        "    job.register_snapshot('u', 's3://b/3', 'csv')\n"
    )
    assert away.run(source).returncode == 0
    server, _ = serve(away.home, int(away.address.rpartition(":")[2]))
    try:
        assert datlake(away, "outbox", "flush").returncode == 5
        [letter] = json.loads(datlake(away, "outbox", "dead", "--json").stdout)["items"]
        assert (letter["code"], letter["operation"]["uri"]) == ("snapshot_id_reused", "s3://b/2")
        with away.client() as client:
            assert [table.table_name for table in client.list_tables()] == ["t", "u"]
            assert [run.state for run in client.list_runs()] == ["completed"]
        assert datlake(away, "outbox", "retry", letter["id"][:20]).returncode == 5
        assert "1 dead letters dropped" in datlake(away, "outbox", "drop", "--all").stdout
        assert json.loads(datlake(away, "outbox", "dead", "--json").stdout)["items"] == []
        assert datlake(away, "outbox", "retry").returncode == 2
    finally:
        stop(server)


def test_what_waits_is_readable_by_its_owner_alone_and_never_holds_the_key(away: Place) -> None:
    secret = "dlk_test_" + "s3cr3t" * 4
    assert away.run(JOB.replace("DIE", "pass"), DATLAKE_API_KEY=secret).returncode == 0
    folder = Path(os.environ["DATLAKE_OUTBOX_DIR"])
    found = [folder, *folder.rglob("*")]
    assert len(found) > 3
    for path in found:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
        assert path.is_dir() or secret.encode() not in path.read_bytes()


def test_an_outbox_that_cannot_be_written_costs_the_job_nothing(away: Place, tmp_path: Path) -> None:
    """Memory stands in, and what it loses at the end of the process is said."""
    (tmp_path / "file").write_text("in the way")
    done = away.run(JOB.replace("DIE", "pass"), DATLAKE_OUTBOX_DIR=str(tmp_path / "file" / "outbox"))
    assert done.returncode == 0
    assert "kept in memory only" in done.stderr


def test_a_full_outbox_gives_up_events_and_keeps_what_starts_registers_and_ends(away: Place) -> None:
    source = (
        "from datlake_sdk import JobContext\n"
        "with JobContext('j') as job:\n"
        "    for number in range(4000):\n"
        "        job.log_event('bulk', {'text': 'x' * 1000, 'number': number})\n"
        "    job.register_snapshot('t', 's3://b/t', 'csv')\n"
        "print(job.run_id)\n"
    )
    done = away.run(source, DATLAKE_OUTBOX_LIMIT_MB="2")
    assert done.returncode == 0
    assert "cannot keep everything" in done.stderr
    assert "more than half full" in done.stderr
    server, _ = serve(away.home, int(away.address.rpartition(":")[2]))
    try:
        assert datlake(away, "outbox", "flush").returncode == 0
        with away.client() as client:
            run = client.get_run(done.stdout.strip())
            kept = sum(1 for _ in client.events(run.run_id, limit=1000))
            delivery = run.metadata["datlake_delivery"]
            assert isinstance(delivery, dict)
            assert (run.state, len(run.outputs), kept + delivery["lost"]) == ("completed", 1, 4000)
        assert "lost" in datlake(away, "outbox").stdout
    finally:
        stop(server)
