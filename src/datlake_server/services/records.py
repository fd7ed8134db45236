"""Rows into models and back: what several services share. Knows columns, no rules."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec
from msgspec import Struct

from datlake_sdk.errors import NotFound
from datlake_sdk.wire.ids import is_uuid
from datlake_sdk.wire.models import Artifact, Ending, Field, Run, RunData, RunError, RunState, Schema, Snapshot
from datlake_sdk.wire.times import moment
from datlake_server.services.presence import Life, state_of

if TYPE_CHECKING:
    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx


class JobRow(Struct, frozen=True):
    """A job as it is stored."""

    job_id: int
    namespace: str
    name: str
    created_at: int
    owner: str | None
    description: str | None


class RunRow(Life, frozen=True, kw_only=True):
    """A run as it is stored, without what hangs on it."""

    run_id: str
    job_id: int
    job_name: str
    namespace: str
    started_at: int
    ended_at: int | None = None
    parent_run_id: str | None = None
    error: str | None = None
    external_id: str | None = None
    origin: int = 1


class TableRow(Struct, frozen=True):
    """A table as it is stored."""

    table_id: int
    namespace: str
    name: str
    created_at: int
    latest_id: str | None
    snapshot_count: int
    location: str | None
    owner: str | None
    description: str | None
    expected_freshness_s: int | None
    compatibility: str | None
    by_events: int = 0


class SnapshotRow(Struct, frozen=True):
    """A snapshot as it is stored."""

    snapshot_id: str
    table_id: int
    table_name: str
    namespace: str
    version: int
    uri: str
    format: str
    schema: str
    fields: str
    created_at: int
    run_id: str | None
    job_name: str | None
    row_count: int | None
    size_bytes: int | None
    metadata: str
    column_lineage: str
    fingerprint: str
    late: int
    store_version: str | None = None


class _EndingRow(Struct, frozen=True):
    run_id: str
    state: RunState
    ended_at: int
    received_at: int
    error: str | None


class _FacetRow(Struct, frozen=True):
    run_id: str
    section: str
    key: str
    value: str


class _ArtifactRow(Struct, frozen=True):
    run_id: str
    type: str
    uri: str
    name: str | None
    size_bytes: int | None
    sha256: str | None


class _DataRow(Struct, frozen=True):
    run_id: str
    role: str
    table_name: str
    namespace: str
    snapshot_id: str | None
    version: int | None
    uri: str | None
    format: str | None
    row_count: int | None
    size_bytes: int | None
    stale: int
    age_s: float | None
    deferred: int


class _OfRun(Protocol):
    @property
    def run_id(self) -> str: ...


H = TypeVar("H", bound=_OfRun)


def run_row(tx: Tx, run_id: str, namespace: str, job_name: str | None = None) -> RunRow:
    """The run of that id, or that its producer calls so. Raises `NotFound`, also for another namespace or job's."""
    return owned(tx.one(RunRow, "runs.get", run_id=_stored_id(run_id)), run_id, namespace, job_name)


def owned(row: RunRow | None, run_id: str, namespace: str, job_name: str | None = None) -> RunRow:
    """`row`, if it is there and of this namespace and job. Raises `NotFound`."""
    if row is None or row.namespace != namespace:
        message = f"there is no run {run_id} in namespace {namespace!r}; `datlake runs` lists those there are"
        raise NotFound(message, code="run_not_found", run_id=run_id)
    if job_name is not None and row.job_name != job_name:
        message = f"run {run_id} belongs to job {row.job_name!r}, not to {job_name!r}"
        raise NotFound(message, code="run_not_found", run_id=run_id)
    return row


def run_of(tx: Tx, run_id: str, caller: Caller) -> Run:
    """The run of an id that is known to exist, whole."""
    return runs_of(tx, [run_id], caller)[0]


