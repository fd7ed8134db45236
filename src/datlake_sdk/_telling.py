"""How Datlake speaks inside somebody's job: through the `datlake` logger, and never by loading logging for nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger


def inform(text: str, *values: object) -> None:
    """Tells at INFO; where the job has not even imported logging, nobody can have asked for that."""
    if "logging" in sys.modules:
        logger().info(text, *values)


def logger() -> Logger:
    """The `datlake` logger."""
    from logging import getLogger

    return getLogger("datlake")
