"""Locks between the processes of one folder: the turn to write, and the mark of everybody who has the lake open.

The turn is a turnstile of two `flock`s: SQLite's own busy timeout polls, so that of twenty writers some waited 4.6 s;
the kernel queues those who block on a `flock`, and the turnstile keeps a newcomer from passing them. Where there is no
`flock` SQLite's lock stands alone.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

if sys.platform != "win32":
    import fcntl

ASK_EVERY_S: Final = 0.02
# Two that open a lake at once are in each other's way for microseconds; who restores it is so for long.
SIGN_IN_S: Final = 0.5


class LockFiles:
    """The files that a lock is taken on, each of them known: a lock lives as long as any copy of its file."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._changing = threading.RLock()

    def __del__(self) -> None:
        """A lake that was dropped and not closed: its connections go with it, mere numbers of files would stay."""
        for file in self._open:
            with suppress(OSError):
                os.close(file)

    def hold(self) -> None:
        """Opens and closes no file before `go_on`, so that `leave` in a child that is forked meanwhile knows all."""
        self._changing.acquire()

    def go_on(self) -> None:
        """Ends `hold`."""
        with suppress(RuntimeError):  # Ctrl-C broke `hold` off
            self._changing.release()

    def leave(self) -> None:
        """In a forked child: closes its copies of the parent's files, which goes on holding or waiting for the lock."""
        for file in self._open:
            os.close(file)
        self._open.clear()

    def _opened(self, path: str) -> int:
        with self._changing:
            file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
            self._open.add(file)
            return file

    def _close(self, *files: int) -> None:
        with self._changing:
            for file in files:
                self._open.discard(file)
                os.close(file)


class FairLock(LockFiles):
    """Held by one process of the folder at a time. Its owner sees to it that one thread uses it at once."""

    def __init__(self, path: str) -> None:
        """Remembers `path`; the files are opened at the first `acquire`."""
        super().__init__()
        self._path = path
        self._gate: int | None = None
        self._lock: int | None = None
        self._waiting: threading.Thread | None = None

    def acquire(self, timeout_s: float) -> bool:
        """True once the lock is held; false if it was not to be had within `timeout_s` seconds."""
        if sys.platform == "win32":
            return True
        if self._waiting is not None and not self._settled(timeout_s):
            return False
        gate, lock = self._files()
        return _try_both(gate, lock) or self._wait(gate, lock, timeout_s)

    def release(self) -> None:
        """Lets the next one in; nothing happens where the lock is not held."""
        if sys.platform != "win32" and self._lock is not None:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Closes the files, and with them gives the lock up. A thread that still waits has files of its own."""
        with self._changing:
            self._close(*(file for file in (self._gate, self._lock) if file is not None))
            self._gate = self._lock = self._waiting = None

    def _wait(self, gate: int, lock: int, timeout_s: float) -> bool:
        # A blocking flock knows no time limit, so a thread blocks while the caller watches the clock.
        taken = threading.Event()
        turn = threading.Lock()
        given_up = False
        # The same locks by other numbers: `close` may come while the thread waits, and a number is given away again.
        with self._changing:
            own = (os.dup(gate), os.dup(lock))
            self._open.update(own)

        def block() -> None:
            fcntl.flock(own[0], fcntl.LOCK_EX)
            fcntl.flock(own[1], fcntl.LOCK_EX)
            fcntl.flock(own[0], fcntl.LOCK_UN)
            with turn:
                if given_up:
                    fcntl.flock(own[1], fcntl.LOCK_UN)
                else:
                    taken.set()
            self._close(*own)

        self._waiting = threading.Thread(target=block, daemon=True, name="datlake-lock")
        try:
            self._waiting.start()
        except RuntimeError:  # no thread to be had, as at the end of the interpreter
            self._waiting = None
            self._close(*own)
            return self._asked_again(gate, lock, timeout_s)
        try:
            taken.wait(timeout_s)
        finally:  # also for Ctrl-C: a lock that is taken after this would be held for nobody
            with turn:
                given_up = not taken.is_set()
        if given_up:
            return False
        self._waiting = None
        return True

    def _asked_again(self, gate: int, lock: int, timeout_s: float) -> bool:
        end_s = time.monotonic() + timeout_s
        while not _try_both(gate, lock):
            if time.monotonic() >= end_s:
                return False
            time.sleep(ASK_EVERY_S)
        return True

    def _settled(self, timeout_s: float) -> bool:
        # An earlier wait was given up; its thread must have let go before the same file can be locked again.
        waiting = self._waiting
        if waiting is not None:
            waiting.join(timeout_s)
            if waiting.is_alive():
                return False
            self._waiting = None
        return True

    def _files(self) -> tuple[int, int]:
        with self._changing:
            if self._gate is None:
                self._gate = self._opened(self._path + ".gate")
            if self._lock is None:
                self._lock = self._opened(self._path)
            return self._gate, self._lock


class OpenMark(LockFiles):
    """Shared by every process that has the lake open, so that one can tell whether it is alone. Gone when it ends."""

    def __init__(self, path: str) -> None:
        """Remembers `path`; nothing is opened yet."""
        super().__init__()
        self._path = path
        self._file: int | None = None

    def sign_in(self, if_alone: Callable[[], None]) -> bool:
        """True once this process is marked; `if_alone` is called first where no other one is. False: it is seized."""
        if sys.platform == "win32" or self._file is not None:
            return True
        try:
            return self._share(if_alone)
        except OSError:
            return True  # a folder that takes no file more can still be read

    def seize(self) -> bool:
        """True where nobody has the lake open, and nobody opens it before `close`."""
        if sys.platform == "win32":
            return True
        if self._file is None:
            self._file = self._opened(self._path)
        return _try(self._file)

    def close(self) -> None:
        """The mark is gone."""
        with self._changing:
            if self._file is not None:
                self._close(self._file)
                self._file = None

    def _share(self, if_alone: Callable[[], None]) -> bool:
        with self._changing:
            file, end_s = self._opened(self._path), time.monotonic() + SIGN_IN_S
            if _try(file):
                if_alone()
            while not _try(file, shared=True):
                if time.monotonic() >= end_s:
                    self._close(file)
                    return False
                time.sleep(ASK_EVERY_S / 10)
            if self._file is None:
                self._file = file
            else:  # another thread was first
                self._close(file)
            return True


def _try_both(gate: int, lock: int) -> bool:
    if not _try(gate):
        return False
    taken = _try(lock)
    fcntl.flock(gate, fcntl.LOCK_UN)
    return taken


def _try(file: int, *, shared: bool = False) -> bool:
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
