"""The files of processes that are gone: who gets the lock of one's presence adopts what it left, alone.

Recovery and `datlake outbox` call it. Never waits for a lock, never takes what a living process holds.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from datlake_sdk._outbox import marks
from datlake_sdk._outbox.presence import SUFFIX, Line, OpenRun, lock, unlock
from datlake_sdk.wire.models import ProcessIdentity
from datlake_sdk.wire.processes import is_alive

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

# Without locks and without knowing the process, its silence decides; a living one speaks far more often than this.
_SILENCE_S: Final = 3600.0
_READ_BYTES: Final = 16 << 20


class Abandoned(Struct, frozen=True, kw_only=True):
    """What a process that is gone told: who it was, the runs it had open, and the signal that killed it, if one did."""

    path: str
    writer: str
    identity: ProcessIdentity | None = None
    runs: list[OpenRun] = []
    is_closed: bool = False
    died_by: str | None = None
    died_at: datetime | None = None


class Claim:
    """The right to adopt what one writer left; nobody else has it until it is released."""

    def __init__(self, descriptor: int, told: Abandoned) -> None:
        self._descriptor: int | None = descriptor
        self.told = told

    def release(self) -> None:
        """Somebody else may claim it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            unlock(descriptor)

    def abandon(self) -> None:
        """In a forked child: its copy is closed, and the claim stays the parent's, for as long as that lives."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def remove(self) -> None:
        """The presence and its marks are gone; to be called once nothing else of the writer is left."""
        if self._descriptor is None:
            return
        marks.remove(self.told.path.removesuffix(SUFFIX))
        with suppress(OSError):
            os.unlink(self.told.path)
        self.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def claim(path: str) -> Claim | None:
    """The claim on a presence file; None where its writer lives, somebody else has claimed it, or it is gone."""
    return _claim(path, os.O_RDWR)


def claim_writer(folder: str, writer: str) -> Claim | None:
    """The claim on all that `writer` left in `folder`, also where it left no presence."""
    return _claim(os.path.join(folder, writer + SUFFIX), os.O_RDWR | os.O_CREAT)


def _claim(path: str, flags: int) -> Claim | None:
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    told = _told_if_gone(path, descriptor)
    if told is None:
        os.close(descriptor)  # closing gives up the lock, where it was got
        return None
    return Claim(descriptor, told)


def _told_if_gone(path: str, descriptor: int) -> Abandoned | None:
    """What the writer told, once the lock is had and speaks for the file that is still under this name."""
    try:
        is_locked = lock(descriptor)
        if is_locked is False or not os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return None
        lines = _lines(descriptor)
        had_lock = not lines or lines[0].is_locked
        if (is_locked and had_lock) or _is_silent(descriptor, lines):
            return _told(path, lines)
    except OSError:
        return None
    return None


def _is_silent(descriptor: int, lines: list[Line]) -> bool:
    """Where no lock tells: the writer has let go, is gone, or has not been heard of for long.

    Two may come to this at once. Both send what they find, and the lake keeps each thing once.
    """
    if any(line.is_closed for line in lines):
        return True
    identity = lines[0].identity if lines else None
    alive = None if identity is None else is_alive(identity)
    if alive is None:
        return time.time() - os.fstat(descriptor).st_mtime > _SILENCE_S
    return not alive


def _told(path: str, lines: list[Line]) -> Abandoned:
    runs: dict[str, OpenRun] = {}
    for line in lines:
        if line.began is not None:
            runs[line.began.run_id] = line.began
        if line.ended is not None:
            runs.pop(line.ended, None)
    mark = marks.read(path.removesuffix(SUFFIX))
    return Abandoned(
        path=path,
        writer=os.path.basename(path).removesuffix(SUFFIX),
        identity=lines[0].identity if lines else None,
        runs=list(runs.values()),
        is_closed=any(line.is_closed for line in lines),
        died_by=mark.signal if mark else None,
        died_at=mark.at if mark else None,
    )


def _lines(descriptor: int) -> list[Line]:
    """The lines that can be read; one that a death or a full disk cut short is passed over."""
    decoder = msgspec.json.Decoder(Line)
    found: list[Line] = []
    for text in os.pread(descriptor, _READ_BYTES, 0).split(b"\n"):
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            found.append(decoder.decode(text))
    return found
