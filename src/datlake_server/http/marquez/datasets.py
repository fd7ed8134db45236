"""Datasets and their versions as Marquez shows them: tables and their snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import msgspec
from msgspec import UNSET, Struct

from datlake_sdk.errors import NotFound
from datlake_sdk.wire import models
from datlake_sdk.wire.operations import GetTableSnapshot
from datlake_sdk.wire.times import moment
from datlake_server.caller import Caller
from datlake_server.http.marquez import facets, labels, namespaces, runs
from datlake_server.http.marquez.shapes import (
    Dataset,
    DatasetType,
    DatasetVersion,
    Facets,
    Field,
    Id,
    Run,
    Text,
    VersionId,
)
from datlake_server.services.snapshots import get_table_snapshot, known_table, snapshots_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datlake_server.http.marquez.asking import Ask
    from datlake_server.store.base import Tx

# Of a dataset whose facets name no store.
NO_SOURCE: Final = "default"
_STREAMS: Final = frozenset({"STREAM", "TOPIC"})
_DROPPED: Final = "DROP"
_NOBODY: Final = Caller()


class TableRow(Struct, frozen=True):
    """A table as it is stored, with its latest snapshot."""

    table_id: int
    namespace: str
    name: str
    created_at: int
    description: str | None
    snapshot_id: str | None
    written_at: int | None
    run_state: str
    schema: str | None
    fields: str | None
    lifecycle: str | None


class _Id(Struct, frozen=True):
    table_id: int


class _SnapshotId(Struct, frozen=True):
    snapshot_id: str


class _Number(Struct, frozen=True):
    n: int


class _Lifecycle(Struct, frozen=True):
    run_id: str
    state: str


def get(tx: Tx, ask: Ask) -> Dataset:
    """The dataset that the path names, by its own name or another that it has."""
    return datasets_of(tx, [row_of(tx, ask).table_id])[0]


def of_namespace(tx: Tx, ask: Ask) -> dict[str, object]:
    """A page of the namespace's datasets by name."""
    namespace, window = namespaces.row(tx, ask.names["namespace"]).name, ask.window()
    found = tx.all(_Id, "marquez.tables_of_namespace", namespace=namespace, limit=window.limit, offset=window.offset)
    count = tx.one(_Number, "marquez.count_tables", namespace=namespace)
    return {"datasets": datasets_of(tx, [one.table_id for one in found]), "totalCount": count.n if count else 0}


def delete(tx: Tx, ask: Ask) -> Dataset:
    """The dataset as it was; it is hidden until something is told of it again."""
    found = get(tx, ask)
    tx.do("marquez.hide", namespace=found.namespace, name=found.name, kind="dataset", now=tx.now)
    return found


def version(tx: Tx, ask: Ask) -> DatasetVersion:
    """The version that the path names, by its id, its number or what its store calls it."""
    row = row_of(tx, ask)
    op = GetTableSnapshot(namespace=row.namespace, table_name=row.name, version=ask.names["version"])
    return _versions(tx, row, [get_table_snapshot(tx, op, _NOBODY)])[0]


def versions(tx: Tx, ask: Ask) -> dict[str, object]:
    """A page of the dataset's versions, the newest first."""
    row, window = row_of(tx, ask), ask.window()
    found = tx.all(
        _SnapshotId, "marquez.snapshots_of_table", table_id=row.table_id, limit=window.limit, offset=window.offset
    )
    count = tx.one(_Number, "marquez.count_snapshots", table_id=row.table_id)
    snapshots = snapshots_of(tx, [one.snapshot_id for one in found])
    return {"versions": _versions(tx, row, snapshots), "totalCount": count.n if count else 0}


def row_of(tx: Tx, ask: Ask) -> TableRow:
    """The table that the path names. Raises `NotFound`, also where its namespace is not there."""
    return known(tx, ask.names["namespace"], ask.names["dataset"])


def known(tx: Tx, namespace: str, name: str) -> TableRow:
    """The table of that name. Raises `NotFound`, also for one that is hidden."""
    found = rows_of(tx, [known_table(tx, namespace, name).table_id])
    if not found:
        raise NotFound(f"there is no dataset {name!r} in namespace {namespace!r}", code="table_not_found")
    return found[0]


def rows_of(tx: Tx, table_ids: Sequence[int]) -> list[TableRow]:
    """The tables of these numbers in the order given, without those that are hidden."""
    wanted = msgspec.json.encode(table_ids).decode()
    rows = {row.table_id: row for row in tx.all(TableRow, "marquez.tables", table_ids=wanted)}
    return [rows[table_id] for table_id in table_ids if table_id in rows]


def datasets_of(tx: Tx, table_ids: Sequence[int]) -> list[Dataset]:
    """The datasets of these numbers in the order given; a handful of statements however many they are."""
    told, tags = facets.of_subjects(tx, "dataset", table_ids), labels.of(tx, "table", table_ids)
    return [_dataset(row, told[row.table_id], tags[row.table_id]) for row in rows_of(tx, table_ids)]


