"""Pages of a list that fetch the pages after them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datlake_sdk.wire.models import Page

T = TypeVar("T")


class Paged(Generic[T]):
    """One page of a list. `items` is this page alone; iterating goes on through all the pages after it."""

    def __init__(self, page: Page[T], fetch: Callable[[str], Page[T]]) -> None:
        """Holds `page`; `fetch(cursor)` gets a later one."""
        self.items: list[T] = page.items
        self.next_cursor: str | None = page.next_cursor
        self._fetch = fetch

    def next_page(self) -> Paged[T] | None:
        """The page after this one, null on the last. Blocks for one call."""
        return None if self.next_cursor is None else Paged(self._fetch(self.next_cursor), self._fetch)

    def __iter__(self) -> Iterator[T]:
        """Every item of this page and of those after it, fetched as they are reached."""
        page: Paged[T] | None = self
        while page is not None:
            yield from page.items
            page = page.next_page()

    def __repr__(self) -> str:
        """How many items are here, and whether more follow."""
        return f"<Paged of {len(self.items)} items{', more follow' if self.next_cursor else ''}>"
