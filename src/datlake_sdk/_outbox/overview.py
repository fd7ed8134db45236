"""What the outbox of this host holds, and what people may do about it: `datlake outbox` is its only caller."""

from __future__ import annotations

import os
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from datlake_sdk._outbox import dead, spool
from datlake_sdk._outbox.claims import claim_writer
from datlake_sdk._outbox.delivery import SPOOL, Delivery, Outcome, Verdict
from datlake_sdk._outbox.journal import SegmentReader, SegmentWriter
from datlake_sdk._outbox.known import LastKnown
from datlake_sdk._outbox.places import destination_of, folder_of, writers_in
from datlake_sdk._outbox.presence import Presence
from datlake_sdk._outbox.recovery import Adoption, Progress, segments_in
from datlake_sdk.transport.breaker import Breaker
from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.models import Snapshot
from datlake_sdk.wire.operations import Op, RegisterSnapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from datlake_sdk._outbox.dead import DeadLetter, Loss
    from datlake_sdk._outbox.delivery import Carrier
    from datlake_sdk._outbox.parcels import Parcel
    from datlake_sdk.settings import Settings

_FOLDER_CHARS: Final = 16


class Standing(Struct, frozen=True, kw_only=True):
    """What waits for one destination; `waiting` counts frames, of which `held` belong to processes that live."""

    destination: str
    folder: str
    waiting: int
    held: int
    files: int
    size_bytes: int
    limit_bytes: int
    oldest_at: float | None
    dead: int
    lost: list[Loss]
    open_until: float | None


def standings(settings: Settings) -> list[Standing]:
    """Every destination that has a folder here, the one in use first."""
    own = folder_of(settings)
    try:
        names = sorted(name for name in os.listdir(settings.outbox_dir) if len(name) == _FOLDER_CHARS)
    except OSError:
        names = []
    folders = [os.path.join(settings.outbox_dir, name) for name in names]
    return [standing(settings, folder) for folder in sorted(folders, key=lambda folder: folder != own)]


def standing(settings: Settings, folder: str) -> Standing:
    """What waits in one folder."""
    waiting = held = 0
    destination, oldest = (destination_of(settings) if folder == folder_of(settings) else ""), list[float]()
    segments = segments_in(folder)
    for writer in writers_in(folder):
        frames = 0
        for path in segments[writer]:
            told, count, began = _looked_at(path)
            destination, frames = destination or told, frames + count
            if count and began is not None:
                oldest.append(began)
        waiting += frames
        if frames and _is_living(folder, writer):
            held += frames
    return Standing(
        destination=destination or os.path.basename(folder),
        folder=folder,
        waiting=waiting,
        held=held,
        files=_files_in(os.path.join(folder, SPOOL)),
        size_bytes=spool.used_bytes(folder),
        limit_bytes=settings.outbox_limit_mb << 20,
        oldest_at=min(oldest, default=None),
        dead=_dead_in(folder),
        lost=dead.losses(folder),
        open_until=Breaker(os.path.join(folder, "breaker")).open_until,
    )


def flush(
    settings: Settings, carrier: Callable[[], Carrier], within_s: float, destination: str | None = None
) -> Progress:
    """What was delivered of all that processes which are gone left for a destination, the lake in use without one.

    Stops at the first thing that is not taken there, and after `within_s` seconds.
    """
    folder = folder_of(settings, destination)
    known = LastKnown(os.path.join(folder, "known"))

    def learned(op: Op[object], answer: object) -> None:
        if isinstance(op, RegisterSnapshot) and isinstance(answer, Snapshot):
            known.remember_latest(answer)

    delivery = Delivery(carrier, folder, destination or destination_of(settings), learned)
    breaker = Breaker(os.path.join(folder, "breaker"))

    def attempt(parcel: Parcel) -> Outcome:
        outcome = delivery.deliver(parcel, settings.timeout_s)
        if outcome.verdict is Verdict.ANSWERED:
            breaker.succeeded()  # whoever asked for this knows better than the host's memory of failures
        return outcome

    adoption, until = Adoption(folder, None, attempt, delivery), time.monotonic() + within_s
    with closing(adoption.steps()) as steps:
        for _ in steps:
            if time.monotonic() > until:
                break
    return adoption.progress


def retry(settings: Settings, ids: Iterable[str], destination: str | None = None) -> int:
    """How many dead letters wait again; all of them where no id is given (ids may be beginnings)."""
    folder, told, wanted = folder_of(settings, destination), destination or destination_of(settings), tuple(ids)

    def journal(letters: list[DeadLetter]) -> None:
        _journal(folder, told, letters)

    return dead.clear_dead_letters(folder, told, lambda letter: _is_meant(letter, wanted), journal)


def drop(settings: Settings, ids: Iterable[str], destination: str | None = None) -> int:
    """How many dead letters are gone; all of them where no id is given."""
    folder, told, wanted = folder_of(settings, destination), destination or destination_of(settings), tuple(ids)
    return dead.clear_dead_letters(folder, told, lambda each: _is_meant(each, wanted))


def _dead_in(folder: str) -> int:
    try:
        return len(dead.dead_letters(folder))
    except (OSError, ValueError):
        return 0  # `datlake outbox dead` says why


def _looked_at(path: str) -> tuple[str, int, float | None]:
    """(destination, frames, when it was begun as Unix time) of a segment."""
    try:
        reader = SegmentReader.open(path)
    except (OSError, ValueError):
        return "", 0, None
    count, at, is_end = 0, 0, False
    try:
        while not is_end:
            batch = reader.read(at, is_sealed=True)
            count, at, is_end = count + len(batch.frames), batch.next, batch.is_end
        return reader.header.destination, count, os.stat(path).st_ctime
    except (OSError, ValueError):
        return reader.header.destination, count, None
    finally:
        reader.close()


def _is_living(folder: str, writer: str) -> bool:
    claim = claim_writer(folder, writer)
    if claim is not None:
        claim.release()
    return claim is None


def _files_in(folder: str) -> int:
    with suppress(OSError):
        return len(os.listdir(folder))
    return 0


def _is_meant(letter: DeadLetter, wanted: tuple[str, ...]) -> bool:
    return not wanted or letter.id.startswith(wanted)


def _journal(folder: str, destination: str, letters: list[DeadLetter]) -> None:
    """The letters wait again, in a segment of a writer that is gone as soon as this returns. Raises `OSError`."""
    writer = new_id()
    path = os.path.join(folder, f"{writer}.1.seg")
    presence = Presence.create(folder, writer)
    is_kept = False
    try:
        with closing(SegmentWriter.create(path, dead.header(destination, writer, 1))) as segment:
            for letter in letters:
                segment.append(letter.kind, bytes(letter.payload))
            segment.sync()
        is_kept = True
    finally:
        if not is_kept:  # they are dead letters still
            with suppress(OSError):
                os.unlink(path)
        presence.close(remove=not is_kept)
