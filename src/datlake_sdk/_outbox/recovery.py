"""Adopts what dead processes of this host left in a destination's folder: their journals, and runs a signal ended.

The courier does it when it has nothing of its own to send, a parcel at a time; `datlake outbox flush` does it at once.
"""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from datlake_sdk._outbox import dead, spool
from datlake_sdk._outbox.claims import claim_writer
from datlake_sdk._outbox.delivery import Outcome, Verdict
from datlake_sdk._outbox.frames import NewerFormatError
from datlake_sdk._outbox.journal import UPLOAD, Frame, SegmentReader
from datlake_sdk._outbox.parcels import BATCH_EVENTS, Parcel, parcel_from
from datlake_sdk._outbox.places import SEGMENT_ENDING, others_in, writers_in
from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire.models import RunError
from datlake_sdk.wire.operations import CompleteRun

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from datlake_sdk._outbox.claims import Abandoned, Claim
    from datlake_sdk._outbox.delivery import Delivery


class Progress(Struct):
    """What an adoption has done so far."""

    writers: int = 0
    operations: int = 0
    refused: int = 0
    damaged_bytes: int = 0
    left: list[str] = []
    stopped_by: Outcome | None = None


def segments_in(folder: str) -> defaultdict[str, list[str]]:
    """The paths of each writer's segments in the order in which they were written; one look at the folder for all."""
    found: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    with suppress(OSError):
        for name in os.listdir(folder):
            writer, _, rest = name.partition(".")
            number = rest.removesuffix(SEGMENT_ENDING)
            if rest.endswith(SEGMENT_ENDING) and number.isdigit():
                found[writer].append((int(number), os.path.join(folder, name)))
    paths = {writer: [path for _, path in sorted(numbered)] for writer, numbered in found.items()}
    return defaultdict(list, paths)


