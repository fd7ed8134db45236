"""A lake that is away, disabled or unfit never becomes the job's problem."""

from __future__ import annotations

import logging
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from datlake_sdk import (
    Conflict,
    DatlakeClient,
    DatlakeError,
    JobContext,
    NotFound,
    ServerError,
    TransientNetworkError,
    current_job,
)
from tests.places import Place, eventually, serve, stop


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine that nobody listens on while the test runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_a_job_goes_on_without_its_backend_and_says_so_once(closed_port: int, caplog: pytest.LogCaptureFixture) -> None:
    client = DatlakeClient(f"http://127.0.0.1:{closed_port}")
    with caplog.at_level(logging.INFO, "datlake"), JobContext(client, "j", ship_logs=True) as job:
        job.add_input("s3://b/x")
        job.add_output("s3://b/y")
        got = job.register_snapshot("t", "s3://b/t", "csv", {"a": "int"})
        job.log_event("told")
        job.attach_json("report", 1)
        assert job.complete() is None
    assert (got["version"], got["deferred"], got["uri"], got["run_id"]) == (None, True, "s3://b/t", job.run_id)
    assert len([text for text in job.warnings if "cannot be reached" in text]) == 1
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len([text for text in warned if "cannot be reached" in text]) == 1
    assert any("kept in the outbox" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(("body", "code"), [("pass", 0), ("sys.exit(3)", 3), ("1 / 0", 1), ("os._exit(4)", 4)])
def test_the_exit_code_is_what_it_would_have_been(closed_port: int, tmp_path: Path, body: str, code: int) -> None:
    place = Place(f"http://127.0.0.1:{closed_port}", tmp_path, "default")
    done = place.run(f"import os, sys\nfrom datlake_sdk import JobContext\nwith JobContext('j') as job:\n    {body}\n")
    assert done.returncode == code
    started = place.run(f"import os, sys\nfrom datlake_sdk import JobContext\njob = JobContext.start('j')\n{body}\n")
    assert started.returncode == code


def test_a_job_against_a_refused_port_ends_soon(closed_port: int) -> None:
    """A bound that is far from every figure a user would accept, so that a loaded machine does not break it."""
    began = time.monotonic()
    with JobContext(DatlakeClient(f"http://127.0.0.1:{closed_port}"), "j") as job:
        for number in range(50):
            job.register_snapshot("t", f"s3://b/{number}", "csv")
            job.log_event("told")
    assert time.monotonic() - began < 8


def test_what_needs_an_answer_raises(closed_port: int) -> None:
    """A guess would be worse than an error."""
    client = DatlakeClient(f"http://127.0.0.1:{closed_port}", timeout=0.5)
    with JobContext(client, "j") as job:
        with pytest.raises(TransientNetworkError) as read:
            job.get_table_latest_uri("t")
        with pytest.raises(TransientNetworkError) as write:
            job.register_snapshot("t", "s3://b/t", "csv", expected_version=3)
        with pytest.raises(TransientNetworkError):
            client.list_jobs()
    assert read.value.retryable
    assert read.value.request_id
    assert write.value.run_id == job.run_id


def test_what_waited_is_delivered_by_the_same_process_when_the_server_is_back(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = DatlakeClient(f"http://127.0.0.1:{port}")
    with JobContext(client, "j", {"a": 1}, ship_logs=True) as job:
        job.add_input("s3://b/x")
        job.register_snapshot("t", "s3://b/1", "csv")
        job.register_snapshot("t", "s3://b/2", "csv")
        job.log_event("told")
        job.attach_json("report", 1)
        process, _ = serve(tmp_path / "lake", port)
    try:
        eventually(lambda: client.get_run(job.run_id).state == "completed", within_s=30)
        run = client.get_run(job.run_id)
        assert (run.state, run.metadata, len(run.artifacts)) == ("completed", {"a": 1}, 2)
        assert [data.version for data in run.outputs] == [1, 2]
        assert client.latest_snapshot("t").uri == "s3://b/2"
        assert [event.event_type for event in client.events(job.run_id)] == ["told"]
    finally:
        client.close()
        stop(process)


@pytest.mark.parametrize("capture", [False, True])
def test_raise_makes_the_start_raise_and_leaves_nothing_behind(closed_port: int, capture: bool) -> None:
    """Who asked for it gets the error at once, and a process as it was before."""
    client = DatlakeClient(f"http://127.0.0.1:{closed_port}", on_unavailable="raise", timeout=0.5)
    handlers, streams = list(logging.getLogger().handlers), (sys.stdout, sys.stderr)
    job = JobContext(client, "j", ship_logs=True, log_level="DEBUG", capture_output=capture)
    level = logging.getLogger().level
    with pytest.raises(TransientNetworkError), job:
        pytest.fail("the block must not be entered")
    assert logging.getLogger().handlers == handlers
    assert logging.getLogger().level == level
    assert (sys.stdout, sys.stderr) == streams
    assert current_job() is None
    with pytest.raises(TransientNetworkError):
        JobContext.start(client, "j")
    assert current_job() is None


def test_raise_never_hides_the_jobs_own_exception(tmp_path: Path) -> None:
    process, url = serve(tmp_path / "lake")
    client = DatlakeClient(url, on_unavailable="raise", timeout=0.5)
    with pytest.raises(KeyError), JobContext(client, "j"):  # noqa: PT012 -- the block is the job
        stop(process)
        raise KeyError("mine")
    client.close()


def test_disabled_records_nothing_and_still_reads(place: Place) -> None:
    with place.client() as client:
        client.register_snapshot("raw", "s3://b/raw", "csv")
    done = place.run(
        "from datlake_sdk import JobContext, current_job\n"
        "with JobContext('j', ship_logs=True) as job:\n"
        "    print(job.get_table_latest_uri('raw'), job.register_snapshot('t', 's3://b/t', 'csv')['deferred'])\n"
        "    job.log_event('x'); job.attach_json('a', 1); job.add_input('s3://b/x'); assert current_job() is job\n"
        "job = JobContext.start('j')\n",
        DATLAKE_DISABLED="1",
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["s3://b/raw", "True"], "")
    with place.client() as client:
        assert not client.list_runs().items
        assert [table.table_name for table in client.list_tables()] == ["raw"]


def test_a_home_that_cannot_be_a_lake_is_told_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "lake.db").write_bytes(b"no database" * 1000)
    for home in (tmp_path / "file", tmp_path / "file" / "below", damaged):
        client = DatlakeClient(home=home)
        with JobContext(client, "j", ship_logs=True) as job:
            job.register_snapshot("t", "s3://b/t", "csv")
            job.log_event("told")
        assert job.warnings
        with pytest.raises(ServerError) as caught:
            client.list_jobs()
        assert str(home) in caught.value.message


def test_errors_say_what_they_belong_to(client: DatlakeClient) -> None:
    """The same class, code and marks from both kinds of lake."""
    run = client.start_run("j")
    cases: list[tuple[object, type[DatlakeError], str, int]] = [
        (lambda: client.get_table("none", request_id="my-7"), NotFound, "table_not_found", 404),
        (lambda: client.get_job("none", request_id="my-7"), NotFound, "job_not_found", 404),
        (lambda: client.get_snapshot(run.run_id, request_id="my-7"), NotFound, "snapshot_not_found", 404),
        (
            lambda: client.register_snapshot(
                "t", "s3://b/x", "csv", job_name="j", run_id=run.run_id, expected_version=2, request_id="my-7"
            ),
            Conflict,
            "version_conflict",
            409,
        ),
        (lambda: client.get_run("none", request_id="my-7"), NotFound, "run_not_found", 404),
    ]
    for call, kind, code, status in cases:
        assert callable(call)
        with pytest.raises(kind) as caught:
            call()
        error = caught.value
        assert isinstance(error, DatlakeError)
        assert type(error) is kind
        assert (error.code, error.status, error.request_id, error.retryable) == (code, status, "my-7", False)
    with pytest.raises(NotFound) as last:
        client.complete_run("another", run.run_id)
    assert last.value.run_id == run.run_id


def test_a_call_may_have_its_own_namespace_key_and_timeout(client: DatlakeClient) -> None:
    """Without keys configured any key is as good as none."""
    other = f"{client.settings.namespace}-other"
    run = client.start_run("j", namespace=other, api_key="made-up", request_id="r 1", timeout=5)
    assert (run.namespace, client.get_run(run.run_id, namespace=other).run_id) == (other, run.run_id)
    with pytest.raises(NotFound):
        client.get_run(run.run_id)


def test_a_black_hole_holds_a_call_no_longer_than_its_timeout() -> None:
    """A server that accepts and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        client = DatlakeClient(f"http://127.0.0.1:{listener.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(TransientNetworkError) as caught:
            client.list_jobs(timeout=0.4)
        assert time.monotonic() - began < 3
        assert caught.value.code == "timeout"
        began = time.monotonic()
        with JobContext(client, "j") as job:
            job.log_event("told")
        assert time.monotonic() - began < 12
        assert job.warnings


def test_nothing_is_left_open_by_a_job_without_a_backend(closed_port: int) -> None:
    """A scheduler runs jobs for months in one process."""
    client = DatlakeClient(f"http://127.0.0.1:{closed_port}")
    with JobContext(client, "j", ship_logs=True) as job:
        job.attach_json("a", 1)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with JobContext(client, "j", ship_logs=True) as job:
            job.attach_json("a", 1)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
