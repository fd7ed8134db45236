"""How a frame lies in a file, and how frames are found again in a file that was damaged.

A file is the line `datlake-journal 1`, then frames; the first two are the header, twice, so that one damaged byte
loses neither it nor what follows. A frame is: magic (2 bytes), kind (1), version (1), length (4), CRC-32 of these three
and the payload (4), payload; numbers are little-endian. No payload holds the magic (see `_stuffed`): so the next magic
ends the claim of a damaged length, and a damaged file takes time by its size, whatever lies in it.
"""

from __future__ import annotations

import os
import stat
import struct
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

from msgspec import DecodeError, Struct, json

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAME_LIMIT_BYTES: Final = 16 << 20
HEADER: Final = 0

# Bytes that no UTF-8 text has: what JSON holds is never mistaken for the start of a frame.
_MAGIC: Final = b"\xfd\xa7"
_STUFFED: Final = b"\xfd\x00"
_STUFFED_KIND: Final = 0x80
_VERSION: Final = 1
_LINE_START: Final = b"datlake-journal "
FIRST_LINE: Final = b"%b%d\n" % (_LINE_START, _VERSION)
# A header names a lake, which may be a long path; and it is looked for no farther than this into a file.
_HEADER_LIMIT_BYTES: Final = 16 << 10
_HEADER_WITHIN_BYTES: Final = 64 << 10
_PIECE_BYTES: Final = 1 << 20

_checked_part = struct.Struct("<BBI")
_checksum = struct.Struct("<I")
_head = struct.Struct("<2sBBII")
_HEAD_BYTES: Final = _head.size


class NewerFormatError(ValueError):
    """The file was written by a newer datlake-sdk; it is whole, and a newer version will read it."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} was written by a newer datlake-sdk; upgrade datlake-sdk to send what it holds")


class Header(Struct, frozen=True, kw_only=True):
    """Whose segment it is: where its frames go, the process that wrote it and its how-manieth it is, and since when."""

    destination: str
    writer: str
    number: int
    created_at: str
    sdk: str


class Frame(NamedTuple):
    """One appended payload, and the bytes of the file it takes, head included: from `start` up to `end`."""

    kind: int
    payload: bytes
    start: int
    end: int


def frame_bytes(kind: int, payload: bytes) -> bytes:
    """A whole frame; `kind` is from 1 to 127. Raises `ValueError` for a payload over `FRAME_LIMIT_BYTES`."""
    if _MAGIC in payload:
        kind, payload = kind | _STUFFED_KIND, _stuffed(payload)
    if len(payload) > FRAME_LIMIT_BYTES:
        raise ValueError(
            f"a frame of {len(payload)} bytes is over {FRAME_LIMIT_BYTES}; keep such bytes in a file of their own"
        )
    checked = _checked_part.pack(kind, _VERSION, len(payload))
    return b"".join((_MAGIC, checked, _checksum.pack(crc32(payload, crc32(checked))), payload))


def _stuffed(payload: bytes) -> bytes:
    """The payload with every first byte of the magic followed by a zero, so that the magic is nowhere in it."""
    return payload.replace(_MAGIC[:1], _STUFFED)


def opening_of(header: Header) -> bytes:
    """What a file begins with. Raises `ValueError` for a header that is too long or no Unicode."""
    payload = json.encode(header) + b"\n"
    if len(payload) > _HEADER_LIMIT_BYTES:
        raise ValueError(
            f"a header of {len(payload)} bytes is over {_HEADER_LIMIT_BYTES}: the lake's address is too long"
        )
    frame = frame_bytes(HEADER, payload)
    return FIRST_LINE + frame + frame


def header_of(descriptor: int, path: str) -> Header:
    """The first header that checks out. Raises `NewerFormatError`, `ValueError` where there is none, `OSError`."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise ValueError(f"{path} is not a file; a journal segment is")
    scan = Scan(descriptor, path)
    position = len(FIRST_LINE)
    while position < min(scan.size, _HEADER_WITHIN_BYTES):
        frame = scan.frame_at(position)
        if frame is not None and frame.kind == HEADER:
            return _header_from(frame.payload, path)
        position = frame.end if frame is not None else scan.magic_from(position + 1)
    line = b"".join(_pieces(descriptor, 0, len(FIRST_LINE)))
    # One that a power cut left a part of is not newer.
    if line.startswith(_LINE_START) and not FIRST_LINE.startswith(line):
        raise NewerFormatError(path)
    raise ValueError(f"{path} is no journal segment, or its header is lost")


