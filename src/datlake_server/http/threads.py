"""The threads that ask the lake, so that no statement ever runs on the event loop. Owned by the app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

from datlake_sdk.errors import ServerError

T = TypeVar("T")

# For reads, for bytes and for what takes long; what writes shares one of them (`writes`).
THREADS: Final = 32
# Half a second of work at the rate that is promised; who comes later is told to, instead of waiting in silence.
WAITING_LIMIT: Final = 1_000


class Threads:
    """A bounded pool; what does not fit waits its turn, and what does not fit there is refused."""

    def __init__(self, count: int = THREADS, waiting_limit: int = WAITING_LIMIT) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="datlake-lake")
        self._limit = count + waiting_limit
        self._taken = 0
        self.are_winding_up = False

    async def run(self, work: Callable[[], T]) -> T:
        """What `work()` returns, computed on a thread. Raises `ServerError` (`overloaded`) where too many wait."""
        self._refuse_if_full()
        return await self.go_on(work)

    @contextmanager
    def place(self) -> Generator[None]:
        """One place is taken, as if `run` were under way. Raises as `run`."""
        self._refuse_if_full()
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    def begin(self, work: Callable[[], object]) -> None:
        """The work is done on a thread; who asks for it learns of its end in another way."""
        self._pool.submit(work)

    async def go_on(self, work: Callable[[], T]) -> T:
        """As `run`, but never refused: for the pieces of a request that was taken, one at a time."""
        self._taken += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._taken -= 1

    def _refuse_if_full(self) -> None:
        if self._taken >= self._limit:
            message = "too many requests wait for this server; nothing of this one was done; try again later"
            raise ServerError(message, code="overloaded", status=503)

    def wind_up(self) -> None:
        """Answers that would go on for long come to their end: the server stops."""
        self.are_winding_up = True

    def close(self) -> None:
        """The threads end when their work does."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def join(self) -> None:
        """The threads have ended; no work of theirs waits longer than a write may wait for the lake."""
        self._pool.shutdown(wait=True, cancel_futures=True)