class Adoption:
    """One pass over a folder. `steps` does a parcel at a time, so that its caller can do other things between."""

    def __init__(
        self, folder: str, own_writer: str | None, attempt: Callable[[Parcel], Outcome], delivery: Delivery
    ) -> None:
        """`attempt` sends a parcel once."""
        self._folder = folder
        self._own = own_writer
        self._attempt = attempt
        self._delivery = delivery
        self.progress = Progress()
        self._skipped = 0
        self._at_most = BATCH_EVENTS
        self._claim: Claim | None = None

    def abandon(self) -> None:
        """In a forked child: the adoption is the parent's."""
        if self._claim is not None:
            self._claim.abandon()

    def steps(self) -> Generator[None]:
        """One step each; ends when all is adopted, or when the lake takes no more (`progress.stopped_by`).

        To be closed where it is left before its end: else nobody else can adopt what it was at.
        """
        # Once: with thousands of dead writers, a look for each of them would take the job's processor for minutes. What
        # one of them adds before it dies waits for the next pass.
        writers, segments = writers_in(self._folder), segments_in(self._folder)
        for writer in writers:
            if writer == self._own:
                continue
            claim = claim_writer(self._folder, writer)
            if claim is None:
                continue
            self._claim = claim
            try:
                yield from self._adopt(claim, segments[writer])
            finally:
                claim.release()
            if self.progress.stopped_by is not None:
                return
        self._tidy_spool()

    def _tidy_spool(self) -> None:
        """Bytes that nothing speaks of any more are gone: their journal was damaged, or their process died too soon."""
        if others_in(self._folder, self._own) or (self._own and segments_in(self._folder)[self._own]):
            return
        with suppress(OSError, ValueError):  # ValueError: dead letters of a newer version may speak of them
            if names := spool.forgotten(self._folder):
                meant = {bytes(letter.payload) for letter in dead.dead_letters(self._folder) if letter.kind == UPLOAD}
                for name in names:
                    if not any(name.encode() in payload for payload in meant):
                        spool.remove(self._folder, name)

    def _adopt(self, claim: Claim, segments: list[str]) -> Iterator[None]:
        skipped = self._skipped
        for path in segments:
            yield from self._segment(path)
            if self.progress.stopped_by is not None:
                return
            if self._skipped == skipped:
                with suppress(OSError):
                    os.unlink(path)
        if self._skipped != skipped:
            return  # sent again with the whole segment another time; the lake knows what it has already
        for op in ended_by_signal(claim.told):
            yield from self._send(Parcel(op, [], 0))
            if self.progress.stopped_by is not None:
                return
        claim.remove()
        self.progress.writers += 1

    def _segment(self, path: str) -> Iterator[None]:
        try:
            reader = SegmentReader.open(path)
        except FileNotFoundError:
            return
        except (NewerFormatError, OSError) as error:
            self._leave(path, error)
            return
        except ValueError:
            self._put_aside(path)
            return
        with closing(reader):
            try:
                yield from self._frames(reader)
            except (NewerFormatError, OSError) as error:
                self._leave(path, error)

    def _frames(self, reader: SegmentReader) -> Iterator[None]:
        at, is_end, damaged = 0, False, 0
        while not is_end:
            batch = reader.read(at, is_sealed=True)
            damaged += batch.damaged
            frames = batch.frames
            while frames:
                parcel = self._parcel(frames)
                if parcel is not None:
                    yield from self._send(parcel)
                if self.progress.stopped_by is not None:
                    return
                frames = frames[len(parcel.frames) if parcel is not None else 1 :]
            at, is_end = batch.next, batch.is_end
        if damaged:
            self.progress.damaged_bytes += damaged
            dead.note_damage(self._folder, damaged)

    def _parcel(self, frames: list[Frame]) -> Parcel | None:
        try:
            return parcel_from(frames, self._at_most)
        except InvalidRequest as error:
            self._delivery.bury(frames[0], error)
            self.progress.refused += 1
            return None

    def _send(self, parcel: Parcel) -> Iterator[None]:
        """Sends the parcel, in halves where the whole is refused, in less at once where it takes too long."""
        outcome = self._attempt(parcel)
        if _took_too_long(outcome) and len(parcel.frames) > 1:
            yield from self._send_less(parcel.frames)
            return
        if outcome.verdict is Verdict.REFUSED and len(parcel.frames) > 1:
            half = len(parcel.frames) // 2
            for frames in (parcel.frames[:half], parcel.frames[half:]):
                if self.progress.stopped_by is None:
                    yield from self._send(parcel_from(frames, len(frames)))
            return
        if outcome.verdict is Verdict.REFUSED:
            for frame in parcel.frames:
                self._delivery.bury(frame, outcome.error or InvalidRequest("refused"))
            self.progress.refused += len(parcel.frames)
        elif _is_at_fault(outcome):
            self._skipped += 1
        elif outcome.verdict is not Verdict.ANSWERED:
            self.progress.stopped_by = outcome
            return
        self.progress.operations += max(len(parcel.frames), 1)
        yield

    def _send_less(self, frames: list[Frame]) -> Iterator[None]:
        """Sends one, which tells a line that is too slow for so much from one that carries nothing; then the others."""
        self._at_most = max(len(frames) // 2, 1)
        most = 1
        while frames and self.progress.stopped_by is None:
            parcel = parcel_from(frames, most)
            yield from self._send(parcel)
            frames, most = frames[len(parcel.frames) :], self._at_most

    def _leave(self, path: str, error: Exception) -> None:
        """A file that cannot be read now, or by this version, stays where it is, and blocks no other."""
        self._skipped += 1
        self.progress.left.append(f"{os.path.basename(path)}: {error}")

    def _put_aside(self, path: str) -> None:
        """A file that is no segment blocks nothing. One without a byte was begun by a process that died at once."""
        with suppress(OSError):
            if os.stat(path).st_size:
                os.replace(path, f"{path}.unreadable")
                why = f"{os.path.basename(path)} is no journal; it was put aside"
                dead.note_loss(self._folder, "segment", 1, why, None)


def _took_too_long(outcome: Outcome) -> bool:
    return outcome.verdict is Verdict.AGAIN and outcome.error is not None and outcome.error.code == "timeout"


def _is_at_fault(outcome: Outcome) -> bool:
    """True where the lake answers, and fails at this very operation: it must not hold up the others."""
    return outcome.verdict is Verdict.AGAIN and outcome.error is not None and outcome.error.status == 500


def ended_by_signal(told: Abandoned) -> Iterator[CompleteRun]:
    """The ends of the runs that were open when a signal ended their process."""
    if told.died_by is None:
        return
    for run in told.runs:
        yield CompleteRun(
            namespace=run.namespace,
            job_name=run.job_name,
            run_id=run.run_id,
            success=False,
            aborted=True,
            error=RunError(type=told.died_by, message=f"the process was ended by {told.died_by}"),
            metadata={"aborted_because": f"ended by {told.died_by}"},
            ended_at=told.died_at,
        )
