"""The thread beside a run: its mark on the host, signs of life, where it runs. The user waits for none of it."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from datlake_sdk import _calls as calls
from datlake_sdk._recorder import EXIT_PATIENCE_S
from datlake_sdk.errors import DatlakeError, InvalidRequest
from datlake_sdk.transport.retry import chance
from datlake_sdk.wire.operations import DescribeRun, LogEvent
from datlake_sdk.wire.times import utc_now

if TYPE_CHECKING:
    from datetime import datetime

    from datlake_sdk._run_state import RunState

# A run that is over sooner has no need of a mark on the host, which would cost it a tenth of its time.
MARK_AFTER_S: Final = 0.01
# Jobs shorter than this send their environment with their completion, in the same operation.
DESCRIBE_AFTER_S: Final = 1.0
# Ten missed ones, and never less than ten minutes, are what a lake presumes a run lost by.
HEARTBEAT_S: Final = 30.0
SHORTEST_S: Final = 0.01
LONGEST_S: Final = 86_400.0
# Runs that began together on many hosts need not show life together.
JITTER: Final = 0.1
# Who follows a log reads it as it is said; who was killed has said it a second before.
LOG_EVERY_S: Final = 1.0


class Attendant:
    """Attends one run from its start to its end, in the process that started it."""

    def __init__(self, run: RunState, interval_s: float | None) -> None:
        """`interval_s` is the time between signs of life: 0 for none, null for the usual.

        Raises `InvalidRequest` for one that is no such time.
        """
        self._run = run
        self.interval_s = HEARTBEAT_S if interval_s is None else _checked(interval_s)
        self.described = False
        self._ended = threading.Event()
        self._marking = threading.Lock()
        self._is_marked = False
        self._pid = 0

    @property
    def has_ended(self) -> bool:
        """True from the moment the end is told."""
        return self._ended.is_set()

    def start(self, started_at: datetime | None) -> None:
        """The run is attended from now on."""
        self._pid = os.getpid()
        thread = threading.Thread(target=self._attend, args=(started_at or utc_now(),), name="datlake-run", daemon=True)
        with suppress(RuntimeError):  # no thread to be had: the completion tells where the job ran
            thread.start()

    def end(self) -> None:
        """The run is over: no sign of life follows."""
        self._ended.set()

    def unmark(self) -> None:
        """The host no longer has the run as open; to be called once its end is delivered or in the outbox."""
        if self._pid == os.getpid():
            with self._marking:
                if self._is_marked:
                    self._run.recorder.outbox.ended(self._run.run_id)

    def _attend(self, started_at: datetime) -> None:
        run = self._run
        if self._ended.wait(MARK_AFTER_S):
            return
        with self._marking:
            if self._ended.is_set():
                return
            run.recorder.outbox.began(run.job_name, run.namespace, run.run_id, started_at.isoformat())
            self._is_marked = True
        run.recorder.outbox.adopt_soon()
        if self._ended.wait(DESCRIBE_AFTER_S):
            return
        self._ship_log()  # first: to tell where the job runs may wait for git, and a job may be killed early
        self._describe()
        self._stay()

    def _stay(self) -> None:
        """Gives signs of life and ships the log until the run ends."""
        beat_at = self._next_beat()
        every_s = LOG_EVERY_S if self._run.growing else threading.TIMEOUT_MAX
        while not self._ended.wait(min(beat_at - time.monotonic(), every_s)):
            self._ship_log()
            if time.monotonic() >= beat_at:
                if not self._run.recorder.outbox.breaker.is_open:
                    self._beat()
                self._run.recorder.outbox.refresh()
                beat_at = self._next_beat()

    def _ship_log(self) -> None:
        growing = self._run.growing
        if growing is not None and not self._run.recorder.outbox.breaker.is_open:
            growing.pass_on()

    def _next_beat(self) -> float:
        if not self.interval_s:
            return threading.TIMEOUT_MAX
        return time.monotonic() + self.interval_s * (1 - JITTER * chance())

    def _beat(self) -> None:
        run = self._run
        beat = LogEvent(
            namespace=run.namespace,
            event_type="heartbeat",
            job_name=run.job_name,
            run_id=run.run_id,
            event_id=calls.new_id(),
        )
        with suppress(DatlakeError):  # a late sign of life is worth nothing
            run.client.call(beat, timeout=min(self.interval_s, EXIT_PATIENCE_S), retries=False)

    def _describe(self) -> None:
        run = self._run
        environment = run.environment(EXIT_PATIENCE_S)
        if not environment or self._ended.is_set() or run.recorder.outbox.breaker.is_open:
            return
        op = DescribeRun(
            namespace=run.namespace,
            job_name=run.job_name,
            run_id=run.run_id,
            environment=environment,
            described_at=utc_now(),
        )
        with suppress(DatlakeError):  # the completion carries it then
            run.client.call(op, retries=False)
            self.described = True


def _checked(interval_s: object) -> float:
    # More often than this it would be load, not life; less often than once a day nobody could tell.
    if isinstance(interval_s, int | float) and (interval_s == 0 or SHORTEST_S <= interval_s <= LONGEST_S):
        return float(interval_s)
    message = (
        f"heartbeat_interval_s={interval_s!r:.40} cannot be: it must be 0 (none) or {SHORTEST_S:g} to {LONGEST_S:,.0f} "
        "seconds"
    )
    raise InvalidRequest(message)
