"""A lineage graph as the lines of a tree. What is below a table is exactly what fed it (or what it fed).

A job that joins A to B in one run and C to D in another stands once in a graph, but A does not feed D. Where a job of
the graph leaves that open, the lake is asked for the steps of the one table, and so the tree never shows a false step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from datlake_sdk._amounts import version_of
from datlake_sdk.cli.text import shown, utc
from datlake_sdk.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from datlake_sdk.client import DatlakeClient
    from datlake_sdk.wire.models import Direction, Graph, GraphNode, Run

# Beyond this a tree is no longer read; --json has it all.
MAX_LINES: Final = 500
STEP: Final = 2


class Far(NamedTuple):
    """A table on the other side of a job, and the last run that went between them."""

    table: GraphNode
    last_run_id: str | None


class Step(NamedTuple):
    """A job next to a table, how often and when last it went this way, and the tables on its other side."""

    job: GraphNode
    runs: int
    last_seen: datetime
    tables: list[Far]


class Feeds:
    """The steps between tables of a graph, by table and direction."""

    def __init__(self, client: DatlakeClient, graph: Graph) -> None:
        """Reads `graph`; asks `client` only where it leaves open which table fed which."""
        self._client = client
        self._graph = graph
        self._nodes = {node.id: node for node in graph.nodes}
        self._runs: dict[str, Run | None] = {}

    def steps(self, table: str, direction: Direction) -> list[Step]:
        """The steps from the table of that node id, by the job's name."""
        found = _steps_in(self._graph, table, direction)
        if any(self._is_open(step, direction) for step in found):
            node = self._nodes[table]
            near = self._client.lineage(node.name, direction=direction, depth=STEP, namespace=node.namespace)
            found = _steps_in(near, near.root, direction)
        return found

    def version(self, far: Far, direction: Direction) -> int | None:
        """The version of the table that the last run between them read (or wrote); null where it is not known."""
        run = self._run(far)
        data = [] if run is None else run.inputs if direction == "upstream" else run.outputs
        key = (far.table.namespace, far.table.name)
        found = [item.version for item in data if (item.namespace, item.table_name) == key]
        return found[-1] if found else None

    def _run(self, far: Far) -> Run | None:
        run_id = far.last_run_id
        if run_id is None:
            return None
        if run_id not in self._runs:
            try:
                self._runs[run_id] = self._client.get_run(run_id)
            except NotFound:  # of another namespace: then the tree goes without its versions
                self._runs[run_id] = None
        return self._runs[run_id]

    def _is_open(self, step: Step, direction: Direction) -> bool:
        """Whether other tables on this side of the job might be the ones that the far tables belong to."""
        edges = self._graph.edges
        near = {edge.target for edge in edges if edge.source == step.job.id}
        if direction == "downstream":
            near = {edge.source for edge in edges if edge.target == step.job.id}
        return bool(step.tables) and len(near) > 1


def _steps_in(graph: Graph, table: str, direction: Direction) -> list[Step]:
    nodes = {node.id: node for node in graph.nodes}
    # As (near, far), whichever way the data runs.
    ends = [
        (edge.target, edge.source, edge) if direction == "upstream" else (edge.source, edge.target, edge)
        for edge in graph.edges
    ]
    steps = [
        Step(
            nodes[job],
            edge.count,
            edge.last_seen,
            [Far(nodes[far], beyond.last_run_id) for near, far, beyond in ends if near == job],
        )
        for near_table, job, edge in ends
        if near_table == table
    ]
    return sorted(steps, key=lambda step: step.job.name)


def tree(feeds: Feeds, root: str, direction: Direction, depth: int) -> Iterator[str]:
    """The lines of the tree below `root`, at most `MAX_LINES` and a note."""
    drawing = _Drawing(feeds, direction)
    for number, line in enumerate(drawing.below(root, "", (root,), depth)):
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

    def below(self, table: str, indent: str, path: tuple[str, ...], depth: int) -> Iterator[str]:
        self._shown.add(table)
        steps = self._feeds.steps(table, self._direction) if depth > 0 else []
        for number, step in enumerate(steps):
            branch, following = _branch(indent, is_last=number == len(steps) - 1)
            yield f"{branch}{_job_text(step)}"
            if depth > 1:
                yield from self._tables(step, following, path, depth - STEP)

    def _tables(self, step: Step, indent: str, path: tuple[str, ...], depth: int) -> Iterator[str]:
        for number, far in enumerate(step.tables):
            branch, following = _branch(indent, is_last=number == len(step.tables) - 1)
            table = far.table
            text = f"{branch}{shown(table.name)} {version_of(self._feeds.version(far, self._direction))}".rstrip()
            if table.id in path:
                yield f"{text}  (a cycle: it is above)"
            elif table.id in self._shown:
                yield f"{text}  (shown before)"
            else:
                yield f"{text}{self._hidden(table, depth)}"
                yield from self.below(table.id, following, (*path, table.id), depth)

    def _hidden(self, table: GraphNode, depth: int) -> str:
        hidden = table.hidden_upstream if self._direction == "upstream" else table.hidden_downstream
        return "  (more beyond: --depth)" if hidden and depth <= 0 else ""


def _branch(indent: str, *, is_last: bool) -> tuple[str, str]:
    return (f"{indent}└─ ", f"{indent}   ") if is_last else (f"{indent}├─ ", f"{indent}│  ")


def _job_text(step: Step) -> str:
    return f"job {shown(step.job.name)}  ({step.runs} run{'' if step.runs == 1 else 's'}, last {utc(step.last_seen)})"
