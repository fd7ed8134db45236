"""How a job's reads are answered: by the lake, or, while it is away, by what this host knows of it.

`JobContext` calls `read`; the run has what was read as an input, with how it was learned. A read is never refused
because the lake was away before: without a known answer it asks.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct

from datlake_sdk._amounts import duration
from datlake_sdk._connection import outbox_of
from datlake_sdk._outbox.dead import DEAD_FILE
from datlake_sdk._outbox.places import SEGMENT_ENDING
from datlake_sdk.errors import ConfigError, DatlakeError, InvalidRequest, NotFound, ServerError, TransientNetworkError
from datlake_sdk.transport.breaker import means_away
from datlake_sdk.transport.resolve import is_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from datlake_sdk._outbox.known import Known, LastKnown
    from datlake_sdk._run_state import RunState
    from datlake_sdk.client import When
    from datlake_sdk.wire.models import Snapshot

    Age = float | timedelta | None

T = TypeVar("T")

# So much a clock may go back without a word; what is younger than that is of an unknown age.
_CLOCK_STEP_S: Final = 5.0


class Question(Struct, frozen=True, kw_only=True):
    """Which snapshot of a table a job wants, and how old an answer may be (seconds)."""

    table_name: str
    as_of: When | None = None
    version: int | str | None = None
    max_staleness_s: float | None = None
    fresh_for_s: float | None = None


class _Found(Struct, frozen=True):
    """An answer; `age_s` where it is not the lake's own of this moment."""

    snapshot: Snapshot
    age_s: float | None = None
    deferred: bool = False


def question(
    table_name: str, *, as_of: When | None, version: int | str | None, max_staleness: Age, fresh_for: Age
) -> Question:
    """The question as the user put it. Raises `InvalidRequest` for an age that is none."""
    return Question(
        table_name=table_name,
        as_of=as_of,
        version=version,
        max_staleness_s=_seconds("max_staleness", max_staleness),
        fresh_for_s=_seconds("fresh_for", fresh_for),
    )


def read(run: RunState, asked: Question) -> Snapshot:
    """The snapshot that was asked for; the run has it as an input. Raises as `JobContext.get_table_latest` says."""
    reader = _Reader(run, asked.table_name)
    if asked.version is not None:
        found = reader.pinned(asked.version)
    elif asked.as_of is not None:
        found = reader.as_of(asked.as_of)
    else:
        found = reader.latest(asked.max_staleness_s, asked.fresh_for_s)
    run.saw_input(found.snapshot, age_s=found.age_s, deferred=found.deferred)
    return found.snapshot


