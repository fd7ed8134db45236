"""What follows from a text that comes again, kept for the next time; of small texts alone, to bound memory."""

from __future__ import annotations

from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")

# A facet of fifty columns. Producers may send a megabyte, and hundreds of those would fill the memory of a server.
SMALL: Final = 8 << 10


def remembered(most: int) -> Callable[[Callable[[str], R]], Callable[[str], R]]:
    """Makes a pure function of a text remember its last `most` answers, of texts of at most `SMALL` characters."""

    def keep(work: Callable[[str], R]) -> Callable[[str], R]:
        kept = lru_cache(most)(work)

        @wraps(work)
        def answer(text: str) -> R:
            return kept(text) if len(text) <= SMALL else work(text)

        return answer

    return keep
