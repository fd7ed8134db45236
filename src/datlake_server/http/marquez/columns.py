"""Marquez's graph of columns: what feeds a column, those of a table or those that a job writes, and what they feed.

What feeds all of a table (a filter, say) feeds each of its columns. A version asks for the graph as of then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import UNSET, Struct

from datlake_sdk.wire.models import Transformation
from datlake_server.http.marquez import datasets, facets, jobs, labels
from datlake_server.http.marquez.lineage import by_ends
from datlake_server.http.marquez.nodes import Place, field_node, place_of
from datlake_server.http.marquez.shapes import ColumnData, Edge, FieldLineage, Graph, Id, InputField, Node
from datlake_server.services import aliases
from datlake_server.services.places import snapshot_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datlake_server.http.marquez.asking import Ask
    from datlake_server.http.marquez.shapes import Dataset, Text
    from datlake_server.store.base import Tx

DEPTH: Final = 20
MOST_COLUMNS: Final = 1000
_MOST_STEPS: Final = 10_000
_END_OF_TIME: Final = 2**62

Column = tuple[int, str]


class _Step(Struct, frozen=True):
    target: int
    target_field: str
    source: int
    source_field: str
    transformations: str


class _Told(Struct, frozen=True):
    table_id: int
    field: str


class _Whole(Struct, frozen=True):
    table_id: int
    whole_id: int


class _Version(Struct, frozen=True):
    table_id: int
    snapshot_id: str | None


def get(tx: Tx, ask: Ask) -> Graph:
    """The graph around the node that `nodeId` names; what it feeds is in it where `withDownstream` says so."""
    place = place_of(tx, ask.needed("nodeId"))
    as_of, depth = _moment_of(tx, place), ask.number("depth", DEPTH)
    walk = _Walk(tx, as_of)
    roots = _roots(tx, place)
    walk.follow("up", roots, depth)
    if ask.truth("withDownstream"):
        walk.follow("down", roots, depth)
    return _drawn(tx, walk, is_versioned=bool(place.version))


def dataset(tx: Tx, ask: Ask) -> Dataset:
    """The dataset that the path names, with what feeds its columns."""
    row, found = datasets.row_of(tx, ask), datasets.get(tx, ask)
    walk = _Walk(tx, _END_OF_TIME)
    walk.follow("up", _columns_of(tx, [aliases.representative(tx, row.table_id)]), 1)
    names = _names(tx, {column[0] for column in walk.columns})
    told = [
        FieldLineage(name=column[1], input_fields=_inputs(names, sources, {}))
        for column, sources in walk.sources.items()
    ]
    return msgspec.structs.replace(found, column_lineage=told or UNSET)


class _Walk:
    """Columns by the table that stands for all that are the same, and for each of them those that feed it."""

    def __init__(self, tx: Tx, as_of: int) -> None:
        self._tx = tx
        self.as_of = as_of
        self.columns: dict[Column, None] = {}
        self.sources: dict[Column, dict[Column, list[Transformation]]] = {}

    def follow(self, direction: Literal["up", "down"], roots: Iterable[Column], depth: int) -> None:
        """Walks so many steps from the roots."""
        reached = list(dict.fromkeys(roots))
        walked = set(reached)
        while reached and depth > 0:
            fresh: dict[Column, None] = {}
            for target, source, told in self._steps(direction, reached):
                near, far = (target, source) if direction == "up" else (source, target)
                if self._take(near) and self._take(far):
                    known = self.sources.setdefault(target, {}).setdefault(source, [])
                    known += [one for one in told if one not in known]
                    fresh[far] = None
            reached = [column for column in fresh if column not in walked]
            walked |= set(reached)
            depth -= 1

    def _take(self, column: Column) -> bool:
        if column not in self.columns and len(self.columns) >= MOST_COLUMNS:
            return False
        self.columns[column] = None
        return True

    def _steps(
        self, direction: Literal["up", "down"], columns: Sequence[Column]
    ) -> list[tuple[Column, Column, list[Transformation]]]:
        asked = [(member, field) for table_id, field in columns for member in aliases.members(self._tx, table_id)]
        rows = self._tx.all(
            _Step, f"marquez.columns_{direction}", columns=_json(asked), as_of=self.as_of, limit=_MOST_STEPS
        )
        whole = _wholes(self._tx, {table_id for row in rows for table_id in (row.source, row.target)})
        return [
            (
                (whole[row.target], row.target_field),
                (whole[row.source], row.source_field),
                msgspec.json.decode(row.transformations, type=list[Transformation]),
            )
            for row in rows
            if row.source in whole and row.target in whole
        ]


def _roots(tx: Tx, place: Place) -> list[Column]:
    if place.job_id:
        written = {one.table_id for one in jobs.data_of(tx, [place.job_id])[place.job_id] if one.role == "output"}
        return _columns_of(tx, sorted(written))
    table_id = aliases.representative(tx, place.table_id)
    return [(table_id, place.field)] if place.field else _columns_of(tx, [table_id])


def _columns_of(tx: Tx, table_ids: Sequence[int]) -> list[Column]:
    """The columns of tables: those of their schemas, and those that lineage alone told of."""
    told, tags = facets.of_subjects(tx, "dataset", table_ids), labels.of(tx, "table", table_ids)
    known = [
        (row.table_id, field.name)
        for row in datasets.rows_of(tx, table_ids)
        for field in datasets.fields_of(row, told[row.table_id], tags[row.table_id])
    ]
    rows = tx.all(_Told, "marquez.columns_told_of", table_ids=_json(table_ids), limit=MOST_COLUMNS)
    return [*known, *((row.table_id, row.field) for row in rows)][:MOST_COLUMNS]


def _moment_of(tx: Tx, place: Place) -> int:
    """As of when a version asks; a job's version is of all times."""
    if not place.version or not place.table_id:
        return _END_OF_TIME
    return snapshot_row(tx, place.version).created_at


