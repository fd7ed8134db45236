"""Modules that are loaded at their first use, so that importing the SDK costs a job next to nothing.

`with loading():` stands around what loads them on a thread: Python locks each module while it is loaded, and a child
that is forked in the middle of it inherits that lock as held for ever. A fork waits until nothing of ours is loading.
"""

from __future__ import annotations

import os
from _thread import RLock

_loading = RLock()
# Loading takes milliseconds; a fork is not held up for ever by a disk that hangs.
_FORK_WAIT_S = 5.0


class LazyModule:
    """Stands for the module `name` and loads it when something of it is asked for. Type checkers see the real one."""

    def __init__(self, name: str) -> None:
        """Remembers `name`; loads nothing."""
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        """The module's attribute; the first use imports the module."""
        from importlib import import_module

        with loading():
            value: object = getattr(import_module(self._name), attribute)
        setattr(self, attribute, value)
        return value


def loading() -> RLock:
    """What to hold while modules are loaded: one thread loads at a time, and no fork happens meanwhile."""
    return _loading


_waited: list[bool] = []


def _before_fork() -> None:
    _waited.append(_loading.acquire(timeout=_FORK_WAIT_S))


def _after_fork_in_parent() -> None:
    if _waited and _waited.pop():
        _loading.release()


def _after_fork_in_child() -> None:
    global _loading  # noqa: PLW0603 -- the parent's may belong to a thread that is not here
    _waited.clear()
    _loading = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
