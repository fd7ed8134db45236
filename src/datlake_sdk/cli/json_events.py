"""The events that a file holds: lines of JSON, an array of any size, or values in a row; gzipped or not.

It streams: no more than one event and one piece of the file are held. What cannot be read is told by its place.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import stat
import zlib
from codecs import BOM_UTF8, getincrementaldecoder
from typing import IO, TYPE_CHECKING, Final, NamedTuple, cast

from msgspec import Raw

from datlake_sdk.wire import codec

if TYPE_CHECKING:
    from collections.abc import Iterator

STDIN: Final = "-"
PIECE_CHARACTERS: Final = 1 << 20
# No lake takes so large a one; beyond it the file is something else.
EVENT_BYTES: Final = 64 << 20
_GZIP: Final = b"\x1f\x8b"
_BETWEEN: Final = re.compile(r"[\s,]*")
# Where a value goes on behind the piece that was read, the parser complains this close to its end.
_NEAR_THE_END: Final = 16
_EXCERPT: Final = 60


class Found(NamedTuple):
    """An event, or why there is none, and its place in the file."""

    where: str
    data: bytes = b""
    error: str = ""


class Source(NamedTuple):
    """An open file: its bytes unpacked, and as they lie on the disk, `size_bytes` of them (0: not known)."""

    file: IO[bytes]
    packed: IO[bytes]
    size_bytes: int

    @property
    def read_bytes(self) -> int:
        """How much of it was read from the disk."""
        return self.packed.tell() if self.size_bytes else 0


def opened(path: str) -> Source:
    """The file, or stdin for `-`; for the caller to close. Raises `OSError`."""
    packed = open(0, "rb", closefd=False) if path == STDIN else open(path, "rb")  # noqa: SIM115 -- handed on
    told = os.fstat(packed.fileno())
    size_bytes = told.st_size if stat.S_ISREG(told.st_mode) else 0
    if packed.peek(2)[:2] == _GZIP:
        return Source(cast("IO[bytes]", gzip.GzipFile(fileobj=packed)), packed, size_bytes)
    return Source(packed, packed, size_bytes)


def events_in(file: IO[bytes]) -> Iterator[Found]:
    """Each event of the file, in its order."""
    try:
        yield from _by_form(file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield Found("at the end", error=f"the file is damaged or was cut ({error}); the rest of it was not read")


def _by_form(file: IO[bytes]) -> Iterator[Found]:
    first, number = _first_line(file)
    start = first.strip()
    if start.startswith(b"[") or start.endswith((b"{", b"[", b",", b":")):
        yield from _Values(first, file, number)
        return
    line = first
    while line:
        yield from _of_line(line, f"line {number}")
        line, number = _line(file), number + 1


def _first_line(file: IO[bytes]) -> tuple[bytes, int]:
    """The first line that holds something, and its number."""
    line, number = _line(file).removeprefix(BOM_UTF8), 1
    while line and not line.strip():
        line, number = _line(file), number + 1
    return line, number


def _line(file: IO[bytes]) -> bytes:
    """The next line; no more of one without end than an event can have."""
    return file.readline(EVENT_BYTES)


def _of_line(line: bytes, where: str) -> Iterator[Found]:
    text = line.strip()
    if text.startswith(b"["):
        yield from _of_array(text, where)
    elif text:
        yield _checked(text, where)


def _of_array(text: bytes, where: str) -> Iterator[Found]:
    try:
        items = codec.decoder(list[Raw]).decode(text)
    except codec.UNREADABLE as error:
        yield Found(where, error=_no_json(text, error))
        return
    for number, item in enumerate(items, start=1):
        yield _checked(bytes(item), f"{where}, event {number}")


def _checked(text: bytes, where: str) -> Found:
    try:
        codec.decoder(Raw).decode(text)
    except codec.UNREADABLE as error:
        return Found(where, error=_no_json(text, error))
    return Found(where, data=text)


def _no_json(text: bytes, error: Exception) -> str:
    begins = text[:_EXCERPT].decode("utf-8", "replace")
    return f"this is no JSON ({error}); it begins with {begins!r}"


class _Values:
    """Values in a row, or in arrays, over as many lines as they like."""

    def __init__(self, begun: bytes, file: IO[bytes], line: int) -> None:
        """Goes on after `begun`, which was read from the file; it began in that line."""
        self._file = file
        # What is no UTF-8 survives as it is, for the lake to say so.
        self._decoder = getincrementaldecoder("utf-8")("surrogateescape")
        self._scan = json.JSONDecoder().raw_decode
        self._text = self._decoder.decode(begun)
        self._at = 0
        self._line = line
        self._counted = 0
        self._number = 0
        self._is_array = False

    def __iter__(self) -> Iterator[Found]:
        while self._is_more():
            if self._bracket():
                continue
            self._number += 1
            found = self._value()
            yield found
            if found.error:
                return  # nothing says where the next one would begin
        if self._is_array:
            yield Found(self._where(), error="the array does not end; the file may have been cut")

    def _is_more(self) -> bool:
        """True where something follows; the place is at it then."""
        while True:
            between = _BETWEEN.match(self._text, self._at)
            self._at = self._at if between is None else between.end()
            if self._at < len(self._text):
                return True
            if not self._read():
                return False

    def _bracket(self) -> bool:
        """Goes past the beginning or end of an array; an array within one is a value, and no event."""
        if self._text[self._at] != ("]" if self._is_array else "["):
            return False
        self._is_array = not self._is_array
        self._at += 1
        return True

    def _value(self) -> Found:
        while True:
            try:
                end = self._scan(self._text, self._at)[1]
            except json.JSONDecodeError as error:
                if self._is_cut(error) and self._read():
                    continue
                return Found(self._where(), error=f"this is no JSON ({error.msg}); the rest of the file was not read")
            except RecursionError:
                return Found(self._where(), error="this is nested too deep; the rest of the file was not read")
            where, data = self._where(), self._text[self._at : end].encode("utf-8", "surrogateescape")
            self._at = end
            return Found(where, data)

    def _is_cut(self, error: json.JSONDecodeError) -> bool:
        """Whether more of the file may mend it."""
        if len(self._text) - self._at > EVENT_BYTES:
            return False
        return error.msg.startswith("Unterminated string") or error.pos > len(self._text) - _NEAR_THE_END

    def _read(self) -> bool:
        """Forgets what is done and reads on; false at the end of the file."""
        left = len(self._text) - self._at
        self._count_lines()
        # As much again as there is, so that a large value is not begun anew for every piece.
        piece = self._file.read(max(PIECE_CHARACTERS, left))
        self._text = self._text[self._at :] + self._decoder.decode(piece, final=not piece)
        self._at = self._counted = 0
        return bool(piece)

    def _count_lines(self) -> None:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at

    def _where(self) -> str:
        self._count_lines()
        return f"event {self._number}, line {self._line}"
