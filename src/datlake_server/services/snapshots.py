"""Snapshots of tables: how the next version is registered, and which one a reader gets.

`version` is the order of acceptance. The latest is the one created last (client time, capped at arrival; ties by id),
so a write that is delivered late never rolls a table back.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from datlake_sdk.errors import Conflict, InvalidRequest, NotFound
from datlake_sdk.wire.ids import derived_id, is_uuid, new_id
from datlake_sdk.wire.models import Snapshot
from datlake_sdk.wire.operations import (
    GetSnapshot,
    GetTableSnapshot,
    LatestSnapshot,
    ListSnapshots,
    RegisterSnapshot,
)
from datlake_sdk.wire.times import micros, moment
from datlake_server.services import lineage
from datlake_server.services.lineage import Place, TableRow, snapshot_row, table_row
from datlake_server.services.pages import END_OF_TIME, number_after, page
from datlake_server.services.records import RunRow, SnapshotRow, json_text, snapshot_of
from datlake_server.services.registry import handles
from datlake_server.services.schemas import fields_of
from datlake_server.services.stubs import at_most_now, ensured_run

if TYPE_CHECKING:
    from datlake_sdk.wire.models import Page
    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx


class _Id(msgspec.Struct, frozen=True):
    snapshot_id: str


class _Version(msgspec.Struct, frozen=True):
    snapshot_id: str
    version: int


@handles(RegisterSnapshot)
def register_snapshot(tx: Tx, op: RegisterSnapshot, caller: Caller) -> Snapshot:
    """The next version of the table, or the snapshot that this very registration already made."""
    if op.run_id is not None and op.job_name is None and tx.one(RunRow, "runs.get", run_id=op.run_id.lower()) is None:
        message = f"run {op.run_id} is not known; name its job as `job_name`"
        raise InvalidRequest(message, code="job_missing", run_id=op.run_id)
    derived = derived_id("snapshot", op.namespace, op.table_name, caller.key) if caller.key else None
    snapshot_id = op.snapshot_id or derived
    return register(tx, op, snapshot_id, at_most_now(tx, op.created_at))


def register(tx: Tx, op: RegisterSnapshot, snapshot_id: str | None, at: int) -> Snapshot:
    """Registers `op` under `snapshot_id`; without one the same (table, URI, run, content) is the same snapshot."""
    fingerprint = _fingerprint(op)
    table = table_row(tx, op.namespace, op.table_name)
    known = _known(tx, op, table, snapshot_id, fingerprint)
    if known is not None:
        return snapshot_of(known)
    latest = None if table.latest_id is None else snapshot_row(tx, table.latest_id)
    _expect(op, latest)
    if latest is not None and op.expected_version is not None:
        at = max(at, latest.created_at + 1)  # it was made knowing the latest, whatever its host's clock says
    new = (snapshot_id or new_id()).lower()
    row = _insert(tx, op, table, snapshot_id=new, fingerprint=fingerprint, at=at, latest=latest)
    _record_output(tx, op, row, at)
    return snapshot_of(row)


@handles(LatestSnapshot)
def latest_snapshot(tx: Tx, op: LatestSnapshot, caller: Caller) -> Snapshot:
    """The snapshot that readers get, now or as of a moment."""
    table = known_table(tx, op.namespace, op.table_name)
    newest = table.latest_id
    if op.as_of is not None:
        found = tx.one(_Id, "snapshots.as_of", table_id=table.table_id, as_of=micros(op.as_of))
        newest = found.snapshot_id if found else None
    if newest is None:
        raise NotFound(_why_none(tx, op, table), code="snapshot_not_found")
    return snapshot_of(snapshot_row(tx, newest))


@handles(GetTableSnapshot)
def get_table_snapshot(tx: Tx, op: GetTableSnapshot, caller: Caller) -> Snapshot:
    """A snapshot of the table by its version, its id, or as the `latest`."""
    if op.version == "latest":  # the address that this operation and the other would share
        return latest_snapshot(tx, LatestSnapshot(namespace=op.namespace, table_name=op.table_name), caller)
    table = known_table(tx, op.namespace, op.table_name)
    row = _by_version(tx, table, op.version)
    if row is None or row.table_id != table.table_id:
        message = (
            f"table {op.table_name!r} has no version {op.version}; it has {table.snapshot_count} "
            f"({'1 to ' + str(table.snapshot_count) if table.snapshot_count else 'none'})"
        )
        raise NotFound(message, code="snapshot_not_found")
    return snapshot_of(row)


@handles(GetSnapshot)
def get_snapshot(tx: Tx, op: GetSnapshot, caller: Caller) -> Snapshot:
    """The snapshot of that id."""
    row = snapshot_row(tx, op.snapshot_id)
    if row.namespace != op.namespace:
        message = f"there is no snapshot {op.snapshot_id} in namespace {op.namespace!r}"
        raise NotFound(message, code="snapshot_not_found")
    return snapshot_of(row)


@handles(ListSnapshots)
def list_snapshots(tx: Tx, op: ListSnapshots, caller: Caller) -> Page[Snapshot]:
    """The table's history, the highest version first."""
    table = known_table(tx, op.namespace, op.table_name)
    before = number_after(op.cursor, END_OF_TIME)
    versions = tx.all(_Version, "snapshots.page", table_id=table.table_id, before=before, limit=op.limit)
    last = versions[-1].version if versions else 0
    return page(snapshots_of(tx, [item.snapshot_id for item in versions]), op.limit, (last,))


