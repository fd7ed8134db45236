"""Lineage between tables by way of jobs, over all their runs.

Jobs may feed each other without data between them, and tables without a job. Tables of one group are one node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from datlake_sdk.wire.models import GraphNode
from datlake_server.services.graph_levels import (
    ALL_ROWS,
    FIRST_ROWS,
    Degree,
    Drawing,
    Ids,
    Name,
    Neighbours,
    Reading,
    Taken,
    edge_between,
    joined,
)
from datlake_server.services.graph_walk import Edge, Known, Node, Step, Way
from datlake_server.services.pairs import NOTHING, RUN_HUB
from datlake_server.services.records import json_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from datlake_sdk.wire.models import GraphEdge
    from datlake_server.store.base import Tx

NO_JOB: Final = 0
# Where jobs read and write more than this for each edge that is drawn, only those edges are read.
HALVES_PER_EDGE: Final = 8
_STEPS: Final[dict[Way, str]] = {"upstream": "graph.table_steps_up", "downstream": "graph.table_steps_down"}
_ENDS: Final[dict[Way, str]] = {"upstream": "graph.job_ends_up", "downstream": "graph.job_ends_down"}
_LINKS: Final[dict[Way, str]] = {"upstream": "graph.links_up", "downstream": "graph.links_down"}


class _EdgeRow(Taken, frozen=True):
    source: int
    target: int


class _Half(Taken, frozen=True, gc=False):
    """A row of an edge between a table and a job; `member` is the table of the group that it is stored of."""

    table: int
    job: int
    is_read: int
    member: int


class _Flag(Struct, frozen=True):
    is_set: int


def table_node(table_id: int) -> Node:
    """The node of a table that stands for itself and its group."""
    return "table", table_id, ""


def job_node(job_id: int) -> Node:
    """The node of a job."""
    return "job", job_id, ""


class TableLevel:
    """Tables and jobs; see `Level`."""

    def __init__(self, tx: Tx, as_of: datetime | None) -> None:
        """Walks what was known at `as_of`, or all."""
        self._reading = Reading(tx, as_of)
        self._ids = Ids()
        [has_links] = tx.rows(_Flag, "graph.has_links")
        self._has_links = bool(has_links.is_set)

    @property
    def is_cut(self) -> bool:
        """As `Level`."""
        return self._reading.is_cut

    def steps(self, way: Way, near: Sequence[Node]) -> Iterable[Step]:
        """As `Steps`."""
        return self._reading.rows(_step, _STEPS[way], ends=_numbers(near)) if near else ()

    def ends(self, way: Way, vias: Sequence[Node]) -> Iterable[Edge]:
        """As `Steps`."""
        return self._reading.rows(_end, _ENDS[way], jobs=_numbers(vias)) if vias else ()

    def links(self, way: Way, vias: Sequence[Node]) -> Iterable[Edge]:
        """As `Steps`."""
        return self._reading.rows(_link, _LINKS[way], jobs=_numbers(vias)) if vias and self._has_links else ()

    def among(self, nodes: Sequence[Node], ways: Sequence[Way]) -> Known:
        """As `Level`."""
        known = Known(ways)
        jobs = [node for node in nodes if node[0] == "job"]
        for source, job, target in self._reading.rows(_ends_of_job, "graph.job_steps", ALL_ROWS, jobs=_numbers(jobs)):
            known.add(source, job, target)
        for (source, target), _ in self._direct([node for node in nodes if node[0] != "job"]):
            known.add(source, None, target)
        for job, other in self.links("downstream", jobs):
            known.add_link(job, other)
        return known

    def draw(self, nodes: Sequence[Node], edges: Sequence[Edge], drawn: Collection[Edge]) -> Drawing:
        """As `Level`."""
        jobs, tables = _parted(nodes)
        around = Neighbours(nodes)
        around.add(tables, self._reading.all(Degree, "graph.table_degrees", tables=_numbers(tables)))
        if self._has_links:
            around.add(jobs, self._reading.all(Degree, "graph.link_degrees", jobs=_numbers(jobs)))
        told = [*self._through_jobs(edges, jobs, around), *self._told_direct(edges), *self._told_links(edges)]
        around.draw(drawn)
        named = self._named("graph.tables", "table", tables) | self._named("graph.jobs", "job", jobs)
        ids = self._ids
        return Drawing(
            [_told(node, ids[node], named[node], around.hidden(node)) for node in nodes if node in named], told
        )

    def _named(self, name: str, kind: str, nodes: Sequence[Node]) -> dict[Node, Name]:
        rows = self._reading.tx.rows(Name, name, ids=_numbers(nodes))
        return {(kind, row.number, ""): row for row in rows}

    def _through_jobs(self, edges: Sequence[Edge], jobs: Sequence[Node], around: Neighbours) -> Iterator[GraphEdge]:
        """The edges between tables and jobs; how many tables the jobs have around them is known by then."""
        halves: dict[Edge, list[_Half]] = {edge: [] for edge in edges if edge[0][0] != edge[1][0]}
        for row in self._halves(halves, jobs, around):
            edge = _edge(row)
            if (rows := halves.get(edge)) is not None:
                rows.append(row)
        for (source, target), rows in halves.items():
            if rows:
                taken = rows[0] if len(rows) == 1 else joined(rows, self._count(rows))
                yield edge_between(self._ids[source], self._ids[target], taken)

    def _halves(self, edges: Collection[Edge], jobs: Sequence[Node], around: Neighbours) -> list[_Half]:
        """Rows of all edges of the jobs, or of these edges alone where jobs have very many more."""
        near = dict.fromkeys([*jobs, *(node for edge in edges for node in edge if node[0] == "job")])
        most = len(edges) * HALVES_PER_EDGE + FIRST_ROWS
        rows = self._reading.all(_Half, "graph.job_halves", jobs=_numbers(near), limit=most)
        if len(rows) < most:
            inside = set(jobs)
            for job, _, is_read in {(row.job, row.table, row.is_read) for row in rows}:
                if (node := job_node(job)) in inside:
                    around.add_one(node, is_read)
            return rows
        around.add(jobs, self._reading.all(Degree, "graph.job_degrees", jobs=_numbers(jobs)))
        return self._reading.all(_Half, "graph.some_job_halves", edges=json_text([_key(edge) for edge in edges]))

    def _count(self, rows: Sequence[_Half]) -> int:
        ends = [(row.member, NOTHING) if row.is_read else (NOTHING, row.member) for row in rows]
        return self._reading.runs("graph.runs_of_edge", rows[0].job, ends, rows)

    def _direct(self, tables: Sequence[Node]) -> Iterator[tuple[Edge, Taken]]:
        for row in self._reading.rows(_EdgeRow, "graph.direct_edges", ends=_numbers(tables)):
            yield (table_node(row.source), table_node(row.target)), row

    def _told_direct(self, edges: Sequence[Edge]) -> Iterator[GraphEdge]:
        found: dict[Edge, list[Taken]] = {edge: [] for edge in edges if edge[0][0] == edge[1][0] == "table"}
        if not found:
            return
        for edge, row in self._direct(list({source: None for source, _ in found})):
            if edge in found:
                found[edge].append(row)
        for (source, target), rows in found.items():
            taken = joined(rows, max(row.run_count for row in rows))
            yield edge_between(self._ids[source], self._ids[target], taken)

    def _told_links(self, edges: Sequence[Edge]) -> Iterator[GraphEdge]:
        keys = [(source[1], target[1]) for source, target in edges if source[0] == target[0] == "job"]
        for row in self._reading.all(_EdgeRow, "graph.link_edges", edges=json_text(keys)) if keys else ():
            yield edge_between(self._ids[job_node(row.source)], self._ids[job_node(row.target)], row)


def _told(node: Node, node_id: str, named: Name, hidden: tuple[int, int]) -> GraphNode:
    # What stands between the many inputs and outputs of a run is that run.
    hub = named.namespace == RUN_HUB
    return GraphNode(
        id=node_id,
        kind="run" if hub else "job" if node[0] == "job" else "table",
        namespace=named.namespace,
        name=named.name,
        run_id=named.name if hub else None,
        hidden_upstream=hidden[0],
        hidden_downstream=hidden[1],
    )


def _edge(row: _Half) -> Edge:
    table, job = ("table", row.table, ""), ("job", row.job, "")
    return (table, job) if row.is_read else (job, table)


def _key(edge: Edge) -> tuple[int, int, int]:
    source, target = edge
    return (source[1], target[1], 1) if source[0] == "table" else (target[1], source[1], 0)


def _parted(nodes: Iterable[Node]) -> tuple[list[Node], list[Node]]:
    """Jobs, and tables."""
    jobs: list[Node] = []
    tables: list[Node] = []
    for node in nodes:
        (jobs if node[0] == "job" else tables).append(node)
    return jobs, tables


# Made of the columns of a row. One such call a row is most of what a walk costs.
def _step(near: int, job: int, far: int) -> Step:
    via = None if job == NO_JOB else ("job", job, "")
    return ("table", near, ""), via, (None if far == NOTHING else ("table", far, ""))


def _end(job: int, table: int) -> Edge:
    return ("job", job, ""), ("table", table, "")


def _link(job: int, other: int) -> Edge:
    return ("job", job, ""), ("job", other, "")


def _ends_of_job(source: int, job: int, target: int) -> tuple[Node | None, Node, Node | None]:
    return (
        None if source == NOTHING else ("table", source, ""),
        ("job", job, ""),
        None if target == NOTHING else ("table", target, ""),
    )


def _numbers(nodes: Iterable[Node]) -> str:
    return json_text([number for _, number, _ in nodes])
