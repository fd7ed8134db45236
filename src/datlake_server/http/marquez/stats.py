"""Counts for dashboards: events by the hour or day, and how many jobs, datasets and sources there were at its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from datlake_sdk.wire.times import micros, moment
from datlake_server.http.marquez.asking import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datlake_server.http.marquez.asking import Ask
    from datlake_server.store.base import Tx

HOURS: Final = 24
DAYS: Final = 7
_QUARTER_US: Final = 900_000_000
_TYPES: Final = ("FAIL", "START", "COMPLETE", "ABORT")


class Interval(Struct, frozen=True, rename="camel"):
    """From when to when, in a zone."""

    start_interval: datetime
    end_interval: datetime


class _EventCount(Struct, frozen=True):
    place: int
    event_type: str
    n: int


class _Count(Struct, frozen=True):
    quarter: int
    n: int


def events(tx: Tx, ask: Ask) -> list[dict[str, object]]:
    """How many events of each kind happened in each interval."""
    intervals = _intervals(tx, ask)
    spans = [(micros(one.start_interval), micros(one.end_interval)) for one in intervals]
    rows = tx.all(_EventCount, "marquez.events_by_interval", intervals=_json(spans), event_types=_json(_TYPES))
    counts = {(row.place, row.event_type): row.n for row in rows}
    return [
        {**msgspec.to_builtins(one), **{kind.lower(): counts[place, kind] for kind in _TYPES}}
        for place, one in enumerate(intervals)
    ]


def _by_quarter(statement: str) -> Callable[[Tx, Ask], list[dict[str, object]]]:
    def counted(tx: Tx, ask: Ask) -> list[dict[str, object]]:
        """How many there were at the end of each interval."""
        intervals = _intervals(tx, ask)
        first = micros(intervals[0].start_interval) // _QUARTER_US
        rows = tx.all(_Count, statement, since=first)
        return [{**msgspec.to_builtins(one), "count": _until(rows, one.end_interval)} for one in intervals]

    return counted


jobs: Final = _by_quarter("marquez.jobs_by_quarter")
datasets: Final = _by_quarter("marquez.tables_by_quarter")
sources: Final = _by_quarter("marquez.sources_by_quarter")


def _until(rows: Sequence[_Count], end: datetime) -> int:
    return sum(row.n for row in rows if row.quarter * _QUARTER_US < micros(end))


def _intervals(tx: Tx, ask: Ask) -> list[Interval]:
    """The last 24 hours, or with `period=WEEK` the last 7 days of the `timezone`; that of now is the last."""
    period = ask.one_of("period", {"day": HOURS, "week": DAYS})
    now = moment(tx.now)
    if period == HOURS:
        start = now.replace(minute=0, second=0, microsecond=0)
        starts = [start - timedelta(hours=HOURS - 1 - number) for number in range(HOURS + 1)]
    else:
        today = now.astimezone(_zone(ask)).replace(hour=0, minute=0, second=0, microsecond=0)
        # Midnight is midnight, also where a day has 23 hours: arithmetic within a zone goes by its clocks.
        starts = [today - timedelta(days=DAYS - 1 - number) for number in range(DAYS + 1)]
    return [Interval(start, end) for start, end in pairwise(starts)]


def _zone(ask: Ask) -> tzinfo:
    name = ask.query.get("timezone") or "UTC"
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:  # of a zone that is not there, a name that is no file's
        raise refused(f"timezone={name!r:.80} is none that is known; write it as Europe/Berlin") from error


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
