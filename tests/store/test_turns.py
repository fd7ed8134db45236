"""Waiting for a lake that somebody else holds: no longer than asked, and nothing stays behind."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import apsw
import pytest

from datlake_sdk.errors import ServerError
from datlake_server.store.filelock import FairLock
from datlake_server.store.sqlite import SqliteStore, now_us

CLOSES_WHILE_IT_WAITS = """
import fcntl, os, sys, time
from datlake_server.store.filelock import FairLock
holder = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(holder, fcntl.LOCK_EX)
waits = FairLock(sys.argv[1])
assert not waits.acquire(0.1)
waits.close()
fcntl.flock(holder, fcntl.LOCK_UN)
time.sleep(0.3)
fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
"""


def test_a_lock_that_is_closed_while_it_waits_says_nothing_and_holds_nothing(tmp_path: Path) -> None:
    """The thread that still waits would write a traceback into a job's stderr, or lock a file of the job's."""
    command = [sys.executable, "-c", CLOSES_WHILE_IT_WAITS, str(tmp_path / "lock")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_wait_that_is_interrupted_takes_no_lock_later(tmp_path: Path) -> None:
    """After Ctrl-C a job may go on for hours; the lake's other processes must not wait for it."""
    path = str(tmp_path / "lock")
    holder = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(holder, fcntl.LOCK_EX)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    interrupted, other = FairLock(path), FairLock(path)
    with pytest.raises(KeyboardInterrupt):
        interrupted.acquire(5.0)
    os.close(holder)
    assert other.acquire(2.0)
    other.close()
    interrupted.close()


def test_a_writer_without_the_file_lock_is_waited_for_no_longer_than_asked(tmp_path: Path) -> None:
    """A backup or a shell may hold the database itself, and a job would stand still for ten seconds."""
    store = SqliteStore(str(tmp_path / "lake.db"), now_us)
    other = apsw.Connection(str(tmp_path / "lake.db"))
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(ServerError, match="is busy"):
        store.write(lambda tx: tx.now, 0.2)
    assert time.monotonic() - began < 2.0
    other.close()
    store.close()


def test_a_writer_with_less_patience_takes_none_from_the_others(tmp_path: Path) -> None:
    """One thread commits for all who wait; that its own time is over says nothing about theirs."""
    store, found = SqliteStore(str(tmp_path / "lake.db"), now_us), list[int | ServerError]()
    holder = FairLock(str(tmp_path / "lake.db.lock"))
    assert holder.acquire(1.0)

    def write(patience_s: float) -> None:
        try:
            found.append(store.write(lambda tx: tx.now, patience_s))
        except ServerError as error:
            found.append(error)

    threads = [threading.Thread(target=write, args=(patience_s,)) for patience_s in (0.3, 10.0)]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    time.sleep(0.6)
    holder.release()
    for thread in threads:
        thread.join()
    assert [type(one) for one in found] == [ServerError, int]
    holder.close()
    store.close()
