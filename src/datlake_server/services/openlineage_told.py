"""What an SDK told of a run, a job or a table, as the records that OpenLineage events are made of.

The export calls it. It reads what was told, not only what stands: another lake that is told the same ends in the same
state, whatever else it knows.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final, Literal, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from datlake_sdk.lineage.emit import Ancestor, RunRecord, Slice
from datlake_sdk.lineage.ids import output_id, version_id
from datlake_sdk.lineage.naming import without_credentials
from datlake_sdk.lineage.own_facets import (
    Kept,
    LoggedEvent,
    OwnEnding,
    OwnTag,
    RunFacet,
    SnapshotFacet,
    Source,
    Telling,
)
from datlake_sdk.wire.models import Artifact, DatasetName, ProcessIdentity, Run, RunData, Snapshot, Tag
from datlake_sdk.wire.times import moment
from datlake_server.services.records import RunRow, SnapshotRow, error_of, json_text, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datlake_server.store.base import Tx

# A chain of runs that started each other is rarely longer than three.
ANCESTORS_MOST: Final = 32
# Of a run's origin: OpenLineage events told of it.
EVENTS: Final = 2
# From here on it is OpenLineage events that imply a snapshot, and will again.
BY_EVENTS: Final = 2

Role = Literal["input", "output"]


class DataRow(Struct, frozen=True):
    """An input or output as it stands on a run; `size_bytes` is about what its snapshot has in an event."""

    role: Role
    table_id: int
    namespace: str
    table_name: str
    location: str | None
    snapshot_id: str
    uri: str | None
    stated: int
    at: int
    told_at: int | None
    stale: int
    age_s: float | None
    deferred: int
    size_bytes: int


class LoggedRow(Struct, frozen=True):
    """An event that a run logged."""

    seq: int
    event_id: str
    event_type: str
    data: str
    created_at: int


class _LooseRow(Struct, frozen=True):
    role: Role
    uri: str
    named_namespace: str | None
    named_name: str | None
    namespace: str
    pinned: str
    output: str
    at: int
    table_namespace: str
    table_name: str
    stale: int | None
    age_s: float | None
    deferred: int | None


class _KeptRow(Struct, frozen=True):
    section: str
    key: str
    value: str
    at: int


class _EndingRow(Struct, frozen=True):
    state: Literal["completed", "failed", "aborted"]
    ended_at: int
    op_key: str
    error: str | None


class _TagRow(Struct, frozen=True):
    field: str
    key: str
    value: str | None
    source: str | None
    at: int
    digest: str
    deleted: int


class _ByEvents(Struct, frozen=True):
    role: Role
    namespace: str
    name: str
    version: str


class _Implied(Struct, frozen=True):
    snapshot_id: str
    implied: int


def run_record(tx: Tx, row: RunRow) -> RunRecord:
    """The run without its data, and all that was told of it beside data."""
    metadata, environment = _kept(tx, row.run_id)
    tags = tags_of(tx, "run", run_id=row.run_id)
    told = RunFacet(
        started_at=moment(row.started_at),
        lost_after_s=None if row.lost_after_us is None else row.lost_after_us / 1_000_000,
        parent_run_id=row.parent_run_id,
        processes=[] if row.process is None else msgspec.json.decode(row.process, type=list[ProcessIdentity]),
        metadata=metadata,
        environment=environment,
        artifacts=_artifacts(tx, row.run_id),
        endings=_endings(tx, row.run_id),
        tags=tags,
    )
    parent, root = _ancestors(tx, row)
    return RunRecord(run=_run(row, told, tags), told=told, parent=parent, root=root)


def data_rows(tx: Tx, run_id: str, after: tuple[str, int, str], limit: int) -> list[DataRow]:
    """The run's data after that place: its role, its table and its snapshot."""
    role, table_id, snapshot_id = after
    return tx.all(
        DataRow, "export.data", run_id=run_id, role=role, table_id=table_id, snapshot_id=snapshot_id, limit=limit
    )


