"""How Datlake speaks inside somebody's job: through the `datlake` logger, and never by loading logging for nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import Logger


def inform(text: str, *values: object) -> None:
    """Tells at INFO; where the job has not even imported logging, nobody can have asked for that."""
    if "logging" in sys.modules:
        logger().info(text, *values)


def logger() -> Logger:
    """The `datlake` logger; one that says nothing in a process that can open no file to load logging from."""
    try:
        from logging import getLogger
    except OSError:
        return cast("Logger", _Mute())
    return getLogger("datlake")


class _Mute:
    """What a logger is asked is not done. The card tells of it all the same."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None
