"""A forked child shares its parent's open run, and can neither end it nor hurt the lake."""

from __future__ import annotations

import os
import sys

import pytest

from datlake_sdk import DatlakeClient, JobContext

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")


def _in_a_child(work: object) -> int:
    """The exit status of a forked child that calls `work`."""
    child = os.fork()
    if child == 0:
        try:
            assert callable(work)
            work()
        except SystemExit as leaving:
            os._exit(int(str(leaving.code)))
        except BaseException:  # noqa: BLE001 -- told by the exit status; a child must never run on as the test runner
            os._exit(99)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_that_leaves_its_parents_block_does_not_end_its_run(client: DatlakeClient) -> None:
    """A child that calls `sys.exit(3)` inside the block made the parent's run a failed one."""
    with JobContext(client, "forks") as job:

        def leave() -> None:
            job.__exit__(SystemExit, SystemExit(3), None)
            sys.exit(3)

        assert _in_a_child(leave) == 3
        assert client.get_run(job.run_id).state == "running"
    assert client.get_run(job.run_id).state == "completed"


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_writes_through_connections_of_its_own(client: DatlakeClient) -> None:
    with JobContext(client, "forks") as job:
        job.register_snapshot("before", "file:///before.csv", "csv")
        status = _in_a_child(lambda: job.register_snapshot("within", "file:///within.csv", "csv"))
        job.register_snapshot("after", "file:///after.csv", "csv")
    assert status == 0
    assert {written.table_name for written in client.get_run(job.run_id).outputs} == {"before", "within", "after"}
