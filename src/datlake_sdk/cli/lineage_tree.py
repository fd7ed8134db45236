"""A lineage graph as the lines of a tree. What is below a table is exactly what fed it (or what it fed).

Tables stand between jobs, or snapshots between runs. A job that joins A to B in one run and C to D in another stands
once in a graph, but A does not feed D. Where a job of the graph leaves that open, the lake is asked for the steps of
the one table, and so the tree never shows a false step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from datlake_sdk._amounts import version_of
from datlake_sdk.cli.graph_names import elsewhere, name_of, times_of
from datlake_sdk.cli.text import utc
from datlake_sdk.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from datlake_sdk.client import DatlakeClient
    from datlake_sdk.wire.models import Direction, Graph, GraphEdge, GraphNode, Run

# Beyond this a tree is no longer read; --json has it all.
MAX_LINES: Final = 500
STEP: Final = 2


class Far(NamedTuple):
    """A table or snapshot on the other side of a job or run, and the edge between them."""

    place: GraphNode
    edge: GraphEdge


class Step(NamedTuple):
    """A job or run next to a place, the edge to it, and the places on its other side."""

    via: GraphNode
    edge: GraphEdge
    far: list[Far]


class Feeds:
    """The steps between places of a graph, by place and direction. `home` is the namespace that needs no saying."""

    def __init__(self, client: DatlakeClient, graph: Graph, home: str, as_of: datetime | None = None) -> None:
        """Reads `graph`; asks `client` only where it leaves open what fed what."""
        self.home = home
        self._client = client
        self._graph = graph
        self._as_of = as_of
        self._nodes = {node.id: node for node in graph.nodes}
        self._runs: dict[str, Run | None] = {}

    def node(self, key: str) -> GraphNode | None:
        """The node of that id."""
        return self._nodes.get(key)

    def steps(self, place: str, direction: Direction) -> list[Step]:
        """The steps from the place of that node id, by the name of the job."""
        found = _steps_in(self._graph, place, direction)
        if any(self._is_open(step, direction) for step in found):
            near = self._near(self._nodes[place], direction)
            found = found if near is None else _steps_in(near, near.root, direction)
        return found

    def beside(self, via: str, direction: Direction) -> list[Far]:
        """The places on that side of the job or run of that node id."""
        return _far_in(self._graph, self._nodes, via, direction)

    def version(self, far: Far, via: GraphNode, direction: Direction) -> int | None:
        """The version of the place; of a table the one that the last run of the job read (or wrote)."""
        if far.place.kind != "table" or far.place.version is not None:
            return None  # it says so itself
        run = self._run(far, via)
        data = [] if run is None else run.inputs if direction == "upstream" else run.outputs
        key = (far.place.namespace, far.place.name)
        found = [item.version for item in data if (item.namespace, item.table_name) == key]
        return found[-1] if found else None

    def _near(self, node: GraphNode, direction: Direction) -> Graph | None:
        """The steps of the one place; null for what can be no root, data without a snapshot in a graph of runs."""
        if node.kind == "snapshot" and node.snapshot_id is not None:
            return self._client.lineage(
                snapshot_id=node.snapshot_id,
                direction=direction,
                depth=STEP,
                as_of=self._as_of,
                namespace=node.namespace,
            )
        if node.kind == "table" and any(each.kind == "job" for each in self._graph.nodes):
            return self._client.lineage(
                node.name, direction=direction, depth=STEP, as_of=self._as_of, namespace=node.namespace
            )
        return None

    def _run(self, far: Far, via: GraphNode) -> Run | None:
        run_id = far.edge.last_run_id
        if run_id is None:
            return None
        if run_id not in self._runs:
            try:
                self._runs[run_id] = self._client.get_run(run_id, namespace=via.namespace)
            except NotFound:  # of another namespace than its job is shown in: then the tree goes without its versions
                self._runs[run_id] = None
        return self._runs[run_id]

    def _is_open(self, step: Step, direction: Direction) -> bool:
        """Whether other places on this side of the job might be the ones that the far ones belong to."""
        edges = self._graph.edges
        near = {edge.target for edge in edges if edge.source == step.via.id}
        if direction == "downstream":
            near = {edge.source for edge in edges if edge.target == step.via.id}
        return bool(step.far) and len(near) > 1


def _steps_in(graph: Graph, place: str, direction: Direction) -> list[Step]:
    nodes = {node.id: node for node in graph.nodes}
    steps = [
        Step(far.place, far.edge, _far_in(graph, nodes, far.place.id, direction))
        for far in _far_in(graph, nodes, place, direction)
    ]
    return sorted(steps, key=lambda step: (step.via.name, step.via.id))


def _far_in(graph: Graph, nodes: dict[str, GraphNode], near: str, direction: Direction) -> list[Far]:
    """The nodes that feed `near`, or that it feeds, by name."""
    if direction == "upstream":
        found = [Far(nodes[edge.source], edge) for edge in graph.edges if edge.target == near]
    else:
        found = [Far(nodes[edge.target], edge) for edge in graph.edges if edge.source == near]
    return sorted(found, key=lambda far: (far.place.name, far.place.version or 0, far.place.id))


def tree(feeds: Feeds, root: str, direction: Direction, depth: int) -> Iterator[str]:
    """The lines of the tree below `root`, at most `MAX_LINES` and a note."""
    drawing = _Drawing(feeds, direction)
    for number, line in enumerate(drawing.from_root(root, depth)):
        if number == MAX_LINES:
            yield "… and more; --json has all of it"
            return
        yield line


class _Drawing:
    """One tree being drawn: what it has shown is not shown again."""

    def __init__(self, feeds: Feeds, direction: Direction) -> None:
        self._feeds = feeds
        self._direction: Direction = direction
        self._shown: set[str] = set()

    def from_root(self, root: str, depth: int) -> Iterator[str]:
        node = self._feeds.node(root)
        if node is not None and node.kind in {"job", "run"}:
            far = self._feeds.beside(root, self._direction)
            yield from self._places(node, far, "", (root,), depth - 1)
        else:
            yield from self._below(root, "", (root,), depth)

    def _below(self, place: str, indent: str, path: tuple[str, ...], depth: int) -> Iterator[str]:
        self._shown.add(place)
        steps = self._feeds.steps(place, self._direction) if depth > 0 else []
        for number, step in enumerate(steps):
            branch, following = branches(indent, is_last=number == len(steps) - 1)
            yield f"{branch}{self._via_text(step)}"
            if depth > 1:
                yield from self._places(step.via, step.far, following, path, depth - STEP)

    def _places(self, via: GraphNode, far: list[Far], indent: str, path: tuple[str, ...], depth: int) -> Iterator[str]:
        for number, each in enumerate(far):
            branch, following = branches(indent, is_last=number == len(far) - 1)
            place = each.place
            text = f"{branch}{self._place_text(each, via)}"
            if place.id in path:
                yield f"{text}  (a cycle: it is above)"
            elif place.id in self._shown:
                yield f"{text}  (shown before)"
            else:
                yield f"{text}{self._hidden(place, depth)}"
                yield from self._below(place.id, following, (*path, place.id), depth)

    def _place_text(self, far: Far, via: GraphNode) -> str:
        version = version_of(self._feeds.version(far, via, self._direction))
        text = f"{name_of(far.place)} {version}".rstrip()
        place = elsewhere(far.place, self._feeds.home)
        return f"{text}  (in {place})" if place else text

    def _via_text(self, step: Step) -> str:
        via, edge = step.via, step.edge
        told = f"{via.state or 'run'}, {utc(edge.last_seen)}" if via.kind == "run" else times_of(edge)
        place = elsewhere(via, self._feeds.home)
        return f"{name_of(via)}  (in {place}; {told})" if place else f"{name_of(via)}  ({told})"

    def _hidden(self, place: GraphNode, depth: int) -> str:
        hidden = place.hidden_upstream if self._direction == "upstream" else place.hidden_downstream
        return "  (more beyond: --depth)" if hidden and depth <= 0 else ""


def branches(indent: str, *, is_last: bool) -> tuple[str, str]:
    """What stands before a line of a tree, and before the lines below it."""
    return (f"{indent}└─ ", f"{indent}   ") if is_last else (f"{indent}├─ ", f"{indent}│  ")
