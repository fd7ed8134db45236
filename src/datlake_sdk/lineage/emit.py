"""Datlake's runs, jobs and tables as OpenLineage events (core 2-0-2). Pure; export, forwarder and SDK call it.

The same record makes the same events, to the byte: who has seen one knows it again by its digest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from datlake_sdk.lineage import standard_facets as facets
from datlake_sdk.lineage.naming import without_credentials
from datlake_sdk.lineage.own_facets import (
    PRODUCER,
    DataFacet,
    EventsFacet,
    JobFacet,
    Kept,
    LoggedEvent,
    OwnEnding,
    OwnFacet,
    OwnTag,
    RunFacet,
    SnapshotFacet,
    TableFacet,
    Telling,
    own,
)
from datlake_sdk.lineage.standard_facets import Ancestor, State
from datlake_sdk.wire.models import DatasetName, Run, RunData, Snapshot, Tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

__all__ = [
    "Ancestor",
    "RunRecord",
    "Slice",
    "end",
    "go_on",
    "job_event",
    "log",
    "pieces",
    "run_events",
    "snapshot_event",
    "start",
    "table_event",
    "tell",
]

Event = dict[str, object]

SCHEMA: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
# More datasets are told in events before the end.
DATA_PER_EVENT: Final = 500
# A lake takes 1 MiB in a request of one event; some of it is for what every event of the run has.
EVENT_BYTES: Final = 768 << 10

_ENDS: Final = {"completed": "COMPLETE", "failed": "FAIL", "aborted": "ABORT"}
_LAST: Final = frozenset(_ENDS.values())
_OUTCOMES: Final[Mapping[str, Literal["completed", "failed", "aborted"]]] = {
    "completed": "completed",
    "failed": "failed",
    "aborted": "aborted",
}


class RunRecord(Struct, frozen=True, kw_only=True):
    """A run without its data, and all that an SDK told of it."""

    run: Run
    told: RunFacet
    parent: Ancestor | None = None
    root: Ancestor | None = None


class Slice(Struct, frozen=True, kw_only=True):
    """Some of a run's data, as it stands and as it was told.

    `snapshots` are those that are known, by their ids, `registered` those that the run itself registered. `sources` is
    what outputs were stated to be made from, by the ids of their snapshots; `locations` is where tables are said to be.
    """

    inputs: Sequence[RunData] = ()
    outputs: Sequence[RunData] = ()
    snapshots: Mapping[str, Snapshot] = {}
    registered: Mapping[str, SnapshotFacet] = {}
    told: Sequence[Telling] = ()
    sources: Mapping[str, Sequence[DatasetName]] = {}
    locations: Mapping[tuple[str, str], str] = {}


def run_events(
    run: Run, snapshots: Iterable[Snapshot] = (), *, parent: Ancestor | None = None, root: Ancestor | None = None
) -> list[Event]:
    """The run as events: its start, and its end with all that is known, or how it stands where it has not ended.

    Of `snapshots` those are used that the run read or wrote. Much data is told in events between the two.
    """
    known = {snapshot.snapshot_id: snapshot for snapshot in snapshots}
    record = RunRecord(run=run, told=_told(run), parent=parent, root=root)
    slices = list(_slices(run, known))
    return [start(record, slices[0]), *(go_on(record, one) for one in slices[:-1]), end(record, slices[-1])]


def start(record: RunRecord, data: Slice) -> Event:
    """The run begins, reading the inputs of `data`."""
    told = replace(data, outputs=(), registered={}, told=())
    return _event(record, "START", record.run.started_at, told, [_life(record.told)])


def go_on(record: RunRecord, data: Slice) -> Event:
    """The run has this data, and there is more."""
    return _event(record, "RUNNING", _moment(record, data, ()), data, [_life(record.told), *_own_data(data)])


def tell(record: RunRecord, piece: RunFacet) -> Event:
    """So much is told of the run, and there is more."""
    at = _moment(record, Slice(), (*piece.metadata, *piece.environment))
    return _event(record, "RUNNING", at, Slice(), [piece])


def log(record: RunRecord, events: Sequence[LoggedEvent]) -> Event:
    """The run logged these events, of which there is at least one."""
    at = _within(record, max(event.created_at for event in events))
    return _event(record, "RUNNING", at, Slice(), [_life(record.told), EventsFacet(items=list(events))])


def end(record: RunRecord, data: Slice) -> Event:
    """The run as it ended, with all that is told of it and the rest of its data; one that goes on as it stands."""
    told = [record.told, *_own_data(data)]
    kind = _ENDS.get(record.run.state)
    if kind is not None and record.run.ended_at is not None:
        return _event(record, kind, record.run.ended_at, data, told)
    kept = (*record.told.metadata, *record.told.environment)
    return _event(record, "RUNNING", _moment(record, data, kept), data, told)


def job_event(name: DatasetName, at: datetime, told: JobFacet) -> Event:
    """What people said of a job."""
    said = facets.of_people("Job", told.owner, told.description, _shown(told.tags))
    return _of("JobEvent", at) | {"job": _dataset(name, said | own(told))}


def table_event(name: DatasetName, at: datetime, told: TableFacet) -> Event:
    """What people said of a table."""
    said = facets.of_people("Dataset", told.owner, told.description, _shown(told.tags))
    said |= facets.of_data(name, State(location=told.location))
    return _of("DatasetEvent", at) | {"dataset": _dataset(name, said | own(told))}


def snapshot_event(snapshot: Snapshot, told: SnapshotFacet, location: str | None) -> Event:
    """A snapshot that no run made."""
    name = DatasetName(namespace=snapshot.namespace, name=snapshot.table_name)
    said = facets.of_data(name, _state_of(snapshot, location)) | facets.of_output(snapshot, None)
    return _of("DatasetEvent", snapshot.created_at) | {"dataset": _dataset(name, said | own(told))}


# --- what is in an event ----------------------------------------------------------------------------------------------


def _event(record: RunRecord, kind: str, at: datetime, data: Slice, told: Sequence[OwnFacet]) -> Event:
    run = record.run if kind in _LAST else replace(record.run, error=None)
    job = DatasetName(namespace=run.namespace, name=run.job_name)
    event = _of("RunEvent", at) | {
        "eventType": kind,
        "run": {"runId": run.run_id, "facets": facets.of_run(run, record.parent, record.root) | own(*told)},
        "job": _dataset(job, facets.of_job(run)),
    }
    event |= {"inputs": [_input(one, data) for one in data.inputs]} if data.inputs else {}
    return event | ({"outputs": [_output(one, data) for one in data.outputs]} if data.outputs else {})


def _of(kind: str, at: datetime) -> Event:
    return {"eventTime": msgspec.to_builtins(at), "producer": PRODUCER, "schemaURL": f"{SCHEMA}#/$defs/{kind}"}


def _dataset(name: DatasetName, told: Event) -> Event:
    named: Event = {"namespace": name.namespace, "name": name.name}
    return named | ({"facets": told} if told else {})


def _input(one: RunData, data: Slice) -> Event:
    name = DatasetName(namespace=one.namespace, name=one.table_name)
    return _dataset(name, facets.of_data(name, _state(one, data)))


def _output(one: RunData, data: Slice) -> Event:
    name, known = DatasetName(namespace=one.namespace, name=one.table_name), _known(one, data.snapshots)
    told = facets.of_data(name, _state(one, data))
    if known is not None:
        told |= facets.of_output(known, data.sources.get(known.snapshot_id))
        registered = data.registered.get(known.snapshot_id)
        told |= {} if registered is None else own(registered)
    written = facets.of_writing(one.row_count, one.size_bytes)
    return _dataset(name, told) | ({"outputFacets": written} if written else {})


def _state(one: RunData, data: Slice) -> State:
    location = data.locations.get((one.namespace, one.table_name))
    known = _known(one, data.snapshots)
    if known is not None:
        return _state_of(known, location)
    return State(version=one.snapshot_id, uri=one.uri, location=location, format=one.format)


def _known(one: RunData, snapshots: Mapping[str, Snapshot]) -> Snapshot | None:
    """The snapshot, unless it is of another table than the run said."""
    known = snapshots.get(one.snapshot_id or "")
    is_of_table = known is not None and (known.namespace, known.table_name) == (one.namespace, one.table_name)
    return known if is_of_table else None


def _state_of(snapshot: Snapshot, location: str | None) -> State:
    return State(
        version=snapshot.store_version or snapshot.snapshot_id,
        uri=snapshot.uri,
        location=location,
        format=snapshot.format,
        fields=snapshot.fields,
    )


def _shown(tags: Iterable[OwnTag]) -> list[Tag]:
    return [
        Tag(key=tag.key, value=tag.value, source=tag.source, field=tag.field or None)
        for tag in tags
        if tag.key and not tag.is_deleted
    ]


# --- what is told of ourselves ----------------------------------------------------------------------------------------


def _life(told: RunFacet) -> RunFacet:
    """What every event of the run tells, so that it is known as ours, whichever arrives alone."""
    return replace(told, metadata=[], environment=[], artifacts=[], endings=[], tags=[])


def pieces(told: RunFacet) -> list[RunFacet]:
    """What is told of the run, in parts of which each fits into an event; one where it does as a whole.

    A single value may be larger, and is a part of its own.
    """
    if len(msgspec.json.encode(told)) <= EVENT_BYTES:
        return [told]
    parts: list[dict[str, list[object]]] = [{}]
    left = EVENT_BYTES
    for name, item in _items(told):
        size_bytes = len(msgspec.json.encode(item)) + 1
        if size_bytes > left and parts[-1]:
            parts.append({})
            left = EVENT_BYTES
        parts[-1].setdefault(name, []).append(item)
        left -= size_bytes
    return [replace(_life(told), **part) for part in parts]


def _items(told: RunFacet) -> Iterator[tuple[str, object]]:
    for name, section in (("metadata", told.metadata), ("environment", told.environment)):
        for kept in section:
            yield from ((name, Kept(kept.at, {key: value})) for key, value in kept.values.items())
    for name, items in (("artifacts", told.artifacts), ("tags", told.tags), ("endings", told.endings)):
        yield from ((name, item) for item in items)


def _own_data(data: Slice) -> list[OwnFacet]:
    return [DataFacet(items=list(data.told))] if data.told else []


def _moment(record: RunRecord, data: Slice, kept: Iterable[Kept]) -> datetime:
    """When the latest of it was told: the same however often it is asked."""
    moments = [one.at for one in data.told] + [one.at for one in kept]
    moments += [one.created_at for one in data.registered.values()]
    return _within(record, max(moments, default=record.run.started_at))


def _within(record: RunRecord, at: datetime) -> datetime:
    """Within the run, so that nobody takes it for going on after its end."""
    ended = record.run.ended_at
    return max(at if ended is None else min(at, ended), record.run.started_at)


# --- from models alone ------------------------------------------------------------------------------------------------


def _told(run: Run) -> RunFacet:
    """What the run's record tells by itself: of its metadata all as of one moment."""
    at = run.ended_at or run.started_at
    return RunFacet(
        started_at=run.started_at,
        parent_run_id=run.parent_run_id,
        metadata=[Kept(at, run.metadata)] if run.metadata else [],
        environment=[Kept(at, run.environment)] if run.environment else [],
        artifacts=run.artifacts,
        endings=_endings(run),
    )


