"""The threads behind a transport: a wait that ends, a bound, a fork, an exit."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
import time

import pytest

from datlake_sdk.transport.workers import Overdue, Workers


def test_work_is_done_on_another_thread_and_its_result_comes_back() -> None:
    assert Workers().run(threading.get_ident, 1.0) != threading.get_ident()


def test_an_error_is_raised_where_the_caller_waits() -> None:
    def fail() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        Workers().run(fail, 1.0)


def test_a_wait_has_a_hard_end() -> None:
    """Whatever the work hangs in; that is what the threads are for."""
    began = time.monotonic()
    with pytest.raises(Overdue):
        Workers().run(lambda: time.sleep(1.0), 0.1)
    assert time.monotonic() - began < 0.5


def test_a_wait_for_progress_goes_on_while_there_is_some() -> None:
    """An upload may take an hour; standing still may not."""
    last = [time.monotonic()]

    def move() -> str:
        for _ in range(5):
            time.sleep(0.1)
            last[0] = time.monotonic()
        return "done"

    assert Workers().run(move, 0.3, lambda: last[0]) == "done"


def test_calls_in_a_row_share_a_thread() -> None:
    """A thread for each call would cost more than the call."""
    workers = Workers()
    assert len({workers.run(threading.get_ident, 1.0) for _ in range(50)}) == 1


def test_a_stuck_thread_is_not_used_again_before_it_returns() -> None:
    workers, release = Workers(limit=2), threading.Event()
    with pytest.raises(Overdue):
        workers.run(release.wait, 0.05)
    first = workers.run(threading.get_ident, 1.0)
    assert workers.run(threading.get_ident, 1.0) == first
    release.set()


def test_there_are_never_more_than_the_limit() -> None:
    """A lake that hangs must not fill a job's process with threads; when one returns, work goes on."""
    workers, release = Workers(limit=3), threading.Event()
    stuck = [workers.start(release.wait, 1.0) for _ in range(3)]
    with pytest.raises(Overdue):
        workers.run(threading.get_ident, 0.1)
    threading.Timer(0.1, release.set).start()
    assert workers.run(threading.get_ident, 2.0)
    assert [one.result(1.0) for one in stuck] == [True] * 3


def test_after_close_the_idle_threads_are_gone() -> None:
    before = threading.active_count()
    workers = Workers()
    workers.run(threading.get_ident, 1.0)
    workers.close()
    end = time.monotonic() + 2
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() <= before


# Python 3.12 and later warn of exactly what this test proves to be safe here.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_starts_its_own_threads() -> None:
    """Its parent's did not come along, though the list of them did."""
    workers = Workers()
    workers.run(threading.get_ident, 1.0)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=lambda: results.put(workers.run(lambda: "child", 2.0)))
    process.start()
    assert results.get() == "child"
    process.join(5)
    assert process.exitcode == 0


def test_a_stuck_thread_does_not_hold_the_process_at_its_end() -> None:
    """A job ends when it ends, whatever the network does."""
    code = (
        "import time; from datlake_sdk.transport.workers import Workers, Overdue\n"
        "try: Workers().run(lambda: time.sleep(30), 0.05)\n"
        "except Overdue: print('over')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=10, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "over")
