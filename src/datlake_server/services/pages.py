"""Cursors: where a page ended, as opaque text. Keyset paging, so the last page is as fast as the first."""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

import msgspec

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire.models import Page

T = TypeVar("T")

_Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what SQLite holds

LAST_NAME: Final = "\U0010ffff"
END_OF_TIME: Final = 2**63 - 1


def cursor_from(*place: str | int) -> str:
    """The cursor for the page after `place`."""
    return msgspec.json.encode(place).hex()


def name_after(cursor: str | None) -> str:
    """The name after which a page begins; empty for the first page."""
    return _read(cursor, tuple[str])[0] if cursor else ""


def number_after(cursor: str | None, first: int) -> int:
    """The number at which the last page ended; `first` for the first page."""
    return _read(cursor, tuple[_Number])[0] if cursor else first


def moment_before(cursor: str | None) -> tuple[int, str]:
    """The (moment, id) before which a page begins."""
    return _read(cursor, tuple[_Number, str]) if cursor else (END_OF_TIME, LAST_NAME)


def place_of(cursor: str, kind: type[T]) -> T:
    """The place that a cursor is of, read as a `kind`. Raises `InvalidRequest` for another list's."""
    return _read(cursor, kind)


def page(items: list[T], limit: int, last: tuple[str | int, ...]) -> Page[T]:
    """The page of `items`; a full one points to what follows `last`."""
    return Page(items=items, next_cursor=cursor_from(*last) if len(items) == limit else None)


def _read(cursor: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(bytes.fromhex(cursor), type=kind)
    except (ValueError, msgspec.MsgspecError) as error:
        message = "the cursor is not one of this list's; leave it out to begin at the first page"
        raise InvalidRequest(message, code="bad_cursor") from error