def _endings(run: Run) -> list[OwnEnding]:
    key = f"{run.run_id}:complete"
    told = [(one.state, one.ended_at, one.error) for one in run.endings]
    if not told and run.ended_at is not None:
        told = [(run.state, run.ended_at, run.error)]
    return [
        OwnEnding(state=_OUTCOMES[state], ended_at=at, key=key, error=error)
        for state, at, error in told
        if state in _OUTCOMES
    ]


def _slices(run: Run, known: Mapping[str, Snapshot]) -> Iterator[Slice]:
    """The run's data, a slice at a time; one that is empty where it has none."""
    items = [*run.inputs, *run.outputs]
    for first in range(0, max(len(items), 1), DATA_PER_EVENT):
        inputs = len(run.inputs[first : first + DATA_PER_EVENT])
        some = items[first : first + DATA_PER_EVENT]
        yield _slice(run, known, some[:inputs], some[inputs:])


def _slice(run: Run, known: Mapping[str, Snapshot], inputs: Sequence[RunData], outputs: Sequence[RunData]) -> Slice:
    made = [snapshot for one in outputs if (snapshot := _made(one, run, known)) is not None]
    told = [_telling(run, "input", one) for one in inputs]
    told += [_telling(run, "output", one) for one in outputs if _made(one, run, known) is None]
    registered = {snapshot.snapshot_id: _registered(snapshot) for snapshot in made}
    return Slice(inputs=inputs, outputs=outputs, snapshots=known, registered=registered, told=told)


def _made(one: RunData, run: Run, known: Mapping[str, Snapshot]) -> Snapshot | None:
    snapshot = _known(one, known)
    return None if snapshot is None or snapshot.run_id != run.run_id else snapshot


def _registered(snapshot: Snapshot) -> SnapshotFacet:
    return SnapshotFacet(
        snapshot_id=snapshot.snapshot_id,
        uri=without_credentials(snapshot.uri),
        format=snapshot.format,
        created_at=snapshot.created_at,
        version=snapshot.version or None,
        schema=snapshot.schema,
        row_count=snapshot.row_count,
        size_bytes=snapshot.size_bytes,
        metadata=snapshot.metadata,
        column_lineage=snapshot.column_lineage,
        job_name=snapshot.job_name,
        late=snapshot.late,
    )


def _telling(run: Run, role: Literal["input", "output"], one: RunData) -> Telling:
    return Telling(
        role=role,
        at=run.started_at,
        table_name=one.table_name,
        namespace=one.namespace,
        snapshot_id=one.snapshot_id,
        uri=None if one.uri is None else without_credentials(one.uri),
        stale=one.stale,
        age_s=one.age_s,
        deferred=one.deferred,
    )
