"""When the write-ahead log is folded into the lake's file. The store asks after each commit; readers never do.

A log that is never folded makes every opening slower. One commit in a thousand pages pays for it, in its own turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

# 4 MiB: SQLite's own default, and a few milliseconds of work.
FOLD_PAGES: Final = 1_000
# 16 MiB: readers that follow each other closely keep the log from beginning anew, so now they are waited for, briefly.
CUT_PAGES: Final = 4_000
CUT_WAIT_MS: Final = 100
# A reader that stays for minutes, a backup say, is not waited for with every commit.
CUT_AGAIN_PAGES: Final = 2_000


class Log(Protocol):
    """What is known of a write-ahead log, and done to it, by who committed last."""

    @property
    def log_pages(self) -> int:
        """How many pages the log held after the last commit."""
        ...

    def fold(self, wait_ms: int = 0) -> None:
        """Moves them into the file as far as readers let it; with `wait_ms` the log begins anew, if they leave."""
        ...


class Folding:
    """The decision of one store. `left_to_another` is true while a server in another process has the lake's folder."""

    def __init__(self, left_to_another: Callable[[], bool]) -> None:
        """Nothing was folded yet."""
        self._left_to_another = left_to_another
        self._looked_at = 0
        self._next_cut = CUT_PAGES

    def after_commit(self, log: Log) -> None:
        """Folds the log where it is due. A server that stands still does not keep others from cutting a long one."""
        pages = log.log_pages
        if pages < self._looked_at:  # it began anew
            self._looked_at, self._next_cut = 0, CUT_PAGES
        if pages - self._looked_at < FOLD_PAGES:
            return
        self._looked_at = pages
        if pages >= self._next_cut:
            self._next_cut = pages + CUT_AGAIN_PAGES
            log.fold(CUT_WAIT_MS)
        elif not self._left_to_another():
            log.fold()
