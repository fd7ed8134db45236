"""Marquez's graph of tables and jobs: whatever hangs together with a node, in either direction, so many jobs away.

Datlake's own graph knows upstream from downstream; this one does not, as its readers expect, and tells for each job all
that it read and wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from datlake_server.http.marquez import datasets, jobs
from datlake_server.http.marquez.jobs import JobRow
from datlake_server.http.marquez.nodes import dataset_node, job_node, place_of
from datlake_server.http.marquez.shapes import Edge, Graph, Node
from datlake_server.services import aliases

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datlake_server.http.marquez.asking import Ask
    from datlake_server.http.marquez.jobs import JobData
    from datlake_server.http.marquez.shapes import Dataset, Job
    from datlake_server.store.base import Tx

DEPTH: Final = 20
# A graph is cut where it has so many nodes; what is left out has no edges in it.
MOST_NODES: Final = 1000


class _JobId(Struct, frozen=True):
    job_id: int


class _TableId(Struct, frozen=True):
    table_id: int


def get(tx: Tx, ask: Ask) -> Graph:
    """The graph around the node that `nodeId` names."""
    place = place_of(tx, ask.needed("nodeId"))
    found = _Component(tx)
    if place.job_id:
        found.grow([place.job_id], ask.number("depth", DEPTH))
    else:
        table_id = aliases.representative(tx, place.table_id)
        found.tables[table_id] = None
        found.grow(found.jobs_near([table_id]), ask.number("depth", DEPTH))
    return _drawn(tx, found)


class _Component:
    """What hangs together: jobs with what they read and wrote, and tables; in the order in which they were found."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self.jobs: dict[int, list[JobData]] = {}
        self.tables: dict[int, None] = {}

    def grow(self, job_ids: Sequence[int], depth: int) -> None:
        """These jobs are in it, and those that share a table with them, `depth` times over."""
        while job_ids and self._room > 0:
            fresh = self._take(job_ids[: self._room])
            if depth == 0 or not fresh:
                return
            job_ids = [job_id for job_id in self.jobs_near(fresh) if job_id not in self.jobs]
            depth -= 1

    def jobs_near(self, table_ids: Iterable[int]) -> list[int]:
        """The jobs that read or wrote these tables, or others that are the same."""
        wanted = _json(table_ids)
        same = [row.table_id for row in self._tx.all(_TableId, "marquez.members", table_ids=wanted)]
        wanted = _json([*table_ids, *same])
        return [row.job_id for row in self._tx.all(_JobId, "marquez.jobs_near", table_ids=wanted, limit=MOST_NODES)]

    @property
    def _room(self) -> int:
        return MOST_NODES - len(self.jobs) - len(self.tables)

    def _take(self, job_ids: Sequence[int]) -> list[int]:
        """Puts the jobs that are not hidden in it; answers the tables that are new by this."""
        shown = {row.job_id for row in self._tx.all(JobRow, "marquez.jobs", job_ids=_json(job_ids))}
        data = jobs.data_of(self._tx, shown)
        fresh: dict[int, None] = {}
        for job_id in (one for one in job_ids if one in shown):
            self.jobs[job_id] = data[job_id]
            fresh |= {one.table_id: None for one in data[job_id] if one.is_shown and one.table_id not in self.tables}
        kept = list(fresh)[: max(self._room, 0)]
        self.tables |= dict.fromkeys(kept)
        return kept


def _drawn(tx: Tx, found: _Component) -> Graph:
    rows = {row.job_id: row for row in tx.all(JobRow, "marquez.jobs", job_ids=_json(found.jobs))}
    shown = datasets.datasets_of(tx, list(found.tables))
    names = {row.id for row in shown}
    edges = [
        Edge(origin=dataset_node(one.id), destination=job_node(rows[job_id].id))
        if one.role == "input"
        else Edge(origin=job_node(rows[job_id].id), destination=dataset_node(one.id))
        for job_id, data in found.jobs.items()
        for one in data
        if one.id in names
    ]
    told: list[Job] = jobs.jobs_of(tx, [rows[job_id] for job_id in found.jobs], latest=1)
    return graph_of([*told, *shown], edges)


def graph_of(things: Sequence[Job | Dataset], edges: Sequence[Edge]) -> Graph:
    """The graph of jobs and datasets, by the ids of their nodes."""
    inward, outward = by_ends(edges)
    nodes: list[Node] = []
    for thing in things:
        is_dataset = hasattr(thing, "physical_name")
        node_id = dataset_node(thing.id) if is_dataset else job_node(thing.id)
        nodes.append(
            Node(
                id=node_id,
                type="DATASET" if is_dataset else "JOB",
                data=thing,
                in_edges=inward.get(node_id, []),
                out_edges=outward.get(node_id, []),
            )
        )
    return Graph(graph=sorted(nodes, key=lambda node: node.id))


def by_ends(edges: Iterable[Edge]) -> tuple[dict[str, list[Edge]], dict[str, list[Edge]]]:
    """The edges by the node that they lead to, and by the node that they come from; each once."""
    inward: dict[str, list[Edge]] = {}
    outward: dict[str, list[Edge]] = {}
    for edge in sorted(set(edges), key=lambda edge: (edge.origin, edge.destination)):
        inward.setdefault(edge.destination, []).append(edge)
        outward.setdefault(edge.origin, []).append(edge)
    return inward, outward


def _json(values: Iterable[int]) -> str:
    return msgspec.json.encode(list(values)).decode()
