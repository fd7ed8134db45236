"""What the levels of lineage share: how much they read, which tables are one, and how nodes and edges are told.

A level answers a walk's questions from its tables, and draws what the walk has seen. Used by `graph` and `roads`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from msgspec import Struct

from datlake_sdk.wire.models import GraphEdge, GraphNode
from datlake_sdk.wire.times import micros, moment
from datlake_server.services.graph_walk import Edge, Node, Steps, Way
from datlake_server.services.records import json_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from datlake_server.store.base import Tx, Value

R = TypeVar("R")

# One answer is made from no more rows than this, about half a second. A graph that needed more says it is truncated.
ROWS_READ: Final = 500_000
# A walk that has no more room stops reading, so it begins with little.
FIRST_ROWS: Final = 2_000
# What is read to its end begins with more.
ALL_ROWS: Final = 50_000
# So many runs are looked through, in one answer, to count how many took an edge that is told in several rows.
RUNS_COUNTED: Final = 50_000


class Drawing(Struct, frozen=True):
    """Nodes and edges as they are answered."""

    nodes: list[GraphNode]
    edges: list[GraphEdge]


class Level(Steps, Protocol):
    """What a graph asks of a level. `is_cut` says that there was more to read than it may."""

    @property
    def is_cut(self) -> bool:
        """True where rows were left unread."""
        ...

    def among(self, nodes: Sequence[Node], ways: Sequence[Way]) -> Steps:
        """All steps between these nodes that go these ways."""
        ...

    def draw(self, nodes: Sequence[Node], edges: Sequence[Edge], drawn: Collection[Edge]) -> Drawing:
        """These nodes and edges; a node's neighbours are hidden unless it is `drawn` with them."""
        ...


# Without `gc` the collector looks through none of them: a graph makes tens of thousands, a fifth of what it cost.
class Taken(Struct, frozen=True, gc=False):
    """When, how often and by which run an edge was taken, as one row tells it; 0 runs: it was declared, and no more."""

    first_seen: int
    last_seen: int
    run_count: int
    last_run_id: str


class Degree(Struct, frozen=True, gc=False):
    """How many neighbours the node at that place of a list has, upstream (1) or downstream (0)."""

    at: int
    side: int
    count: int


class Name(Struct, frozen=True, gc=False):
    """What a table or job is called."""

    number: int
    namespace: str
    name: str


class _Counted(Struct, frozen=True):
    looked_at: int
    taken: int


class Reading:
    """Rows of named statements, read as they are needed and no more than a bound in all."""

    def __init__(self, tx: Tx, as_of: datetime | None) -> None:
        """Reads what was known at `as_of`, or all."""
        self.tx = tx
        self.is_cut = False
        self._left = ROWS_READ
        self._counted = RUNS_COUNTED
        self._as_of = None if as_of is None else micros(as_of)

    def rows(self, kind: Callable[..., R], name: str, first: int = FIRST_ROWS, **values: Value) -> Iterator[R]:
        """The rows of the statement, in its order, as far as they are taken; `first` as many are read at once."""
        done, most = 0, first
        while True:
            most = min(most, done + self._left)
            found = self.tx.rows(kind, name, as_of=self._as_of, limit=most, **values)
            self._left -= len(found) - done
            yield from found[done:] if done else found
            if len(found) < most:
                return
            if not self._left:
                self.is_cut = True
                return
            done, most = most, most * 8

    def all(self, kind: Callable[..., R], name: str, **values: Value) -> list[R]:
        """All rows of a statement that answers about as many as it is asked for."""
        return self.tx.rows(kind, name, as_of=self._as_of, **values)

    def runs(self, name: str, job_id: int, ends: object, rows: Collection[Taken]) -> int:
        """How many runs of the job took an edge that these rows tell of; at least so many where they are too many.

        `name` counts those that have one of `ends`. Rows that say the same are of the same runs.
        """
        most = max(row.run_count for row in rows)
        if most == 0 or len(set(rows)) == 1:
            return most
        [found] = self.tx.rows(_Counted, name, job_id=job_id, ends=json_text(ends), limit=self._counted + 1)
        if found.looked_at > self._counted:
            return most
        self._counted -= found.looked_at
        return max(found.taken, most)


class Ids(dict[Node, str]):
    """The ids of nodes: the same in every answer as long as the tables of a group stay the same."""

    def __missing__(self, node: Node) -> str:
        """Makes the id once, as an edge asks for it again."""
        self[node] = text = id_of(node)
        return text


def id_of(node: Node) -> str:
    """The node's id: opaque, and the same in every answer as long as the tables of its group stay the same."""
    kind, number, name = node
    if kind == "run":
        return f"run:{name}"
    return f"{kind}:{number}/{name}" if name else f"{kind}:{number}"


def edge_between(source: str, target: str, row: Taken) -> GraphEdge:
    """The edge that one row tells of."""
    first = moment(row.first_seen)
    return GraphEdge(
        source=source,
        target=target,
        first_seen=first,
        last_seen=first if row.last_seen == row.first_seen else moment(row.last_seen),
        count=row.run_count,
        last_run_id=row.last_run_id or None,
    )


def joined(rows: Sequence[Taken], count: int) -> Taken:
    """What several rows tell of one edge. Who took it last is told by those that were taken at all."""
    if len(rows) == 1:
        return rows[0]
    last = max([row for row in rows if row.run_count] or rows, key=lambda row: (row.last_seen, row.last_run_id))
    return Taken(min(row.first_seen for row in rows), last.last_seen, count, last.last_run_id)


class Neighbours:
    """How many neighbours of each node are hidden: those it has less those it is drawn with."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        """Knows of none."""
        self._left: dict[Node, list[int]] = {node: [0, 0] for node in nodes}

    def add(self, nodes: Sequence[Node], degrees: Iterable[Degree]) -> None:
        """The nodes have so many more."""
        for row in degrees:
            self._left[nodes[row.at]][row.side] += row.count

    def add_one(self, node: Node, side: int) -> None:
        """The node has one more, upstream (1) or downstream (0)."""
        self._left[node][side] += 1

    def draw(self, edges: Iterable[Edge]) -> None:
        """These are not hidden."""
        left = self._left
        for source, target in edges:
            if source in left:
                left[source][0] -= 1
            if target in left:
                left[target][1] -= 1

    def hidden(self, node: Node) -> tuple[int, int]:
        """How many are, upstream and downstream."""
        down, up = self._left[node]
        return max(up, 0), max(down, 0)
