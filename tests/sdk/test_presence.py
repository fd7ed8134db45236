"""What a process leaves when it ends: each ending is a real process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datlake_sdk._outbox.claims import claim
from tests.sdk.presences import BEGIN, RUN, Child, the_presence, told

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no locks and no signals of this kind there")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "outbox" / "0123456789abcdef"


# --- endings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "mark"), [("SIGTERM", "SIGTERM"), ("SIGHUP", "SIGHUP"), ("SIGKILL", None)])
def test_a_process_dies_by_a_signal_as_ever_and_leaves_a_mark_of_it(
    folder: Path, number: str, mark: str | None
) -> None:
    """Nothing can mark SIGKILL: such a run is lost, not aborted."""
    child = Child(folder, "begin(); wait()")
    assert claim(the_presence(folder)) is None
    before = time.time()
    assert child.end_by(signal.Signals[number]) == -signal.Signals[number]
    left = told(folder)
    assert left.runs == [RUN]
    assert left.identity is not None
    assert left.identity.pid == child.process.pid
    assert left.died_by == mark
    if mark is not None:
        assert left.died_at is not None
        assert before - 1 <= left.died_at.timestamp() <= time.time() + 1


def test_the_mark_is_one_line_and_no_stack_is_walked_for_it(folder: Path) -> None:
    """To walk the stack of a busy process is to read what it is just changing: one in a hundred died of that."""
    child = Child(folder, "begin(); wait()")
    [pipe] = folder.glob("*.SIGTERM")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert child.end_by(signal.SIGTERM) == -signal.SIGTERM
    written = os.read(reader, 4096)
    os.close(reader)
    assert b"hread 0x" in written
    assert b"\n" not in written


@pytest.mark.parametrize(
    "work", ["sum(range(10**11))", "import re; re.match('(a+)+$', 'a' * 60 + 'b')"], ids=["sum", "re"]
)
def test_a_long_call_below_python_does_not_put_death_off(folder: Path, work: str) -> None:
    """A Python handler runs when the call returns, which can be minutes after a scheduler has lost its patience."""
    child = Child(folder, f"begin(); up(); {work}")
    time.sleep(0.1)
    assert child.end_by(signal.SIGTERM) == -signal.SIGTERM
    assert told(folder).died_by == "SIGTERM"


@pytest.mark.parametrize(
    ("body", "status"), [("os._exit(0)", 0), ("os._exit(3)", 3), ("sys.exit(3)", 3), ("raise SystemExit", 0), ("", 0)]
)
def test_an_ending_without_a_signal_leaves_no_mark(folder: Path, body: str, status: int) -> None:
    child = Child(folder, f"begin(); up(); {body}")
    assert child.ended() == (status, "")
    left = told(folder)
    assert (left.died_by, left.runs) == (None, [RUN])


def test_a_presence_that_is_closed_leaves_nothing(folder: Path) -> None:
    """And a signal after it kills as ever."""
    child = Child(folder, "begin().close(remove=True); wait()")
    assert list(folder.iterdir()) == []
    assert child.end_by(signal.SIGTERM) == -signal.SIGTERM
    assert list(folder.iterdir()) == []


def test_a_run_that_has_ended_is_not_told(folder: Path) -> None:
    child = Child(folder, "p = begin(); p.began(OpenRun('j', 'default', 'run-2', '')); p.ended('run-1'); wait()")
    child.end_by(signal.SIGKILL)
    assert [run.run_id for run in told(folder).runs] == ["run-2"]


def test_a_process_with_two_destinations_marks_both(folder: Path, tmp_path: Path) -> None:
    """Python's faulthandler knows one file for each signal; the second destination has its own name for it."""
    other = tmp_path / "other"
    child = Child(folder, f"begin(); begin({str(other)!r}); wait()")
    child.end_by(signal.SIGTERM)
    assert [told(place).died_by for place in (folder, other)] == ["SIGTERM", "SIGTERM"]


