"""What a lake refused for good, with its answer, and what was lost: kept in the outbox's folder for people to see."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from datlake_sdk import __version__
from datlake_sdk._outbox.journal import DEAD, Frame, Header, SegmentReader, append_frame, shared_lock
from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from datlake_sdk.errors import DatlakeError

DEAD_FILE: Final = "dead.seg"
LOSSES_FILE: Final = "losses"
# What nobody looks at must not fill a disk; what is refused beyond this is counted as lost.
DEAD_BYTES: Final = 64 << 20
LOSSES_BYTES: Final = 1 << 20
_MESSAGE_CHARS: Final = 2_000


class DeadLetter(Struct, frozen=True, kw_only=True):
    """An operation that was refused for good; `payload` is its frame's."""

    id: str
    kind: int
    payload: msgspec.Raw
    code: str
    message: str
    status: int | None
    refused_at: str


class Loss(Struct, frozen=True, kw_only=True):
    """Something accepted that could not be kept: `count` of `what` (`events`, `log`, `artifact`, `operation`)."""

    at: str
    what: str
    count: int
    why: str
    run_id: str | None = None


def bury(folder: str, destination: str, frame: Frame, error: DatlakeError) -> None:
    """The frame is among the dead letters with the answer that it got.

    Raises `OSError`, and `ValueError` where the two are too large together or the file is a newer version's.
    """
    path = os.path.join(folder, DEAD_FILE)
    with suppress(FileNotFoundError):
        if os.stat(path).st_size > DEAD_BYTES:
            message = "the dead letters have their fill (64 MiB)"
            raise OSError(message)
    letter = DeadLetter(
        id=new_id(),
        kind=frame.kind,
        payload=msgspec.Raw(frame.payload),
        code=error.code,
        message=error.message[:_MESSAGE_CHARS],
        status=error.status,
        refused_at=_now(),
    )
    append_frame(path, header(destination, "dead", 1), DEAD, msgspec.json.encode(letter))


def dead_letters(folder: str) -> list[DeadLetter]:
    """The dead letters, the oldest first. Raises `OSError`, and `ValueError` for those of a newer version."""
    path = os.path.join(folder, DEAD_FILE)
    try:
        if not os.stat(path).st_size:
            return []  # made for one that a full disk did not take
        reader = SegmentReader.open(path)
    except FileNotFoundError:
        return []
    letters: list[DeadLetter] = []
    try:
        at, is_end = 0, False
        while not is_end:
            batch = reader.read(at, is_sealed=True)
            at, is_end = batch.next, batch.is_end
            for frame in batch.frames:
                with suppress(msgspec.MsgspecError):
                    letters.append(msgspec.json.decode(frame.payload, type=DeadLetter))
    finally:
        reader.close()
    return letters


def clear_dead_letters(
    folder: str,
    destination: str,
    is_meant: Callable[[DeadLetter], bool],
    settle: Callable[[list[DeadLetter]], None] = lambda _: None,
) -> int:
    """How many dead letters were meant and are no longer there, after `settle` had them all.

    Raises `OSError`, and then all of them are there still.
    """
    path = os.path.join(folder, DEAD_FILE)
    if not os.path.exists(path):
        return 0
    with shared_lock(path):  # nobody adds one between the reading and the removal
        letters = dead_letters(folder)
        meant = [letter for letter in letters if is_meant(letter)]
        if meant:
            _replace(path, destination, [letter for letter in letters if letter not in meant], lambda: settle(meant))
    return len(meant)


def _replace(path: str, destination: str, letters: list[DeadLetter], settle: Callable[[], None]) -> None:
    """The file holds these letters alone, once `settle` has returned."""
    fresh = f"{path}.{new_id()}.new"
    try:
        for letter in letters:
            append_frame(fresh, header(destination, "dead", 1), DEAD, msgspec.json.encode(letter))
        settle()
        if letters:
            os.replace(fresh, path)
        else:
            os.unlink(path)
    except BaseException:
        with suppress(OSError):
            os.unlink(fresh)
        raise


def note_loss(folder: str, what: str, count: int, why: str, run_id: str | None) -> None:
    """The loss is noted where the folder can be written; never raises."""
    loss = Loss(at=_now(), what=what, count=count, why=why[:_MESSAGE_CHARS], run_id=run_id)
    with suppress(OSError):
        path = os.path.join(folder, LOSSES_FILE)
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            if os.fstat(file).st_size < LOSSES_BYTES:
                os.write(file, msgspec.json.encode(loss) + b"\n")
        finally:
            os.close(file)


def note_damage(folder: str, count: int) -> None:
    """That so many bytes of a journal could not be read is noted; never raises."""
    note_loss(folder, "bytes", count, "they are damaged in a journal", None)


def losses(folder: str) -> list[Loss]:
    """What was noted as lost, the oldest first."""
    found: list[Loss] = []
    with suppress(OSError), open(os.path.join(folder, LOSSES_FILE), "rb") as file:
        for line in file:
            with suppress(msgspec.MsgspecError):
                found.append(msgspec.json.decode(line, type=Loss))
    return found


def header(destination: str, writer: str, number: int) -> Header:
    """What a segment of this process says of itself."""
    return Header(destination=destination, writer=writer, number=number, created_at=_now(), sdk=__version__)


def _now() -> str:
    return utc_now().isoformat()
