"""Logs that grow: a file per run, appended by byte offset. Knows files and locks, no records; `run_logs` seals them.

Whoever changes a file holds its lock (`flock`), so that threads, and processes which share the folder, never mix.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from datlake_sdk.errors import Conflict, InvalidRequest, ServerError
from datlake_server.objects.files import sync_folder, unwritten

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Generator

# What a run's log may hold is 256 MiB, where the SDK cuts; the notes that say so come after.
LOG_LIMIT_BYTES: Final = 257 << 20
_LOCK_POLL_S: Final = 0.01
_PIECE_BYTES: Final = 1 << 20
_FLAGS: Final = os.O_RDWR | getattr(os, "O_CLOEXEC", 0)


class GrowingLogs:
    """The folder of logs that still grow. A run's id is a UUID, so it is safe as a file's name."""

    def __init__(self, folder: str) -> None:
        """Uses `folder`; nothing is made before the first append."""
        self._folder = folder

    def size_of(self, run_id: str) -> int | None:
        """How many bytes are there; null where nothing grows."""
        try:
            return os.stat(self._path(run_id)).st_size
        except FileNotFoundError:
            return None

    def read(self, run_id: str, offset: int, limit: int) -> tuple[bytes, int] | None:
        """At most `limit` bytes from `offset`, and how many there are in all; null where nothing grows."""
        return read_part(self._path(run_id), offset, limit)

    @contextmanager
    def held(self, run_id: str, patience_s: float) -> Generator[HeldLog | None]:
        """The run's file, which nobody else changes meanwhile; null where nothing grows.

        Raises `ServerError` (`busy`) where another keeps it for `patience_s` seconds.
        """
        path = self._path(run_id)
        try:
            file = _locked(path, _FLAGS, patience_s)
        except FileNotFoundError:
            yield None
            return
        with _holding(file):
            yield HeldLog(file, path)

    @contextmanager
    def made(self, run_id: str, patience_s: float) -> Generator[HeldLog]:
        """As `held`, but the file is made where there is none."""
        path = self._path(run_id)
        try:
            if not os.path.isdir(self._folder):
                self._make_folder()
            file = _locked(path, _FLAGS | os.O_CREAT, patience_s)
        except OSError as error:
            raise unwritten(error) from error
        with _holding(file):
            yield HeldLog(file, path)

    def _make_folder(self) -> None:
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        sync_folder(os.path.dirname(self._folder))

    def _path(self, run_id: str) -> str:
        return os.path.join(self._folder, f"{run_id.lower()}.log")


class HeldLog:
    """A log's file under its lock."""

    def __init__(self, file: int, path: str) -> None:
        """Uses `file`, which the lock's owner opened at `path` and closes."""
        self._file = file
        self.path = path

    @property
    def size_bytes(self) -> int:
        """How many bytes are there."""
        return os.fstat(self._file).st_size

    def append(self, offset: int, data: bytes) -> int:
        """The size once `data` is there from `offset` on, and on the disk. Sent again, nothing is written twice.

        Raises `Conflict`: `log_gap` where bytes before `offset` are missing, `log_differs` where others are there
        already; `InvalidRequest` (`log_full`).
        """
        size = self.size_bytes
        self._refuse_gap(offset, size)
        overlap = data[: max(size - offset, 0)]
        if overlap and os.pread(self._file, len(overlap), offset) != overlap:
            raise Conflict(
                f"other bytes are in the log at {offset} already, and stay; upload yours as the run's log instead",
                code="log_differs",
                current_version=size,
            )
        rest = data[len(overlap) :]
        if size + len(rest) > LOG_LIMIT_BYTES:
            message = f"a run's log holds {LOG_LIMIT_BYTES:,} bytes at most; this one is full"
            raise InvalidRequest(message, code="log_full", status=413)
        self._write(rest, size)
        return size + len(rest)

    def is_exactly(self, size_bytes: int | None, digest: str | None) -> bool:
        """True where these are the bytes of that size and sha256."""
        if size_bytes != self.size_bytes or digest is None:
            return False
        found, at = sha256(), 0
        while piece := os.pread(self._file, _PIECE_BYTES, at):
            found.update(piece)
            at += len(piece)
        return found.hexdigest() == digest

    def remove(self) -> None:
        """The file is gone."""
        with suppress(FileNotFoundError):
            os.unlink(self.path)

    def _refuse_gap(self, offset: int, size: int) -> None:
        if offset > size:
            raise Conflict(
                f"the log has {size:,} bytes, and {offset:,} is beyond them; go on from {size}",
                code="log_gap",
                current_version=size,
            )

    def _write(self, data: bytes, size: int) -> None:
        """Also syncs what was there already: whoever wrote it may have died before that."""
        view, at = memoryview(data), size
        try:
            while view:
                written = os.pwrite(self._file, view, at)
                view, at = view[written:], at + written
            _sync(self._file)
            if not size:
                sync_folder(os.path.dirname(self.path))
        except OSError as error:
            with suppress(OSError):  # nothing half-written stays
                os.ftruncate(self._file, size)
            raise unwritten(error) from error


def read_part(path: str, offset: int, limit: int) -> tuple[bytes, int] | None:
    """At most `limit` bytes of a file from `offset`, and its size; null where there is no such file."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # who follows a log ends with Ctrl-C, at any moment
    except FileNotFoundError:
        return None
    try:
        return os.pread(file, limit, offset), os.fstat(file).st_size
    finally:
        os.close(file)


def _is_at(file: int, path: str) -> bool:
    mine = os.fstat(file)
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)


def _sync(file: int) -> None:
    if sys.platform in {"win32", "darwin"}:
        os.fsync(file)
    else:
        os.fdatasync(file)


def _locked(path: str, flags: int, patience_s: float) -> int:
    """The file that is at `path` now, locked."""
    deadline = time.monotonic() + patience_s
    while True:
        file = os.open(path, flags, 0o600)
        try:
            _lock(file, path, deadline)
            if _is_at(file, path):  # else it was sealed or removed while we waited
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)


@contextmanager
def _holding(file: int) -> Generator[None]:
    try:
        yield
    finally:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_UN)  # by itself: a copy of the file in a forked child would keep the lock
        os.close(file)


def _lock(file: int, path: str, deadline: float) -> None:
    if sys.platform == "win32":
        return
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                message = f"another keeps {path} locked; try again"
                raise ServerError(message, code="busy", status=503) from None
            time.sleep(_LOCK_POLL_S)
        else:
            return
