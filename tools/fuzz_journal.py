"""Damaged journal files made from any bytes, and what must hold of whoever reads them.

`tests/fuzz` runs it under hypothesis; run as a program it is a target for atheris, which looks for inputs by coverage:

    python -m venv build/fuzz && build/fuzz/bin/pip install atheris msgspec && mkdir -p build/corpus
    PYTHONPATH=src build/fuzz/bin/python tools/fuzz_journal.py -max_total_time=300 -timeout=10 -max_len=600 build/corpus
"""

from __future__ import annotations

import importlib
import os
import struct
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, cast
from zlib import crc32

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from datlake_sdk._outbox.journal import Frame, SegmentReader

MAGIC = b"\xfd\xa7"
FIRST_LINE = b"datlake-journal 1\n"
LIMIT_BYTES = 16 << 20
# A window so small that frames lie across its ends.
SMALL_PIECE_BYTES = 16


def frame_of(kind: int, payload: bytes, *, version: int = 1, length: int | None = None) -> bytes:
    """A frame with the checksum that fits it, whatever it claims; its payload may hold the magic, as ours never do."""
    checked = struct.pack("<BBI", kind, version, (len(payload) if length is None else length) & 0xFFFFFFFF)
    return MAGIC + checked + struct.pack("<I", crc32(checked + payload)) + payload


OPENING = FIRST_LINE + frame_of(0, b'{"destination":"d","writer":"w","number":1,"created_at":"c","sdk":"s"}\n') * 2


def file_from(script: bytes) -> bytes:
    """A file of frames and damage: `script` is read as what comes next, how long it is, and what it holds."""
    file, at = bytearray(OPENING if script[:1] != b"\x00" else b""), 1
    while at + 2 <= len(script):
        what, count = script[at] % 8, script[at + 1]
        _add(file, what, count, script[at + 2 : at + 2 + count])
        at += 2 + (count if what < 5 else 0)
    return bytes(file)


def _add(file: bytearray, what: int, count: int, content: bytes) -> None:
    match what:
        case 0:
            file += content
        case 1 | 2:
            file += frame_of(what, content)
        case 3:
            file += frame_of(1, content, length=len(content) + count * 65_537)
        case 4:
            file += frame_of(0x81, content.replace(b"\xfd", b"\xfd\x00"))
        case 5:
            file += MAGIC * (count % 8) + frame_of(1, b"newer", version=count % 4)
        case 6:
            del file[max(len(file) - count, 0) :]
        case _:
            if file:
                file[-1 - count % len(file)] ^= count | 1


def expected_frames(data: bytes) -> Iterator[tuple[int, bytes, int, int]]:
    """What a sealed reader finds, in the simplest way: at every byte, does a frame check out? Ends at a newer one."""
    at = len(FIRST_LINE)
    while at + 12 <= len(data):
        magic, kind, version, length, checksum = struct.unpack_from("<2sBBII", data, at)
        payload, end = data[at + 12 : at + 12 + length], at + 12 + length
        is_whole = magic == MAGIC and end <= len(data) and length <= LIMIT_BYTES and MAGIC not in payload
        if not is_whole or crc32(payload, crc32(data[at + 2 : at + 8])) != checksum:
            at += 1
            continue
        if version > 1:
            return
        yield kind & 0x7F, payload.replace(b"\xfd\x00", b"\xfd") if kind & 0x80 else payload, at, end
        at = end


def check(data: bytes) -> int:
    """How many frames a file of these bytes has for a reader, live or sealed, by batches or byte by byte.

    Raises `AssertionError` where a reader misses one, invents one, does not advance, or miscounts the damage.
    """
    from datlake_sdk._outbox.journal import SegmentReader

    with memory_file(data) as path:
        _check_windows(data, path)
        try:
            reader = SegmentReader.open(path)
        except ValueError:
            return 0
        sealed, damaged, ended = frames_of(reader, is_sealed=True)
        live, nothing, _ = frames_of(reader, is_sealed=False)
        reader.close()
    expected = list(expected_frames(data))
    require([tuple(frame) for frame in sealed] == [frame for frame in expected if frame[0] != 0], "sealed frames")
    require(sealed[: len(live)] == live, "live frames come first in the sealed ones")
    require(nothing == 0, "nothing is damaged in a live file")
    if ended is not None:
        whole = sum(end - start for *_, start, end in expected)
        require(damaged + whole == len(data) - len(FIRST_LINE), "every byte is whole or counted as damaged")
    return len(sealed)


def require(holds: bool, what: str) -> None:
    """Nothing, or an `AssertionError` that says what does not hold."""
    if not holds:
        raise AssertionError(what)


def frames_of(reader: SegmentReader, *, is_sealed: bool) -> tuple[list[Frame], int, int | None]:
    """All frames, how many bytes were skipped, and where the end was; null where a newer frame bars the way."""
    from datlake_sdk._outbox.journal import NewerFormatError

    frames: list[Frame] = []
    position = damaged = 0
    while True:
        try:
            batch = reader.read(position, is_sealed=is_sealed, at_most=2, limit_bytes=40)
        except NewerFormatError:
            return frames, damaged, None
        require(batch.next > position or (batch.is_end and batch.next == position), "a read advances")
        require(bool(batch.frames) or batch.is_end, "a batch without frames is the last")
        frames, position, damaged = frames + batch.frames, batch.next, damaged + batch.damaged
        if batch.is_end:
            return frames, damaged, position


def _check_windows(data: bytes, path: str) -> None:
    """A scan finds the same through a window that its frames do not fit into."""
    from datlake_sdk._outbox.frames import NewerFormatError, Scan

    found: list[Frame] = []
    at, descriptor = len(FIRST_LINE), os.open(path, os.O_RDONLY)
    try:
        scan = Scan(descriptor, path, SMALL_PIECE_BYTES)
        while at < len(data):
            frame = scan.frame_at(at)
            found += [frame] if frame is not None else []
            at = frame.end if frame is not None else scan.magic_from(at + 1)
    except NewerFormatError:
        pass
    finally:
        os.close(descriptor)
    require([tuple(frame) for frame in found] == list(expected_frames(data)), "frames through a small window")


@contextmanager
def memory_file(data: bytes) -> Generator[str]:
    """The path of a file in memory that holds these bytes."""
    descriptor = os.memfd_create("segment")
    try:
        os.write(descriptor, data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


class _Atheris(Protocol):
    """What is used of a library without types."""

    def instrument_imports(self) -> AbstractContextManager[None]: ...
    def Setup(self, args: list[str], target: Callable[[bytes], None]) -> object: ...  # noqa: N802 -- its name
    def Fuzz(self) -> None: ...  # noqa: N802 -- its name


def main() -> None:
    """Fuzzes until told to stop; says what is missing where atheris is."""
    try:
        atheris = cast("_Atheris", importlib.import_module("atheris"))
    except ModuleNotFoundError:
        print(
            "datlake: skipped: atheris is not installed; the first lines of this file say how to run it",
            file=sys.stderr,
        )
        return
    with atheris.instrument_imports():
        importlib.import_module("datlake_sdk._outbox.journal")
    atheris.Setup(sys.argv, _one)
    atheris.Fuzz()


def _one(data: bytes) -> None:
    check(data[1:] if data[:1] == b"\xff" else file_from(data))


if __name__ == "__main__":
    main()
