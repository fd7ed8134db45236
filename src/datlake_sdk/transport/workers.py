"""Daemon threads that do the socket work, so that a caller's wait has a hard end. Knows nothing of HTTP.

`concurrent.futures` would join its threads at exit, and a thread stuck in a socket would hold the job's process.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LIMIT: Final = 64
_IDLE_S: Final = 60.0


class Overdue(Exception):
    """The work was not done in time. It may go on in its thread; nobody waits for it any more."""


class Pending(Generic[T]):
    """Work that was handed to a thread."""

    __slots__ = ("_done", "_error", "_result", "_work")

    def __init__(self, work: Callable[[], T]) -> None:
        self._work: Callable[[], T] | None = work
        self._done = threading.Lock()
        self._done.acquire()
        self._result: T | None = None
        self._error: BaseException | None = None

    def result(self, timeout_s: float, last_progress: Callable[[], float] | None = None) -> T:
        """What the work returned or raised.

        Waits until `timeout_s` have passed, or, with `last_progress` (monotonic seconds), have passed since then.
        Raises `Overdue`.
        """
        left_s = timeout_s
        while not self._done.acquire(timeout=max(left_s, 0.0)):
            left_s = 0.0 if last_progress is None else last_progress() + timeout_s - time.monotonic()
            if left_s <= 0:
                raise Overdue
        self._done.release()
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # else error, traceback and this would hold each other
        return cast("T", self._result)

    def compute(self) -> None:
        """Does the work, and keeps what comes of it."""
        work, self._work = self._work, None
        try:
            self._result = cast("Callable[[], T]", work)()
        except BaseException as error:  # noqa: BLE001 -- it is raised where the caller waits
            self._error = error

    def settle(self) -> None:
        """Whoever waits goes on."""
        self._done.release()


class Workers:
    """At most `limit` threads, started when they are needed and ended when they idle.

    One that is stuck is not used again before it returns. A forked child starts with none: a fork copies no threads.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._crew = _Crew(limit)

    def run(self, work: Callable[[], T], timeout_s: float, last_progress: Callable[[], float] | None = None) -> T:
        """What `work()` returns or raises; `Overdue` where it takes longer than `timeout_s` (see `Pending.result`)."""
        end_s = time.monotonic() + timeout_s
        pending = self.start(work, timeout_s)
        return pending.result(timeout_s if last_progress else end_s - time.monotonic(), last_progress)

    def start(self, work: Callable[[], T], timeout_s: float) -> Pending[T]:
        """`work` in a thread's hands. Raises `Overdue` where all threads stay busy for `timeout_s`."""
        crew = self._crew
        if crew.pid != os.getpid():
            crew = self._crew = _Crew(self._limit)
        pending = Pending(work)
        crew.hand(cast("Pending[object]", pending), timeout_s)
        return pending

    def close(self) -> None:
        """Idle threads end now, busy ones when they return."""
        self._crew.close()


class _Crew:
    """The threads of one process."""

    def __init__(self, limit: int) -> None:
        self.pid = os.getpid()
        self._limit = limit
        self._count = 0
        self._idle: list[_Worker] = []
        self._changed = threading.Condition(threading.Lock())
        self._is_closed = False

    def hand(self, pending: Pending[object], timeout_s: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._idle or self._count < self._limit, timeout_s):
                raise Overdue
            if self._idle:
                self._idle.pop().take(pending)
                return
            self._count += 1
        try:
            _Worker(self).start(pending)
        except RuntimeError:
            # The interpreter is ending and starts no threads any more; what is left to send is sent from here.
            self.retire()
            pending.compute()
            pending.settle()

    def rest(self, worker: _Worker) -> bool:
        """True where the worker may wait for more work."""
        with self._changed:
            if self._is_closed:
                self._count -= 1
                return False
            self._idle.append(worker)
            self._changed.notify()
            return True

    def leave(self, worker: _Worker) -> bool:
        """True where the idle worker may end; false where work is on its way to it."""
        with self._changed:
            if worker not in self._idle:
                return False
            self._idle.remove(worker)
            self._count -= 1
            return True

    def retire(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify()

    def close(self) -> None:
        if self.pid != os.getpid():
            return
        with self._changed:
            self._is_closed = True
            self._count -= len(self._idle)
            while self._idle:
                self._idle.pop().take(None)


class _Worker:
    """One thread and the slot through which work reaches it."""

    def __init__(self, crew: _Crew) -> None:
        self._crew = crew
        self._slot: Pending[object] | None = None
        self._wake = threading.Lock()

    def start(self, pending: Pending[object]) -> None:
        self._slot = pending
        threading.Thread(target=self._live, name="datlake-worker", daemon=True).start()
        # The first piece of work is in the slot already; the lock is for those after it.

    def take(self, pending: Pending[object] | None) -> None:
        self._slot = pending
        self._wake.release()

    def _live(self) -> None:
        self._wake.acquire()
        while (pending := self._slot) is not None:
            self._slot = None
            pending.compute()
            # Idle first, then the result: a caller that asks again at once finds this thread and starts no other.
            stays = self._crew.rest(self)
            pending.settle()
            del pending
            if not stays or not self._awaited():
                return

    def _awaited(self) -> bool:
        """True when there is work, or the end; false after a long idle time."""
        if self._wake.acquire(timeout=_IDLE_S):
            return True
        return not self._crew.leave(self) and self._wake.acquire()
