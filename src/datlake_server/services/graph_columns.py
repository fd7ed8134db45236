"""Lineage between columns, over all runs of all jobs: what gives a column its value, and what decides about it.

What feeds every column of a table feeds each that is known of it. What a table feeds as a whole has the table as its
source, and so has each of its columns a part in it. Columns of tables of one group are one where their names are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from datlake_sdk.errors import NotFound
from datlake_sdk.wire import codec
from datlake_sdk.wire.models import GraphNode, Transformation
from datlake_server.services.graph_levels import Drawing, Name, Neighbours, Reading, Taken, edge_between, id_of, joined
from datlake_server.services.graph_walk import Edge, Known, Node, Start, Step, Way
from datlake_server.services.records import json_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from datlake_sdk.wire.models import GraphEdge
    from datlake_server.store.base import Tx

WHOLE: Final = ""
COLUMNS_MOST: Final = 10_000
# Snapshots without a schema that are looked behind for one with.
_SNAPSHOTS_BACK: Final = 100


class Told(Struct, frozen=True):
    """That a column feeds another, as one row tells it of one job, and what is at the far end of it."""

    at: int
    far: int
    far_field: str
    source: int
    source_field: str
    job: int
    target: int
    target_field: str
    transformations: str
    first_seen: int
    last_seen: int
    run_count: int
    last_run_id: str

    @property
    def taken(self) -> Taken:
        """When and how often."""
        return Taken(self.first_seen, self.last_seen, self.run_count, self.last_run_id)

    @property
    def ends(self) -> tuple[int, str, int, str]:
        """The columns, as they are stored."""
        return self.source, self.source_field, self.target, self.target_field


class _Named(Struct, frozen=True):
    name: str


class _Text(Struct, frozen=True):
    text: str


def column_node(table_id: int, field: str) -> Node:
    """The node of a column, or of a table as a whole."""
    return ("column" if field else "table"), table_id, field


class ColumnLevel:
    """Columns; see `Level`."""

    def __init__(self, tx: Tx, as_of: datetime | None) -> None:
        """Walks what was known at `as_of`, or all."""
        self._reading = Reading(tx, as_of)
        self._columns: dict[int, list[str]] = {}
        self._frame: Node | None = None

    @property
    def is_cut(self) -> bool:
        """As `Level`."""
        return self._reading.is_cut

    def all_of(self, table_id: int) -> Start:
        """Begins at every column of the table, which is the frame around them."""
        table = column_node(table_id, WHOLE)
        columns = [column_node(table_id, name) for name in self._known_of(table_id)]
        if not columns:
            return Start([table])
        self._frame = table
        return Start(columns, frame=table)

    def one_of(self, table_id: int, name: str, field: str) -> Start:
        """Begins at a column of the table that `name` calls. Raises `NotFound`."""
        if field not in self._known_of(table_id):
            message = f"table {name!r} has no column {field!r} that its newest schema or any lineage tells of"
            raise NotFound(message, code="column_not_found")
        return Start([column_node(table_id, field)])

    def steps(self, way: Way, near: Sequence[Node]) -> Iterator[Step]:
        """As `Steps`."""
        for one, far, _ in self._told(way, near):
            yield one, None, far

    def ends(self, way: Way, vias: Sequence[Node]) -> Iterator[Edge]:
        """None: jobs are no nodes here."""
        del way, vias
        return iter(())

    def links(self, way: Way, vias: Sequence[Node]) -> Iterator[Edge]:
        """None, as above."""
        del way, vias
        return iter(())

    def among(self, nodes: Sequence[Node], ways: Sequence[Way]) -> Known:
        """As `Level`."""
        known, inside = Known(ways), set(nodes)
        for way in ways:
            for near, far, _ in self._told(way, nodes):
                if far in inside:
                    known.add_one_way(way, near, None, far)
        return known

    def draw(self, nodes: Sequence[Node], edges: Sequence[Edge], drawn: Collection[Edge]) -> Drawing:
        """As `Level`."""
        around = self._around(nodes, drawn)
        tables = json_text(sorted({table for _, table, _ in nodes}))
        named = {row.number: row for row in self._reading.tx.rows(Name, "graph.tables", ids=tables)}
        told = [_told(node, named[node[1]], around.hidden(node)) for node in nodes if node[1] in named]
        return Drawing(told, self._edges(edges))

    def _around(self, nodes: Sequence[Node], drawn: Collection[Edge]) -> Neighbours:
        """Neighbours that are not drawn. A table that is drawn as a whole stands for its columns, and they for it."""
        into = {(source[1], target) for source, target in drawn}
        found: dict[tuple[Node, Node, int], None] = {}
        for near, far, _ in self._told("upstream", nodes):
            if (far, near) not in drawn and not (far[2] == WHOLE and (far[1], near) in into):
                found[near, far, 1] = None
        for near, far, told in self._told("downstream", nodes):
            as_a_whole = told.source_field == WHOLE and (near[1], far) in into
            if (near, far) not in drawn and (near, column_node(far[1], WHOLE)) not in drawn and not as_a_whole:
                found[near, far, 0] = None
        around = Neighbours(nodes)
        is_walked = any(self._frame in edge for edge in drawn)
        for near, _, side in found:
            if near != self._frame or is_walked:  # else its columns tell what is around it
                around.add_one(near, side)
        return around

    def _edges(self, drawn: Sequence[Edge]) -> list[GraphEdge]:
        found: dict[Edge, dict[object, Told]] = {edge: {} for edge in drawn}
        for near, far, told in self._told("upstream", list({target: None for _, target in drawn})):
            if (rows := found.get((far, near))) is not None:
                rows[told.job, told.ends] = told
        for near, far, told in self._told("downstream", list({source: None for source, _ in drawn})):
            if (rows := found.get((near, far))) is not None:
                rows[told.job, told.ends] = told
        return [self._edge(edge, list(rows.values())) for edge, rows in found.items() if rows]

    def _told(self, way: Way, near: Sequence[Node]) -> Iterator[tuple[Node, Node, Told]]:
        """What these columns and whole tables are fed by (upstream) or feed."""
        columns = near if way == "downstream" else [node for node in near if node[2]]
        wholes = [] if way == "downstream" else [node for node in near if not node[2]]
        name = "graph.columns_from" if way == "downstream" else "graph.columns_into"
        if columns:
            yield from self._read(way, columns, name, [node[1:] for node in columns])
        if wholes:
            yield from self._read(way, wholes, "graph.columns_into_tables", [[node[1]] for node in wholes])

    def _read(self, way: Way, near: Sequence[Node], name: str, ends: object) -> Iterator[tuple[Node, Node, Told]]:
        for told in self._reading.rows(Told, name, ends=json_text(ends)):
            fields = self._known_of(told.far) if way == "downstream" and told.far_field == WHOLE else ()
            for field in fields or (told.far_field,):
                yield near[told.at], column_node(told.far, field), told

    def _known_of(self, table_id: int) -> list[str]:
        """The columns of the table that are known: as its newest schema has them, then those that lineage tells of."""
        if table_id not in self._columns:
            fields = self._reading.all(_Text, "graph.fields_of", table_id=table_id, most=_SNAPSHOTS_BACK)
            told = self._reading.all(_Text, "graph.columns_told", table_id=table_id, limit=COLUMNS_MOST)
            of_schema = [field.name for row in fields for field in codec.decode(row.text, list[_Named])]
            self._columns[table_id] = list(dict.fromkeys([*of_schema, *(row.text for row in told)]))[:COLUMNS_MOST]
        return self._columns[table_id]

    def _edge(self, edge: Edge, rows: Sequence[Told]) -> GraphEdge:
        by_job: dict[int, list[Told]] = {}
        for row in rows:
            by_job.setdefault(row.job, []).append(row)
        count = sum(self._count(job, told) for job, told in by_job.items())
        taken = joined([row.taken for row in rows], count)
        return replace(edge_between(id_of(edge[0]), id_of(edge[1]), taken), transformations=_transformations(rows))

    def _count(self, job: int, rows: Sequence[Told]) -> int:
        taken = [row.taken for row in rows]
        return self._reading.runs("graph.runs_of_columns", job, [row.ends for row in rows], taken)


def _told(node: Node, table: Name, hidden: tuple[int, int]) -> GraphNode:
    return GraphNode(
        id=id_of(node),
        kind="column" if node[2] else "table",
        namespace=table.namespace,
        name=table.name,
        field=node[2] or None,
        hidden_upstream=hidden[0],
        hidden_downstream=hidden[1],
    )


def _transformations(rows: Iterable[Told]) -> list[Transformation]:
    """All transformations that are told, each once, those that give the value before those that decide about it."""
    every = {json_text(step): step for row in rows for step in codec.decode(row.transformations, list[Transformation])}
    return [every[text] for text in sorted(every)]