def fields_of(row: TableRow, own: Facets, tags: Mapping[str, list[str]]) -> list[Field]:
    """The columns of the table: as its latest snapshot has them, else as was told of it."""
    return _fields(row.fields, row.schema, tags) or _told_fields(_listed(facets.said(own, "schema")), tags)


def _dataset(row: TableRow, own: Facets, tags: Mapping[str, list[str]]) -> Dataset:
    written_at = row.written_at or 0
    return Dataset(
        id=Id(namespace=row.namespace, name=row.name),
        type=_type(own),
        name=row.name,
        physical_name=_physical_name(row, own),
        created_at=moment(row.created_at),
        updated_at=moment(max(row.created_at, written_at)),
        namespace=row.namespace,
        source_name=_source_name(own),
        fields=fields_of(row, own, tags),
        tags=tags.get("", []),
        facets=own,
        deleted=row.lifecycle == _DROPPED,
        last_modified_at=moment(written_at) if written_at and row.run_state == "completed" else UNSET,
        last_lifecycle_state=row.lifecycle or UNSET,
        description=row.description or facets.text_of(own, "documentation", "description"),
        current_version=row.snapshot_id or UNSET,
    )


def _versions(tx: Tx, row: TableRow, snapshots: Sequence[models.Snapshot]) -> list[DatasetVersion]:
    run_ids = [one.run_id for one in snapshots if one.run_id]
    rows = runs.rows_of(tx, run_ids)
    told = runs.told_of(tx, rows)
    made_by = {run.run_id: runs.whole(run, told) for run in rows}
    own = facets.of_subjects(tx, "dataset", [row.table_id])[row.table_id]
    tags = labels.of(tx, "table", [row.table_id])[row.table_id]
    wanted = msgspec.json.encode(run_ids).decode()
    states = tx.all(_Lifecycle, "marquez.lifecycle_of_runs", table_id=row.table_id, run_ids=wanted)
    lifecycle = {one.run_id: one.state for one in states}
    return [
        _version(
            row,
            snapshot,
            own | told.facets.get(("output", snapshot.run_id or "", row.table_id), {}),
            tags,
            made_by.get(snapshot.run_id or ""),
            lifecycle.get(snapshot.run_id or "", UNSET),
        )
        for snapshot in snapshots
    ]


def _version(  # noqa: PLR0917 -- a version in its parts
    row: TableRow,
    snapshot: models.Snapshot,
    own: Facets,
    tags: Mapping[str, list[str]],
    made_by: Run | None,
    lifecycle: Text,
) -> DatasetVersion:
    described = row.description or facets.text_of(own, "documentation", "description")
    schema = msgspec.json.encode(snapshot.schema).decode()
    return DatasetVersion(
        id=VersionId(namespace=row.namespace, name=row.name, version=snapshot.snapshot_id),
        type=_type(own),
        name=row.name,
        physical_name=_physical_name(row, own),
        created_at=snapshot.created_at,
        version=snapshot.snapshot_id,
        namespace=row.namespace,
        source_name=_source_name(own),
        fields=_fields(msgspec.json.encode(snapshot.fields).decode(), schema, tags),
        description=described or "",
        facets=own,
        tags=tags.get("") or UNSET,
        lifecycle_state=lifecycle,
        created_by_run=made_by or UNSET,
    )


def _fields(fields: str | None, schema: str | None, tags: Mapping[str, list[str]]) -> list[Field]:
    if fields is None:
        return []
    told = {one["name"]: _description(one) for one in _listed(msgspec.json.decode(schema or "null"))}
    return [
        Field(name=one.name, type=one.type, tags=tags.get(one.name, []), description=told.get(one.name, UNSET))
        for one in msgspec.json.decode(fields, type=list[models.Field])
    ]


def _told_fields(told: Sequence[Mapping[str, object]], tags: Mapping[str, list[str]]) -> list[Field]:
    return [
        Field(
            name=cast("str", one["name"]),
            type=kind if isinstance(kind := one.get("type"), str) else "",
            tags=tags.get(cast("str", one["name"]), []),
            description=_description(one),
        )
        for one in told
    ]


def _listed(schema: object) -> list[Mapping[str, object]]:
    """The columns that a schema lists as objects with a name, as OpenLineage does."""
    listed = cast("dict[str, object]", schema).get("fields") if isinstance(schema, dict) else schema
    if not isinstance(listed, list):
        return []
    found = [cast("Mapping[str, object]", one) for one in cast("list[object]", listed) if isinstance(one, dict)]
    return [one for one in found if isinstance(one.get("name"), str)]


def _description(told: Mapping[str, object]) -> Text:
    found = told.get("description")
    return found if isinstance(found, str) and found else UNSET


def _type(own: Facets) -> DatasetType:
    told = facets.text_of(own, "datasetType", "datasetType")
    return "STREAM" if isinstance(told, str) and told.upper() in _STREAMS else "DB_TABLE"


def _source_name(own: Facets) -> str:
    told = facets.text_of(own, "dataSource", "name")
    return told if isinstance(told, str) else NO_SOURCE


def _physical_name(row: TableRow, own: Facets) -> str:
    told = facets.text_of(own, facets.DATASET, "physicalName")
    return told if isinstance(told, str) else row.name
