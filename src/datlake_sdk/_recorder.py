"""How the operations of one run reach the lake without ever hurting the job.

What may be late is sent once, waits at most 0.8 s and never raises; what could not be sent is kept in memory and sent
when the run completes. Warnings are told once each, to the `datlake` logger and on the card.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, TypeVar

from datlake_sdk.errors import AuthError, DatlakeError, ServerError, TransientNetworkError

if TYPE_CHECKING:
    from datlake_sdk.client import DatlakeClient
    from datlake_sdk.wire.operations import Op

A = TypeVar("A")

DEFERRABLE_WAIT_S: Final = 0.8
EXIT_PATIENCE_S: Final = 2.0
# A job that registers more than this while its lake is away is told that the rest is not kept.
BACKLOG_OPERATIONS: Final = 10_000


class Recorder:
    """Sends a run's operations in order and remembers what could not be sent."""

    def __init__(self, client: DatlakeClient, run_id: str) -> None:
        """Records through `client`; nothing is sent yet."""
        self._client = client
        self._run_id = run_id
        self._backlog: list[Op[object]] = []
        self._told: set[str] = set()
        self.warnings: list[str] = []
        self.away: str | None = None
        self.dropped = 0
        # A lake that has answered this run is slow at worst, not absent: what is better with an answer may wait for it.
        self.is_answered = False

    @property
    def wait_s(self) -> float:
        """How long a call may wait that could also be sent later; the whole timeout where it could not."""
        return self._client.settings.timeout_s if self.raises else DEFERRABLE_WAIT_S

    @property
    def raises(self) -> bool:
        """True where the user asked that an unreachable lake raises."""
        return self._client.settings.on_unavailable == "raise"

    @property
    def is_behind(self) -> bool:
        """True while something waits to be sent."""
        return bool(self._backlog or self.dropped)

    def offer(self, op: Op[A]) -> A | None:
        """What `op` answers, or null: then it was refused and told, or waits for the end of the run."""
        if self._backlog:
            self.keep(op)
            return None
        try:
            return self.send_once(op)
        except (TransientNetworkError, ServerError, AuthError) as error:
            self.postpone(op, error)
        except DatlakeError as error:
            self.refused(op, error)
        return None

    def send_once(self, op: Op[A]) -> A:
        """What `op` answers, from one attempt that waits `wait_s`. Raises what the lake or the road to it says."""
        answer = self._client.call(op, timeout=self.wait_s, retries=self.raises)
        self.is_answered = True
        return answer

    def postpone(self, op: Op[A], error: DatlakeError) -> None:
        """Keeps `op` for the end of the run; raises `error` where the user asked for that."""
        if self.raises:
            raise error
        if self.away is None:
            self.warn(f"the lake cannot be reached, the job goes on: {error.message}")
        self.away = error.message
        self.keep(op)

    def keep(self, op: Op[A]) -> None:
        """Puts `op` behind what waits already."""
        if len(self._backlog) >= BACKLOG_OPERATIONS:
            self.dropped += 1
            self.warn(f"more than {BACKLOG_OPERATIONS:,} operations wait for the lake; what comes now is not recorded")
            return
        self._backlog.append(op)

    def catch_up(self) -> bool:
        """True once everything that waited is sent; stops at the first that still cannot be."""
        while self._backlog:
            op = self._backlog[0]
            try:
                self._client.call(op, timeout=EXIT_PATIENCE_S, retries=False)
            except (TransientNetworkError, ServerError, AuthError) as error:
                self.away = error.message
                return False
            except DatlakeError as error:
                self.refused(op, error)
            self._backlog.pop(0)
        self.away = None
        return True  # what was dropped is told; the end of the run is recorded all the same

    def refused(self, op: Op[A], error: DatlakeError) -> None:
        """Tells that the lake said no to `op`; raises `error` where the user asked for that."""
        if self.raises:
            raise error
        self.warn(f"{type(op).__name__} was refused: {error.message}")

    def warn(self, text: str) -> None:
        """Tells `text` once, to the `datlake` logger and on the card.

        That the lake is away is one warning: what is lost by it afterwards is told on the card, and at INFO.
        """
        if text in self._told:
            return
        self._told.add(text)
        self.warnings.append(text)
        logger().log(20 if self.away else 30, "%s (run %s)", text, self._run_id)  # logging.INFO, logging.WARNING


def inform(text: str, *values: object) -> None:
    """Tells at INFO; where the job has not even imported logging, nobody can have asked for that."""
    if "logging" in sys.modules:
        logger().info(text, *values)


def logger() -> Logger:
    """The `datlake` logger."""
    from logging import getLogger

    return getLogger("datlake")


if TYPE_CHECKING:
    from logging import Logger
