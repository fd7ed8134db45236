"""What a graph is around: the level that is walked, and where the walk begins. Roots are named by their parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire.operations import GetSnapshot, GetTableSnapshot, LatestSnapshot
from datlake_sdk.wire.times import micros
from datlake_server.services.graph_columns import ColumnLevel
from datlake_server.services.graph_runs import RunLevel, place_node, run_node
from datlake_server.services.graph_tables import TableLevel, job_node, table_node
from datlake_server.services.graph_walk import Start
from datlake_server.services.pages import END_OF_TIME
from datlake_server.services.places import snapshot_row
from datlake_server.services.records import run_row
from datlake_server.services.snapshots import get_snapshot, get_table_snapshot, known_table, latest_snapshot
from datlake_server.services.stubs import job_row

if TYPE_CHECKING:
    from datlake_sdk.wire.models import GraphLevel
    from datlake_sdk.wire.operations import Lineage
    from datlake_server.caller import Caller
    from datlake_server.services.graph_levels import Level
    from datlake_server.services.graph_walk import Node
    from datlake_server.services.records import SnapshotRow
    from datlake_server.store.base import Tx

_LEVEL_OF_KIND: Final[dict[str, GraphLevel]] = {
    "run": "run",
    "snapshot": "run",
    "table": "table",
    "job": "table",
    "column": "column",
}


class _Group(Struct, frozen=True):
    group_id: int


class _Snapshot(Struct, frozen=True):
    snapshot_id: str


def root_of(tx: Tx, op: Lineage, caller: Caller) -> tuple[Level, Start]:
    """The level that the question is about, and its root. Raises `NotFound` and `InvalidRequest`."""
    level = op.level or _LEVEL_OF_KIND[op.kind]
    if level == "column":
        columns = ColumnLevel(tx, op.as_of)
        return columns, _column_root(tx, op, columns)
    if level == "run":
        return RunLevel(tx, op.as_of, caller), Start([_run_root(tx, op, caller)])
    return TableLevel(tx, op.as_of), Start([_table_root(tx, op, caller)])


def stands_for(tx: Tx, table_id: int) -> int:
    """The table that stands for all that are the same as this one, which may be itself."""
    found = tx.rows(_Group, "graph.group_of", table_id=table_id)
    return found[0].group_id if found else table_id


def _table_root(tx: Tx, op: Lineage, caller: Caller) -> Node:
    if op.kind == "job":
        return job_node(job_row(tx, op.namespace, _stated(op.name, "name", op)).job_id)
    if op.kind == "run":
        return job_node(run_row(tx, _stated(op.run_id, "run_id", op), op.namespace).job_id)
    if op.kind == "snapshot":
        return table_node(stands_for(tx, _snapshot(tx, op, caller).table_id))
    return table_node(_table(tx, op))


def _run_root(tx: Tx, op: Lineage, caller: Caller) -> Node:
    if op.kind == "job":
        raise InvalidRequest("a job has no place among runs and snapshots; ask with level=table, or for one run")
    if op.kind == "run":
        return run_node(run_row(tx, _stated(op.run_id, "run_id", op), op.namespace).run_id)
    if op.kind == "snapshot":
        row = _snapshot(tx, op, caller)
        return place_node(stands_for(tx, row.table_id), row.snapshot_id)
    return place_node(_table(tx, op), _snapshot_of_table(tx, op, caller))


def _column_root(tx: Tx, op: Lineage, columns: ColumnLevel) -> Start:
    if op.kind not in {"column", "table"}:
        raise InvalidRequest(f"a {op.kind} has no columns; ask with kind=column, or with kind=table for all of a table")
    table_id = _table(tx, op)
    if op.kind == "table":
        return columns.all_of(table_id)
    return columns.one_of(table_id, _stated(op.name, "name", op), _stated(op.field, "field", op))


def _table(tx: Tx, op: Lineage) -> int:
    return stands_for(tx, known_table(tx, op.namespace, _stated(op.name, "name", op)).table_id)


def _snapshot_of_table(tx: Tx, op: Lineage, caller: Caller) -> str:
    """The version that is named, else the newest of all that are the same table. Raises `NotFound`."""
    name = _stated(op.name, "name", op)
    if op.version is not None:
        asked = GetTableSnapshot(namespace=op.namespace, table_name=name, version=str(op.version))
        return get_table_snapshot(tx, asked, caller).snapshot_id
    as_of = END_OF_TIME if op.as_of is None else micros(op.as_of)
    newest = tx.rows(_Snapshot, "graph.newest", table_id=_table(tx, op), as_of=as_of)
    if newest:
        return newest[0].snapshot_id
    latest = LatestSnapshot(namespace=op.namespace, table_name=name, as_of=op.as_of)
    return latest_snapshot(tx, latest, caller).snapshot_id


def _snapshot(tx: Tx, op: Lineage, caller: Caller) -> SnapshotRow:
    asked = GetSnapshot(namespace=op.namespace, snapshot_id=_stated(op.snapshot_id, "snapshot_id", op))
    return snapshot_row(tx, get_snapshot(tx, asked, caller).snapshot_id)


def _stated(value: str | None, field: str, op: Lineage) -> str:
    if value is None:
        raise InvalidRequest(f"the root of a lineage graph of kind {op.kind!r} is named by `{field}`; give it")
    return value
