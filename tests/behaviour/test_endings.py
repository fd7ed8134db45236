"""How a run ends is told right, whatever ends it; each ending is a real process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from datlake_sdk import Conflict, DatlakeClient, JobContext, current_job
from datlake_sdk.wire.models import Run
from tests.places import Place

WITH = "from datlake_sdk import JobContext\nimport sys, os, asyncio\nwith JobContext('nightly') as job:\n    {}\n"
START = "from datlake_sdk import JobContext\nimport sys, os, threading\njob = JobContext.start('nightly')\n{}\n"


def only_run(place: Place) -> Run:
    with place.client() as client:
        [run] = client.list_runs("nightly")
        return run


@pytest.mark.parametrize(
    ("body", "state", "code"),
    [
        ("pass", "completed", 0),
        ("sys.exit()", "completed", 0),
        ("sys.exit(0)", "completed", 0),
        ("sys.exit(False)", "completed", 0),
        ("sys.exit(3)", "failed", 3),
        ("sys.exit('no data')", "failed", 1),
        ("sys.exit([])", "failed", 1),
        ("sys.exit(0.0)", "failed", 1),
        ("raise ValueError('x')", "failed", 1),
        ("raise KeyboardInterrupt", "aborted", -2),
        ("raise asyncio.CancelledError", "aborted", 1),
        ("raise GeneratorExit", "aborted", 1),
    ],
)
def test_what_leaves_the_block_ends_the_run_and_the_process_as_ever(
    place: Place, body: str, state: str, code: int
) -> None:
    """The exit code is the one the program would have had without Datlake."""
    done = place.run(WITH.format(body))
    assert done.returncode == code, done.stderr
    run = only_run(place)
    assert run.state == state
    assert (run.error is None) == (state == "completed")
    if "exit(3)" in body:
        assert run.error is not None
        assert (run.error.type, run.error.message) == ("SystemExit", "exit code 3")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "del job",
        "sys.exit(5)",
        "1 / 0",
        # A thread's context, and with it the only one that knows the job, is gone before the process ends.
        (
            "job.complete()\n"
            "t = threading.Thread(target=lambda: JobContext.start('nightly') and None)\nt.start()\nt.join()"
        ),
    ],
)
def test_a_started_job_that_never_completes_ends_as_aborted_with_the_process(place: Place, body: str) -> None:
    """Nobody knows whether it did what it was to do, so it is not called completed."""
    done = place.run(START.format(body))
    assert done.returncode == {"sys.exit(5)": 5, "1 / 0": 1}.get(body, 0), done.stderr
    with place.client() as client:
        run = next(iter(client.list_runs("nightly")))
    assert run.state == "aborted"
    assert run.metadata["aborted_because"] == "ended without complete()"


def test_a_completed_job_is_left_alone_at_the_end_of_the_process(place: Place) -> None:
    assert place.run(START.format("job.complete()")).returncode == 0
    assert only_run(place).state == "completed"


def test_a_forked_child_does_not_end_its_parents_run(place: Place) -> None:
    """A child that leaves by the front door runs the same exit handlers."""
    done = place.run(START.format("pid = os.fork()\nif pid == 0: sys.exit(0)\nos.waitpid(pid, 0)\njob.complete()"))
    assert done.returncode == 0, done.stderr
    run = only_run(place)
    assert (run.state, len(run.endings)) == ("completed", 1)


def test_what_a_run_read_and_wrote_is_known_though_it_died_halfway(place: Place) -> None:
    """The inputs and outputs are recorded as they happen, not at the end."""
    with place.client() as client:
        client.register_snapshot("raw", "file:///raw.csv", "csv")
        done = place.run(
            WITH.format(
                "job.get_table_latest_uri('raw'); job.register_snapshot('out', 'file:///out', 'csv'); os._exit(9)"
            )
        )
        assert done.returncode == 9
        run = only_run(place)
        assert run.state == ("running" if place.address.startswith("http") else "lost")  # seen by its process
        assert [(data.table_name, data.version) for data in run.inputs] == [("raw", 1)]
        assert [(data.table_name, data.version) for data in run.outputs] == [("out", 1)]


def test_an_exception_whose_message_cannot_be_shown_is_told_all_the_same(client: DatlakeClient) -> None:
    class UnshownError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    with pytest.raises(UnshownError), JobContext(client, "nightly") as job:
        raise UnshownError
    run = client.get_run(job.run_id)
    assert run.state == "failed"
    assert run.error is not None
    assert run.error.type.endswith("UnshownError")


def test_a_message_that_is_no_unicode_is_told(client: DatlakeClient) -> None:
    with pytest.raises(ValueError, match="a"), JobContext(client, "nightly") as job:
        raise ValueError("a\ud800b\x00c")
    assert client.get_run(job.run_id).state == "failed"


def test_a_secret_in_an_exception_does_not_reach_the_run(client: DatlakeClient) -> None:
    """Connection errors quote their URLs."""
    with pytest.raises(ValueError, match="hunter2"), JobContext(client, "nightly") as job:
        raise ValueError("cannot connect to postgres://me:hunter2@db/x")
    run = client.get_run(job.run_id)
    assert run.error is not None
    assert "hunter2" not in f"{run.error.message}{run.error.traceback}"


def test_a_deep_traceback_is_cut_in_the_middle(client: DatlakeClient) -> None:
    def recurse(depth: int) -> int:
        return recurse(depth + 1) + depth

    with pytest.raises(RecursionError), JobContext(client, "nightly") as job:
        recurse(0)
    run = client.get_run(job.run_id)
    assert run.error is not None
    assert len(run.error.traceback or "") < 100_000


def test_another_outcome_later_is_refused_and_recorded(client: DatlakeClient) -> None:
    """A terminal state is never left, and nothing that was reported is lost."""
    run = client.start_run("nightly")
    client.complete_run("nightly", run.run_id, success=True)
    with pytest.raises(Conflict) as caught:
        client.complete_run("nightly", run.run_id, success=False)
    assert (caught.value.code, caught.value.status, caught.value.run_id) == ("run_already_ended", 409, run.run_id)
    after = client.get_run(run.run_id)
    assert after.state == "completed"
    assert [ending.state for ending in after.endings] == ["completed", "failed"]


def test_the_same_outcome_again_answers_the_same_run(client: DatlakeClient) -> None:
    run = client.start_run("nightly")
    at = datetime.now(UTC)
    first = client.complete_run("nightly", run.run_id, ended_at=at)
    second = client.complete_run("nightly", run.run_id, ended_at=at)
    assert first.endings == second.endings
    assert first.ended_at == second.ended_at


def test_a_run_shows_its_earliest_ending(client: DatlakeClient) -> None:
    """What arrives late may have happened first."""
    run = client.start_run("nightly")
    now = datetime.now(UTC)
    client.complete_run("nightly", run.run_id, success=False, ended_at=now)
    answer = client.complete_run("nightly", run.run_id, success=True, ended_at=now - timedelta(seconds=5))
    assert answer.state == "completed"
    assert client.get_run(run.run_id).ended_at == now - timedelta(seconds=5)


@pytest.mark.parametrize("first", ["complete", "describe", "inputs", "outputs", "snapshot", "event"])
def test_an_operation_for_an_unknown_run_makes_it(client: DatlakeClient, first: str) -> None:
    """Operations may overtake each other on the way; none is refused for that."""
    run_id = JobContext(client, "nightly").run_id
    calls: dict[str, Callable[[], object]] = {
        "complete": lambda: client.complete_run("nightly", run_id),
        "describe": lambda: client.describe_run("nightly", run_id, metadata={"a": 1}),
        "inputs": lambda: client.add_inputs("nightly", run_id, ["s3://b/x"]),
        "outputs": lambda: client.add_outputs("nightly", run_id, ["s3://b/y"]),
        "snapshot": lambda: client.register_snapshot("t", "s3://b/t", "csv", job_name="nightly", run_id=run_id),
        "event": lambda: client.log_event("told", job_name="nightly", run_id=run_id),
    }
    calls[first]()
    stub = client.get_run(run_id)
    assert (stub.job_name, stub.state) == ("nightly", "completed" if first == "complete" else "running")
    started = client.start_run("nightly", run_id=run_id, metadata={"b": 2}, started_at="2024-01-01T00:00:00Z")
    assert started.started_at == datetime(2024, 1, 1, tzinfo=UTC)
    assert started.state == stub.state
    assert started.metadata["b"] == 2


def test_no_job_is_current_after_any_ending(client: DatlakeClient) -> None:
    for error in (ValueError(), KeyboardInterrupt(), SystemExit(1)):
        with pytest.raises(type(error)) as caught, JobContext(client, "nightly"):
            raise error
        assert caught.value is error
        assert current_job() is None
