"""A run's handler on the root logger, unseen by whoever configures logging meanwhile; `capture.py` calls it.

`logging.basicConfig` does nothing once the root has a handler, and warnings stop reaching stderr. With ours among the
handlers a job that configures logging inside its block would lose its own output. So ours do not count.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import cast

__all__ = ["UncountedHandler", "as_without_ours", "install", "remove"]


class UncountedHandler(logging.Handler):
    """A handler that receives records and is otherwise not there."""


class _Handlers(list[logging.Handler]):
    """Handlers whose number is that of the others; iterating still meets them all."""

    def __len__(self) -> int:
        return sum(not isinstance(handler, UncountedHandler) for handler in self)


def install(handler: UncountedHandler) -> None:
    """The root logger hands its records to `handler` too."""
    root = logging.getLogger()
    with _lock():
        if not isinstance(root.handlers, _Handlers):
            root.handlers = _Handlers(root.handlers)
        root.addHandler(handler)


def remove(handler: UncountedHandler) -> None:
    """The root logger is as it would be without `handler`."""
    root = logging.getLogger()
    with _lock():
        root.removeHandler(handler)
        if isinstance(root.handlers, _Handlers) and not any(
            isinstance(each, UncountedHandler) for each in root.handlers
        ):
            root.handlers = list(root.handlers)


def as_without_ours(handler: UncountedHandler, record: logging.LogRecord) -> None:
    """Where nobody else handles the record it goes to stderr as Python has it, told by the first of ours alone."""
    last = logging.lastResort
    if last is not None and record.levelno >= last.level and _first_of_ours_alone(record.name) is handler:
        last.handle(record)


def _first_of_ours_alone(name: str) -> logging.Handler | None:
    """The first handler that a record of this logger meets; `None` where it meets one that is not ours."""
    known = logging.getLogger().manager.loggerDict.get(name)
    logger: logging.Logger | None = known if isinstance(known, logging.Logger) else logging.getLogger()
    met: list[logging.Handler] = []
    while logger is not None:
        met.extend(logger.handlers)
        logger = logger.parent if logger.propagate else None
    return met[0] if met and all(isinstance(each, UncountedHandler) for each in met) else None


def _lock() -> AbstractContextManager[object]:
    # The lock under which logging itself changes handlers; without it one that is added just now could be lost.
    return cast("AbstractContextManager[object]", getattr(logging, "_lock", None) or nullcontext())
