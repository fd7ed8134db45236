"""The process a job runs in is its own: nothing global is touched outside the block, and no stray call opens a run."""

from __future__ import annotations

import asyncio
import contextvars
import faulthandler
import logging
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from datlake_sdk import DatlakeClient, JobContext, current_job
from tests.places import Place

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGALRM)


def globals_of_the_process() -> dict[str, object]:
    """What a library could have bent, by name."""
    root = logging.getLogger()
    return {
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "hooks": (sys.excepthook, sys.unraisablehook, threading.excepthook, sys.displayhook, sys.breakpointhook),
        "trace": (sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile()),
        "exits": (sys.exit, os._exit, os.fork, os.abort),
        "processes": (subprocess.Popen, subprocess.run, os.system),
        "signals": [signal.getsignal(number) for number in SIGNALS],
        "wakeup": signal.set_wakeup_fd(-1),
        "faulthandler": faulthandler.is_enabled(),
        "logging": (root.level, list(root.handlers), list(root.filters), logging.getLogger("datlake").handlers),
        "factories": (logging.getLogRecordFactory(), logging.getLoggerClass(), logging.raiseExceptions),
        "levels": logging.root.manager.disable,
        "policy": type(asyncio.get_event_loop_policy()) if sys.version_info < (3, 14) else None,
        "threads": (threading.Thread.start, ThreadPoolExecutor.submit),
        "switch": sys.getswitchinterval(),
        "recursion": sys.getrecursionlimit(),
        "umask": oct(os.umask(os.umask(0o22))),
        "directory": Path.cwd(),
        "environment": dict(os.environ),
    }


@pytest.mark.parametrize("raises", [False, True])
def test_nothing_global_is_changed_after_the_block(client: DatlakeClient, *, raises: bool) -> None:
    before = globals_of_the_process()
    try:
        with JobContext(client, "j", ship_logs=True, log_level="DEBUG", capture_output=True) as job:
            print("said")
            job.log_event("told")
            if raises:
                raise ValueError  # noqa: TRY301 -- it is to leave the block
    except ValueError:
        pass
    assert globals_of_the_process() == before


def test_nothing_but_the_asked_for_is_changed_inside_the_block(client: DatlakeClient) -> None:
    before = globals_of_the_process()
    with JobContext(client, "j"):
        assert globals_of_the_process() == before
    with JobContext(client, "j", ship_logs=True):
        inside = globals_of_the_process()
    assert {name for name in before if inside[name] != before[name]} == {"logging"}


def test_no_call_of_a_client_opens_a_run(client: DatlakeClient) -> None:
    """Only who writes a job has one."""
    client.register_snapshot("t", "s3://b/x", "csv")
    client.log_event("e")
    client.list_jobs()
    client.lineage("t")
    assert current_job() is None
    JobContext(client, "never started")
    assert current_job() is None
    assert not client.list_runs().items
    assert not client.list_jobs().items


