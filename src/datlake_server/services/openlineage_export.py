"""A run, or everything, as OpenLineage events: those that came in as they came, and what SDKs told as events of ours.

Page by page, each of bounded work; a cursor says where in what the next one begins. The events may be taken in any
order: what people said of jobs and tables, snapshots of no run, the runs by their start, events of no run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.lineage import emit
from datlake_sdk.lineage.naming import uri_of, without_credentials
from datlake_sdk.lineage.own_facets import JobFacet, TableFacet
from datlake_sdk.wire.models import DatasetName, Page
from datlake_sdk.wire.operations import ExportOpenLineage, RunOpenLineage
from datlake_sdk.wire.times import micros, moment
from datlake_server.services.openlineage_of_run import (
    BEGIN,
    READ_BYTES,
    READ_ROWS,
    CameRow,
    Within,
    as_told,
    events_of_run,
    size_of,
)
from datlake_server.services.openlineage_told import lone_snapshot, run_record, tags_of
from datlake_server.services.records import RunRow, run_row
from datlake_server.services.registry import handles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx

Event = dict[str, object]

# A page ends after the event with which it has grown to so much.
PAGE_BYTES: Final = 8 << 20
# What is looked at and says nothing counts for this: a page of nothing else takes a tenth of a second.
LOOKED_AT_BYTES: Final = 800


class Place(Struct, frozen=True, array_like=True):
    """Where a page goes on: after `id` of `at` in `phase`; of that run itself `within`."""

    phase: int = 0
    at: int = 0
    id: str = ""
    within: Within = BEGIN


class Found(Struct, frozen=True):
    """An event, how large it is, and the place after it. Null where something was looked at and says nothing."""

    event: Event | None
    size_bytes: int
    after: Place


class _RunAt(RunRow, frozen=True, kw_only=True):
    at: int
    id: str


class _SaidRow(Struct, frozen=True):
    id: int
    namespace: str
    name: str
    created_at: int
    owner: str | None
    description: str | None
    location: str | None
    expected_freshness_s: int | None
    compatibility: str | None


class _LoneRow(Struct, frozen=True):
    at: int
    id: str
    location: str | None


class _LocationRow(Struct, frozen=True):
    location: str | None


class _Placed(Protocol):
    @property
    def at(self) -> int: ...
    @property
    def id(self) -> str: ...


R = TypeVar("R", bound=_Placed)


@handles(RunOpenLineage)
def run_open_lineage(tx: Tx, op: RunOpenLineage, caller: Caller) -> Page[Event]:
    """The events that told of the run, in the order of their times, and what an SDK told of it as events."""
    row = run_row(tx, op.run_id, op.namespace)
    return _page(_of_run(tx, row, _read(op.cursor).within if op.cursor else BEGIN), op.limit)


@handles(ExportOpenLineage)
def export_open_lineage(tx: Tx, op: ExportOpenLineage, caller: Caller) -> Page[Event]:
    """Everything that another lake needs to be the same, of runs that started at or after `since`."""
    since = 0 if op.since is None else micros(op.since)
    return _page(_Walk(tx, op.namespace, since).events(_read(op.cursor) if op.cursor else Place()), op.limit)


def told_of_run(tx: Tx, row: RunRow) -> Iterator[Event]:
    """What an SDK told of the run, as events for who follows it; neither what came in as one nor what the run logged.

    Signs of life are not forwarded, so nobody there is to presume the run lost for want of them.
    """
    record = run_record(tx, row)
    record = replace(record, told=replace(record.told, lost_after_s=None, processes=[]))
    yield from (part.event for part in as_told(tx, row, record, with_log=False))


def told_of_snapshot(tx: Tx, snapshot_id: str) -> Event | None:
    """A snapshot that no run registered, as an event."""
    row = tx.one(_LocationRow, "forwarding.location_of", snapshot_id=snapshot_id)
    found = None if row is None else lone_snapshot(tx, snapshot_id)
    return None if row is None or found is None else emit.snapshot_event(*found, row.location)


def told_of_job(tx: Tx, job_id: int) -> Event | None:
    """What people said of the job, as an event; null where nobody said anything."""
    row = tx.one(_SaidRow, "export.jobs", namespace="", after=job_id - 1, limit=1)
    return _job_event(tx, row) if row is not None and row.id == job_id else None


def told_of_table(tx: Tx, table_id: int) -> Event | None:
    """What people said of the table, as an event; null where nobody said anything."""
    row = tx.one(_SaidRow, "export.tables", namespace="", after=table_id - 1, limit=1)
    return _table_event(tx, row) if row is not None and row.id == table_id else None


def _page(found: Iterator[Found], limit: int) -> Page[Event]:
    items: list[Event] = []
    size_bytes = 0
    for one in found:
        size_bytes += one.size_bytes
        if one.event is not None:
            items.append(one.event)
        if len(items) == limit or size_bytes >= PAGE_BYTES:
            return Page(items=items, next_cursor=msgspec.json.encode(one.after).hex())
    return Page(items=items)


def _of_run(tx: Tx, row: RunRow, after: Within = BEGIN) -> Iterator[Found]:
    for part in events_of_run(tx, row, after):
        yield Found(part.event, part.size_bytes, Place(_RUNS, row.started_at, row.run_id, part.after))


def _made(event: Event, after: Place) -> Found:
    return Found(event, size_of(event), after)


def _read(cursor: str) -> Place:
    try:
        return msgspec.json.decode(bytes.fromhex(cursor), type=Place)
    except (ValueError, msgspec.MsgspecError) as error:
        message = "the cursor is not one of this list's; leave it out to begin at the first page"
        raise InvalidRequest(message, code="bad_cursor") from error


# --- everything -------------------------------------------------------------------------------------------------------

_JOBS, _TABLES, _LONE, _RUNS, _DECLARED, _END = range(6)


class _Walk:
    """Everything of a namespace, or of all, since a moment."""

    def __init__(self, tx: Tx, namespace: str, since: int) -> None:
        self._tx = tx
        self._namespace = namespace
        self._since = since
        self._phases: dict[int, Callable[[Place], Iterator[Found]]] = {
            _JOBS: self._jobs,
            _TABLES: self._tables,
            _LONE: self._lone_snapshots,
            _RUNS: self._runs,
            _DECLARED: self._declared,
        }

    def events(self, place: Place) -> Iterator[Found]:
        """All events after that place."""
        for phase in range(place.phase, _END):
            yield from self._phases[phase](place if phase == place.phase else Place(phase))

    def _jobs(self, place: Place) -> Iterator[Found]:
        for row in self._said("export.jobs", place):
            yield _made(_job_event(self._tx, row), Place(_JOBS, row.id))

    def _tables(self, place: Place) -> Iterator[Found]:
        for row in self._said("export.tables", place):
            event, after = _table_event(self._tx, row), Place(_TABLES, row.id)
            yield Found(None, LOOKED_AT_BYTES, after) if event is None else _made(event, after)

    def _said(self, statement: str, place: Place) -> Iterator[_SaidRow]:
        after = place.at
        while rows := self._tx.all(_SaidRow, statement, namespace=self._namespace, after=after, limit=READ_ROWS):
            after = rows[-1].id
            yield from rows

    def _lone_snapshots(self, place: Place) -> Iterator[Found]:
        for row in self._rows(_LoneRow, "export.snapshots_of_no_run", place):
            found = lone_snapshot(self._tx, row.id)
            if found is not None:
                yield _made(emit.snapshot_event(*found, row.location), Place(_LONE, row.at, row.id))

    def _runs(self, place: Place) -> Iterator[Found]:
        begun = self._tx.one(RunRow, "runs.get", run_id=place.id) if place.id else None
        if begun is not None:
            yield from _of_run(self._tx, begun, place.within)
        statement = "export.runs_of_namespace" if self._namespace else "export.runs"
        for row in self._rows(_RunAt, statement, place):
            yield from _of_run(self._tx, row)

    def _declared(self, place: Place) -> Iterator[Found]:
        for row in self._rows(CameRow, "export.events_of_no_run", place):
            yield Found(msgspec.json.decode(row.body), len(row.body), Place(_DECLARED, row.at, row.id))

    def _rows(self, kind: type[R], statement: str, place: Place) -> Iterator[R]:
        """The statement's rows after that place, none from before `since`."""
        at, key = max((place.at, place.id), (self._since, ""))
        while rows := self._tx.all(
            kind, statement, namespace=self._namespace, after_at=at, after_id=key, limit=READ_ROWS, bytes=READ_BYTES
        ):
            at, key = rows[-1].at, rows[-1].id
            yield from rows


def _name(row: _SaidRow) -> DatasetName:
    return DatasetName(namespace=row.namespace, name=row.name)


def _job_event(tx: Tx, row: _SaidRow) -> Event:
    told = JobFacet(owner=row.owner, description=row.description, tags=tags_of(tx, "job", subject=row.id))
    return emit.job_event(_name(row), moment(row.created_at), told)


def _table_event(tx: Tx, row: _SaidRow) -> Event | None:
    # Where a bare URI's data is follows from its name: nobody said it.
    location = None if row.location == uri_of(row.namespace, row.name) else row.location
    told = TableFacet(
        owner=row.owner,
        description=row.description,
        location=None if location is None else without_credentials(location),
        expected_freshness_s=row.expected_freshness_s,
        compatibility=row.compatibility,
        tags=tags_of(tx, "table", subject=row.id),
    )
    return None if told == TableFacet() else emit.table_event(_name(row), moment(row.created_at), told)