def test_a_destination_that_is_done_with_takes_no_mark_from_the_next(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    child = Child(folder, f"begin().close(remove=True); begin({str(other)!r}); wait()")
    child.end_by(signal.SIGHUP)
    assert told(other).died_by == "SIGHUP"
    assert list(folder.iterdir()) == []


# --- what others have set up ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["signal.signal(15, mine); begin(); up()", "begin(); signal.signal(15, mine); up()"])
def test_a_handler_of_the_users_stays_in_charge(folder: Path, body: str) -> None:
    """Set before the run or within it; what it does counts, and no mark says otherwise."""
    mine = "def mine(*_):\n    print('mine', flush=True)\n    sys.exit(4)\n"
    child = Child(folder, f"{mine}{body}; time.sleep(60)")
    child.process.send_signal(signal.SIGTERM)
    child.expect("mine")
    assert child.ended() == (4, "")
    assert told(folder).died_by is None


@pytest.mark.parametrize("chain", [True, False])
@pytest.mark.parametrize("order", ["begin(); mine(); up()", "mine(); begin(); up()"])
def test_stacks_that_the_user_asked_for_go_where_the_user_said(
    folder: Path, tmp_path: Path, order: str, *, chain: bool
) -> None:
    """`faulthandler` has one registration for each signal, and Python's own list of handlers does not show it."""
    stacks = tmp_path / "stacks"
    mine = f"def mine(): faulthandler.register(15, file=open({str(stacks)!r}, 'w'), chain={chain})\n"
    child = Child(folder, f"{mine}{order}; time.sleep(0.1); print('on', flush=True); time.sleep(60)")
    child.process.send_signal(signal.SIGTERM)
    if not chain:
        child.expect("on")
        child.process.kill()
    assert child.ended()[0] == (-signal.SIGTERM if chain else -signal.SIGKILL)
    assert "most recent call first" in stacks.read_text()
    assert told(folder).died_by is None


def test_a_signal_that_is_ignored_stays_ignored(folder: Path) -> None:
    """Under `nohup` a job outlives its terminal."""
    child = Child(folder, "signal.signal(1, signal.SIG_IGN); begin(); up(); time.sleep(0.2); print('on', flush=True)")
    child.process.send_signal(signal.SIGHUP)
    child.expect("on")
    assert child.ended()[0] == 0
    assert told(folder).died_by is None


def test_the_first_process_of_a_container_is_let_be(folder: Path) -> None:
    """It outlives every signal that it sets nothing up for, so there is no death to mark."""
    unshare = [shutil.which("unshare") or "unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no right to make a process table of its own")
    body = BEGIN + "begin(); os.kill(1, 15); time.sleep(0.1); print(os.getpid(), len(os.listdir(sys.argv[1])))"
    done = subprocess.run([*unshare, sys.executable, "-c", body, folder], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1 1\n"), done.stderr


def test_a_signal_that_the_user_gives_back_is_watched_again_with_the_next_run(folder: Path) -> None:
    """As an event loop does with its signal handlers."""
    body = "p = begin(); signal.signal(15, print); signal.signal(15, signal.SIG_DFL); p.watch_signals(); wait()"
    assert Child(folder, body).end_by(signal.SIGTERM) == -signal.SIGTERM
    assert told(folder).died_by == "SIGTERM"


def test_a_handler_below_python_that_came_later_outlives_the_run(folder: Path) -> None:
    """A JVM or Ray sets one up where Python cannot see it; undoing ours would put back what was there before."""
    body = """
import ctypes
p = begin()
libc = ctypes.CDLL(None)
kind = ctypes.CFUNCTYPE(None, ctypes.c_int)
below = kind(lambda number: os._exit(7))
libc.signal(15, below)
p.watch_signals()
p.close(remove=True)
wait()
"""
    assert Child(folder, body).end_by(signal.SIGTERM) == 7


@pytest.mark.parametrize("last", ["close(remove=True)", "abandon()"])
def test_a_descriptor_that_became_another_file_is_left_alone(folder: Path, tmp_path: Path, last: str) -> None:
    """Programs that turn into daemons close whatever they find, and the numbers are given out again."""
    theirs = tmp_path / "theirs"
    body = (
        "p = begin(); os.closerange(3, 100)\n"
        f"files = [open({str(theirs)!r} + str(n), 'w') for n in range(20)]\n"
        f"assert not p.began(RUN); p.refresh(); p.watch_signals(); p.{last}\n"
        "for file in files: print('theirs', file=file, flush=True)\n"
        "wait()"
    )
    assert Child(folder, body).end_by(signal.SIGTERM) == -signal.SIGTERM
    assert {path.read_text() for path in tmp_path.glob("theirs*")} == {"theirs\n"}


# --- forked children --------------------------------------------------------------------------------------------------

FORK = "p = begin()\nchild = os.fork()\nif child == 0:\n    p.abandon()\n    {}\n"


def test_a_forked_child_that_a_signal_ends_marks_nothing_of_its_parents(folder: Path) -> None:
    """Pools end their workers by SIGTERM; the parent goes on."""
    end_it = (
        "time.sleep(0.1); os.kill(child, 15); status = os.waitpid(child, 0)[1]\n"
        "up(); print(os.waitstatus_to_exitcode(status), flush=True); time.sleep(60)"
    )
    child = Child(folder, FORK.format("time.sleep(60)") + end_it)
    child.expect("-15")
    child.end_by(signal.SIGKILL)
    assert told(folder).died_by is None


def test_a_forked_child_with_a_run_of_its_own_leaves_its_own_mark(folder: Path) -> None:
    end_it = "os.kill(child, 15) if os.read(r, 1) else 0; os.waitpid(child, 0); wait()"
    child = Child(folder, "r, w = os.pipe()\n" + FORK.format("begin(); os.write(w, b'x'); time.sleep(60)") + end_it)
    child.end_by(signal.SIGKILL)
    claims = [claim(str(path)) for path in folder.glob("*.presence")]
    marks = {found.told.died_by for found in claims if found is not None}
    for found in claims:
        assert found is not None
        found.release()
    assert marks == {"SIGTERM", None}


def test_a_parents_death_is_seen_though_its_forked_child_lives(folder: Path) -> None:
    """A lock belongs to all copies of its descriptor, so the child must not keep one."""
    child = Child(folder, FORK.format("up(); print(os.getpid(), flush=True); time.sleep(60)") + "time.sleep(60)")
    forked = int(child.line())
    os.kill(child.process.pid, signal.SIGTERM)
    assert child.process.wait(timeout=20) == -signal.SIGTERM
    assert told(folder).died_by == "SIGTERM"
    os.kill(forked, signal.SIGKILL)
    child.ended()


def test_a_pool_ends_its_workers_as_ever(folder: Path) -> None:
    """`Process.terminate()` is SIGTERM, and may come before the worker has done anything; its status is looked at."""
    body = """
p = begin()
os.register_at_fork(after_in_child=p.abandon)
import multiprocessing
worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
worker.start(); worker.terminate(); worker.join()
up(); print(worker.exitcode)
"""
    child = Child(folder, body)
    child.expect("-15")
    assert child.ended()[0] == 0
    assert told(folder).died_by is None


def test_a_parent_is_marked_after_it_has_forked(folder: Path) -> None:
    """Nothing is marked while a fork goes on; afterwards all is as before."""
    child = Child(folder, FORK.format("os._exit(0)") + "os.waitpid(child, 0); wait()")
    assert child.end_by(signal.SIGTERM) == -signal.SIGTERM
    assert told(folder).died_by == "SIGTERM"


# --- size -------------------------------------------------------------------------------------------------------------


def test_a_process_that_opens_runs_for_ever_keeps_a_short_file(folder: Path) -> None:
    """A service that lives for months must not fill the disk with runs that ended long ago."""
    child = Child(
        folder,
        "p = begin(); p.began(OpenRun('j', 'default', 'early', ''))\n"
        "for n in range(20000):\n    p.began(OpenRun('j' * 99, 'default', f'r{n}', '')); p.ended(f'r{n}')\n"
        "p.began(OpenRun('j', 'default', 'late', '')); wait()",
    )
    assert Path(the_presence(folder)).stat().st_size < 2 << 20
    child.end_by(signal.SIGKILL)
    assert [run.run_id for run in told(folder).runs] == ["run-1", "early", "late"]
