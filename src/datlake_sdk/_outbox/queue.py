"""What this process has accepted and not delivered: its own journal segments, read from where the last answer was.

The files are the queue: any thread appends, the courier alone reads. Where no file can be written, memory stands in.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from datlake_sdk._outbox.closed import QueueClosedError
from datlake_sdk._outbox.journal import Batch, Frame, SegmentReader, SegmentWriter

if TYPE_CHECKING:
    from collections.abc import Callable

# Small enough that what is delivered gives its place back soon, large enough that a file is seldom made.
SEGMENT_BYTES: Final = 8 << 20
READ_FRAMES: Final = 1_000
FRAME_BYTES: Final = 12  # what a frame is longer than its payload
# Without a disk this much is kept in memory; what comes then is lost and counted.
MEMORY_FRAMES: Final = 10_000
# Files in which a frame is tried before memory takes it: a full or damaged one may be followed by a good one.
APPEND_TRIES: Final = 2
CLOSE_WAIT_S: Final = 0.2
# A disk that was full may have room again.
DISK_AGAIN_S: Final = 5.0


class MemoryFullError(Exception):
    """No disk takes it and memory has its fill."""


class _Body(Protocol):
    """Where the frames of a segment are."""

    def append(self, kind: int, payload: bytes) -> None: ...
    def sync(self) -> None: ...
    def read(self, start: int, *, is_sealed: bool, at_most: int) -> Batch: ...
    def end(self) -> int: ...
    def close(self) -> None: ...
    def remove(self) -> None: ...


class Segment:
    """One piece of the queue, and how far it is delivered."""

    def __init__(self, body: _Body, *, in_memory: bool) -> None:
        """Begins with nothing delivered."""
        self.body = body
        self.in_memory = in_memory
        self.position = 0
        self.size_bytes = 0
        # Appended to and taken from by any thread without a lock: its length is how many are writing here.
        self.busy: deque[None] = deque()
        self.synced_bytes = 0
        self.is_damaged = False
        self.is_broken = False
        # Frames that fail by themselves while others pass: tried again later; the file stays till they are answered.
        self.parked: list[Frame] = []


Ends = list[tuple[Segment, int]]


class SegmentQueue:
    """The segments of one writer, the oldest first; the last takes what is appended."""

    def __init__(
        self,
        make_file: Callable[[int], SegmentWriter],
        *,
        damaged: Callable[[int], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`make_file(number)` opens the segment of that number; it raises `OSError` where none can be.

        `damaged` is told how many bytes of a segment could not be read, once the others are answered.
        """
        self._make_file = make_file
        self._damaged = damaged
        self._clock = clock
        self.segment_bytes = SEGMENT_BYTES
        self._begin()

    def _begin(self) -> None:
        self._segments: list[Segment] = []
        self._current: Segment | None = None
        self._number = 0
        # Reentrant: a signal's handler may log while its thread makes a segment.
        self._changing = threading.RLock()
        self._is_closed = False
        self._disk_again_at = 0.0
        self.trouble: OSError | None = None

    # --- writing ------------------------------------------------------------------------------------------------------

    def append(self, kind: int, payload: bytes) -> None:
        """The frame is in the queue, in the kernel's hands where there is a disk.

        Raises `MemoryFullError`, `QueueClosedError`, and `ValueError` for a payload that no frame holds.
        """
        failures = 0
        while True:
            segment = self._current
            if segment is None or segment.size_bytes > self.segment_bytes or segment.is_broken:
                # Where files can be made but this does not fit into one (a quota, a limit of their size), making more
                # of them would never end.
                segment = self._roll(segment, on_disk=failures < APPEND_TRIES)
            segment.busy.append(None)
            try:
                if segment is not self._current:
                    continue  # it was closed in this very moment
                segment.body.append(kind, payload)
                segment.size_bytes += len(payload) + FRAME_BYTES
            except OSError as error:
                self.trouble, segment.is_broken = error, True
                failures += 1
            else:
                return
            finally:
                segment.busy.pop()

    def sync(self) -> bool:
        """True once all that was appended before is on the disk; false where it is in memory, or no disk takes it."""
        for segment in list(self._segments):
            size = segment.size_bytes
            if segment.in_memory or segment.synced_bytes >= size:
                continue
            try:
                segment.body.sync()
            except (OSError, ValueError) as error:  # ValueError: delivered and removed meanwhile
                if isinstance(error, OSError) and not self._rewrite(segment, error):
                    return False
            segment.synced_bytes = max(segment.synced_bytes, size)
        current = self._current
        return current is None or not current.in_memory

    @property
    def unsynced(self) -> bool:
        """True where something was appended that is neither delivered nor on the disk."""
        return any(
            not segment.in_memory and segment.synced_bytes < segment.size_bytes and not self._is_read(segment)
            for segment in list(self._segments)
        )

    @property
    def in_memory(self) -> bool:
        """True where something waits that the end of the process would take away."""
        return any(segment.in_memory for segment in list(self._segments))

    def _is_read(self, segment: Segment) -> bool:
        return segment.position >= segment.size_bytes

    def _roll(self, seen: Segment | None, *, on_disk: bool = True) -> Segment:
        with self._changing:
            if self._is_closed:
                raise QueueClosedError
            if self._current is not seen and self._current is not None:
                return self._current
            if seen is not None and seen.in_memory and self._clock() < self._disk_again_at:
                return seen
            fresh = self._new_segment() if on_disk else self._new_memory()
            if fresh.in_memory and seen is not None and seen.in_memory:
                return seen
            self._segments.append(fresh)
            self._current = fresh
            return fresh

    def _new_segment(self) -> Segment:
        self._number += 1
        try:
            writer = self._make_file(self._number)
        except OSError as error:
            self.trouble = error
            return self._new_memory()
        segment = Segment(_File(writer), in_memory=False)
        segment.size_bytes = writer.size_bytes
        return segment

    def _new_memory(self) -> Segment:
        self._disk_again_at = self._clock() + DISK_AGAIN_S
        segment = Segment(_Memory(), in_memory=True)
        segment.size_bytes = self.segment_bytes + 1  # asks for a disk at every append, at most every few seconds
        return segment

    def _rewrite(self, broken: Segment, error: OSError) -> bool:
        """True once what a broken segment held is synced elsewhere: a sync that failed once proves nothing later."""
        self.trouble, broken.is_broken = error, True
        try:
            fresh = self._roll(broken)
            if fresh.in_memory:
                return False
            at, is_end = min([broken.position, *(frame.start for frame in broken.parked)]), False
            while not is_end:
                batch = broken.body.read(at, is_sealed=True, at_most=READ_FRAMES)
                for frame in batch.frames:
                    fresh.body.append(frame.kind, frame.payload)
                    fresh.size_bytes += len(frame.payload) + FRAME_BYTES
                at, is_end = batch.next, batch.is_end
            fresh.body.sync()
        except (OSError, ValueError, QueueClosedError):
            return False
        return True  # both are sent: the lake knows what it has already

    # --- reading, by the courier alone --------------------------------------------------------------------------------

    def next(self, at_most: int) -> tuple[Segment, Batch] | None:
        """Frames that follow what was delivered, of one segment; null where nothing waits."""
        for segment in list(self._segments):
            is_sealed = (segment is not self._current or segment.is_broken) and not segment.busy
            batch = segment.body.read(segment.position, is_sealed=is_sealed, at_most=at_most)
            segment.is_damaged |= batch.damaged > 0
            if batch.frames:
                return segment, batch
            segment.position = max(segment.position, batch.next)
            if not is_sealed:
                return None
            if not segment.parked and segment is not self._current:
                self._drop(segment)
        return None

    @property
    def parked(self) -> list[tuple[Segment, Frame]]:
        """What was put aside."""
        return [(segment, frame) for segment in list(self._segments) for frame in segment.parked]

    def delivered(self, segment: Segment, end: int) -> None:
        """What stands before `end` in the segment is answered."""
        segment.position = max(segment.position, end)

    def is_empty(self) -> bool:
        """True where nothing waits."""
        return all(not segment.parked and segment.position >= segment.body.end() for segment in list(self._segments))

    def ends(self) -> Ends:
        """Where each segment ends now."""
        return [(segment, segment.body.end()) for segment in list(self._segments)]

    def is_delivered(self, ends: Ends) -> bool:
        """True once all that stood before `ends` is answered."""
        segments = list(self._segments)
        return all(segment not in segments or (not segment.parked and segment.position >= end) for segment, end in ends)

    @property
    def waiting_bytes(self) -> int:
        """About how much is not delivered."""
        return sum(
            max(segment.size_bytes - segment.position, 0) for segment in list(self._segments) if not segment.in_memory
        )

    def close(self) -> bool:
        """True where all was delivered, and no file is left; what was not stays for the next process."""
        with self._changing:
            self._current, self._is_closed = None, True
        until = self._clock() + CLOSE_WAIT_S
        while any(segment.busy for segment in self._segments) and self._clock() < until:
            time.sleep(0.001)  # somebody is in the midst of an append
        with suppress(OSError, ValueError):  # a file that cannot be read now is the next process's, like all the rest
            self.next(1)
        is_done = not self._segments
        for segment in self._segments:
            segment.body.close()
        return is_done

    def abandon(self) -> None:
        """In a forked child: closes its copies of the parent's files, and begins with nothing."""
        for segment in self._segments:
            segment.body.close()
        self._begin()

    def _drop(self, segment: Segment) -> None:
        if segment.is_damaged:
            self._damaged(_damage_in(segment.body))
        with self._changing, suppress(ValueError):
            self._segments.remove(segment)
        segment.body.remove()


def _damage_in(body: _Body) -> int:
    """How many bytes of a whole segment are no frame that checks out."""
    at, is_end, damaged = 0, False, 0
    while not is_end:
        batch = body.read(at, is_sealed=True, at_most=READ_FRAMES)
        at, is_end, damaged = batch.next, batch.is_end, damaged + batch.damaged
    return damaged


class _File:
    """A segment on the disk."""

    def __init__(self, writer: SegmentWriter) -> None:
        self._writer = writer
        self._reader: SegmentReader | None = None

    def append(self, kind: int, payload: bytes) -> None:
        self._writer.append(kind, payload)

    def sync(self) -> None:
        self._writer.sync()

    def read(self, start: int, *, is_sealed: bool, at_most: int) -> Batch:
        if self._reader is None:
            self._reader = SegmentReader.open(self._writer.path)
        return self._reader.read(start, is_sealed=is_sealed, at_most=at_most)

    def end(self) -> int:
        try:
            return os.stat(self._writer.path).st_size
        except OSError:  # it was removed under the process: nothing can be sent from it any more
            return 0

    def close(self) -> None:
        self._writer.close()
        if self._reader is not None:
            self._reader.close()

    def remove(self) -> None:
        with suppress(OSError):
            os.unlink(self._writer.path)
        self.close()


class _Memory:
    """A segment in memory, for want of a disk; positions count frames."""

    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self._lock = threading.RLock()
        self._end = 0

    def append(self, kind: int, payload: bytes) -> None:
        with self._lock:
            if len(self._frames) >= MEMORY_FRAMES:
                raise MemoryFullError
            self._frames.append(Frame(kind, payload, self._end, self._end + 1))
            self._end += 1

    def sync(self) -> None:
        """Nothing: memory is as safe as it will be."""

    def read(self, start: int, *, is_sealed: bool, at_most: int) -> Batch:
        del is_sealed
        with self._lock:
            while self._frames and self._frames[0].start < start:
                self._frames.popleft()
            frames = [frame for frame, _ in zip(self._frames, range(at_most), strict=False)]
            return Batch(frames, frames[-1].end if frames else self._end, 0, len(frames) == len(self._frames))

    def end(self) -> int:
        return self._end

    def close(self) -> None:
        """Nothing is open."""

    def remove(self) -> None:
        """Nothing is left."""
