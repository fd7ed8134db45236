"""A run from its start to its end, in every form that a job can be written in."""

from __future__ import annotations

import traceback
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from datlake_sdk import DatlakeClient, InvalidRequest, JobContext, current_job, tracked
from tests.places import Place


def test_a_with_block_is_a_completed_run(client: DatlakeClient) -> None:
    with JobContext(client, "nightly", metadata={"source": "s3"}) as job:
        during = client.get_run(job.run_id)
    after = client.get_run(job.run_id)
    assert (during.state, after.state) == ("running", "completed")
    assert after.job_name == "nightly"
    assert after.metadata == {"source": "s3"}
    assert after.ended_at is not None
    assert after.started_at <= after.ended_at
    assert job.warnings == []


def test_a_job_finds_its_lake_in_the_environment(place: Place) -> None:
    """The script does not change when the team gets a server."""
    done = place.run(
        "from datlake_sdk import JobContext\n"
        "with JobContext('nightly', {'a': 1}) as job:\n    print(job.run_id)\n"
        "with JobContext('nightly', metadata={'a': 2}) as job:\n    print(job.run_id)\n"
    )
    assert done.returncode == 0, done.stderr
    with place.client() as client:
        runs = [client.get_run(run_id) for run_id in done.stdout.split()]
    assert [(run.state, run.metadata) for run in runs] == [("completed", {"a": 1}), ("completed", {"a": 2})]


def test_a_job_is_told_its_run_and_address_before_anything_is_sent(client: DatlakeClient) -> None:
    job = JobContext(client, "nightly")
    assert len(job.run_id) == 36
    assert (job.url or "").startswith(f"{client.base_url}/runs/{job.run_id}" if client.base_url else "")
    assert not list(client.list_jobs())


def test_the_link_of_a_run_opens_its_page(client: DatlakeClient) -> None:
    """Also in a namespace of its own. An embedded lake has no pages."""
    with JobContext(client, "nightly") as job:
        pass
    if job.url is None:
        assert client.base_url is None
        return
    with urllib.request.urlopen(job.url, timeout=5) as page:  # noqa: S310 -- the server of this test
        assert job.run_id in page.read().decode()


def test_start_and_complete_work_without_with(client: DatlakeClient) -> None:
    job = JobContext.start(client, "nightly", {"a": 1})
    assert current_job() is job
    ended = job.complete(extra={"rows": 3})
    assert ended is not None
    assert (ended.state, ended.metadata) == ("completed", {"a": 1, "rows": 3})
    assert current_job() is None


def test_start_opens_an_instance_too(client: DatlakeClient) -> None:
    job = JobContext(client, "nightly")
    assert job.start() is job
    job.complete(success=False)
    assert client.get_run(job.run_id).state == "failed"


def test_completing_again_changes_nothing(client: DatlakeClient) -> None:
    """`complete` inside the block, and the end of the block after it."""
    with JobContext(client, "nightly") as job:
        first = job.complete(extra={"rows": 3})
        second = job.complete(success=False)
    assert first == second == client.get_run(job.run_id)
    assert len(client.get_run(job.run_id).endings) == 1


def test_a_job_context_is_one_run(client: DatlakeClient) -> None:
    """Two runs under one id would be one run that lies."""
    job = JobContext(client, "nightly")
    with job:
        pass
    with pytest.raises(RuntimeError, match="make a new JobContext"), job:
        pass


def test_nested_jobs_are_parent_and_child(client: DatlakeClient) -> None:
    with JobContext(client, "outer") as outer:
        with JobContext(client, "inner") as inner:
            assert current_job() is inner
        assert current_job() is outer
        with JobContext(client, "later") as later:
            pass
    assert client.get_run(outer.run_id).parent_run_id is None
    assert client.get_run(inner.run_id).parent_run_id == outer.run_id
    assert client.get_run(later.run_id).parent_run_id == outer.run_id
    assert [run.run_id for run in client.list_runs(parent_run_id=outer.run_id)] == [later.run_id, inner.run_id]


def test_a_parent_can_be_named(client: DatlakeClient) -> None:
    first = JobContext(client, "first")
    with JobContext(client, "around"), JobContext(client, "second", parent=first) as second:
        pass
    with JobContext(client, "third", parent=first.run_id.upper()) as third:
        pass
    assert client.get_run(second.run_id).parent_run_id == first.run_id
    assert client.get_run(third.run_id).parent_run_id == first.run_id


def test_a_program_inherits_its_parent_run_from_the_environment(place: Place) -> None:
    """`datlake run` hands its run on; what is no id there is nobody's parent."""
    parent = "0193a5c0-0000-7000-8000-0000000000c1"
    source = (
        "from datlake_sdk import JobContext\n"
        "with JobContext('a') as a, JobContext('b') as b: print(a.parent_run_id, a.run_id == b.parent_run_id)"
    )
    assert place.run(source, DATLAKE_PARENT_RUN_ID=parent).stdout.split() == [parent, "True"]
    assert place.run(source, DATLAKE_PARENT_RUN_ID="no id").stdout.split() == ["None", "True"]


