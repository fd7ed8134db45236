"""Snapshots of tables, and which of them a reader gets.

The latest is the one created last (client time, capped at arrival; ties by id), so a write that is delivered late never
rolls a table back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from datlake_sdk.errors import NotFound
from datlake_sdk.wire.ids import derived_id, is_uuid
from datlake_sdk.wire.models import Snapshot
from datlake_sdk.wire.operations import (
    GetSnapshot,
    GetTableSnapshot,
    LatestSnapshot,
    ListSnapshots,
    RegisterSnapshot,
)
from datlake_sdk.wire.times import micros, moment
from datlake_server.services import aliases
from datlake_server.services.pages import END_OF_TIME, number_after, page
from datlake_server.services.places import snapshot_row
from datlake_server.services.records import SnapshotRow, TableRow, json_text, snapshot_of
from datlake_server.services.registering import register
from datlake_server.services.registry import handles

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
    derived = derived_id("snapshot", op.namespace, op.table_name, caller.key) if caller.key else None
    return snapshot_of(register(tx, op, op.snapshot_id or derived))


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
    """A snapshot of the table by its version, its id, what its store calls it, or as the `latest`."""
    if op.version == "latest":  # the address that this operation and the other would share
        return latest_snapshot(tx, LatestSnapshot(namespace=op.namespace, table_name=op.table_name), caller)
    table = known_table(tx, op.namespace, op.table_name)
    row = _by_version(tx, table, op.version)
    if row is None:
        message = (
            f"table {op.table_name!r} has no version {op.version}; it has {table.snapshot_count} "
            f"({'1 to ' + str(table.snapshot_count) if table.snapshot_count else 'none'})"
        )
        raise NotFound(message, code="snapshot_not_found")
    return snapshot_of(row)


@handles(GetSnapshot)
def get_snapshot(tx: Tx, op: GetSnapshot, caller: Caller) -> Snapshot:
    """The snapshot of that id, or that its table's store calls so."""
    row = tx.one(SnapshotRow, "snapshots.get", snapshot_id=op.snapshot_id.lower())
    if row is None or row.namespace != op.namespace:
        row = _called(tx, op.namespace, op.snapshot_id)
    if row is None:
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
    """The table of that name, or that is also known by it. Raises `NotFound`."""
    row = aliases.named(tx, namespace, name)
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


def _by_version(tx: Tx, table: TableRow, version: str) -> SnapshotRow | None:
    if is_uuid(version):
        row = tx.one(SnapshotRow, "snapshots.get", snapshot_id=version.lower())
        if row is not None and row.table_id == table.table_id:
            return row
    found: _Id | None = None
    if version.isascii() and version.isdigit() and len(version) <= 18:
        found = tx.one(_Id, "snapshots.of_version", table_id=table.table_id, version=int(version))
    found = found or tx.one(_Id, "snapshots.of_store_version", table_id=table.table_id, version=version)
    return None if found is None else snapshot_row(tx, found.snapshot_id)


def _called(tx: Tx, namespace: str, version: str) -> SnapshotRow | None:
    """The one snapshot of the namespace whose store calls it so. Raises `NotFound` where it is not one."""
    found = tx.all(_Id, "snapshots.called", namespace=namespace, version=version)
    if len(found) > 1:
        message = f"more than one snapshot of namespace {namespace!r} is called {version}; name the table as well"
        raise NotFound(message, code="snapshot_not_found")
    return snapshot_row(tx, found[0].snapshot_id) if found else None
