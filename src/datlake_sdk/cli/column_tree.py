"""A graph of columns as the lines of a tree: which columns give a value, which decide about it, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datlake_sdk.cli.graph_names import elsewhere, how, name_of, times_of
from datlake_sdk.cli.lineage_tree import MAX_LINES, branches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datlake_sdk.cli.lineage import Root
    from datlake_sdk.wire.models import Direction, Graph, GraphEdge, GraphNode


def column_tree(graph: Graph, root: Root, direction: Direction) -> Iterator[str]:
    """The lines of the tree below the root column; below each column of it where the root is a table."""
    drawing = _Drawing(graph, root.namespace, direction)
    for number, line in enumerate(drawing.lines(graph.root)):
        if number == MAX_LINES:
            yield "… and more; --json has all of it"
            return
        yield line


class _Drawing:
    """One tree being drawn: what it has shown is not shown again."""

    def __init__(self, graph: Graph, home: str, direction: Direction) -> None:
        self._nodes = {node.id: node for node in graph.nodes}
        self._home = home
        self._direction = direction
        self._edges: dict[str, list[tuple[GraphNode, GraphEdge]]] = {}
        for edge in graph.edges:
            near, far = (edge.target, edge.source) if direction == "upstream" else (edge.source, edge.target)
            self._edges.setdefault(near, []).append((self._nodes[far], edge))
        self._shown: set[str] = set()

    def lines(self, root: str) -> Iterator[str]:
        at = self._nodes.get(root)
        if at is not None and at.kind == "column":
            yield from self._below(root, "", (root,))
            return
        for column in self._columns_of(at):
            yield name_of(column)
            yield from self._below(column.id, "", (column.id,))

    def _columns_of(self, table: GraphNode | None) -> list[GraphNode]:
        """The columns of the table that have something to show."""
        key = None if table is None else (table.namespace, table.name)
        return [
            node
            for node in self._nodes.values()
            if node.kind == "column" and (node.namespace, node.name) == key and node.id in self._edges
        ]

    def _below(self, column: str, indent: str, path: tuple[str, ...]) -> Iterator[str]:
        self._shown.add(column)
        found = self._edges.get(column, [])
        for number, (far, edge) in enumerate(found):
            branch, following = branches(indent, is_last=number == len(found) - 1)
            text = f"{branch}{self._text(far, edge)}"
            if far.id in path:
                yield f"{text}  (a cycle: it is above)"
            elif far.id in self._shown and far.id in self._edges:
                yield f"{text}  (shown before)"
            else:
                yield f"{text}{self._hidden(far)}"
                yield from self._below(far.id, following, (*path, far.id))

    def _text(self, far: GraphNode, edge: GraphEdge) -> str:
        place = elsewhere(far, self._home)
        parts = (how(edge.transformations), f"in {place}" if place else "", times_of(edge))
        told = "; ".join(part for part in parts if part)
        return f"{name_of(far)}  ({told})"

    def _hidden(self, far: GraphNode) -> str:
        hidden = far.hidden_upstream if self._direction == "upstream" else far.hidden_downstream
        return "  (more beyond: --depth)" if hidden else ""
