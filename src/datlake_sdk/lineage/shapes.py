"""What JSON may look like: a small language in which the shapes of OpenLineage are written down. Pure.

`validate` reads it; `shapes_events` and `shapes_facets` speak it. It knows no names of OpenLineage.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TIME: Final = re.compile(
    r"(\d{4})-(0[1-9]|1[0-2])-(\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII | re.IGNORECASE,
)
_PLAIN: Final = r"[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2}"
_URI: Final = re.compile(  # RFC 3986, appendix A; an address in brackets is looked at no further
    r"[A-Za-z][A-Za-z0-9+.\-]*:"
    rf"(?://(?:(?:{_PLAIN}|:)*@)?(?:\[[0-9A-Fa-f:.]+\]|(?:{_PLAIN})*)(?::[0-9]*)?(?:/(?:{_PLAIN}|[:@])*)*"
    rf"|/?(?:(?:{_PLAIN}|[:@])+(?:/(?:{_PLAIN}|[:@])*)*)?)"
    rf"(?:\?(?:{_PLAIN}|[:@/?])*)?(?:#(?:{_PLAIN}|[:@/?])*)?"
)
_THIRTY_DAYS: Final = frozenset({4, 6, 9, 11})


class Scalar(Struct, frozen=True):
    """One value that is no object and no list. `shows` says that a value of the right type may be quoted."""

    what: str
    kind: type | tuple[type, ...]
    accepts: Callable[[object], bool]
    shows: bool = False


class Object(Struct, frozen=True):
    """An object. A required key may be several that stand for one another: `"a|b"`.

    `others` is the shape of all further keys (null: anything). Of the keys `one_of` there is exactly one; those of
    `together` are all there or none. A closed object has no further keys.
    """

    required: Mapping[str, Shape] = {}
    optional: Mapping[str, Shape] = {}
    others: Shape | None = None
    one_of: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    is_closed: bool = False


class ListOf(Struct, frozen=True):
    """A list of things of one shape."""

    item: Shape


class ByType(Struct, frozen=True):
    """An object whose `type` says which of these it is."""

    kinds: Mapping[str, Object]


class Later(Struct, frozen=True):
    """A shape that holds itself."""

    get: Callable[[], Shape]


class Facets(Struct, frozen=True):
    """Facets by their names. One that is not `known` is `other`; where they are deletable, one may be taken back."""

    known: Mapping[str, Object]
    other: Object
    is_deletable: bool = False


Shape: TypeAlias = Scalar | Object | ListOf | ByType | Later | Facets


def _is_time(value: object) -> bool:
    found = _TIME.fullmatch(str(value))
    if found is None:
        return False
    year, month, day = map(int, found.groups())
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    last = (29 if is_leap else 28) if month == 2 else 30 if month in _THIRTY_DAYS else 31
    return year > 0 and 1 <= day <= last


def _is_whole(value: object) -> bool:
    """JSON Schema has 1.0 for a whole number, too."""
    return not isinstance(value, bool) and (not isinstance(value, float) or value.is_integer())


def one_of(*values: str) -> Scalar:
    """One of these texts."""
    return Scalar(f"one of {', '.join(values)}", str, frozenset(values).__contains__, shows=True)


def mapping(value: Shape) -> Object:
    """An object with any keys, all of one shape."""
    return Object(others=value)


TEXT: Final = Scalar("text", str, lambda _: True)
URI: Final = Scalar("a URI", str, lambda value: _URI.fullmatch(str(value)) is not None)
UUID: Final = Scalar("a UUID", str, lambda value: _UUID.fullmatch(str(value)) is not None, shows=True)
TIME: Final = Scalar("a date-time of RFC 3339 with its zone", str, _is_time, shows=True)
WHOLE: Final = Scalar("a whole number", (int, float), _is_whole)
POSITIVE: Final = Scalar(
    "a whole number of at least 1",
    (int, float),
    lambda n: _is_whole(n) and n >= 1,  # type: ignore[operator] # a number
)
NUMBER: Final = Scalar("a number", (int, float), lambda value: not isinstance(value, bool))
TRUTH: Final = Scalar("true or false", bool, lambda _: True)
OBJECT: Final = Object()