def _header_from(payload: bytes, path: str) -> Header:
    try:
        return json.decode(payload, type=Header)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} has a header that cannot be read: {error}") from error


class Scan:
    """One walk over a file as long as it is now, through a window that holds a frame and a piece at most."""

    __slots__ = ("_base", "_data", "_descriptor", "_path", "_piece_bytes", "size")

    def __init__(self, descriptor: int, path: str, piece_bytes: int = _PIECE_BYTES) -> None:
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor
        self._path = path
        self._piece_bytes = piece_bytes
        self._data = b""
        self._base = 0

    def frame_at(self, start: int) -> Frame | None:
        """The frame that starts there, if one does that checks out. Raises `NewerFormatError` for a whole newer one."""
        if start + _HEAD_BYTES > self.size or not self._has(start, start + _HEAD_BYTES):
            return None
        magic, kind, version, length, checksum = _head.unpack_from(self._data, start - self._base)
        first = start + _HEAD_BYTES
        end = first + length
        if magic != _MAGIC or length > FRAME_LIMIT_BYTES or end > self.size:
            return None
        if self._holds_magic(first, end):
            return None
        payload = self._data[first - self._base : end - self._base]
        if crc32(payload, crc32(_checked_part.pack(kind, version, length))) != checksum:
            return None
        if version > _VERSION:
            raise NewerFormatError(self._path)
        if kind & _STUFFED_KIND:
            kind, payload = kind ^ _STUFFED_KIND, payload.replace(_STUFFED, _MAGIC[:1])
        return Frame(kind, payload, start, end)

    def magic_from(self, start: int) -> int:
        """Where the next magic stands, from `start` on; the end of the file where none does."""
        while self._has(start, start + len(_MAGIC)):
            found = self._data.find(_MAGIC, start - self._base)
            if found >= 0:
                return self._base + found
            start = self._base + len(self._data) - 1  # the window's last byte may be the first half
        return self.size

    def _holds_magic(self, first: int, end: int) -> bool:
        """True where a claim reaches over another magic or beyond the file, so that it cannot be a payload."""
        # What is in the window is asked first: a false claim of 16 MiB is seldom worth reading them.
        if self._data.find(_MAGIC, first - self._base, end - self._base) >= 0:
            return True
        seen = self._base + len(self._data)
        if end <= seen:
            return False
        return (
            not self._has(first - _HEAD_BYTES, end)
            or self._data.find(_MAGIC, first - self._base, end - self._base) >= 0
        )

    def _has(self, start: int, end: int) -> bool:
        """True once the window holds these bytes; it is moved to `start` if it does not yet."""
        if start >= self._base and end <= self._base + len(self._data):
            return True
        kept = self._data[start - self._base :] if start >= self._base else b""
        missing = max(end - start, self._piece_bytes) - len(kept)
        self._data = b"".join((kept, *_pieces(self._descriptor, start + len(kept), missing)))
        self._base = start
        return end <= start + len(self._data)


def _pieces(descriptor: int, start: int, count: int) -> Iterator[bytes]:
    """The bytes from `start` on, as many of `count` as there are: one read may bring less than it was asked for."""
    while count > 0 and (piece := os.pread(descriptor, count, start)):
        yield piece
        start, count = start + len(piece), count - len(piece)
