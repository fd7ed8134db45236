"""Lets no fork happen in the middle of a store's work; `SqliteStore` registers itself here.

SQLite keeps its mutexes and its view of who holds which lock per process: a child that is forked while another thread
writes inherits them as held for ever, and hangs, with everybody who waits for it. Nothing of `os.fork` is replaced.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from threading import Condition, RLock, get_ident
from typing import Final, Protocol
from weakref import WeakSet

# Work on a database is over in milliseconds; a fork is not held up for ever by one that is not.
FORK_WAIT_S: Final = 5.0


class Pausable(Protocol):
    """What can stand still for the moment of a fork."""

    def pause(self, patience_s: float) -> None:
        """Nothing is under way and nothing is open, until `resume`; waits at most `patience_s` for that."""
        ...

    def resume(self) -> None:
        """Goes on."""
        ...

    def begin_anew(self) -> None:
        """In a forked child, which has one thread yet: nothing of the parent's is used any more."""
        ...


class Gate:
    """Whoever works on a database goes in and comes out again: `with gate:`. Nobody goes in twice."""

    def __init__(self) -> None:
        """A gate that is open, with nobody in."""
        # By thread, so that one whose way out was broken off by Ctrl-C is right again after its next way in.
        self._inside: set[int] = set()
        self._is_shut = False
        self._moved = Condition()

    @property
    def is_empty(self) -> bool:
        """True where nobody is in."""
        return not self._inside

    def __enter__(self) -> None:
        """Goes in, once the gate is open."""
        with self._moved:
            # A fork shuts the gate for no longer than FORK_WAIT_S; twice that means that nobody will open it.
            self._moved.wait_for(lambda: not self._is_shut, 2 * FORK_WAIT_S)
            self._inside.add(get_ident())

    def __exit__(self, *_: object) -> None:
        """Comes out."""
        with self._moved:
            self._inside.discard(get_ident())
            self._moved.notify_all()

    def shut(self, patience_s: float) -> bool:
        """True once nobody is in; nobody goes in any more before `open`, in either case."""
        with self._moved:
            self._is_shut = True
            return self._moved.wait_for(lambda: not self._inside, patience_s)

    def open(self) -> None:
        """Lets in whoever waits."""
        self._is_shut = False
        with self._moved:
            self._moved.notify_all()


_stores: WeakSet[Pausable] = WeakSet()
_paused: list[Pausable] = []
_registered: list[bool] = []
_forking = [RLock()]


def pause_at_forks(store: Pausable) -> None:
    """`store` stands still whenever this process forks, as long as it lives."""
    with _forking[0]:
        if not _registered:
            _registered.append(True)
            if hasattr(os, "register_at_fork"):  # where there is none, there is no fork
                os.register_at_fork(before=_pause, after_in_parent=_resume, after_in_child=_begin_anew)
        _stores.add(store)


def _pause() -> None:
    _forking[0].acquire()  # two threads that fork at once do so one after the other
    _paused.extend(_stores)
    deadline = time.monotonic() + FORK_WAIT_S
    for store in _paused:
        store.pause(max(deadline - time.monotonic(), 0))


def _resume() -> None:
    while _paused:
        _paused.pop().resume()
    with suppress(RuntimeError):  # Ctrl-C broke the wait for it off
        _forking[0].release()


def _begin_anew() -> None:
    _forking[0] = RLock()
    _paused.clear()
    for store in list(_stores):
        store.begin_anew()
