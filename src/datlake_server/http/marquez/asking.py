"""A request in Marquez's words: names, query and body, read as its server reads them; wrong values get 400."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire import codec
from datlake_sdk.wire.times import micros

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datlake_server.http.exchange import Headers

T = TypeVar("T")

LIMIT: Final = 100
MOST_AT_ONCE: Final = 1000
_LARGEST: Final = 2**31 - 1
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_TRUTHS: Final = frozenset({"true", "1", "yes", "on"})


class Window(Struct, frozen=True):
    """Which items of a list are wanted: `limit` of them after the first `offset`."""

    limit: int
    offset: int


class Reply(Struct, frozen=True):
    """What is answered; `value` becomes JSON."""

    value: object
    status: int = 200
    headers: Headers = ()


class Ask(Struct, frozen=True):
    """A request: the decoded names of its path, its query and its body. Parameters it does not know are ignored."""

    names: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes = b""
    prefix: str = ""  # of the address that was called

    def window(self) -> Window:
        """`limit` (100; at most 1,000 are answered) and `offset` (0)."""
        return Window(min(self.number("limit", LIMIT), MOST_AT_ONCE), self.number("offset", 0))

    def number(self, name: str, default: int) -> int:
        """The parameter as a whole number of 0 or more."""
        text = self.query.get(name, "")
        if not text:
            return default
        if _NUMBER.fullmatch(text) is None:
            raise refused(f"{name}={text!r:.80} is no whole number of 0 or more")
        return min(int(text), _LARGEST)

    def truth(self, name: str) -> bool:
        """True where the parameter says so, in whatever way its clients write it."""
        return self.query.get(name, "").lower() in _TRUTHS

    def one_of(self, name: str, choices: Mapping[str, T], default: T | None = None) -> T:
        """What the parameter chooses, in upper or lower case."""
        text = self.query.get(name, "")
        found = choices.get(text.lower(), None if text else default)
        if found is None:
            raise refused(f"{name}={text!r:.80} is none of {', '.join(choices)}")
        return found

    def needed(self, name: str) -> str:
        """The parameter. Raises `InvalidRequest` (400) where it is missing."""
        text = self.query.get(name)
        if not text:
            raise refused(f"the query parameter {name} is missing")
        return text

    def moment(self, name: str, default: int) -> int:
        """The parameter as a time or date, in microseconds since 1970; UTC where it names no zone."""
        text = self.query.get(name)
        if not text:
            return default
        try:
            # A `+` that was not escaped arrives as a blank.
            told = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())
            return micros(told if told.tzinfo else told.replace(tzinfo=UTC))
        except (ValueError, OverflowError) as error:
            raise refused(f"{name}={text!r:.80} is no time as ISO 8601 has them") from error

    def read(self, kind: type[T]) -> T:
        """The body as a `kind`; no body is an empty object."""
        return codec.decode(self.body or b"{}", kind)


def refused(why: str) -> InvalidRequest:
    """The refusal of a value."""
    return InvalidRequest(why, code="invalid", status=400)
