"""How far a long command is, on stderr, where somebody looks."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

# Often enough for people, too seldom to cost anything.
SAID_EVERY_S: Final = 0.2


class Progress:
    """One line on a terminal that says how far it is, and is gone at the end; nothing anywhere else."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        self._next_s = 0.0

    def __call__(self, what: str, done: int, of: int) -> None:
        """Says it, but not too often."""
        now = time.monotonic()
        if self._is_shown and now >= self._next_s:
            self._next_s = now + SAID_EVERY_S
            share = f" {100 * done // of} %" if of else ""
            print(f"\r\x1b[Kdatlake: {what}{share}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """The line is gone, so that another can be said."""
        if self._is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._next_s = 0.0

    def __enter__(self) -> Self:
        """Nothing is said yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The line is gone."""
        self.clear()