def snapshots_of(tx: Tx, snapshot_ids: list[str]) -> list[Snapshot]:
    """The snapshots of these ids in the order given."""
    rows = tx.all(SnapshotRow, "snapshots.many", snapshot_ids=json_text(snapshot_ids))
    found = {row.snapshot_id: snapshot_of(row) for row in rows}
    return [found[key] for key in snapshot_ids if key in found]


def known_table(tx: Tx, namespace: str, name: str) -> TableRow:
    """The table of that name. Raises `NotFound`."""
    row = tx.one(TableRow, "tables.get", namespace=namespace, name=name)
    if row is None:
        message = f"there is no table {name!r} in namespace {namespace!r}; `datlake tables` lists those there are"
        raise NotFound(message, code="table_not_found")
    return row


def _why_none(tx: Tx, op: LatestSnapshot, table: TableRow) -> str:
    first = tx.one(_Id, "snapshots.first", table_id=table.table_id)
    if op.as_of is None or first is None:
        return f"table {op.table_name!r} has no snapshot; register one with `register_snapshot`"
    since = moment(snapshot_row(tx, first.snapshot_id).created_at).isoformat()
    return f"table {op.table_name!r} has no snapshot as of {op.as_of.isoformat()}; its first is of {since}"


def _known(
    tx: Tx, op: RegisterSnapshot, table: TableRow, snapshot_id: str | None, fingerprint: str
) -> SnapshotRow | None:
    if snapshot_id is None:
        run_id = op.run_id.lower() if op.run_id else None
        same = tx.one(
            _Id, "snapshots.same", uri=op.uri, table_id=table.table_id, run_id=run_id, fingerprint=fingerprint
        )
        return snapshot_row(tx, same.snapshot_id) if same else None
    row = tx.one(SnapshotRow, "snapshots.get", snapshot_id=snapshot_id.lower())
    if row is not None and (row.fingerprint != fingerprint or row.table_id != table.table_id):
        message = f"snapshot {snapshot_id} is already registered with other content; use a new snapshot_id"
        raise InvalidRequest(message, code="snapshot_id_reused")
    return row


def _expect(op: RegisterSnapshot, latest: SnapshotRow | None) -> None:
    current = 0 if latest is None else latest.version
    if op.expected_version is not None and op.expected_version != current:
        message = (
            f"table {op.table_name!r} is at version {current}, not at {op.expected_version} as expected; "
            "read the latest again and register on top of it"
        )
        raise Conflict(message, code="version_conflict", current_version=current, run_id=op.run_id)


def _insert(
    tx: Tx,
    op: RegisterSnapshot,
    table: TableRow,
    *,
    snapshot_id: str,
    fingerprint: str,
    at: int,
    latest: SnapshotRow | None,
) -> SnapshotRow:
    late = latest is not None and (at, snapshot_id) < (latest.created_at, latest.snapshot_id)
    version = table.snapshot_count + 1
    tx.do(
        "snapshots.insert",
        snapshot_id=snapshot_id,
        table_id=table.table_id,
        version=version,
        uri=op.uri,
        format=op.format,
        schema=json_text(op.schema),
        fields=json_text(fields_of(op.schema)),
        created_at=at,
        now=tx.now,
        run_id=op.run_id.lower() if op.run_id else None,
        job_name=op.job_name,
        row_count=op.row_count,
        size_bytes=op.size_bytes,
        metadata=json_text(op.metadata),
        column_lineage=json_text(op.column_lineage),
        fingerprint=fingerprint,
        late=int(late),
    )
    newest = table.latest_id if late else snapshot_id
    tx.do("tables.moved", table_id=table.table_id, latest_id=newest, version=version)
    return snapshot_row(tx, snapshot_id)


def _record_output(tx: Tx, op: RegisterSnapshot, row: SnapshotRow, at: int) -> None:
    if op.run_id is None:
        return
    known = tx.one(RunRow, "runs.get", run_id=op.run_id.lower())
    job_name = op.job_name or (known.job_name if known else "")
    run = ensured_run(tx, op.namespace, job_name, op.run_id, tx.now)  # data may be older than the run that tells of it
    place = Place(row.table_id, row.snapshot_id, row.uri)
    if op.inputs is None:
        lineage.record(tx, run, "output", [place], at)
    else:
        inputs = [lineage.place_of(tx, item, op.namespace, "input") for item in op.inputs]
        lineage.record_stated(tx, run, place, inputs, at)


def _by_version(tx: Tx, table: TableRow, version: str) -> SnapshotRow | None:
    if is_uuid(version):
        return tx.one(SnapshotRow, "snapshots.get", snapshot_id=version.lower())
    if not (version.isascii() and version.isdigit() and len(version) <= 18):
        return None
    found = tx.one(_Id, "snapshots.of_version", table_id=table.table_id, version=int(version))
    return None if found is None else snapshot_row(tx, found.snapshot_id)


def _fingerprint(op: RegisterSnapshot) -> str:
    content = (op.namespace, op.table_name, op.uri, op.format, op.schema, op.row_count, op.size_bytes, op.inputs)
    return sha256(
        msgspec.json.encode((*content, op.column_lineage, op.metadata, op.run_id), order="sorted")
    ).hexdigest()