def slice_of(tx: Tx, run: RunRow, rows: Sequence[DataRow]) -> Slice:
    """These data of the run, as they stand and as they were told."""
    ids = sorted({row.snapshot_id for row in rows if row.snapshot_id})
    known = {row.snapshot_id: row for row in tx.all(SnapshotRow, "snapshots.many", snapshot_ids=json_text(ids))}
    implied = {row.snapshot_id: row.implied for row in tx.all(_Implied, "export.implied", snapshot_ids=json_text(ids))}
    own = [
        row
        for row in rows
        if row.role == "output"
        and (snapshot := known.get(row.snapshot_id)) is not None
        and (snapshot.run_id, snapshot.table_id) == (run.run_id, row.table_id)
        and implied[row.snapshot_id] < BY_EVENTS
    ]
    loose = _loose(tx, run.run_id, rows, own)
    pinned = _pinned(_without_events(tx, run, rows), own, known)
    snapshots = {key: snapshot_of(row) for key, row in known.items()}
    return Slice(
        inputs=[_data(row, snapshots) for row in rows if row.role == "input"],
        outputs=[_data(row, snapshots) for row in rows if row.role == "output"],
        snapshots=snapshots,
        registered={row.snapshot_id: _registered(known[row.snapshot_id], implied, row, loose) for row in own},
        told=[*pinned, *(_telling(row) for row in loose if not row.output)],
        sources={row.snapshot_id: _sources(row, loose) for row in own if row.stated},
        locations={(row.namespace, row.table_name): row.location for row in rows if row.location is not None},
    )


def lone_snapshot(tx: Tx, snapshot_id: str) -> tuple[Snapshot, SnapshotFacet] | None:
    """A snapshot that no run registered."""
    row = tx.one(SnapshotRow, "snapshots.get", snapshot_id=snapshot_id)
    if row is None:
        return None
    (implied,) = tx.all(_Implied, "export.implied", snapshot_ids=json_text([snapshot_id]))
    return snapshot_of(row), _registered(row, {snapshot_id: implied.implied}, None, [])


def tags_of(tx: Tx, kind: Literal["run", "job", "table"], *, run_id: str = "", subject: int = 0) -> list[OwnTag]:
    """The labels of a run, job or table, those that were taken back with them."""
    return [
        OwnTag(
            key=row.key,
            at=moment(row.at),
            digest=row.digest,
            field=row.field,
            value=row.value,
            source=row.source,
            is_deleted=bool(row.deleted),
        )
        for row in tx.all(_TagRow, "export.tags", kind=kind, run_id=run_id, subject=subject)
    ]


def logged(rows: Sequence[LoggedRow]) -> list[LoggedEvent]:
    """Events that a run logged."""
    return [
        LoggedEvent(
            event_id=row.event_id,
            event_type=row.event_type,
            created_at=moment(row.created_at),
            data=msgspec.json.decode(row.data, type=dict[str, object]),
        )
        for row in rows
    ]


# --- a run ------------------------------------------------------------------------------------------------------------


def _run(row: RunRow, told: RunFacet, tags: Sequence[OwnTag]) -> Run:
    return Run(
        run_id=row.run_id,
        job_name=row.job_name,
        namespace=row.namespace,
        state=row.state,
        started_at=told.started_at,
        ended_at=None if row.ended_at is None else moment(row.ended_at),
        parent_run_id=row.parent_run_id,
        metadata={key: value for kept in told.metadata for key, value in kept.values.items()},
        environment={key: value for kept in told.environment for key, value in kept.values.items()},
        error=error_of(row.error),
        external_id=row.external_id,
        tags=[Tag(key=tag.key, value=tag.value, source=tag.source) for tag in tags if not tag.is_deleted],
    )


def _kept(tx: Tx, run_id: str) -> tuple[list[Kept], list[Kept]]:
    """The run's metadata and its environment, by the moments at which they were told."""
    found: dict[str, list[Kept]] = {"metadata": [], "environment": []}
    rows = tx.all(_KeptRow, "export.kept", run_id=run_id)
    for (section, at), group in groupby(rows, key=lambda row: (row.section, row.at)):
        values = {row.key: cast("object", msgspec.json.decode(row.value)) for row in group}
        found[section].append(Kept(moment(at), values))
    return found["metadata"], found["environment"]


def _artifacts(tx: Tx, run_id: str) -> list[Artifact]:
    rows = tx.all(Artifact, "export.artifacts", run_id=run_id)
    return [replace(row, uri=without_credentials(row.uri)) for row in rows]


def _endings(tx: Tx, run_id: str) -> list[OwnEnding]:
    return [
        OwnEnding(state=row.state, ended_at=moment(row.ended_at), key=row.op_key, error=error_of(row.error))
        for row in tx.all(_EndingRow, "export.endings", run_id=run_id)
    ]


def _ancestors(tx: Tx, row: RunRow) -> tuple[Ancestor | None, Ancestor | None]:
    """The run that started this one, and the one that started the first of them; null where they are not known."""
    chain: list[RunRow] = []
    above = row.parent_run_id
    while above is not None and len(chain) < ANCESTORS_MOST:
        known = tx.one(RunRow, "runs.get", run_id=above)
        if known is None or known.run_id in {one.run_id for one in chain}:
            return (_ancestor(chain[0]) if chain else None), None
        chain.append(known)
        above = known.parent_run_id
    if not chain:
        return None, None
    return _ancestor(chain[0]), _ancestor(chain[-1]) if above is None else None


