"""A page of a list for an event loop: as `paging`, but what comes after it is awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from datlake_sdk._offload import offload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from datlake_sdk.paging import Paged

T = TypeVar("T")

__all__ = ["AsyncPaged"]


class AsyncPaged(Generic[T]):
    """One page of a list; `async for` goes on through all the pages after it."""

    def __init__(self, page: Paged[T]) -> None:
        """Holds the page."""
        self._page = page

    @property
    def items(self) -> list[T]:
        """The items of this page."""
        return self._page.items

    @property
    def next_cursor(self) -> str | None:
        """Where the next page begins, null on the last."""
        return self._page.next_cursor

    async def next_page(self) -> AsyncPaged[T] | None:
        """The page after this one, null on the last."""
        following = await offload(self._page.next_page)
        return None if following is None else AsyncPaged(following)

    async def __aiter__(self) -> AsyncIterator[T]:
        """Every item of this page and of those after it, fetched as they are reached."""
        page: AsyncPaged[T] | None = self
        while page is not None:
            for item in page.items:
                yield item
            page = await page.next_page()
