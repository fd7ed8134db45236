"""Wakes the forwarder's threads when there is something to do, and tells them when to stop."""

from __future__ import annotations

import threading
import time


class Bell:
    """Rings for all who wait. `rung` counts how often, so that nobody misses a ring between looking and waiting."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.rung = 0
        self.is_stopping = False

    def ring(self) -> None:
        """Whoever waits for news looks again."""
        with self._changed:
            self.rung += 1
            self._changed.notify_all()

    def stop(self) -> None:
        """Nobody waits any longer, for whatever it is."""
        with self._changed:
            self.is_stopping = True
            self._changed.notify_all()

    def await_news(self, heard: int, longest_s: float) -> None:
        """Returns once it rang more often than `heard` times, `longest_s` have passed, or all is to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_stopping or self.rung != heard, longest_s)

    def rest(self, for_s: float) -> None:
        """Returns after `for_s`, whatever rings, or when all is to stop."""
        until = time.monotonic() + for_s
        with self._changed:
            self._changed.wait_for(lambda: self.is_stopping or time.monotonic() >= until, for_s)
