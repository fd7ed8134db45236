"""A fair lock between the processes of one folder: a turnstile of two `flock`s.

SQLite's own busy timeout polls, so that of twenty writers some waited 4.6 s; the kernel queues those who block on a
`flock`, and the turnstile keeps a newcomer from passing them. Where there is no `flock` SQLite's lock stands alone.
"""

from __future__ import annotations

import os
import sys
import threading

if sys.platform != "win32":
    import fcntl


class FairLock:
    """Held by one process of the folder at a time. Its owner sees to it that one thread uses it at once."""

    def __init__(self, path: str) -> None:
        """Remembers `path`; the files are opened at the first `acquire`."""
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
        if _try(gate):
            if _try(lock):
                fcntl.flock(gate, fcntl.LOCK_UN)
                return True
            fcntl.flock(gate, fcntl.LOCK_UN)
        return self._wait(gate, lock, timeout_s)

    def release(self) -> None:
        """Lets the next one in."""
        if sys.platform != "win32" and self._lock is not None:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Closes the files, and with them gives the lock up."""
        for file in (self._gate, self._lock):
            if file is not None:
                os.close(file)
        self._gate = self._lock = None

    def _wait(self, gate: int, lock: int, timeout_s: float) -> bool:
        # A blocking flock knows no time limit, so a thread blocks while the caller watches the clock.
        taken = threading.Event()
        turn = threading.Lock()
        given_up = False

        def block() -> None:
            fcntl.flock(gate, fcntl.LOCK_EX)
            fcntl.flock(lock, fcntl.LOCK_EX)
            fcntl.flock(gate, fcntl.LOCK_UN)
            with turn:
                if given_up:
                    fcntl.flock(lock, fcntl.LOCK_UN)
                else:
                    taken.set()

        self._waiting = threading.Thread(target=block, daemon=True, name="datlake-lock")
        self._waiting.start()
        taken.wait(timeout_s)
        with turn:
            if not taken.is_set():
                given_up = True
                return False
        self._waiting = None
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
        if self._gate is None or self._lock is None:
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
            self._gate = os.open(self._path + ".gate", flags, 0o600)
            self._lock = os.open(self._path, flags, 0o600)
        return self._gate, self._lock


def _try(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
