"""Reads a run's log from the lake, once or until the run has ended. The client and the command line use it.

It asks by byte offset, so that a server which restarts meanwhile breaks nothing off. Waiting is passed in.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from datlake_sdk.errors import ServerError, TransientNetworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datlake_sdk.wire.models import LogState

PIECE_BYTES: Final = 1 << 20
EVERY_S: Final = 0.5
# After so long without a word the run itself is asked: it may be lost, or its log left to an upload that never came.
QUIET_S: Final = 2.0
# A server that is restarted is back long before.
AWAY_S: Final = 120.0


def present(read: Callable[[int], tuple[bytes, LogState]], offset: int) -> Iterator[bytes]:
    """The bytes that are there, from `offset` on; `read(offset)` answers the next of them."""
    at = offset
    while data := read(at)[0]:
        at += len(data)
        yield data


def followed(
    read: Callable[[int], tuple[bytes, LogState]],
    is_running: Callable[[], bool],
    offset: int,
    wait: Callable[[float], object] = time.sleep,
) -> Iterator[bytes]:
    """The bytes that are there and those that come, until the run has ended.

    Asks again when the lake is away, for `AWAY_S`; then raises what it last heard.
    """
    at, quiet_s, is_over, away_since_s = offset, 0.0, False, 0.0
    while True:
        try:
            data, state = read(at)
            if not data and quiet_s >= QUIET_S:
                quiet_s, is_over = 0.0, not is_running()
                data, state = read(at)  # once more: it may have said its last words before it ended
        except (TransientNetworkError, ServerError) as error:
            away_since_s = away_since_s or time.monotonic()
            if not error.retryable or time.monotonic() - away_since_s > AWAY_S:
                raise
            wait(EVERY_S)
            continue
        away_since_s = 0.0
        if data:
            at, quiet_s = at + len(data), 0.0
            yield data
        elif state.is_final or is_over:
            return
        else:
            wait(EVERY_S)
            quiet_s += EVERY_S
