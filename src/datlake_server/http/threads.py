"""The threads that ask the lake, so that no statement ever runs on the event loop. Owned by the app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

# Waiting writers share one commit, so this is also the largest group.
THREADS: Final = 32


class Threads:
    """A bounded pool; what does not fit waits its turn."""

    def __init__(self, count: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="datlake-lake")
        self.are_winding_up = False

    async def run(self, work: Callable[[], T]) -> T:
        """What `work()` returns, computed on a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def wind_up(self) -> None:
        """Answers that would go on for long come to their end: the server stops."""
        self.are_winding_up = True

    def close(self) -> None:
        """The threads end when their work does."""
        self._pool.shutdown(wait=False, cancel_futures=True)