class _Reader:
    """Reads one table for one run."""

    def __init__(self, run: RunState, table_name: str) -> None:
        self._run = run
        self._lake = run.client
        self._table_name = table_name
        self._outbox = outbox_of(run.client)
        # A lake on this host is as near as what is known of it.
        self._keeps = is_server(run.client.settings.api_url) and not run.is_disabled
        # It has something to tell only where it could not take a registration.
        self._knows = self._keeps or os.path.isdir(os.path.join(self._outbox.folder, "known"))
        self._defers = run.client.settings.on_unavailable == "defer"

    @property
    def _known(self) -> LastKnown:
        return self._outbox.known

    def latest(self, max_staleness_s: float | None, fresh_for_s: float | None) -> _Found:
        known = self._waiting()
        if known is None and (max_staleness_s, fresh_for_s) != (None, None):
            known = self._answered()
        if known is not None and _is_within(known, fresh_for_s):
            return _found(known)
        usable = known if known is not None and (known.deferred or _is_within(known, max_staleness_s)) else None
        if usable is not None and not self._outbox.breaker.allows():
            return self._instead(usable)
        try:
            answer = self._ask(lambda: self._lake.latest_snapshot(self._table_name, namespace=self._run.namespace))
        except DatlakeError as error:
            if usable is None or not _may_stand_in(usable, error):
                self._explain(error, max_staleness_s)
                raise
            return self._instead(usable)
        return self._newer_of(answer)

    def as_of(self, moment: When) -> _Found:
        scope = self._run.namespace
        return _Found(self._ask(lambda: self._lake.latest_snapshot(self._table_name, as_of=moment, namespace=scope)))

    def pinned(self, version: int | str) -> _Found:
        name, scope = str(version), self._run.namespace
        before = self._known.snapshot(scope, self._table_name, name) if self._keeps else None
        # An id means the same for ever. So does a version, unless the lake was emptied or restored: it is asked.
        if before is not None and (before.snapshot_id == name or not self._outbox.breaker.allows()):
            return _Found(before)
        try:
            answer = self._ask(lambda: self._lake.get_table_snapshot(self._table_name, version, namespace=scope))
        except DatlakeError as error:
            if before is not None and _is_away(error):
                return _Found(before)
            for known in (self._waiting(), self._answered()):
                if known is not None and _is_named(known, name) and _may_stand_in(known, error):
                    return _Found(known.snapshot, deferred=known.deferred)
            raise
        if self._keeps:
            self._known.remember_snapshot(name, answer)
        return _Found(answer)

    def _ask(self, call: Callable[[], T]) -> T:
        """What the lake answers; the host learns whether it did."""
        try:
            answer = call()
        except ConfigError:
            raise
        except DatlakeError as error:
            if means_away(error):
                self._outbox.breaker.failed(retry_after_s=error.retry_after_s)
            else:
                self._outbox.breaker.succeeded()
            raise
        self._outbox.breaker.succeeded()
        return answer

    def _waiting(self) -> Known | None:
        """What this host registered and the lake has not got yet; it is newer than all that the lake said."""
        known = self._known.deferred(self._run.namespace, self._table_name)
        if known is not None and not _waits(self._outbox.folder):
            self._known.forget_deferred(known.snapshot)
            return None
        return known if self._defers else None

    def _answered(self) -> Known | None:
        return self._known.answered(self._run.namespace, self._table_name) if self._keeps else None

    def _newer_of(self, answer: Snapshot) -> _Found:
        """The lake's answer, or what this host registered after it and the lake has not got yet."""
        if not self._knows:
            return _Found(answer)
        if self._keeps:
            self._known.remember_latest(answer)
        else:
            self._known.settle(answer)
        known = self._waiting()
        return _Found(answer) if known is None else _found(known)

    def _instead(self, known: Known) -> _Found:
        found = _found(known)
        if found.age_s is not None:
            self._run.recorder.warn(
                f"the lake is away: {self._table_name} is read as it was known here {duration(found.age_s)} ago"
            )
        return found

    def _explain(self, error: DatlakeError, max_staleness_s: float | None) -> None:
        """Tells who reads the traceback what would have helped."""
        known = self._answered() if _is_away(error) else None
        if known is None:
            return
        age_s = _age_s(known)
        told = "of a time to come" if age_s is None else f"{duration(age_s)} old"
        allowed = "" if max_staleness_s is None else f", and max_staleness allows {duration(max_staleness_s)}"
        error.add_note(f"The last answer known here is {told}{allowed}; max_staleness= lets a job use such a one.")


def _found(known: Known) -> _Found:
    return _Found(known.snapshot, deferred=True) if known.deferred else _Found(known.snapshot, _age_s(known))


def _age_s(known: Known) -> float | None:
    """How long ago it was learned; null where the clock was set back since, so that nobody can tell."""
    age_s = time.time() - known.learned_at
    return max(age_s, 0.0) if age_s > -_CLOCK_STEP_S else None


def _is_within(known: Known, limit_s: float | None) -> bool:
    age_s = _age_s(known)
    return limit_s is not None and age_s is not None and age_s <= limit_s


def _is_named(known: Known, name: str) -> bool:
    return name == known.snapshot.snapshot_id or (name == str(known.snapshot.version) and not known.deferred)


def _is_away(error: DatlakeError) -> bool:
    return isinstance(error, TransientNetworkError) or (isinstance(error, ServerError) and error.retryable)


def _may_stand_in(known: Known, error: DatlakeError) -> bool:
    """True where `known` may be read instead of the answer that `error` is.

    What this host registered is also there where the lake knows nothing of it yet, or cannot be opened.
    """
    return _is_away(error) or (known.deferred and isinstance(error, (NotFound, ServerError)))


def _waits(folder: str) -> bool:
    """True while anything waits for delivery on this host; if nothing does, what is deferred will never arrive."""
    with suppress(OSError):
        return any(name.endswith(SEGMENT_ENDING) and name != DEAD_FILE for name in os.listdir(folder))
    return False


def _seconds(name: str, value: Age) -> float | None:
    if value is None:
        return None
    with suppress(TypeError, ValueError, OverflowError, AttributeError):
        seconds = float(value) if isinstance(value, (int, float)) else value.total_seconds()
        if seconds >= 0 and not isinstance(value, bool):
            return seconds
    message = f"{name}={value!r:.80} is no age: pass seconds or a timedelta, not below 0"
    raise InvalidRequest(message, code="bad_duration")
