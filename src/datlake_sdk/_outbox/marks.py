"""What death by a signal leaves: a file named after the signal, which `faulthandler` fills below Python.

The process still dies by the signal, at once and with its own status: no Python handler is put in its way (one waited
7.8 s for a long C call and made 143 of -15). Where anybody else has set a signal up, it stays entirely theirs.

The set-up stays for the life of the process. To undo it would put back what was there before it, and so wipe what a
library below Python (a JVM, Ray) may have put in its place meanwhile, which nobody can see.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from datlake_sdk.wire.times import moment

if TYPE_CHECKING:
    from weakref import ref

SIGNALS: Final = ("SIGTERM", "SIGHUP")
_STACKS_BYTES: Final = 16 << 10

_watched: dict[str, _Watched] = {}
_lock = threading.Lock()


class Mark(Struct, frozen=True):
    """The signal that ended a process, when, and where its threads stood."""

    signal: str
    at: datetime
    stacks: str


def watch(stem: str) -> None:
    """Death by a signal fills `stem.SIGNAL` from now on, for each signal that is nobody else's."""
    if sys.platform == "win32":
        return
    with _lock:
        for name in SIGNALS:
            with suppress(OSError):
                _watch(name, f"{stem}.{name}")


def leave(stem: str) -> None:
    """The marks of `stem` are gone, and death leaves none there any more."""
    with _lock:
        for name, watched in _watched.items():
            watched.leave(f"{stem}.{name}")
    remove(stem)


def abandon() -> None:
    """In a forked child: its death by a signal writes nothing into what belongs to its parent."""
    global _lock  # noqa: PLW0603 -- a thread of the parent may have held it as it forked
    _lock = threading.Lock()
    for watched in _watched.values():
        watched.leave_all()


def read(stem: str) -> Mark | None:
    """The mark of a process that is gone; the last, where it outlived one and another killed it.

    The first process of a container outlives every signal that it sets nothing up for.
    """
    found = [mark for name in SIGNALS if (mark := _read(name, f"{stem}.{name}"))]
    return max(found, key=lambda mark: mark.at, default=None)


def remove(stem: str) -> None:
    """There are no marks of `stem` any more."""
    for name in SIGNALS:
        with suppress(OSError):
            os.unlink(f"{stem}.{name}")


class _Sink:
    """What faulthandler holds while it writes for us; once it lets go, somebody else has set the signal up."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def flush(self) -> None:
        """Nothing is buffered; faulthandler asks."""


class _Watched:
    """One signal of this process: the descriptor that faulthandler writes to, and the names of the file behind it.

    The descriptor is never closed, only pointed elsewhere: faulthandler would write into whatever got its number next.
    """

    def __init__(self, name: str, path: str) -> None:
        import signal

        self._number: int = getattr(signal, name)
        self._paths: list[str] = [path]
        self._descriptor = _made(path)
        self._inode = _inode(self._descriptor)
        self._sink: ref[_Sink] | None = None

    @property
    def is_registered(self) -> bool:
        """Whether faulthandler still holds what we gave it."""
        return self._sink is not None and self._sink() is not None

    @property
    def is_intact(self) -> bool:
        """Whether the descriptor is still ours: programs that turn into daemons close all they find."""
        return _inode(self._descriptor) == self._inode

    def arm(self, *, is_free: bool) -> None:
        """The signal writes where we say: for the first time, to another descriptor, or after somebody gave it back."""
        import faulthandler
        from weakref import ref

        if is_free:
            faulthandler.unregister(self._number)  # else a second registration changes the descriptor and no more
        sink = _Sink(self._descriptor)
        faulthandler.register(self._number, file=sink, all_threads=True, chain=True)
        self._sink = ref(sink)

    def join(self, path: str) -> None:
        """`path` is one of the names of the file, for another destination of the same process."""
        if path in self._paths:
            return
        if not self._linked(path):
            self._point(_made(path))
            self._paths = []
        self._paths.append(path)

    def leave(self, path: str) -> None:
        if path in self._paths:
            self._paths.remove(path)
            if not self._paths:
                self.leave_all()

    def leave_all(self) -> None:
        self._paths = []
        with suppress(OSError):
            self._point(os.open(os.devnull, os.O_WRONLY))

    def _linked(self, path: str) -> bool:
        for known in self._paths:
            with suppress(OSError):
                os.link(known, path)
                return True
        return False

    def _point(self, target: int) -> None:
        """Whatever the signal writes goes to `target`, which is closed under its own number."""
        try:
            if self.is_intact:
                os.dup2(target, self._descriptor, inheritable=False)
                self._inode = _inode(self._descriptor)
        finally:
            os.close(target)


def _watch(name: str, path: str) -> None:
    import signal

    number = getattr(signal, name)
    watched = _watched.get(name)
    is_free = _is_free(number)
    is_lost = watched is not None and watched.is_registered and not watched.is_intact
    if is_lost or (is_free and (watched is None or not watched.is_intact)):
        # Known before it is armed: a child forked in between finds what to point elsewhere.
        watched = _watched[name] = _Watched(name, path)
    if watched is not None and (is_free or is_lost):
        watched.arm(is_free=is_free)
    if watched is not None and watched.is_registered:
        watched.join(path) if _is_unhandled(number) else watched.leave_all()


def _is_free(number: int) -> bool:
    """Whether the signal kills, as it does where nobody has set up anything, in Python or below it."""
    masks = _masks()
    if sys.platform == "linux" and not masks:
        return False
    return _is_unhandled(number) and not any(mask & 1 << (number - 1) for mask in masks)


def _is_unhandled(number: int) -> bool:
    """Whether Python knows of no handler. What is set up below Python it does not know."""
    import signal

    return signal.getsignal(number) is signal.SIG_DFL


def _masks() -> list[int]:
    """The signals that this process ignores and catches, where the system tells."""
    try:
        descriptor = os.open("/proc/self/status", os.O_RDONLY)
    except OSError:
        return []
    try:
        lines = os.read(descriptor, 16 << 10).splitlines()
    finally:
        os.close(descriptor)
    return [int(line.split()[1], 16) for line in lines if line.startswith((b"SigIgn:", b"SigCgt:"))]


def _read(name: str, path: str) -> Mark | None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        text = os.read(descriptor, _STACKS_BYTES).decode("utf-8", "replace")
        return Mark(name, moment(os.fstat(descriptor).st_mtime_ns // 1000), text) if text else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _made(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _inode(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino
