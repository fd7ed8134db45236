"""Ships a run's log while it grows, from the file it is written to. Whoever attends the run calls it now and then.

It reads what the file has grown by and hands it to a sender, by byte offset. It never writes to the file, never waits
for more, and raises nothing for a lake that is away: what did not arrive is sent the next time, and `finish` tells
whether all did.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from datlake_sdk.errors import Conflict, DatlakeError, InvalidRequest, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from datlake_sdk.wire.models import LogState

PIECE_BYTES: Final = 512 << 10
# 8 MiB a second is more than anybody reads, and leaves the job its processor; `finish` sends what is left.
PIECES_AT_ONCE: Final = 16
# What the lake takes. Larger files are uploaded at the end as they are.
LIMIT_BYTES: Final = 257 << 20
_BACKOFF_CAP_S: Final = 15.0
# So much of what was sent is compared before more is: a file that was truncated and grew again is another log.
_TAIL_BYTES: Final = 64
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)


class Shipped(NamedTuple):
    """What of a log is in the lake: so many bytes with this sha256. `is_whole`: just the bytes of the file."""

    size_bytes: int
    sha256: str
    is_whole: bool


class GrowingLog:
    """One log on its way. `pass_on` and `finish` may come from different threads."""

    def __init__(self, path: str, send: Callable[[int, bytes], LogState], *, interval_s: float = 1.0) -> None:
        """Will ship the file at `path`, which need not be there yet; `send(offset, data)` adds bytes to the run's log.

        `send` raises `DatlakeError` where it cannot, and may be called again with the same bytes.
        """
        self._path = path
        self._send = send
        self._interval_s = interval_s
        self._turn = threading.Lock()
        self._next_s = 0.0
        self._failures = 0
        self._is_ending = False
        self._given_up = False
        self._file: tuple[int, int] | None = None
        self._unfinished = -1
        self._there = 0
        self._sent = _Sent()

    @property
    def shipped_bytes(self) -> int:
        """How much of the file is in the lake."""
        return self._sent.size_bytes

    def pass_on(self) -> None:
        """What the file has grown by is on its way. Does nothing before `interval_s` has passed, longer after failures.

        Blocks while it sends. A line without end waits for its end once.
        """
        if self._given_up or time.monotonic() < self._next_s or not self._turn.acquire(blocking=False):
            return
        try:
            self._next_s = time.monotonic() + self._interval_s
            self._ship(PIECES_AT_ONCE, is_end=False)
        finally:
            self._turn.release()

    def finish(self, patience_s: float) -> Shipped:
        """What is in the lake after the rest was sent; nobody writes to the file any more.

        Waits at most `patience_s` for a `pass_on` that is stuck. One failure ends it: then the file is to be uploaded.
        """
        self._is_ending = True
        if not self._turn.acquire(timeout=max(patience_s, 0.0)):
            return self._sent.told(is_whole=False)
        try:
            is_all = not self._given_up and self._ship(LIMIT_BYTES // PIECE_BYTES + PIECES_AT_ONCE, is_end=True)
            return self._sent.told(is_whole=is_all and 0 < self._sent.size_bytes == self._there)
        finally:
            self._turn.release()

    def _ship(self, pieces: int, *, is_end: bool) -> bool:
        """True once all that is due was sent."""
        try:
            with self._opened() as (file, size):
                for _ in range(pieces):
                    piece = self._piece(file, size, is_end=is_end)
                    if not piece:
                        return self._file is not None
                    if self._is_ending and not is_end:
                        return False
                    self._deliver(file, piece)
        except _GivenUpError:
            self._given_up = True
        except (DatlakeError, OSError):
            self._failures += 1
            self._next_s = time.monotonic() + min(self._interval_s * 2**self._failures, _BACKOFF_CAP_S)
        return False

    @contextmanager
    def _opened(self) -> Generator[tuple[int, int]]:
        """The file and its size, if it is still the one that was shipped so far. No file, as long as there is none."""
        try:
            file = os.open(self._path, _FLAGS)
        except FileNotFoundError:
            if self._file is not None:
                raise _GivenUpError from None
            yield -1, 0
            return
        try:
            yield file, self._checked(file)
        finally:
            os.close(file)

    def _checked(self, file: int) -> int:
        found = os.fstat(file)
        identity = found.st_dev, found.st_ino
        is_same = self._file in {None, identity} and stat.S_ISREG(found.st_mode) and found.st_size <= LIMIT_BYTES
        tail = self._sent.tail
        if not is_same or os.pread(file, len(tail), self._sent.size_bytes - len(tail)) != tail:
            raise _GivenUpError  # another file by now, one that was truncated, or none that can be shipped
        self._file = identity
        return found.st_size

    def _piece(self, file: int, size: int, *, is_end: bool) -> bytes:
        """The next bytes, up to the end of a line if they hold one; nothing where nothing is due."""
        at = self._sent.size_bytes
        data = os.pread(file, min(PIECE_BYTES, size - at), at) if size > at else b""
        if is_end or not data:
            return data
        lines = data.rfind(b"\n") + 1
        if lines:
            return data[:lines]
        is_due = self._unfinished == at or len(data) == PIECE_BYTES
        self._unfinished = at
        return data if is_due else b""

    def _deliver(self, file: int, piece: bytes) -> None:
        try:
            self._there = self._send(self._sent.size_bytes, piece).size_bytes
        except Conflict as error:
            self._go_back(file, error)
            return
        except (InvalidRequest, NotFound) as error:
            raise _GivenUpError from error  # it will be refused again: too large, or an older server
        self._failures = 0
        self._sent.add(piece)

    def _go_back(self, file: int, error: Conflict) -> None:
        """The lake has less than it said: it was restored from a backup, say. What is missing is sent again."""
        size = error.current_version
        if error.code != "log_gap" or size is None or not 0 <= size < self._sent.size_bytes:
            raise _GivenUpError from error
        sent = _Sent()
        while sent.size_bytes < size and (data := os.pread(file, PIECE_BYTES, sent.size_bytes)):
            sent.add(data[: size - sent.size_bytes])
        self._sent = sent


class _Sent:
    """The bytes that were sent: how many, their digest, and the last few of them."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self.tail = b""
        self._digest = sha256()

    def add(self, data: bytes) -> None:
        self.size_bytes += len(data)
        self.tail = (self.tail + data)[-_TAIL_BYTES:]
        self._digest.update(data)

    def told(self, *, is_whole: bool) -> Shipped:
        return Shipped(self.size_bytes, self._digest.hexdigest(), is_whole)


class _GivenUpError(Exception):
    """The log cannot grow on in the lake; it is uploaded whole at the end."""
