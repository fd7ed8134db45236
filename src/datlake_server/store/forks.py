"""Lets no fork happen in the middle of a store's work; `SqliteStore` registers itself here.

SQLite keeps its mutexes and its view of who holds which lock per process: a child that is forked while another thread
writes inherits them as held for ever, and hangs, with everybody who waits for it. Nothing of `os.fork` is replaced.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import Protocol
from weakref import WeakSet


class Pausable(Protocol):
    """What can stand still for the moment of a fork."""

    def pause(self) -> None:
        """Nothing is under way and nothing is open, until `resume`; waits a bounded time for that."""
        ...

    def resume(self) -> None:
        """Goes on."""
        ...


_stores: WeakSet[Pausable] = WeakSet()
_paused: list[Pausable] = []
_registered: list[bool] = []
_forking = [Lock()]


def pause_at_forks(store: Pausable) -> None:
    """`store` stands still whenever this process forks, as long as it lives."""
    if not _registered:
        _registered.append(True)
        if hasattr(os, "register_at_fork"):  # where there is none, there is no fork
            os.register_at_fork(before=_pause, after_in_parent=_resume, after_in_child=_begin_anew)
    _stores.add(store)


def _pause() -> None:
    _forking[0].acquire()  # two threads that fork at once do so one after the other
    _paused.extend(_stores)
    for store in _paused:
        store.pause()


def _resume() -> None:
    while _paused:
        _paused.pop().resume()
    _forking[0].release()


def _begin_anew() -> None:
    _paused.clear()
    _forking[0] = Lock()
