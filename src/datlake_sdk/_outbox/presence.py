"""The file by which a process tells the others of its host that it lives, and which runs it has open.

One for each process and destination, locked for the process's life: who gets the lock knows that its writer is gone
(claims.py). The outbox makes it and tells it of runs. Never blocks on a lock, never raises where a run is begun.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Struct

from datlake_sdk._outbox import marks
from datlake_sdk._outbox.places import make_private
from datlake_sdk.wire.models import ProcessIdentity
from datlake_sdk.wire.processes import own_identity

SUFFIX: Final = ".presence"
# A service that runs for months writes two short lines a run; beyond this only what is still open is kept.
_COMPACT_BYTES: Final = 1 << 20


class OpenRun(Struct, frozen=True):
    """A run that a process has begun and not ended; `began_at` is RFC 3339."""

    job_name: str
    namespace: str
    run_id: str
    began_at: str


class Line(Struct, frozen=True, omit_defaults=True):
    """One line of the file: who writes it (the first), a run begun or ended, or that the writer has let go."""

    identity: ProcessIdentity | None = None
    is_locked: bool = True
    began: OpenRun | None = None
    ended: str | None = None
    is_closed: bool = False


class Presence:
    """A process that lives, as the others see it. One thread at a time writes; a forked child must `abandon` it."""

    def __init__(self, path: str, descriptor: int, first: bytes) -> None:
        self.path = path
        self._descriptor: int | None = descriptor
        self._inode = _inode(descriptor)
        self._first = first
        self._open: dict[str, OpenRun] = {}
        self._size = len(first)
        self._limit = _COMPACT_BYTES
        self._is_torn = False
        self._lock = threading.Lock()

    @classmethod
    def create(cls, folder: str, writer: str) -> Presence:
        """The presence of this process as `writer`, a fresh name, in `folder`, which is made where need be.

        Raises `OSError` where the file cannot be made.
        """
        make_private(folder)
        path = os.path.join(folder, writer + SUFFIX)
        # Under its name only once it is locked: nobody ever finds it unlocked and takes its writer for dead.
        unnamed = path + ".new"
        descriptor = os.open(unnamed, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            first = _encoded(Line(identity=own_identity(), is_locked=lock(descriptor) is True))
            os.write(descriptor, first)
            os.rename(unnamed, path)
        except BaseException:
            os.close(descriptor)
            with suppress(OSError):
                os.unlink(unnamed)
            raise
        return cls(path, descriptor, first)

    def began(self, run: OpenRun) -> bool:
        """Whether the others can know that the run is open; it is this process's until `ended`."""
        with self._lock:
            self._open[run.run_id] = run
            return self._add(Line(began=run))

    def ended(self, run_id: str) -> bool:
        """Whether the others can know that the run is not open here any more."""
        with self._lock:
            if self._open.pop(run_id, None) is None:
                return True
            return self._add(Line(ended=run_id))

    @property
    def writer(self) -> str:
        """The name under which this process has files in the folder."""
        return os.path.basename(self._stem)

    def refresh(self) -> None:
        """The file's time is now. Where a file system knows no locks, a writer that does not do this hourly is dead."""
        with self._lock, suppress(OSError):
            if self._descriptor is not None and self._is_mine():
                os.utime(self._descriptor)

    def watch_signals(self) -> None:
        """Death by SIGTERM or SIGHUP leaves a mark from now on, where nobody else has a say in it (marks.py).

        Takes 0.2 ms, in any thread; to be called after each `began`, since what others set up may have changed.
        """
        if self._descriptor is not None:
            marks.watch(self._stem)

    def close(self, *, remove: bool) -> None:
        """This process has let go: the others may claim the file, or it is gone."""
        with self._lock:
            if self._descriptor is None:
                return
            marks.leave(self._stem)
            if remove:
                with suppress(OSError):
                    os.unlink(self.path)
            else:
                self._add(Line(is_closed=True))
            descriptor, self._descriptor = self._descriptor, None
            if _inode(descriptor) == self._inode:
                unlock(descriptor)

    def abandon(self) -> None:
        """In a forked child: nothing here is the child's; the file stays as it is, the lock stays the parent's."""
        self._lock = threading.Lock()  # the parent may have held the old one as it forked
        descriptor, self._descriptor = self._descriptor, None
        # Closed without unlocking: a lock belongs to all copies of the descriptor.
        if descriptor is not None and _inode(descriptor) == self._inode:
            os.close(descriptor)

    @property
    def _stem(self) -> str:
        return self.path.removesuffix(SUFFIX)

    def _add(self, line: Line) -> bool:
        """Whether the line is in the file, whole."""
        try:
            return self._append(_encoded(line))
        except (OSError, UnicodeEncodeError):
            return False

    def _append(self, data: bytes) -> bool:
        if self._descriptor is None or not self._is_mine():
            return False
        if self._size + len(data) > self._limit:
            data = self._compacted()
        data = b"\n" + data if self._is_torn else data
        self._is_torn = True
        written = os.write(self._descriptor, data)
        self._is_torn = written != len(data)
        self._size += written
        return not self._is_torn

    def _compacted(self) -> bytes:
        """What is left to say once the file holds its first line alone: the open runs, the newest included."""
        assert self._descriptor is not None  # noqa: S101 -- for type checkers; `_append` has looked
        os.ftruncate(self._descriptor, len(self._first))
        self._size, self._is_torn = len(self._first), False
        data = b"".join(_encoded(Line(began=run)) for run in self._open.values())
        self._limit = max(_COMPACT_BYTES, 2 * len(data))
        return data

    def _is_mine(self) -> bool:
        """Whether the descriptor still is this file: programs that turn into daemons close all they find."""
        return self._descriptor is not None and _inode(self._descriptor) == self._inode


def lock(descriptor: int) -> bool | None:
    """True: locked for this descriptor and its copies. False: somebody else has it. None: no locks here."""
    try:
        import fcntl
    except ImportError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def unlock(descriptor: int) -> None:
    """The lock is given up, by all copies that forked children may have of the descriptor, and this one closed."""
    with suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)
    with suppress(OSError):
        os.close(descriptor)


def _encoded(line: Line) -> bytes:
    return msgspec.json.encode(line) + b"\n"


def _inode(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino
