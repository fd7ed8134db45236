"""Sends a job's events from a thread of its own, so that `log_event` never waits for a lake.

The queue is bounded; what does not fit is counted and told. `drain` is how a completion waits for what is queued.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from datlake_sdk.errors import DatlakeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from datlake_sdk.wire.operations import EventItem

# Ten thousand events are some megabytes: a burst fits, a backend that is away does not eat the job's memory.
QUEUE_EVENTS: Final = 10_000
BATCH_EVENTS: Final = 500
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 5.0


class EventSender:
    """A bounded queue of events and the thread that empties it. A forked child begins with an empty one."""

    def __init__(self, send: Callable[[list[EventItem]], int]) -> None:
        """Sends by `send(batch)`, which answers how many were refused and raises where nothing got through."""
        self._send = send
        self.lost = 0
        self.why: str | None = None
        self._begin()

    def put(self, event: EventItem) -> bool:
        """True if the event is queued; false if the queue is full and the event is lost and counted."""
        if self._pid != os.getpid():
            self._begin()
        with self._changed:
            if self._closed or len(self._queue) >= QUEUE_EVENTS:
                self.why = self.why or "the queue was full"
                self.lost += 1
                return False
            self._queue.append(event)
            self._start()
            self._changed.notify_all()
        return True

    def drain(self, patience_s: float) -> None:
        """Returns when all is sent, or nothing moved for `patience_s` seconds; what is left then is counted as lost."""
        if self._pid != os.getpid():
            self._begin()
        if self._thread is None and patience_s:
            self._send_here()
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            left, since = len(self._queue), time.monotonic()
            while self._queue and time.monotonic() - since < patience_s:
                self._changed.wait(0.05)
                if len(self._queue) != left:
                    left, since = len(self._queue), time.monotonic()
            self.lost += len(self._queue)
            self._queue.clear()
            self._closed = True
            self._changed.notify_all()

    def _send_here(self) -> None:
        # No thread was to be had: from 3.12 on none starts once the main one has ended, while others may still work.
        while self._queue and self._attempt(self._next_batch()):
            pass

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._queue: deque[EventItem] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None
        self._hurry = self._closed = False
        self._at_most = BATCH_EVENTS

    def _start(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="datlake-events", daemon=True)
            with suppress(RuntimeError):  # no thread to be had: `drain` sends it
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while batch := self._next_batch():
            if self._attempt(batch):
                pause_s = FIRST_PAUSE_S
            elif not self._rest(pause_s):
                return
            else:
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _next_batch(self) -> list[EventItem]:
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            return [self._queue[at] for at in range(min(len(self._queue), self._at_most))]

    def _attempt(self, batch: list[EventItem]) -> bool:
        try:
            refused = self._send(batch)
        except DatlakeError as error:
            self.why = error.message
            if error.retryable:
                return False
            if len(batch) > 1:  # one of them is at fault, or together they are too large: in halves it will show
                self._at_most = len(batch) // 2
                return True
            refused = 1
        self._at_most = min(self._at_most * 2, BATCH_EVENTS)
        with self._changed:
            self.lost += refused
            for _ in range(min(len(batch), len(self._queue))):
                self._queue.popleft()
            self._changed.notify_all()
        return True

    def _rest(self, pause_s: float) -> bool:
        """Waits before the next attempt; false if nobody waits for it any more."""
        with self._changed:
            if not self._closed:
                self._changed.wait(min(pause_s, 0.1) if self._hurry else pause_s)
            return not self._closed