def _drawn(tx: Tx, walk: _Walk, *, is_versioned: bool) -> Graph:
    table_ids = {column[0] for column in walk.columns}
    names = _names(tx, table_ids)
    versions = _versions(tx, table_ids, walk) if is_versioned else {}
    types = _types(tx, table_ids)
    ids = {
        column: field_node(names[column[0]], column[1], versions.get(column[0], ""))
        for column in walk.columns
        if column[0] in names
    }
    edges = [
        Edge(origin=ids[source], destination=ids[target])
        for target, sources in walk.sources.items()
        for source in sources
        if source in ids and target in ids
    ]
    inward, outward = by_ends(edges)
    nodes = [
        Node(
            id=node_id,
            type="DATASET",  # their document knows no other for a column
            data=ColumnData(
                namespace=names[column[0]].namespace,
                dataset=names[column[0]].name,
                field=column[1],
                dataset_version=versions.get(column[0]) or UNSET,
                field_type=types.get(column, UNSET),
                input_fields=_inputs(names, walk.sources.get(column, {}), versions),
            ),
            in_edges=inward.get(node_id, []),
            out_edges=outward.get(node_id, []),
        )
        for column, node_id in ids.items()
    ]
    return Graph(graph=sorted(nodes, key=lambda node: node.id))


def _inputs(
    names: dict[int, Id], sources: dict[Column, list[Transformation]], versions: dict[int, str]
) -> list[InputField]:
    return [
        InputField(
            namespace=names[table_id].namespace,
            dataset=names[table_id].name,
            field=field,
            dataset_version=versions.get(table_id) or UNSET,
            transformation_description=_joined(one.description for one in told),
            transformation_type=_joined(one.subtype or one.type for one in told),
        )
        for (table_id, field), told in sorted(sources.items())
        if table_id in names
    ]


def _joined(texts: Iterable[str | None]) -> Text:
    return ", ".join(dict.fromkeys(text for text in texts if text)) or UNSET


def _names(tx: Tx, table_ids: Iterable[int]) -> dict[int, Id]:
    """The names of tables, without those that are hidden."""
    rows = datasets.rows_of(tx, sorted(table_ids))
    return {row.table_id: Id(namespace=row.namespace, name=row.name) for row in rows}


def _types(tx: Tx, table_ids: Iterable[int]) -> dict[Column, str]:
    found = sorted(table_ids)
    told, tags = facets.of_subjects(tx, "dataset", found), labels.of(tx, "table", found)
    return {
        (row.table_id, field.name): field.type
        for row in datasets.rows_of(tx, found)
        for field in datasets.fields_of(row, told[row.table_id], tags[row.table_id])
    }


def _versions(tx: Tx, table_ids: Iterable[int], walk: _Walk) -> dict[int, str]:
    rows = tx.all(_Version, "marquez.versions_as_of", table_ids=_json(sorted(table_ids)), as_of=walk.as_of)
    return {row.table_id: row.snapshot_id for row in rows if row.snapshot_id}


def _wholes(tx: Tx, table_ids: Iterable[int]) -> dict[int, int]:
    return {row.table_id: row.whole_id for row in tx.all(_Whole, "marquez.wholes", table_ids=_json(sorted(table_ids)))}


def _json(values: object) -> str:
    return msgspec.json.encode(values).decode()
