"""What there is: namespaces, jobs, tables and objects, and what people say about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from datlake_sdk import __version__
from datlake_sdk.errors import NotFound
from datlake_sdk.lineage.naming import dataset_name
from datlake_sdk.wire.ids import object_uri
from datlake_sdk.wire.models import Job, LakeObject, Namespace, ServerConfig, Table
from datlake_sdk.wire.operations import (
    GetConfig,
    GetJob,
    GetTable,
    ListJobs,
    ListNamespaces,
    ListObjects,
    ListTables,
    UpdateJob,
    UpdateTable,
)
from datlake_sdk.wire.times import moment
from datlake_server.services import aliases, forwarding, labels
from datlake_server.services.pages import LAST_NAME, name_after, page
from datlake_server.services.receipts import WINDOW_S
from datlake_server.services.records import JobRow, TableRow, runs_of
from datlake_server.services.registry import handles
from datlake_server.services.snapshots import known_table, snapshots_of
from datlake_server.services.stubs import job_row

if TYPE_CHECKING:
    from datlake_sdk.wire.models import Page
    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx

T = TypeVar("T")

LOCATION: Final = "LOCATION"  # the kind of a name that people gave as the storage of a table

CAPABILITIES: Final = ("runs", "snapshots", "events", "objects", "lineage", "openlineage", "search", "legacy_aliases")
LIMITS: Final = {
    "body_bytes": 1024 * 1024,
    "batch_bytes": 5 * 1024 * 1024,
    "batch_events": 1000,
    "page_items": 1000,
    "graph_nodes": 5000,
    "name_characters": 2048,
    "idempotency_window_s": WINDOW_S,
}


class _RunId(msgspec.Struct, frozen=True):
    run_id: str


class _Number(msgspec.Struct, frozen=True):
    n: int


class ObjectRow(msgspec.Struct, frozen=True):
    """An object as it is stored."""

    namespace: str
    bucket: str
    object: str
    size_bytes: int
    sha256: str
    created_at: int


@handles(ListNamespaces)
def list_namespaces(tx: Tx, op: ListNamespaces, caller: Caller) -> Page[Namespace]:
    """The namespaces that hold something, by name."""
    items = tx.all(Namespace, "namespaces.page", after=name_after(op.cursor), limit=op.limit)
    return page(items, op.limit, (items[-1].namespace if items else "",))


@handles(ListJobs)
def list_jobs(tx: Tx, op: ListJobs, caller: Caller) -> Page[Job]:
    """The jobs of the namespace, by name."""
    rows = tx.all(JobRow, "jobs.page", namespace=op.namespace, after=name_after(op.cursor), limit=op.limit)
    return page(_jobs(tx, rows, caller), op.limit, (rows[-1].name if rows else "",))


@handles(GetJob)
def get_job(tx: Tx, op: GetJob, caller: Caller) -> Job:
    """The job of that name."""
    return _whole_job(tx, job_row(tx, op.namespace, op.job_name), caller)


@handles(UpdateJob)
def update_job(tx: Tx, op: UpdateJob, caller: Caller) -> Job:
    """The job with what was said about it changed."""
    row = job_row(tx, op.namespace, op.job_name)
    owner, description = _kept(op.owner, row.owner), _kept(op.description, row.description)
    tx.do("jobs.update", job_id=row.job_id, owner=owner, description=description)
    return _whole_job(tx, job_row(tx, op.namespace, op.job_name), caller)


@handles(ListTables)
def list_tables(tx: Tx, op: ListTables, caller: Caller) -> Page[Table]:
    """The tables of the namespace, by name."""
    rows = tx.all(TableRow, "tables.page", namespace=op.namespace, after=name_after(op.cursor), limit=op.limit)
    return page(_tables(tx, rows), op.limit, (rows[-1].name if rows else "",))


@handles(GetTable)
def get_table(tx: Tx, op: GetTable, caller: Caller) -> Table:
    """The table of that name, or that is also known by it."""
    return _whole_table(tx, known_table(tx, op.namespace, op.table_name))


@handles(UpdateTable)
def update_table(tx: Tx, op: UpdateTable, caller: Caller) -> Table:
    """The table with what was said about it changed."""
    row = known_table(tx, op.namespace, op.table_name)
    tx.do(
        "tables.update",
        table_id=row.table_id,
        owner=_kept(op.owner, row.owner),
        description=_kept(op.description, row.description),
        location=_kept(op.location, row.location),
        expected_freshness_s=_kept(op.expected_freshness_s, row.expected_freshness_s),
        compatibility=_kept(op.compatibility, row.compatibility),
    )
    if op.location is not UNSET:
        _place(tx, row, op.location)
    return _whole_table(tx, known_table(tx, row.namespace, row.name))


@handles(ListObjects)
def list_objects(tx: Tx, op: ListObjects, caller: Caller) -> Page[LakeObject]:
    """The objects of the bucket whose names begin with the prefix, by name."""
    rows = tx.all(
        ObjectRow,
        "objects.page",
        namespace=op.namespace,
        bucket=op.bucket,
        after=name_after(op.cursor),
        prefix=op.prefix,
        beyond=op.prefix + LAST_NAME,
        limit=op.limit,
    )
    return page([object_of(row) for row in rows], op.limit, (rows[-1].object if rows else "",))


@handles(GetConfig)
def get_config(tx: Tx, op: GetConfig, caller: Caller) -> ServerConfig:
    """What this lake is and takes."""
    targets = forwarding.states(tx)
    return ServerConfig(
        version=__version__,
        api_version="v1",
        capabilities=[*CAPABILITIES, *(("forward_openlineage",) if targets else ())],
        limits=LIMITS,
        forwarding=targets,
    )


def known_object(tx: Tx, namespace: str, bucket: str, object_name: str) -> LakeObject:
    """The object of that name. Raises `NotFound`."""
    row = tx.one(ObjectRow, "objects.get", namespace=namespace, bucket=bucket, object=object_name)
    if row is None:
        message = f"there is no object {object_name!r} in bucket {bucket!r} of namespace {namespace!r}"
        raise NotFound(message, code="object_not_found")
    return object_of(row)


def put_object(tx: Tx, namespace: str, bucket: str, object_name: str, *, size_bytes: int, sha256: str) -> LakeObject:
    """The object, now pointing at the bytes of this digest."""
    tx.do(
        "objects.put",
        namespace=namespace,
        bucket=bucket,
        object=object_name,
        size_bytes=size_bytes,
        sha256=sha256,
        at=tx.now,
    )
    return known_object(tx, namespace, bucket, object_name)


def object_of(row: ObjectRow) -> LakeObject:
    """The object of a row."""
    return LakeObject(
        bucket=row.bucket,
        object=row.object,
        namespace=row.namespace,
        uri=object_uri(row.bucket, row.object),
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        created_at=moment(row.created_at),
    )


def _place(tx: Tx, row: TableRow, location: str | None) -> None:
    """What others tell of the storage at `location` is of this table, and what they tell of its last one no more."""
    before, now = (None if uri is None else dataset_name(uri) for uri in (row.location, location))
    if before is not None and before != now:
        aliases.take_back(tx, row.table_id, *before, kind=LOCATION, at=tx.now)
    if now is not None and now != (row.namespace, row.name):
        aliases.add(tx, row.table_id, *now, LOCATION, tx.now)


def _whole_job(tx: Tx, row: JobRow, caller: Caller) -> Job:
    return labels.whole_job(tx, _jobs(tx, [row], caller)[0], row)


def _whole_table(tx: Tx, row: TableRow) -> Table:
    return labels.whole_table(tx, _tables(tx, [row])[0], row.table_id)


def _jobs(tx: Tx, rows: list[JobRow], caller: Caller) -> list[Job]:
    latest = [tx.one(_RunId, "jobs.latest_run", job_id=row.job_id) for row in rows]
    runs = {run.run_id: run for run in runs_of(tx, [item.run_id for item in latest if item], caller)}
    return [
        Job(
            job_name=row.name,
            namespace=row.namespace,
            created_at=moment(row.created_at),
            run_count=(tx.one(_Number, "jobs.run_count", job_id=row.job_id) or _Number(0)).n,
            latest_run=runs.get(item.run_id) if item else None,
            owner=row.owner,
            description=row.description,
        )
        for row, item in zip(rows, latest, strict=True)
    ]


def _tables(tx: Tx, rows: list[TableRow]) -> list[Table]:
    latest = {item.snapshot_id: item for item in snapshots_of(tx, [row.latest_id for row in rows if row.latest_id])}
    return [
        Table(
            table_name=row.name,
            namespace=row.namespace,
            created_at=moment(row.created_at),
            latest=latest.get(row.latest_id or ""),
            snapshot_count=row.snapshot_count,
            location=row.location,
            owner=row.owner,
            description=row.description,
            expected_freshness_s=row.expected_freshness_s,
            compatibility=row.compatibility,
        )
        for row in rows
    ]


def _kept(stated: T | UnsetType, present: T) -> T:
    return present if stated is UNSET else stated