def runs_of(tx: Tx, run_ids: list[str], caller: Caller) -> list[Run]:
    """The runs of these ids, whole, in the order given; a handful of statements however many they are."""
    wanted = msgspec.json.encode(run_ids).decode()
    rows = {row.run_id: row for row in tx.all(RunRow, "runs.many", run_ids=wanted)}
    facets = _by_run(tx.all(_FacetRow, "runs.facets", run_ids=wanted))
    data = _by_run(tx.all(_DataRow, "runs.data", run_ids=wanted))
    artifacts = _by_run(tx.all(_ArtifactRow, "runs.artifacts", run_ids=wanted))
    has_ended = any(row.ended_at is not None for row in rows.values())
    endings = _by_run(tx.all(_EndingRow, "runs.endings", run_ids=wanted) if has_ended else [])
    return [
        _run(
            row,
            state_of(tx, row, caller),
            facets=facets[key],
            data=data[key],
            artifacts=artifacts[key],
            endings=endings[key],
        )
        for key in run_ids
        if (row := rows.get(key)) is not None
    ]


def snapshot_of(row: SnapshotRow) -> Snapshot:
    """The snapshot of a row."""
    return Snapshot(
        snapshot_id=row.snapshot_id,
        table_name=row.table_name,
        namespace=row.namespace,
        version=row.version,
        uri=row.uri,
        format=row.format,
        schema=msgspec.json.decode(row.schema, type=Schema | None),
        created_at=moment(row.created_at),
        run_id=row.run_id,
        job_name=row.job_name,
        row_count=row.row_count,
        size_bytes=row.size_bytes,
        fields=msgspec.json.decode(row.fields, type=list[Field]),
        metadata=msgspec.json.decode(row.metadata, type=dict[str, object]),
        column_lineage=msgspec.json.decode(row.column_lineage, type=dict[str, object] | None),
        late=bool(row.late),
        store_version=row.store_version,
    )


def json_text(value: object) -> str:
    """`value` as JSON text, as it is stored."""
    return msgspec.json.encode(value).decode()


def error_of(text: str | None) -> RunError | None:
    """The error that was stored as `text`."""
    return None if text is None else msgspec.json.decode(text, type=RunError)


def _stored_id(run_id: str) -> str:
    if is_uuid(run_id):
        return run_id.lower()
    from datlake_sdk.lineage.ids import run_id_of  # no job needs it

    return run_id_of(run_id)


def _by_run(rows: list[H]) -> defaultdict[str, list[H]]:
    grouped: defaultdict[str, list[H]] = defaultdict(list)
    for row in rows:
        grouped[row.run_id].append(row)
    return grouped


def _run(
    row: RunRow,
    state: RunState,
    *,
    facets: list[_FacetRow],
    data: list[_DataRow],
    artifacts: list[_ArtifactRow],
    endings: list[_EndingRow],
) -> Run:
    return Run(
        run_id=row.run_id,
        job_name=row.job_name,
        namespace=row.namespace,
        state=state,
        started_at=moment(row.started_at),
        ended_at=None if row.ended_at is None else moment(row.ended_at),
        last_seen_at=moment(row.last_seen_at),
        parent_run_id=row.parent_run_id,
        metadata=_section(facets, "metadata"),
        environment=_section(facets, "environment"),
        error=error_of(row.error),
        inputs=[_data(item) for item in data if item.role == "input"],
        outputs=[_data(item) for item in data if item.role == "output"],
        artifacts=[_artifact(item) for item in artifacts],
        endings=[_ending(item) for item in endings],
        external_id=row.external_id,
    )


def _section(facets: list[_FacetRow], section: str) -> dict[str, object]:
    return {facet.key: msgspec.json.decode(facet.value) for facet in facets if facet.section == section}


def _data(row: _DataRow) -> RunData:
    return RunData(
        table_name=row.table_name,
        namespace=row.namespace,
        snapshot_id=row.snapshot_id,
        version=row.version,
        uri=row.uri,
        format=row.format,
        row_count=row.row_count,
        size_bytes=row.size_bytes,
        stale=bool(row.stale),
        age_s=row.age_s,
        deferred=bool(row.deferred),
    )


def _artifact(row: _ArtifactRow) -> Artifact:
    return Artifact(type=row.type, uri=row.uri, name=row.name, size_bytes=row.size_bytes, sha256=row.sha256)


def _ending(row: _EndingRow) -> Ending:
    return Ending(
        state=row.state, ended_at=moment(row.ended_at), received_at=moment(row.received_at), error=error_of(row.error)
    )
