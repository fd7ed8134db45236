"""Lists of the command line: as many items as were asked for, and what to say when there are more, or none."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, TypeVar

from datlake_sdk.cli.text import shown
from datlake_sdk.wire.models import Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from datlake_sdk.client import DatlakeClient
    from datlake_sdk.paging import Paged

T = TypeVar("T")

# What a lake gives at once.
PAGE_ITEMS: Final = 1000


def listed(limit: int, fetch: Callable[[int, str | None], Paged[T]]) -> Page[T]:
    """The first `limit` items as one page; its cursor is set where more follow. `fetch(limit, cursor)` gets a page."""
    items: list[T] = []
    cursor: str | None = None
    while True:
        page = fetch(min(limit - len(items), PAGE_ITEMS), cursor)
        items.extend(page.items)
        cursor = page.next_cursor
        if cursor is None or len(items) >= limit:
            return Page(items=items, next_cursor=cursor)


def tell_more(page: Page[T]) -> None:
    """Says on stderr that there is more than was listed, so that a pipe gets rows alone."""
    if page.next_cursor is not None:
        sys.stdout.flush()
        print(f"datlake: these are the first {len(page.items)}; --limit N lists more", file=sys.stderr)


def nothing(client: DatlakeClient, what: str, then: str) -> None:
    """Says on stderr what there is none of, where it was looked for, and what to do next."""
    settings = client.settings
    place = client.base_url or settings.api_url or settings.home
    told = f"there are {what} in namespace {settings.namespace!r} of {place}; {then}"
    print(f"datlake: {shown(told)}", file=sys.stderr)
