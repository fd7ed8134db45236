"""Writes of many requests on one thread, committed together: a thread for each would cost as much as the write.

While a group is committed the next one gathers. What takes long by itself (a large body, an ending that seals a log)
is none of this and waits for the lake on a thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from msgspec import Struct

from datlake_server.http.exchange import Answer
from datlake_server.services.receipts import Answered

if TYPE_CHECKING:
    from datlake_server.http.threads import Threads
    from datlake_server.lake import Lake
    from datlake_server.store.base import Done, Tx

# As many as one commit takes.
GROUP: Final = 100

Work = Callable[["Tx"], Answered[object]]


class Write(Struct, frozen=True):
    """A request that writes: `begin` reads it, `told` makes the answer of what the lake said. Both may raise."""

    begin: Callable[[], Work]
    told: Callable[[Answered[object]], Answer]


class _Asked:
    """One of a group: its work, then its outcome."""

    def __init__(self, write: Write, future: asyncio.Future[Answer]) -> None:
        self.future = future
        self.outcome: Answer | Exception | None = None
        self._write = write

    def begin(self) -> Work | None:
        """What is to be done; null where the request is refused."""
        try:
            return self._write.begin()
        except Exception as error:  # noqa: BLE001 -- raised where the answer is awaited
            self.outcome = error
            return None

    def end(self, done: Done[Answered[object]]) -> None:
        """The outcome follows from what the lake did."""
        if done.error is not None:
            self.outcome = cast("Exception", done.error)
            return
        try:
            self.outcome = self._write.told(cast("Answered[object]", done.answer))
        except Exception as error:  # noqa: BLE001 -- raised where the answer is awaited
            self.outcome = error

    def tell(self) -> None:
        """Who waits goes on; on the loop."""
        if self.future.done():  # the client went away
            return
        if isinstance(self.outcome, Answer):
            self.future.set_result(self.outcome)
        else:
            self.future.set_exception(self.outcome or LookupError("a write has no outcome"))


class Writes:
    """The writes of one lake. Owned by the router; the threads are the app's."""

    def __init__(self, lake: Lake, threads: Threads) -> None:
        """Nobody waits."""
        self._lake = lake
        self._threads = threads
        self._waiting: deque[_Asked] = deque()
        self._lock = threading.Lock()
        self._is_at_work = False

    async def run(self, write: Write) -> Answer:
        """The answer to the write, once it is on the disk. Raises what it was refused with, as `Threads.run` too."""
        with self._threads.place():
            asked = _Asked(write, asyncio.get_running_loop().create_future())
            with self._lock:
                self._waiting.append(asked)
                begins, self._is_at_work = not self._is_at_work, True
            if begins:
                self._threads.begin(self._work)
            return await asked.future

    def _work(self) -> None:
        while group := self._next():
            self._commit(group)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                group[0].future.get_loop().call_soon_threadsafe(_tell, group)

    def _next(self) -> list[_Asked]:
        with self._lock:
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), GROUP))]
            self._is_at_work = bool(group)
        return group

    def _commit(self, group: Sequence[_Asked]) -> None:
        begun = [(one, work) for one in group if (work := one.begin()) is not None]
        try:
            done = self._lake.change_all([work for _, work in begun]) if begun else ()
        except Exception as error:  # noqa: BLE001 -- raised where each answer is awaited
            for one, _ in begun:
                one.outcome = error
            return
        for (one, _), result in zip(begun, done, strict=True):
            one.end(result)


def _tell(group: Sequence[_Asked]) -> None:
    for one in group:
        one.tell()