def _ancestor(row: RunRow) -> Ancestor:
    return Ancestor(run_id=row.run_id, namespace=row.namespace, job_name=row.job_name)


# --- its data ---------------------------------------------------------------------------------------------------------


def _loose(tx: Tx, run_id: str, rows: Sequence[DataRow], own: Sequence[DataRow]) -> list[_LooseRow]:
    places = [(row.role, row.table_id, row.snapshot_id) for row in rows]
    outputs = [row.snapshot_id for row in own]
    return tx.all(_LooseRow, "export.loose", run_id=run_id, places=json_text(places), outputs=json_text(outputs))


def _data(row: DataRow, snapshots: Mapping[str, Snapshot]) -> RunData:
    known = snapshots.get(row.snapshot_id)
    is_of_table = known is not None and (known.namespace, known.table_name) == (row.namespace, row.table_name)
    snapshot = known if is_of_table else None
    return RunData(
        table_name=row.table_name,
        namespace=row.namespace,
        snapshot_id=row.snapshot_id or None,
        version=None if snapshot is None else snapshot.version,
        uri=row.uri if snapshot is None else snapshot.uri,
        format=None if snapshot is None else snapshot.format,
        row_count=None if snapshot is None else snapshot.row_count,
        size_bytes=None if snapshot is None else snapshot.size_bytes,
    )


def _registered(
    row: SnapshotRow, implied: Mapping[str, int], data: DataRow | None, loose: Sequence[_LooseRow]
) -> SnapshotFacet:
    snapshot = snapshot_of(row)
    return SnapshotFacet(
        snapshot_id=row.snapshot_id,
        uri=without_credentials(row.uri),
        format=row.format,
        created_at=snapshot.created_at,
        version=row.version,
        schema=snapshot.schema,
        row_count=row.row_count,
        size_bytes=row.size_bytes,
        metadata=snapshot.metadata,
        column_lineage=snapshot.column_lineage,
        inputs=None if data is None or not data.stated else [_source(one) for one in _of(row.snapshot_id, loose)],
        job_name=row.job_name,
        late=snapshot.late,
        implied=bool(implied[row.snapshot_id]),
        fingerprint=row.fingerprint,
    )


def _of(output: str, loose: Sequence[_LooseRow]) -> list[_LooseRow]:
    return [row for row in loose if row.output == output]


def _sources(row: DataRow, loose: Sequence[_LooseRow]) -> list[DatasetName]:
    names = {(one.table_namespace, one.table_name) for one in _of(row.snapshot_id, loose)}
    return [DatasetName(namespace=namespace, name=name) for namespace, name in sorted(names)]


def _source(row: _LooseRow) -> Source:
    return Source(
        table_name=row.named_name,
        namespace=row.named_namespace or row.namespace or None,
        snapshot_id=row.pinned or None,
        uri=without_credentials(row.uri) if row.uri else None,
        stale=bool(row.stale),
        age_s=row.age_s,
        deferred=bool(row.deferred),
    )


def _telling(row: _LooseRow) -> Telling:
    source = _source(row)
    return Telling(
        role=row.role, at=moment(row.at), table_name=source.table_name, namespace=source.namespace, uri=source.uri
    )


def _pinned(rows: Sequence[DataRow], own: Sequence[DataRow], known: Mapping[str, SnapshotRow]) -> list[Telling]:
    """What was told with its snapshot, but for what its registration tells anyway."""
    registered = {id(row) for row in own}
    return [
        Telling(
            role=row.role,
            at=moment(row.told_at),
            table_name=row.table_name,
            namespace=row.namespace,
            snapshot_id=row.snapshot_id,
            uri=without_credentials(row.uri) if row.uri else None,
            stale=bool(row.stale),
            age_s=row.age_s,
            deferred=bool(row.deferred),
        )
        for row in rows
        if row.told_at is not None
        and row.snapshot_id
        and not (id(row) in registered and _says_no_more(row, known[row.snapshot_id]))
    ]


def _without_events(tx: Tx, run: RunRow, rows: Sequence[DataRow]) -> Sequence[DataRow]:
    """The rows that OpenLineage events did not tell, and will not tell again."""
    if not run.origin & EVENTS:
        return rows
    told = {
        (one.role, version_id(one.namespace, one.name, one.version))
        if one.version
        else (one.role, output_id(run.run_id, one.namespace, one.name))
        for one in tx.all(_ByEvents, "export.told_by_events", run_id=run.run_id)
    }
    return [row for row in rows if (row.role, row.snapshot_id) not in told]


def _says_no_more(row: DataRow, snapshot: SnapshotRow) -> bool:
    return (row.told_at, row.uri) == (snapshot.created_at, snapshot.uri)
