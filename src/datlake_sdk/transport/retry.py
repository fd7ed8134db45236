"""When to try again, and how long to wait before it. Pure: waiting, time and chance are passed in."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct

from datlake_sdk.errors import DatlakeError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

RETRIED_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
# A server that asks for an hour is one to give up on.
RETRY_AFTER_CAP_S: Final = 60.0
# Longer texts hold no number of seconds that anybody means, and cost time to read.
_RETRY_AFTER_CHARS: Final = 64


class FailedAttempt(Exception):
    """One attempt that failed with `error`; `is_final` says that another would fail alike."""

    def __init__(self, error: DatlakeError, *, is_final: bool, retry_after_s: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.is_final = is_final
        self.retry_after_s = retry_after_s


class Policy(Struct, frozen=True):
    """Exponential pauses with full jitter: the whole pause is drawn, so clients that failed together part company."""

    attempts: int = 5
    base_s: float = 0.1
    cap_s: float = 8.0

    def pause_s(
        self, failed: int, left_s: float, chance: Callable[[], float], retry_after_s: float | None = None
    ) -> float | None:
        """The pause after `failed` attempts, null to give up. `chance` draws from 0 to 1.

        What the server asked for is waited in full; where that, or the pause, outlasts `left_s`, waiting is useless.
        """
        if failed >= self.attempts:
            return None
        drawn = chance() * min(self.cap_s, self.base_s * 2 ** (failed - 1))
        asked = 0.0 if retry_after_s is None else min(max(retry_after_s, 0.0), RETRY_AFTER_CAP_S)
        pause = asked + drawn if asked else drawn
        return pause if max(pause, retry_after_s or 0.0) < left_s else None


ONCE: Final = Policy(attempts=1)


class Budget:
    """How often may be tried again, over all calls of one transport: a lake in trouble is not asked five times as much.

    It begins with 20 retries; every tenth success earns one back, up to as many. Shared by threads without a lock: of
    two changes at one moment, one may be lost.
    """

    def __init__(self, retries: int = 20, *, successes_per_retry: int = 10) -> None:
        """Full."""
        self._price = successes_per_retry
        self._most = self._left = retries * successes_per_retry

    def spend(self) -> bool:
        """True where one retry more may be made; it is paid for."""
        if self._left < self._price:
            return False
        self._left -= self._price
        return True

    def earn(self) -> None:
        """A call succeeded."""
        if self._left < self._most:
            self._left += 1


def retried(
    send: Callable[[], T],
    *,
    policy: Policy,
    budget: Budget,
    left_s: Callable[[], float],
    wait: Callable[[float], object],
    chance: Callable[[], float],
) -> T:
    """What `send` returns, at the first attempt that succeeds. Raises the last attempt's error."""
    failed = 0
    while True:
        try:
            answer = send()
        except FailedAttempt as attempt:
            failed += 1
            pause = None if attempt.is_final else policy.pause_s(failed, left_s(), chance, attempt.retry_after_s)
            if pause is None or not budget.spend():
                raise attempt.error from attempt.__cause__
        else:
            budget.earn()
            return answer
        wait(pause)


def is_retried(error: DatlakeError) -> bool:
    """True where the same request may be answered differently a moment later."""
    return error.status in RETRIED_STATUSES or (error.status == 409 and error.code == "operation_in_progress")


def retry_after_s(text: str | None, now_s: float) -> float | None:
    """The seconds that a `Retry-After` header asks for, from `now_s` (Unix time) on; null where it makes no sense."""
    if text is None or len(text) > _RETRY_AFTER_CHARS:
        return None
    try:
        seconds = float(text) if text.strip()[:1].isdigit() else _until(text, now_s)
    except (ValueError, TypeError, OverflowError):
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def chance() -> float:
    """A number from 0 up to 1, by the operating system: a forked child draws others than its parent."""
    return int.from_bytes(os.urandom(6), "big") / (1 << 48)


def _until(date: str, now_s: float) -> float:
    from email.utils import parsedate_to_datetime

    return parsedate_to_datetime(date).timestamp() - now_s
