"""Lineage between snapshots by way of runs; data without a snapshot is its table.

Tables of one group are one place, but each keeps its snapshots: a snapshot is told by the name it was registered under.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from datlake_sdk.wire.models import GraphNode, RunState
from datlake_server.services.graph_levels import (
    ALL_ROWS,
    Degree,
    Drawing,
    Ids,
    Name,
    Neighbours,
    Reading,
    Taken,
    edge_between,
    id_of,
)
from datlake_server.services.graph_walk import Edge, Known, Node, Step, Way
from datlake_server.services.pairs import NOTHING
from datlake_server.services.presence import Life, state_of
from datlake_server.services.records import json_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from datlake_sdk.wire.models import GraphEdge
    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx

_STEPS: Final[dict[Way, str]] = {"upstream": "graph.run_steps_up", "downstream": "graph.run_steps_down"}


class _StepRow(Struct, frozen=True):
    at: int
    run: str
    table: int
    snapshot: str


class _PairRow(Struct, frozen=True):
    run: str
    source: int
    source_snapshot: str
    target: int
    target_snapshot: str


class _EdgeRow(Struct, frozen=True):
    at: int
    first_seen: int
    last_seen: int


class _SnapshotRow(Struct, frozen=True):
    snapshot_id: str
    table_id: int
    namespace: str
    name: str
    version: int | None = None
    run_id: str | None = None


class _RunRow(Struct, frozen=True):
    run_id: str
    namespace: str
    job_name: str
    state: RunState
    last_seen_at: int
    lost_after_us: int | None
    process: str | None


def place_node(table_id: int, snapshot_id: str) -> Node:
    """The node of a snapshot, or of a table where none is known."""
    return ("snapshot" if snapshot_id else "table"), table_id, snapshot_id


def run_node(run_id: str) -> Node:
    """The node of a run."""
    return "run", 0, run_id


class RunLevel:
    """Snapshots and runs; see `Level`."""

    def __init__(self, tx: Tx, as_of: datetime | None, caller: Caller) -> None:
        """Walks what was known at `as_of`, or all."""
        self._reading = Reading(tx, as_of)
        self._caller = caller

    @property
    def is_cut(self) -> bool:
        """As `Level`."""
        return self._reading.is_cut

    def steps(self, way: Way, near: Sequence[Node]) -> Iterator[Step]:
        """As `Steps`."""
        if not near:
            return
        ends = json_text([node[1:] for node in near])
        for row in self._reading.rows(_StepRow, _STEPS[way], ends=ends):
            yield near[row.at], ("run", 0, row.run), _place(row.table, row.snapshot)

    def ends(self, way: Way, vias: Sequence[Node]) -> Iterator[Edge]:
        """As `Steps`."""
        for source, run, target in self._pairs(vias) if vias else ():
            place, other = (source, target) if way == "upstream" else (target, source)
            if place is not None and other is None:
                yield run, place

    def links(self, way: Way, vias: Sequence[Node]) -> Iterator[Edge]:
        """None: between runs there is always data."""
        del way, vias
        return iter(())

    def among(self, nodes: Sequence[Node], ways: Sequence[Way]) -> Known:
        """As `Level`."""
        known = Known(ways)
        for step in self._pairs([node for node in nodes if node[0] == "run"]):
            known.add(*step)
        return known

    def draw(self, nodes: Sequence[Node], edges: Sequence[Edge], drawn: Collection[Edge]) -> Drawing:
        """As `Level`."""
        runs, places = _parted(nodes)
        around = Neighbours(nodes)
        ends = json_text([node[1:] for node in places])
        around.add(places, self._reading.all(Degree, "graph.place_degrees", ends=ends))
        around.add(runs, self._reading.all(Degree, "graph.run_degrees", runs=_ids(runs)))
        around.draw(drawn)
        told = self._runs(runs, around) | self._places(places, around)
        return Drawing([told[node] for node in nodes if node in told], self._edges(edges))

    def _edges(self, edges: Sequence[Edge]) -> list[GraphEdge]:
        keys = [_key(*edge) for edge in edges]
        ids = Ids()
        return [
            edge_between(
                ids[edges[row.at][0]], ids[edges[row.at][1]], Taken(row.first_seen, row.last_seen, 1, keys[row.at][2])
            )
            for row in self._reading.all(_EdgeRow, "graph.run_edges", edges=json_text(keys))
        ]

    def _pairs(self, runs: Sequence[Node]) -> Iterator[tuple[Node | None, Node, Node | None]]:
        for row in self._reading.rows(_PairRow, "graph.pairs_of_runs", ALL_ROWS, runs=_ids(runs)):
            run = run_node(row.run)
            yield _place(row.source, row.source_snapshot), run, _place(row.target, row.target_snapshot)

    def _runs(self, runs: Sequence[Node], around: Neighbours) -> dict[Node, GraphNode]:
        tx = self._reading.tx
        found: dict[Node, GraphNode] = {}
        for row in tx.rows(_RunRow, "graph.runs", ids=_ids(runs)):
            node = run_node(row.run_id)
            life = Life(
                state=row.state, last_seen_at=row.last_seen_at, lost_after_us=row.lost_after_us, process=row.process
            )
            hidden = around.hidden(node)
            found[node] = GraphNode(
                id=id_of(node),
                kind="run",
                namespace=row.namespace,
                name=row.job_name,
                run_id=row.run_id,
                state=state_of(tx, life, self._caller),
                hidden_upstream=hidden[0],
                hidden_downstream=hidden[1],
            )
        return found

    def _places(self, places: Sequence[Node], around: Neighbours) -> dict[Node, GraphNode]:
        tx = self._reading.tx
        rows = tx.rows(_SnapshotRow, "graph.snapshots", ids=_ids(places))
        known = {place_node(row.table_id, row.snapshot_id): row for row in rows}
        # A run may name a snapshot that is not registered yet, or as one of another table: its table is known all the
        # same.
        rest = [node for node in places if node not in known]
        tables = json_text(sorted({node[1] for node in rest}))
        named = {row.number: row for row in tx.rows(Name, "graph.tables", ids=tables)}
        for node in rest:
            if (table := named.get(node[1])) is not None:
                known[node] = _SnapshotRow(node[2], table.number, table.namespace, table.name)
        return {node: _told(node, known[node], around.hidden(node)) for node in places if node in known}


def _parted(nodes: Iterable[Node]) -> tuple[list[Node], list[Node]]:
    """Runs, and places."""
    runs: list[Node] = []
    places: list[Node] = []
    for node in nodes:
        (runs if node[0] == "run" else places).append(node)
    return runs, places


def _told(node: Node, row: _SnapshotRow, hidden: tuple[int, int]) -> GraphNode:
    return GraphNode(
        id=id_of(node),
        kind="snapshot" if node[2] else "table",
        namespace=row.namespace,
        name=row.name,
        version=row.version,
        run_id=row.run_id,
        snapshot_id=node[2] or None,
        hidden_upstream=hidden[0],
        hidden_downstream=hidden[1],
    )


def _key(source: Node, target: Node) -> tuple[int, str, str, int]:
    if source[0] == "run":
        return target[1], target[2], source[2], 0
    return source[1], source[2], target[2], 1


def _place(table: int, snapshot: str) -> Node | None:
    return None if table == NOTHING else place_node(table, snapshot)


def _ids(nodes: Iterable[Node]) -> str:
    return json_text([name for _, _, name in nodes if name])
