"""A process that forks while its threads use a lake: it waits for SQLite alone, and no child uses what it inherited."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="this platform does not fork")

BEGIN = """
import fcntl, os, signal, sys, threading, time
from datlake_sdk.errors import DatlakeError
from datlake_sdk.wire.operations import ListTables
from datlake_sdk.transport.base import CallOptions
from datlake_sdk.transport.embedded import EmbeddedTransport
from datlake_server.store.sqlite import SqliteStore, now_us

path = sys.argv[1] + "/lake.db"

def in_a_child(work):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        try:
            work()
        except DatlakeError as error:
            print(error.code, flush=True)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

def held():
    holder = os.open(path + ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(holder, fcntl.LOCK_EX)
    return holder
"""

WAITS_FOR_ITS_TURN = """
store = SqliteStore(path, now_us)
holder, done = held(), []
waits = threading.Thread(target=lambda: done.append(store.write(lambda tx: tx.now, 20)))
waits.start()
time.sleep(0.2)
began = time.monotonic()
in_a_child(lambda: None)
assert time.monotonic() - began < 1, "the fork waited for another process's turn"
os.close(holder)
waits.join()
assert done
"""

HOLDS_NOTHING = """
store = SqliteStore(path, now_us)
store.write(lambda tx: tx.now, 1)
holder = held()
waits = threading.Thread(target=lambda: store.write(lambda tx: tx.now, 20))
waits.start()
time.sleep(0.2)
locks = {os.stat(path + end).st_ino for end in (".lock", ".lock.gate", ".open")}
def child():
    os.close(holder)
    found = []
    for number in range(3, 64):
        try:
            found.append(os.fstat(number).st_ino)
        except OSError:
            continue
    print(len(locks), [one for one in found if one in locks], flush=True)
in_a_child(child)
os.close(holder)
waits.join()
"""

IN_USE = """
store, working = SqliteStore(path, now_us), threading.Event()
writes = threading.Thread(target=lambda: store.write(lambda tx: (working.set(), time.sleep(6)), 20))
writes.start()
working.wait()
def both():
    for use in (lambda: store.read(lambda tx: tx.now), lambda: SqliteStore(path, now_us)):
        try:
            use()
        except DatlakeError as error:
            print(error.code, error.retryable, "forked" in error.message, flush=True)
in_a_child(both)
writes.join()
store.write(lambda tx: tx.now, 1)
in_a_child(lambda: print(store.read(lambda tx: "used"), flush=True))
"""

OPENS = """
SqliteStore(path, now_us).close()
os.unlink(path)
holder, lake = held(), EmbeddedTransport(sys.argv[1])
def call():
    lake.call(ListTables(), CallOptions(timeout_s=5))
opens = threading.Thread(target=call)
opens.start()
time.sleep(0.5)
def child():
    os.close(holder)
    call()
    print("opened", flush=True)
def let_go():
    time.sleep(0.5)
    os.close(holder)
threading.Thread(target=let_go).start()
in_a_child(child)
opens.join()
"""

FIRST_CALLS = """
store = SqliteStore(path, now_us)
def many():
    done, gate = [], threading.Barrier(16)
    def write():
        gate.wait()
        done.append(store.write(lambda tx: tx.now, 10))
    threads = [threading.Thread(target=write) for _ in range(16)]
    for thread in threads: thread.start()
    for thread in threads: thread.join(10)
    assert len(done) == 16
    print(len(done), flush=True)
sys.setswitchinterval(1e-6)
for _ in range(5):
    in_a_child(many)
"""


def _run(script: str, folder: Path) -> str:
    """What the script printed; it has to end well, and within half a minute."""
    command = [sys.executable, "-W", "ignore", "-c", BEGIN + script, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_fork_waits_for_nobody_elses_turn(tmp_path: Path) -> None:
    """A thread that waits for a busy lake uses no connection; a fork stood still for as long as it waited."""
    assert _run(WAITS_FOR_ITS_TURN, tmp_path) == ""


def test_a_child_keeps_no_lock_of_its_parent(tmp_path: Path) -> None:
    """A lock lives as long as the last copy of its file: a child that sleeps would hold the lake for a dead parent."""
    assert _run(HOLDS_NOTHING, tmp_path) == "3 []\n"


def test_a_child_of_a_fork_in_the_middle_of_work_is_refused_the_lake(tmp_path: Path) -> None:
    """Through connections that were in use, or through new ones beside them, its writes would be lost unseen."""
    assert _run(IN_USE, tmp_path) == "forked_in_use False True\n" * 2 + "used\n"


def test_a_child_of_a_fork_while_the_lake_is_opened_opens_it_itself(tmp_path: Path) -> None:
    """The thread that opens it is not in the child, and would never let go of what it holds."""
    assert _run(OPENS, tmp_path) == "opened\n"


def test_threads_that_call_first_in_a_child_share_one_store(tmp_path: Path) -> None:
    """Each of them found an inherited store, and one made it anew while the others wrote."""
    assert _run(FIRST_CALLS, tmp_path) == "16\n" * 5
