"""Walks lineage: what feeds a thing, and what it feeds.

Both levels are the same walk over steps (source, via, target): tables via jobs, or snapshots via runs. A step follows a
pair that was recorded, so a job that reads other things in other runs joins nothing that never met. One join for two
edges of depth, with a set of what was seen; a cycle ends by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire.models import Graph, GraphEdge
from datlake_sdk.wire.operations import GetSnapshot, GetTableSnapshot, LatestSnapshot, Lineage
from datlake_sdk.wire.times import moment
from datlake_server.services.graph_levels import Level, RunLevel, Step, TableLevel, no_place
from datlake_server.services.places import snapshot_row
from datlake_server.services.records import run_row
from datlake_server.services.registry import handles
from datlake_server.services.snapshots import get_snapshot, get_table_snapshot, known_table, latest_snapshot
from datlake_server.services.stubs import job_row

if TYPE_CHECKING:
    from datlake_sdk.wire.models import Direction, GraphNode
    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx

_KIND_OF_LEVEL: Final = {"run": "run", "snapshot": "run", "table": "table", "job": "table"}


@handles(Lineage)
def lineage(tx: Tx, op: Lineage, caller: Caller) -> Graph:
    """The graph around the named root."""
    level_name = op.level or _KIND_OF_LEVEL[op.kind]
    level: Level = TableLevel(tx, op.as_of) if level_name == "table" else RunLevel(tx, op.as_of, caller)
    walk = Walk(level, op.max_nodes)
    via, place = _root(tx, op, level_name, caller)
    root = walk.begin_via(via) if via is not None else walk.begin_place(place)
    for direction in ("upstream", "downstream") if op.direction == "both" else (op.direction,):
        walk.follow(direction, via, place, op.depth)
    return walk.graph(root)


class Walk:
    """What a walk has seen: places and vias (each with its node's id), and the edges drawn between them."""

    def __init__(self, level: Level, max_nodes: int) -> None:
        """Begins with nothing seen; stops taking nodes at `max_nodes`."""
        self._level = level
        self._max_nodes = max_nodes
        self._places: set[str] = set()
        self._vias: set[str] = set()
        self._edges: set[tuple[str, str, str]] = set()  # (place, via, "in" | "out"): place → via, or via → place
        self._truncated = False

    def begin_via(self, via: str) -> str:
        """Puts a job or run at the root; answers the node's id."""
        self._vias.add(via)
        return self._level.via_id(via)

    def begin_place(self, place: str) -> str:
        """Puts a table or snapshot at the root; answers the node's id."""
        self._places.add(place)
        return self._level.place_id(place)

    def follow(self, direction: Direction, via: str | None, place: str, depth: int) -> None:
        """Walks `depth` edges from the root in one direction."""
        reached = {place}
        if via is not None:
            steps = self._level.steps_of_via(via)
            reached = self._draw_ends(direction, steps)
            depth -= 1
        walked = set(reached)
        while reached and depth > 0:
            reached = self._advance(direction, reached, depth) - walked
            walked |= reached
            depth -= 2

    def graph(self, root: str) -> Graph:
        """Everything seen, with what is hidden around it counted."""
        halves = self._level.halves(self._places, self._vias)
        edges: list[GraphEdge] = []
        hidden: dict[tuple[str, str], int] = {}
        for half in halves:
            key = (half.place, half.via, half.role)
            if key in self._edges:
                edges.append(self._edge(key, half.first_seen, half.last_seen, half.run_count, half.last_run_id))
            else:
                for node, side in self._ends(key):
                    hidden[node, side] = hidden.get((node, side), 0) + 1
        nodes = [*self._level.places(self._places, hidden), *self._level.vias(self._vias, hidden)]
        return Graph(root=root, nodes=_sorted(nodes), edges=edges, truncated=self._truncated or self._level.is_cut)

    def _advance(self, direction: Direction, reached: set[str], depth: int) -> set[str]:
        further: set[str] = set()
        for step in self._level.steps(direction, reached):
            near, far = (step.target, step.source) if direction == "upstream" else (step.source, step.target)
            if not self._take(self._vias, step.via):
                continue
            self._edges.add((near, step.via, "out" if direction == "upstream" else "in"))
            if depth > 1 and not no_place(far) and self._take(self._places, far):
                self._edges.add((far, step.via, "in" if direction == "upstream" else "out"))
                further.add(far)
        return further

    def _draw_ends(self, direction: Direction, steps: list[Step]) -> set[str]:
        found: set[str] = set()
        for step in steps:
            place, role = (step.source, "in") if direction == "upstream" else (step.target, "out")
            if not no_place(place) and self._take(self._places, place):
                self._edges.add((place, step.via, role))
                found.add(place)
        return found

    def _take(self, seen: set[str], key: str) -> bool:
        if key in seen:
            return True
        if len(self._places) + len(self._vias) >= self._max_nodes:
            self._truncated = True
            return False
        seen.add(key)
        return True

    def _edge(
        self, key: tuple[str, str, str], first_seen: int, last_seen: int, run_count: int, last_run_id: str
    ) -> GraphEdge:
        place, via = self._level.place_id(key[0]), self._level.via_id(key[1])
        source, target = (place, via) if key[2] == "in" else (via, place)
        return GraphEdge(
            source=source,
            target=target,
            first_seen=moment(first_seen),
            last_seen=moment(last_seen),
            count=run_count,
            last_run_id=last_run_id,
        )

    def _ends(self, key: tuple[str, str, str]) -> list[tuple[str, str]]:
        place, via, role = key
        ends: list[tuple[str, str]] = []
        if place in self._places:
            ends.append((self._level.place_id(place), "down" if role == "in" else "up"))
        if via in self._vias:
            ends.append((self._level.via_id(via), "up" if role == "in" else "down"))
        return ends


def _root(tx: Tx, op: Lineage, level: str, caller: Caller) -> tuple[str | None, str]:
    """The root as (via, "") for a job or run, or (null, place) for a table or snapshot."""
    if op.kind == "job":
        if level == "run":
            raise InvalidRequest("a job has no place among runs and snapshots; ask with level=table, or for one run")
        return str(job_row(tx, op.namespace, _stated(op.name, "name", op)).job_id), ""
    if op.kind == "run":
        run = run_row(tx, _stated(op.run_id, "run_id", op), op.namespace)
        return (run.run_id if level == "run" else str(run.job_id)), ""
    if op.kind == "snapshot":
        asked = GetSnapshot(namespace=op.namespace, snapshot_id=_stated(op.snapshot_id, "snapshot_id", op))
        snapshot = snapshot_row(tx, get_snapshot(tx, asked, caller).snapshot_id)
        return None, _place(snapshot.table_id, snapshot.snapshot_id, level)
    return None, _table_root(tx, op, level, caller)


def _table_root(tx: Tx, op: Lineage, level: str, caller: Caller) -> str:
    name = _stated(op.name, "name", op)
    table = known_table(tx, op.namespace, name)
    if level == "table":
        return _place(table.table_id, "", level)
    if op.version is not None:
        asked = GetTableSnapshot(namespace=op.namespace, table_name=name, version=str(op.version))
        return _place(table.table_id, get_table_snapshot(tx, asked, caller).snapshot_id, level)
    newest = latest_snapshot(tx, LatestSnapshot(namespace=op.namespace, table_name=name, as_of=op.as_of), caller)
    return _place(table.table_id, newest.snapshot_id, level)


def _place(table_id: int, snapshot_id: str, level: str) -> str:
    return str(table_id) if level == "table" else f"{table_id}/{snapshot_id}"


def _stated(value: str | None, field: str, op: Lineage) -> str:
    if value is None:
        raise InvalidRequest(f"the root of a lineage graph of kind {op.kind!r} is named by `{field}`; give it")
    return value


def _sorted(nodes: list[GraphNode]) -> list[GraphNode]:
    return sorted(nodes, key=lambda node: (node.kind, node.namespace, node.name, node.version or 0, node.id))
