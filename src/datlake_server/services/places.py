"""Where an input or output points: the snapshot it names, else the newest as of its moment, else a table or bare URI.

What names no snapshot is loose: it is kept as it was told, and where it points follows from the snapshots that are
known, so that it is the same whatever came first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from datlake_sdk.errors import NotFound
from datlake_sdk.lineage.naming import dataset_name, uri_of
from datlake_server.services import aliases
from datlake_server.services.records import RunRow, SnapshotRow, TableRow

if TYPE_CHECKING:
    from datlake_sdk.wire.models import DataRef
    from datlake_server.store.base import Tx, Value

Role = Literal["input", "output"]


class Place(Struct, frozen=True):
    """A table, and its snapshot where one is known (else empty)."""

    table_id: int
    snapshot_id: str = ""


class Told(Struct, frozen=True, kw_only=True):
    """An input or output as it was told, and where it points; as an input also how its snapshot was known."""

    place: Place
    uri: str | None = None
    pinned: bool = True
    named: int = 0  # the table it names
    namespace: str = ""  # where its URI is looked up where it names no table
    stale: bool = False
    age_s: float | None = None
    deferred: bool = False
    of_others: bool = False  # what its own run wrote is not meant


class Loose(Struct, frozen=True, kw_only=True):
    """What was told without naming a snapshot, or as an input of `output` alone, as it is stored."""

    run_id: str
    role: Role
    uri: str
    named: int
    namespace: str
    pinned: str = ""
    output: str = ""
    at: int
    table_id: int = 0
    snapshot_id: str = ""
    of_others: int = 0


def table_row(tx: Tx, namespace: str, name: str) -> TableRow:
    """The table of that name, made if it is not known yet."""
    row = tx.one(TableRow, "tables.get", namespace=namespace, name=name)
    if row is None:
        tx.do("tables.insert", namespace=namespace, name=name, now=tx.now, location=uri_of(namespace, name))
        row = tx.one(TableRow, "tables.get", namespace=namespace, name=name)
        assert row is not None  # inserted in this very transaction  # noqa: S101
        aliases.joined(tx, row)
    return row


def drop_unused(tx: Tx, table_id: int) -> None:
    """The table is gone, where nothing is known of it any more."""
    if tx.do("tables.drop_unused", table_id=table_id):
        aliases.left(tx, table_id)


def snapshot_row(tx: Tx, snapshot_id: str) -> SnapshotRow:
    """The snapshot of that id. Raises `NotFound`."""
    row = tx.one(SnapshotRow, "snapshots.get", snapshot_id=snapshot_id.lower())
    if row is None:
        message = f"there is no snapshot {snapshot_id}; `datlake table NAME` lists a table's snapshots"
        raise NotFound(message, code="snapshot_not_found")
    return row


def told(tx: Tx, run: RunRow, role: Role, item: DataRef, at: int) -> Told:
    """What `item` says was read or written at that moment. Raises `NotFound` where it names nothing that is known."""
    scope = item.namespace or run.namespace
    if item.snapshot_id is not None:
        return _pinned(tx, item, item.snapshot_id.lower(), scope, role)
    if item.table_name is None and item.uri is None:
        raise NotFound("an input or output names no table, no snapshot and no URI; give one of them", status=422)
    named = 0 if item.table_name is None else table_row(tx, scope, item.table_name).table_id
    namespace = "" if named else scope
    loose = Loose(run_id=run.run_id, role=role, uri=item.uri or "", named=named, namespace=namespace, at=at)
    return Told(place=pointed_at(tx, loose), uri=item.uri, pinned=False, named=named, namespace=namespace)


def pointed_at(tx: Tx, loose: Loose) -> Place:
    """Where it points, of all that is known now."""
    found: Place | None = None
    if loose.uri:
        asked: dict[str, Value] = {
            "uri": loose.uri,
            "named": loose.named,
            "namespace": loose.namespace,
            "as_of": loose.at,
        }
        if loose.role == "output":  # it means what the run itself registered, also where another has written since
            found = tx.one(Place, "snapshots.own_of_uri", run_id=loose.run_id, **asked)
        found = found or tx.one(Place, "snapshots.of_uri", **asked)
    elif loose.of_others:
        found = tx.one(Place, "lineage.as_of_others", table_id=loose.named, as_of=loose.at, run_id=loose.run_id)
    elif loose.role == "input":
        found = tx.one(Place, "snapshots.as_of", table_id=loose.named, as_of=loose.at)
    if found is not None:
        return found
    return Place(loose.named or table_row(tx, *dataset_name(loose.uri)).table_id)


def _pinned(tx: Tx, item: DataRef, snapshot_id: str, namespace: str, role: Role) -> Told:
    how = (item.stale, item.age_s, item.deferred) if role == "input" else (False, None, False)
    place = Place(_table_of(tx, item, snapshot_id, namespace), snapshot_id)
    return Told(place=place, uri=item.uri, stale=how[0], age_s=how[1], deferred=how[2])


def _table_of(tx: Tx, item: DataRef, snapshot_id: str, namespace: str) -> int:
    # The snapshot may arrive later than the run that read it: the table that is named is known, the id waits for it.
    if item.table_name is not None:
        return table_row(tx, namespace, item.table_name).table_id
    known = tx.one(SnapshotRow, "snapshots.get", snapshot_id=snapshot_id)
    if known is not None and known.namespace == namespace:
        return known.table_id
    message = f"there is no snapshot {snapshot_id} in namespace {namespace!r}; name its table as well, or register it"
    raise NotFound(message, code="snapshot_not_found")