def test_importing_starts_nothing(place: Place) -> None:
    """No thread, no handler, no file, no module that costs."""
    done = place.run(
        "import threading, sys, signal, logging, os, atexit\n"
        "hooks, handlers = sys.excepthook, list(logging.getLogger().handlers)\n"
        "import datlake_sdk, datlake_sdk.job, datlake_sdk.client, datlake_sdk._run_state\n"
        "from datlake_sdk import *\n"
        "assert threading.active_count() == 1 and sys.excepthook is hooks\n"
        "assert logging.getLogger().handlers == handlers\n"
        "client = DatlakeClient(); job = JobContext(client, 'j')\n"
        "assert threading.active_count() == 1\n"
        "print(os.path.exists(os.environ.get('DATLAKE_HOME', '/nowhere')))\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(place.home.exists() and not place.address.startswith("http"))


def test_nothing_is_printed_where_nobody_reads(place: Place) -> None:
    """Cron mails what a job prints."""
    done = place.run(
        "from datlake_sdk import JobContext\nwith JobContext('j', ship_logs=True) as job: job.log_event('x')"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_tasks_and_to_thread_inherit_the_current_job(client: DatlakeClient) -> None:
    """They copy the context."""

    async def ask() -> JobContext | None:
        await asyncio.sleep(0)
        return current_job()

    async def story() -> None:
        with JobContext(client, "j") as job:
            found = await asyncio.gather(asyncio.create_task(ask()), ask(), asyncio.to_thread(current_job))
            assert list(found) == [job, job, job]
        assert await ask() is None

    asyncio.run(story())


def test_tasks_side_by_side_have_their_own_jobs(client: DatlakeClient) -> None:
    async def work(name: str) -> tuple[str, str | None]:
        with JobContext(client, name) as job:
            await asyncio.sleep(0.01)
            assert current_job() is job
            with JobContext(client, f"{name}-inner") as inner:
                await asyncio.sleep(0.01)
                assert current_job() is inner
        return job.run_id, inner.parent_run_id

    async def story() -> list[tuple[str, str | None]]:
        return await asyncio.gather(*[work(f"job-{number}") for number in range(5)])

    assert all(outer == parent for outer, parent in asyncio.run(story()))


def test_threads_and_pools_get_the_job_by_bind_alone(client: DatlakeClient) -> None:
    """A pool's worker outlives the block; it must not go on in a run that has ended."""
    with ThreadPoolExecutor(1) as pool:
        with JobContext(client, "j") as job:
            assert pool.submit(current_job).result() is None
            assert pool.submit(job.bind(current_job)).result() is job
            assert pool.submit(current_job).result() is None
            assert pool.submit(contextvars.copy_context().run, current_job).result() is job
            kept = job.bind(current_job)
            seen: list[JobContext | None] = []
            thread = threading.Thread(target=lambda: seen.append(current_job()))
            thread.start()
            thread.join()
            assert seen == [None]
        assert pool.submit(current_job).result() is None
        assert kept() is None, "a job that has ended is nobody's current job"
        assert pool.submit(kept).result() is None


def test_bind_passes_arguments_answers_and_exceptions_on(client: DatlakeClient) -> None:
    with JobContext(client, "j") as job:
        assert job.bind(divmod)(7, 2) == (3, 1)
        assert job.bind(lambda *, a: a)(a=1) == 1
        with pytest.raises(ZeroDivisionError):
            job.bind(divmod)(1, 0)
        assert current_job() is job


def test_a_task_that_outlives_the_block_is_in_no_run(client: DatlakeClient) -> None:
    """Its copy of the context still holds the job, which has ended."""

    async def later(gate: asyncio.Event) -> JobContext | None:
        await gate.wait()
        with JobContext(client, "child") as child:
            assert child.parent_run_id is None
        return current_job()

    async def story() -> None:
        gate = asyncio.Event()
        with JobContext(client, "parent"):
            task = asyncio.create_task(later(gate))
            await asyncio.sleep(0)
        gate.set()
        assert await task is None

    asyncio.run(story())


def test_forked_children_go_on_recording(place: Place) -> None:
    """Data jobs fork; the child gets connections of its own, and its run the parent it was forked in."""
    done = place.run(
        "import multiprocessing as mp\nfrom datlake_sdk import JobContext, DatlakeClient, current_job\n"
        "def work(n):\n"
        "    with JobContext('child') as job: job.register_snapshot('t', f's3://b/{n}', 'csv'); job.log_event('x')\n"
        "    return job.parent_run_id\n"
        "if __name__ == '__main__':\n"
        "    client = DatlakeClient()\n"
        "    with JobContext(client, 'parent', ship_logs=True) as job:\n"
        "        job.log_event('before'); client.list_jobs()\n"
        "        with mp.get_context('fork').Pool(3) as pool: parents = pool.map(work, range(6))\n"
        "        job.log_event('after')\n"
        "    assert parents == [job.run_id] * 6, parents\n"
        "    assert [e.event_type for e in client.events(job.run_id)] == ['before', 'after']\n"
    )
    assert done.returncode == 0, done.stderr
    with place.client() as client:
        assert sorted(item.version for item in client.list_snapshots("t")) == [1, 2, 3, 4, 5, 6]
        assert {run.state for run in client.list_runs()} == {"completed"}