def test_runs_that_end_in_another_order_leave_the_open_one_current(client: DatlakeClient) -> None:
    """Bare runs need not nest; a run that has ended is never the parent of the next."""
    first = JobContext.start(client, "first")
    second = JobContext.start(client, "second")
    first.complete()
    assert current_job() is second
    second.complete()
    assert current_job() is None
    with JobContext(client, "third") as third:
        pass
    assert client.get_run(third.run_id).parent_run_id is None


def test_a_tracked_function_is_a_run_each_time(client: DatlakeClient) -> None:
    client.register_snapshot("raw", "file:///raw.csv", "csv")
    seen: list[str] = []

    @tracked("adder", inputs=["raw"], outputs=["s3://out/sum"], client=client)
    def add(left: int, right: int = 1) -> int:
        """The sum."""
        job = current_job()
        assert job is not None
        seen.append(job.run_id)
        return left + right

    assert (add(1), add(1, right=3), add.__name__, add.__doc__) == (2, 4, "add", "The sum.")
    runs = [client.get_run(run_id) for run_id in seen]
    assert [run.state for run in runs] == ["completed", "completed"]
    assert [data.version for data in runs[0].inputs] == [1]
    assert [data.uri for data in runs[0].outputs] == ["s3://out/sum"]


def test_a_tracked_function_that_raises_has_no_outputs(client: DatlakeClient) -> None:
    """What it was to write, it did not."""
    boom = ValueError("no")

    @tracked("broken", inputs=["s3://in/x"], outputs=["s3://out/y"], client=client)
    def broken() -> None:
        raise boom

    with pytest.raises(ValueError, match="no") as caught:
        broken()
    assert caught.value is boom
    run = next(iter(client.list_runs("broken")))
    assert (run.state, len(run.inputs), run.outputs) == ("failed", 1, [])


def test_an_exception_goes_on_unchanged_and_stands_on_the_run(client: DatlakeClient) -> None:
    """The user's own exception is never replaced, and the run says where it came from."""
    boom = KeyError("price")
    with pytest.raises(KeyError) as caught, JobContext(client, "nightly") as job:
        raise boom
    assert caught.value is boom
    assert boom.__cause__ is None
    assert boom.__context__ is None
    assert not hasattr(boom, "__notes__")
    frames = [frame.name for frame in traceback.extract_tb(boom.__traceback__)]
    assert frames == ["test_an_exception_goes_on_unchanged_and_stands_on_the_run"]
    run = client.get_run(job.run_id)
    assert run.state == "failed"
    assert run.error is not None
    assert (run.error.type, run.error.message) == ("KeyError", "'price'")
    assert "raise boom" in (run.error.traceback or "")


@pytest.mark.parametrize("name", ["", "a\nb", "a\x00b", "x" * 257, "\ud800", 7])
def test_a_name_that_cannot_be_one_is_refused_at_once(client: DatlakeClient, name: str) -> None:
    with pytest.raises(InvalidRequest):
        JobContext(client, name)


def test_a_run_id_that_is_none_is_refused_at_once(client: DatlakeClient) -> None:
    for bad in ("7", "0193a5c0-0000-7000-8000-0000000000g1", "\n" * 36):
        with pytest.raises(InvalidRequest):
            JobContext(client, "nightly", run_id=bad)


def test_the_environment_of_a_run_is_known_when_it_has_ended(client: DatlakeClient) -> None:
    """Which host, which Python, which code: nobody writes that down by hand."""
    with JobContext(client, "nightly") as job:
        pass
    environment = client.get_run(job.run_id).environment
    assert "python_version" in environment or "python" in environment
    assert not any("PATH" in name for name in environment)


def test_a_job_may_have_a_namespace_of_its_own(client: DatlakeClient) -> None:
    """Its files lie where the run does."""
    scope = f"{client.settings.namespace}-own"
    with JobContext(client, "nightly", namespace=scope) as job:
        job.attach_json("report", {"rows": 3})
        job.log_event("told")
    run = client.get_run(job.run_id, namespace=scope)
    assert run.state == "completed"
    assert b"".join(client.read_object(run.artifacts[0].uri, namespace=scope)) == b'{\n  "rows": 3\n}'
    assert [event.event_type for event in client.events(job.run_id, namespace=scope)] == ["told"]


def test_times_of_runs_are_the_clients_own(client: DatlakeClient) -> None:
    """A start that is delivered late is as old as it is; one from the future is now."""
    early = datetime(2020, 1, 1, tzinfo=UTC)
    run = client.start_run("nightly", started_at=early)
    assert run.started_at == early
    assert client.start_run("nightly", run_id=run.run_id).started_at == early
    ahead = client.start_run("nightly", started_at=datetime.now(UTC) + timedelta(days=1))
    assert ahead.started_at <= datetime.now(UTC) + timedelta(seconds=1)
