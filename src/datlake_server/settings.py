"""What a server reads of its environment beside the names it answers to (`http/hosts.py`). Read once, at its start."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from datlake_sdk.errors import ConfigError
from datlake_server.services.presence import LEAST_S

if TYPE_CHECKING:
    from collections.abc import Mapping

LOST_AFTER: Final = "DATLAKE_LOST_AFTER_S"


def lost_after_s(environment: Mapping[str, str]) -> float:
    """The seconds of silence below which no run is presumed lost. Raises `ConfigError` for what is no such number."""
    text = environment.get(LOST_AFTER, "").strip()
    try:
        seconds = float(text) if text else LEAST_S
    except ValueError:
        seconds = -1.0
    if not (math.isfinite(seconds) and seconds > 0):
        raise ConfigError(f"{LOST_AFTER}={text!r} is no number of seconds above 0; write it like {LOST_AFTER}=600")
    return seconds
