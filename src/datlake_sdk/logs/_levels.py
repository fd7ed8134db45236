"""The root logger's level while runs ask for more than it lets through; `capture.py` calls it.

Several runs may ask at once, on several threads, and end in any order: the most talkative counts while it lasts, and
the last to go leaves the level that the first one found. A level that somebody else set meanwhile stays.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

__all__ = ["lowered_root"]


class _Requests:
    """Who asks for which level, what the level was before, and what we made of it."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.levels: dict[object, int] = {}
        self.before = logging.WARNING
        self.ours: int | None = None


_requests = _Requests()


def lowered_root(level: int) -> Callable[[], None]:
    """The root logger lets `level` through until the answer is called; a level that is lower already stays."""
    requests = _own()
    ticket = object()
    with requests.lock:
        if not requests.levels:
            requests.before, requests.ours = logging.getLogger().level, None
        requests.levels[ticket] = level
        _apply(requests)

    def restore() -> None:
        own = _own()
        with own.lock:
            own.levels.pop(ticket, None)
            _apply(own)

    return restore


def _own() -> _Requests:
    # A lock that another thread held at a fork stays held in the child for ever: the child starts its own.
    if _requests.pid != os.getpid():
        _requests.pid, _requests.lock = os.getpid(), threading.Lock()
    return _requests


def _apply(requests: _Requests) -> None:
    root = logging.getLogger()
    if requests.ours is not None and root.level != requests.ours:
        return
    wanted = min([requests.before, *requests.levels.values()])
    requests.ours = wanted
    if root.level != wanted:
        root.setLevel(wanted)
