"""Any value a user may hand over, as JSON-safe builtins: what JSON cannot say becomes text, visibly, and is counted.

Called for metadata and event data before they are encoded. It never raises, never changes what it was given, returns
fresh containers, and imports no engine: numpy and its like are recognised by what they can do.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from typing import cast

__all__ = ["jsonable", "jsonable_counted"]

# Deeper than any sensible metadata, far from the recursion limit even when the caller is deep himself.
DEPTH_LIMIT = 32
# An event of this many values is a data set; those are written to tables.
NODE_LIMIT = 10_000
TEXT_LIMIT_BYTES = 64 * 1024
# Arrays beyond this are data, too: their shape and type say more than the first thousand numbers.
ARRAY_LIMIT = 1_000
# The 64-bit integers, signed or not; beyond them stores and other languages' JSON lose digits in silence.
INT_MIN, INT_MAX = -(2**63), 2**64 - 1

MORE = "…"


def jsonable(value: object) -> object:
    """The value as dict, list, str, int, float, bool and None."""
    return jsonable_counted(value)[0]


def jsonable_counted(value: object) -> tuple[object, int]:
    """The value as JSON-safe builtins, and how many values in it lost something by becoming text.

    Dates, decimals, UUIDs, paths and enums have a text or value of their own and are not counted; unknown objects, NaN,
    infinities, huge integers, cycles, lone surrogates and whatever was cut are.
    """
    given = value
    # Nearly every event is such a dict; looking first is ten times cheaper than walking it.
    if type(value) is dict and (copied := _copy_of_plain(cast("dict[object, object]", value))) is not None:
        return copied, 0
    walk = _Walk()
    answer = walk.converted(given, 0)
    return answer, walk.texts


def _copy_of_plain(value: dict[object, object]) -> dict[object, object] | None:
    """A copy of a small dict of short strings and numbers; `None` for any other."""
    if len(value) > ARRAY_LIMIT:
        return None
    is_plain = all(
        type(key) is str
        and key.isascii()
        and len(key) <= TEXT_LIMIT_BYTES
        and (item is None or item is True or item is False or _is_plain_scalar(item))
        for key, item in value.items()
    )
    return value.copy() if is_plain else None


def _is_plain_scalar(item: object) -> bool:
    if type(item) is str:
        return item.isascii() and len(item) <= TEXT_LIMIT_BYTES
    if type(item) is int:
        return INT_MIN <= item <= INT_MAX
    return type(item) is float and math.isfinite(item)


class _Walk:
    """One conversion: the nodes it may still visit, the containers it stands in, and the losses so far."""

    def __init__(self) -> None:
        self.texts = 0
        self._nodes_left = NODE_LIMIT
        self._open: set[int] = set()

    def converted(self, value: object, depth: int) -> object:
        """The value as builtins; whatever its own code raises, text comes back."""
        self._nodes_left -= 1
        try:
            return self._converted(value, depth)
        except Exception:  # noqa: BLE001 - a user's __iter__, items or __str__ may raise anything; it is counted
            self._open.discard(id(value))
            return self.as_text(value)

    def _converted(self, value: object, depth: int) -> object:
        if value is None or value is True or value is False:
            return value
        # Enums first: a str or int enum is meant by its value.
        if isinstance(value, enum.Enum):
            return (
                self.converted(cast("object", value.value), depth + 1) if depth < DEPTH_LIMIT else self.as_text(value)
            )
        for kind, convert in _SCALARS:
            if isinstance(value, kind):
                return convert(self, value)
        return self._container(value, depth)

    def _container(self, value: object, depth: int) -> object:
        reader = _reader(value)
        if reader is None:
            return self.as_text(value)
        if id(value) in self._open:
            return self.lost(f"<{type(value).__name__}: contains itself>")
        if depth >= DEPTH_LIMIT:
            return self.lost(f"<{type(value).__name__}: nested deeper than {DEPTH_LIMIT}>")
        self._open.add(id(value))
        answer = reader(self, value, depth)
        self._open.discard(id(value))
        return answer

    # --- containers ---------------------------------------------------------------------------------------------------

    def mapping(self, pairs: Iterable[tuple[object, object]], depth: int) -> dict[str, object]:
        answer: dict[str, object] = {}
        for key, item in pairs:
            if self._nodes_left <= 0:
                answer[MORE] = self.lost(f"cut: more than {NODE_LIMIT} values")
                break
            answer[self._free_name(key, depth, answer)] = self.converted(item, depth + 1)
        return answer

    def sequence(self, items: Iterable[object], depth: int) -> list[object]:
        answer: list[object] = []
        for item in items:
            if self._nodes_left <= 0:
                answer.append(self.lost(f"{MORE} cut: more than {NODE_LIMIT} values"))
                break
            answer.append(self.converted(item, depth + 1))
        return answer

    def _free_name(self, key: object, depth: int, taken: Mapping[str, object]) -> str:
        """The key as text that no other key of this dict has: {1: …, "1": …} keeps both."""
        name = key if isinstance(key, str) else self.converted(key, depth + 1)
        name = self.text(name) if isinstance(name, str) else str(name)
        number = 1
        unique = name
        while unique in taken:
            number += 1
            unique = f"{name} ({number})"
        return unique

    # --- scalars ------------------------------------------------------------------------------------------------------

    def text(self, value: str) -> str:
        # str.__str__ of a subclass may be anything; the characters are what was meant.
        plain = "".join(value) if type(value) is not str else value
        if plain.isascii() and len(plain) <= TEXT_LIMIT_BYTES:
            return plain
        data = plain[: TEXT_LIMIT_BYTES + 1].encode("utf-8", "backslashreplace")
        if len(data) > TEXT_LIMIT_BYTES:
            kept = data[: TEXT_LIMIT_BYTES - 64].decode("utf-8", "ignore")
            return self.lost(f"{kept}{MORE}[cut: {len(plain)} characters in all]")
        if "\\" in (safe := data.decode("utf-8")) and safe != plain:
            self.texts += 1
        return safe

    def number(self, value: int) -> object:
        plain = int(value)
        if INT_MIN <= plain <= INT_MAX:
            return plain
        # Beyond about 4 300 digits Python refuses decimal text; hexadecimal it does not.
        return self.text(self.lost(str(plain) if plain.bit_length() < 10_000 else hex(plain)))

    def real(self, value: float) -> object:
        plain = float(value)
        if math.isfinite(plain):
            return plain
        return self.lost("NaN" if math.isnan(plain) else "Infinity" if plain > 0 else "-Infinity")

    def binary(self, value: bytes | bytearray | memoryview) -> object:
        from base64 import b64encode

        data = bytes(value)
        try:
            return self.text(data.decode("utf-8"))
        except UnicodeDecodeError:
            self.texts += 1
        room = TEXT_LIMIT_BYTES // 4 * 3 - 96
        note = f"{MORE}[cut: {len(data)} bytes in all]" if len(data) > room else ""
        return f"base64:{b64encode(data[:room]).decode('ascii')}{note}"

    def as_text(self, value: object) -> str:
        for told in (str, repr):
            try:
                return self.text(self.lost(told(value)))
            except Exception:  # noqa: BLE001, S112 - a user's __str__ may raise anything; the type's name is left
                continue
        return f"<{type(value).__name__}: unprintable>"

    def lost(self, text: str) -> str:
        self.texts += 1
        return text


_SCALARS: tuple[tuple[type | tuple[type, ...], Callable[[_Walk, object], object]], ...] = (
    (str, lambda walk, value: walk.text(cast("str", value))),
    (int, lambda walk, value: walk.number(cast("int", value))),
    (float, lambda walk, value: walk.real(cast("float", value))),
    ((bytes, bytearray, memoryview), lambda walk, value: walk.binary(cast("bytes", value))),
    (
        (dt.datetime, dt.date, dt.time),
        lambda walk, value: walk.text(cast("dt.date", value).isoformat()),
    ),
    (dt.timedelta, lambda _, value: _iso_duration(cast("dt.timedelta", value))),
    ((decimal.Decimal, uuid.UUID), lambda walk, value: walk.text(str(value))),
    (os.PathLike, lambda walk, value: walk.text(os.fsdecode(cast("os.PathLike[str]", value)))),
)


def _iso_duration(value: dt.timedelta) -> str:
    sign = "-" if value.days < 0 else ""
    value = abs(value)
    fraction = f".{value.microseconds:06d}".rstrip("0") if value.microseconds else ""
    return f"{sign}P{value.days}DT{value.seconds}{fraction}S"


# --- which values hold others -----------------------------------------------------------------------------------------

_Reader = Callable[[_Walk, object, int], object]


def _reader(value: object) -> _Reader | None:
    if isinstance(value, Mapping):
        return _read_mapping
    if isinstance(value, AbstractSet):
        return _read_set
    if isinstance(value, Sequence | ValuesView):
        return _read_sequence
    kind = type(value)
    if hasattr(kind, "__struct_fields__") or hasattr(kind, "__dataclass_fields__"):
        return _read_fields
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return _read_array
    return None


def _read_mapping(walk: _Walk, value: object, depth: int) -> object:
    return walk.mapping(cast("Mapping[object, object]", value).items(), depth)


def _read_sequence(walk: _Walk, value: object, depth: int) -> object:
    return walk.sequence(cast("Sequence[object]", value), depth)


def _read_set(walk: _Walk, value: object, depth: int) -> object:
    # A set's order changes from process to process; equal metadata should stay equal text.
    return sorted(
        walk.sequence(cast("AbstractSet[object]", value), depth), key=lambda item: (type(item).__name__, repr(item))
    )


def _read_fields(walk: _Walk, value: object, depth: int) -> object:
    kind = type(value)
    names = cast("Iterable[str]", getattr(kind, "__struct_fields__", None) or getattr(kind, "__dataclass_fields__", ()))
    pairs = ((name, cast("object", getattr(value, name, None))) for name in names)
    return walk.mapping(((name, item) for name, item in pairs if type(item).__name__ != "UnsetType"), depth)


def _read_array(walk: _Walk, value: object, depth: int) -> object:
    """An array or scalar of numpy's kind; large ones are told by their shape and type."""
    dtype: object = getattr(value, "dtype", None)
    shape = cast("Sequence[int]", getattr(value, "shape", ()))
    if math.prod(shape) > ARRAY_LIMIT:
        return walk.text(walk.lost(f"<{type(value).__name__}: shape {tuple(shape)}, {dtype}>"))
    # .tolist() of nanosecond times gives bare integers; their text is the date.
    if getattr(dtype, "kind", "") in ("M", "m"):
        value = cast("Callable[[type], object]", getattr(value, "astype"))(str)  # noqa: B009
    plain = cast("Callable[[], object]", getattr(value, "tolist"))()  # noqa: B009
    if type(plain) is type(value):  # numpy's long double gives itself
        return walk.as_text(plain)
    return walk.converted(plain, depth)
