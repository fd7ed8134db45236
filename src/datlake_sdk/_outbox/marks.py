"""What death by a signal leaves: a pipe named after the signal, into which `faulthandler` writes below Python.

The process still dies by the signal, at once and with its own status: no Python handler is put in its way (one waited
7.8 s for a long C call and made 143 of -15). Where anybody else has set a signal up, it stays entirely theirs.

Only the first line is ever written: pipes.py says why, and how.

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

from datlake_sdk._outbox.pipes import UNNAMED, SignalPipe, inode
from datlake_sdk.wire.times import moment

if TYPE_CHECKING:
    from weakref import ref

SIGNALS: Final = ("SIGTERM", "SIGHUP")
# The first process of a container outlives what it sets nothing up for: there is no death to mark.
_FIRST_PID: Final = 1

_watched: dict[str, _Watched] = {}
# Re-entrant: a user's signal handler may fork in the thread that is setting signals up.
_lock = threading.RLock()
_minds_forks: list[bool] = []
_forking: list[bool] = []
# A thread may hold the lock while its disk hangs; a fork must not hang with it.
_LOCK_WAIT_S: Final = 1.0


class Mark(Struct, frozen=True):
    """The signal that ended a process, and when."""

    signal: str
    at: datetime


def watch(stem: str) -> None:
    """Death by a signal fills `stem.SIGNAL` from now on, for each signal that is nobody else's."""
    if sys.platform != "linux" or os.getpid() == _FIRST_PID:  # no other system tells of a line by a chosen signal
        return
    with _lock:
        _mind_forks()
        for name in SIGNALS:
            with suppress(OSError):
                _watch(name, f"{stem}.{name}")


def leave(stem: str) -> None:
    """The marks of `stem` are gone, and death leaves none there any more."""
    with _lock:
        for name, watched in _watched.items():
            watched.leave(f"{stem}.{name}")
    remove(stem)


def read(stem: str) -> Mark | None:
    """The mark of a process that is gone."""
    found = [mark for name in SIGNALS if (mark := _read(name, f"{stem}.{name}"))]
    return max(found, key=lambda mark: mark.at, default=None)


def remove(stem: str) -> None:
    """There are no marks of `stem` any more."""
    for name in SIGNALS:
        for ending in ("", UNNAMED):
            with suppress(OSError):
                os.unlink(f"{stem}.{name}{ending}")


class _Sink:
    """What faulthandler holds while it writes for us; once it lets go, somebody else has set the signal up."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def flush(self) -> None:
        """Nothing is buffered; faulthandler asks."""


class _Watched:
    """One signal of this process: the descriptor that faulthandler writes to, and the pipe behind it with its names.

    The descriptor is never closed, only pointed elsewhere: faulthandler would write into whatever got its number next.
    Where nothing is to be marked it leads to a pipe without a name, for the stack must not be walked then either.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        idle = SignalPipe.without_name(number)
        self._idle: SignalPipe | None = idle
        self._named: SignalPipe | None = None
        self._paths: list[str] = []
        self._descriptor = os.dup(idle.descriptor)
        self._inode = inode(self._descriptor)
        self._sink: ref[_Sink] | None = None

    @property
    def is_registered(self) -> bool:
        """Whether faulthandler still holds what we gave it."""
        return self._sink is not None and self._sink() is not None

    @property
    def is_intact(self) -> bool:
        """Whether the descriptor is still ours: programs that turn into daemons close all they find."""
        return inode(self._descriptor) == self._inode

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
        """`path` is one of the names of the pipe, for another destination of the same process, and says nothing yet.

        What it says cannot be true of a process that asks for this: a signal that did not kill it.
        """
        if path not in self._paths and not self._linked(path):
            self.park()
            self._named = SignalPipe.named(path, self._number)
            self._paths.append(path)
            self.resume()
        elif self._named is not None:
            self._named.forget()

    def leave(self, path: str) -> None:
        """The pipe goes by one name less; without a name, nothing is marked any more."""
        if path in self._paths:
            self._paths.remove(path)
            if not self._paths:
                self.park()

    def park(self) -> None:
        """The signal marks nothing."""
        named, self._named, self._paths = self._named, None, []
        self.resume()
        if named is not None:
            named.close()

    def begin_anew(self) -> None:
        """In a forked child: its parent's pipes would send its parent the signal."""
        self.pause()
        inherited, self._idle = self._idle, None
        if inherited is not None:
            inherited.close()
        with suppress(OSError):
            self._idle = SignalPipe.without_name(self._number)
        self.park()

    def pause(self) -> None:
        """The signal leads nowhere for now. Whoever forks stands still, so that its stack can be walked."""
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                self._point_to(nowhere)
            finally:
                os.close(nowhere)

    def resume(self) -> None:
        """The signal leads to the pipe with a name, or else to the one without."""
        for pipe in (self._named, self._idle):
            if pipe is not None and pipe.is_intact:
                self._point_to(pipe.descriptor)
                return

    def _linked(self, path: str) -> bool:
        for known in self._paths:
            with suppress(OSError):
                os.link(known, path)
                self._paths.append(path)
                return True
        return False

    def _point_to(self, target: int) -> None:
        if self.is_intact:
            os.dup2(target, self._descriptor, inheritable=False)
            self._inode = inode(self._descriptor)


def _watch(name: str, path: str) -> None:
    import signal

    number = getattr(signal, name)
    watched = _watched.get(name)
    is_free = _is_free(number)
    is_lost = watched is not None and watched.is_registered and not watched.is_intact
    if is_lost or (is_free and (watched is None or not watched.is_intact)):
        watched = _watched[name] = _Watched(number)
    if watched is not None and (is_free or is_lost):
        watched.arm(is_free=is_free)
    if watched is not None and watched.is_registered:
        watched.join(path) if _is_unhandled(number) else watched.park()


def _mind_forks() -> None:
    """Nothing is written while a fork goes on: a child may be killed before it has done anything of its own."""
    if not _minds_forks:
        _minds_forks.append(True)
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_the_child)


def _before_fork() -> None:
    _forking.append(_lock.acquire(timeout=_LOCK_WAIT_S))
    for watched in _watched.values():
        watched.pause()


def _after_fork() -> None:
    for watched in _watched.values():
        watched.resume()
    if _forking and _forking.pop():
        _lock.release()


def _in_the_child() -> None:
    global _lock  # noqa: PLW0603 -- the parent's may be held by a thread that the child does not have
    _lock = threading.RLock()
    _forking.clear()
    for watched in _watched.values():
        watched.begin_anew()


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
        at = os.stat(path).st_mtime_ns // 1000
    except OSError:
        return None
    return Mark(name, moment(at)) if at else None
