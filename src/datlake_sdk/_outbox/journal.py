"""Segment files: appended to by the threads of one process, synced, and read again past any damage.

The queue writes them; courier and recovery read them. Never knows what a payload means, and removes no segment.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from datlake_sdk._outbox.frames import (
    FIRST_LINE,
    FRAME_LIMIT_BYTES,
    HEADER,
    Frame,
    Header,
    NewerFormatError,
    Scan,
    frame_bytes,
    header_of,
    opening_of,
)

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = [
    "DEAD",
    "FRAME_LIMIT_BYTES",
    "OPERATION",
    "UPLOAD",
    "Batch",
    "Frame",
    "Header",
    "NewerFormatError",
    "SegmentReader",
    "SegmentWriter",
    "append_frame",
    "shared_lock",
    "sync_folder",
]

OPERATION: Final = 1
UPLOAD: Final = 2
DEAD: Final = 3

# They hold it for one frame and one sync, which takes a second on a busy disk.
LOCK_PATIENCE_S: Final = 5.0
_LOCK_PAUSE_S: Final = 0.01

_fdatasync = getattr(os, "fdatasync", os.fsync)


class Batch(NamedTuple):
    """Frames in the order of the file; no frame means that the end is reached.

    `next` is where to read on, `damaged` how many bytes were skipped on the way there.
    """

    frames: list[Frame]
    next: int
    damaged: int
    is_end: bool


class SegmentWriter:
    """A new segment, open for appending by any number of threads.

    Once it `is_broken` no append succeeds: what is there stays readable, and a new segment takes what comes.
    Dropping the last reference closes it, too.
    """

    __slots__ = ("_descriptor", "_has_failed_sync", "_is_folder_synced", "_size", "is_broken", "path")

    def __init__(self, path: str, descriptor: int, size: int) -> None:
        """Takes over a descriptor that was opened for appending; `create` is how to get one."""
        self.path = path
        self.is_broken = False
        self._descriptor = descriptor
        self._size = size
        self._is_folder_synced = False
        self._has_failed_sync = False

    @classmethod
    def create(cls, path: str, header: Header) -> SegmentWriter:
        """A segment in a file that was not there before, 0600, with its header written.

        Raises `OSError`, and leaves no file then; `ValueError` where a header is too long or not Unicode.
        """
        opening = opening_of(header)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            _write_whole(descriptor, opening, path)
        except OSError:
            os.close(descriptor)
            os.unlink(path)
            raise
        return cls(path, descriptor, len(opening))

    def __del__(self) -> None:
        self.close()

    @property
    def size_bytes(self) -> int:
        """How much was written, header included; a lower bound where several threads appended at the same moment."""
        return self._size

    def append(self, kind: int, payload: bytes) -> None:
        """The frame is in the kernel's hands: it outlives this process, not yet the machine. Blocks as a write does.

        Raises `OSError` where it could not be written whole, and at every append after that; `ValueError` for a payload
        over `FRAME_LIMIT_BYTES` and for a segment that was closed.
        """
        frame = frame_bytes(kind, payload)
        if self.is_broken:
            raise OSError(errno.EIO, "an earlier write or sync failed; append to a new segment", self.path)
        try:
            # One write and no lock: the kernel lets the whole writes of several threads follow each other.
            _write_whole(self._descriptor, frame, self.path)
        except OSError:
            self.is_broken = True
            self._require_open()
            raise
        self._size += len(frame)

    def sync(self) -> None:
        """What was appended before is on the disk, and so is the file's name.

        Raises `OSError` where that cannot be known: a sync that failed once may report success later for what it lost,
        so it is never tried again on this file. Raises `ValueError` for a segment that was closed.
        """
        self._require_open()
        if self._has_failed_sync:
            raise OSError(errno.EIO, "an earlier sync failed; write its frames to a new segment", self.path)
        try:
            _fdatasync(self._descriptor)
            if not self._is_folder_synced:
                sync_folder(os.path.dirname(self.path))
                self._is_folder_synced = True
        except OSError:
            self._require_open()
            self.is_broken = self._has_failed_sync = True
            raise

    def close(self) -> None:
        """The file is closed; the file itself stays. A forked child closes its copy so.

        No other thread may be appending: the number of a closed descriptor soon belongs to another file.
        """
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _require_open(self) -> None:
        if self._descriptor < 0:
            raise ValueError(f"{self.path} is closed: nothing can be appended to it or synced")


class SegmentReader:
    """A segment to read, by positions of the caller's own: any thread may read, and a writer may append meanwhile."""

    __slots__ = ("_descriptor", "header", "path")

    def __init__(self, path: str, descriptor: int, header: Header) -> None:
        """Takes over an open descriptor; `open` is how to get one."""
        self.path = path
        self.header = header
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: str) -> SegmentReader:
        """A segment whose header was read.

        Raises `NewerFormatError` for a newer version's, `ValueError` for a file that is no segment or whose header is
        lost twice, `OSError`.
        """
        # Without O_NONBLOCK a named pipe that lies there would hold up the process for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            header = header_of(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, header)

    def __del__(self) -> None:
        self.close()

    def read(self, start: int, *, is_sealed: bool, at_most: int = 1000, limit_bytes: int = 4 << 20) -> Batch:
        """Frames from the byte `start` on (0: the first), at most so many, and no more once they have `limit_bytes`.

        A live segment ends at the first frame that is not whole, for it may still be on its way: ask again from `next`.
        In a sealed one what does not check out is skipped up to the next frame that does, and counted.

        Raises `NewerFormatError` where the next frame is of a newer version, after those before it were given out;
        `OSError` where the disk does not answer; `ValueError` after `close`.
        """
        if self._descriptor < 0:
            raise ValueError(f"{self.path} is closed: nothing can be read from it")
        scan = Scan(self._descriptor, self.path)
        position = max(start, len(FIRST_LINE))
        frames: list[Frame] = []
        damaged = taken = 0
        while position < scan.size and len(frames) < at_most and taken < limit_bytes:
            try:
                frame = scan.frame_at(position)
            except NewerFormatError:
                if frames:
                    return Batch(frames, position, damaged, is_end=False)
                raise
            if frame is not None:
                position = frame.end
                if frame.kind != HEADER:
                    frames.append(frame)
                    taken += len(frame.payload)
            elif is_sealed:
                found = scan.magic_from(position + 1)
                damaged, position = damaged + found - position, found
            else:
                return Batch(frames, position, damaged, is_end=True)
        return Batch(frames, position, damaged, is_end=position >= scan.size)

    def close(self) -> None:
        """The file is closed; no other thread may be reading."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def append_frame(path: str, header: Header, kind: int, payload: bytes, *, patience_s: float = LOCK_PATIENCE_S) -> None:
    """The frame is on the disk, at the end of a file that processes share; it is made with `header` if it is new.

    Such a file is read as a sealed one: whoever died while appending left a damaged tail, and others append behind it.
    Waits at most `patience_s` for other processes. Raises `OSError` (`TimeoutError` after that wait), and leaves the
    file as it was; `ValueError` for a payload over `FRAME_LIMIT_BYTES`, and for a file of a newer version.
    """
    frame = frame_bytes(kind, payload)
    opening = opening_of(header)
    with shared_lock(path, patience_s=patience_s) as descriptor:
        size = os.fstat(descriptor).st_size
        try:
            _write_whole(descriptor, frame if _has_header(descriptor, path) else opening + frame, path)
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
        if size == 0:
            sync_folder(os.path.dirname(path))


@contextmanager
def shared_lock(path: str, *, patience_s: float = LOCK_PATIENCE_S) -> Generator[int]:
    """A descriptor of the shared file, made empty if it is new, to which no other process appends meanwhile.

    Under it the file may be read and removed, or another be given its name: whoever waits to append finds that one.
    Raises `OSError`, which is `TimeoutError` where others held it for longer than `patience_s`.
    """
    descriptor = _open_locked(path, patience_s)
    try:
        yield descriptor
    finally:
        _unlock(descriptor)


def _has_header(descriptor: int, path: str) -> bool:
    """True unless the file is new, or whoever made it died before its header was whole."""
    try:
        header_of(descriptor, path)
    except NewerFormatError:
        raise
    except ValueError:
        return False
    return True


def _write_whole(descriptor: int, data: bytes, path: str) -> None:
    written = os.write(descriptor, data)
    if written != len(data):
        raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes were taken", path)


def sync_folder(folder: str) -> None:
    """The names in the folder are on the disk. Raises `OSError`."""
    descriptor = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_locked(path: str, patience_s: float) -> int:
    """The file at `path`, made if need be and locked; not one that another process has replaced meanwhile."""
    import time

    ends_at = time.monotonic() + patience_s
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        try:
            if _is_locked(descriptor) and _is_at(descriptor, path):
                return descriptor
        except BaseException:
            _unlock(descriptor)
            raise
        _unlock(descriptor)
        if time.monotonic() > ends_at:
            raise TimeoutError(errno.ETIMEDOUT, "another process holds it; try again later", path)
        time.sleep(_LOCK_PAUSE_S)


def _is_locked(descriptor: int) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unlock(descriptor: int) -> None:
    import fcntl

    # Closing is not enough: a child forked meanwhile has a copy, which would hold the lock for as long as it lives.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
