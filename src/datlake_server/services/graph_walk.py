"""A walk over lineage, breadth first: which nodes are reached, in what order, and over which edges.

Knows no database: a level answers its questions, or `Known`, which has the answers in memory. What it reaches follows
from the answers alone, so the same question begins with the same nodes however far it goes.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING, Final, Literal, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

Way = Literal["upstream", "downstream"]
# What it is, its number (a table's, a job's) and what names it beside that (a snapshot, a run, a column), or nothing.
# A plain tuple: a walk makes hundreds of thousands of them.
Node = tuple[str, int, str]
Edge = tuple[Node, Node]
# (near, via, far): `far` feeds `near` by way of the job or run `via` (upstream), or is fed. Without a via the edge is a
# direct one; without a far end there is nothing beyond the via.
Step = tuple[Node, Node | None, Node | None]

VIAS: Final = frozenset({"job", "run"})


class Steps(Protocol):
    """What a walk asks, of many nodes at once; answers come in an order that is the same each time."""

    def steps(self, way: Way, near: Sequence[Node]) -> Iterable[Step]:
        """The steps that lead to these places (upstream), or from them."""
        ...

    def ends(self, way: Way, vias: Sequence[Node]) -> Iterable[Edge]:
        """All that each via reads (upstream) or writes, as (via, place)."""
        ...

    def links(self, way: Way, vias: Sequence[Node]) -> Iterable[Edge]:
        """The vias that feed these vias without data between them (upstream), or are fed, as (via, other)."""
        ...


class Start(Struct, frozen=True):
    """Where a walk begins. The `frame`, where there is one, is shown first, and not walked from."""

    nodes: list[Node]
    frame: Node | None = None

    @property
    def root(self) -> Node:
        """What the graph is around."""
        return self.nodes[0] if self.frame is None else self.frame


class Seen:
    """What a walk has reached: nodes in the order of their distance (in edges), and the edges it went along."""

    def __init__(self, most: int, only: Collection[Node] | None = None) -> None:
        """Has room for `most` nodes, or for those that are in `only`, however many they are."""
        self.nodes: dict[Node, int] = {}
        self.edges: dict[Edge, None] = {}
        self.is_cut = False
        self._most = most
        self._only = only

    @property
    def room(self) -> int:
        """How many more nodes may be taken."""
        return self._most - len(self.nodes) if self._only is None else sys.maxsize

    def take(self, node: Node, distance: int) -> bool:
        """True where the node is seen by now; false where there is no room for it."""
        if node in self.nodes:
            return True
        if self._only is not None:
            if node not in self._only:
                return False
        elif len(self.nodes) >= self._most:
            self.is_cut = True
            return False
        self.nodes[node] = distance
        return True


class Walk:
    """A walk from its start, one edge at a time in each of its directions; upstream is a step ahead of downstream."""

    def __init__(self, steps: Steps, start: Start, ways: Sequence[Way], depth: int, seen: Seen) -> None:
        """Stands at the start, which takes the first room there is in `seen`."""
        self.seen = seen
        self.distance = 0
        self._depth = depth
        for node in (start.root, *start.nodes):
            seen.take(node, 0)
        begun = [node for node in start.nodes if node in seen.nodes]
        self._sides = [_Side(steps, way, seen, begun) for way in ways]

    def advance(self) -> bool:
        """Goes one edge further; false where nothing is left to reach, or there is no room for it."""
        if self.seen.is_cut or self.distance == self._depth or not any(side.goes_on for side in self._sides):
            return False
        for side in self._sides:
            side.look_ahead(self.distance, beyond_vias=self.distance + 2 <= self._depth)
        self.distance += 1
        for side in self._sides:
            side.arrive(self.distance)
        return True

    def to_the_end(self) -> Seen:
        """All that can be reached."""
        while self.advance():
            pass
        return self.seen


class _Side:
    """One direction of a walk."""

    def __init__(self, steps: Steps, way: Way, seen: Seen, begun: Sequence[Node]) -> None:
        self._steps = steps
        self._way: Way = way
        self._seen = seen
        # True for vias of which all data is walked, and not what fed (or was fed by) one place alone.
        self._visited = dict.fromkeys(begun, True)
        self._places = [node for node in begun if node[0] not in VIAS]
        self._vias = [node for node in begun if node[0] in VIAS]
        self._whole = list(self._vias)
        # By distance: from where, to where, and whether a via that is there is walked as a whole.
        self._coming: defaultdict[int, list[tuple[Node, Node, bool]]] = defaultdict(list)

    @property
    def goes_on(self) -> bool:
        return bool(self._places or self._vias or self._whole) or any(self._coming.values())

    def look_ahead(self, distance: int, *, beyond_vias: bool) -> None:
        """What is one edge away is known, and through vias two; no more is read than there is room for."""
        nodes, room, new = self._seen.nodes, self._seen.room, set[Node]()
        coming, later = self._coming[distance + 1], self._coming[distance + 2] if beyond_vias else None
        for near, via, far in self._steps.steps(self._way, self._places):
            if (node := via or far) is None:
                continue
            coming.append((near, node, False))
            if via is not None and far is not None and later is not None:
                later.append((via, far, False))
            if node not in nodes:
                new.add(node)
                if len(new) > room:
                    return
        ends = ((via, place, False) for via, place in self._steps.ends(self._way, self._whole))
        links = ((via, other, True) for via, other in self._steps.links(self._way, self._vias))
        for arrival in chain(ends, links):
            coming.append(arrival)
            if arrival[1] not in nodes:
                new.add(arrival[1])
                if len(new) > room:
                    return

    def arrive(self, distance: int) -> None:
        """What was one edge away is reached, as far as there is room."""
        seen, visited, is_up = self._seen, self._visited, self._way == "upstream"
        nodes, edges = seen.nodes, seen.edges
        places, vias, whole = list[Node](), list[Node](), list[Node]()
        for origin, node, as_a_whole in self._coming.pop(distance, ()):
            if origin not in nodes or (node not in nodes and not seen.take(node, distance)):
                continue
            edges[(node, origin) if is_up else (origin, node)] = None
            known = visited.get(node)
            if known is None:
                (vias if node[0] in VIAS else places).append(node)
            if known is None or (as_a_whole and not known):
                visited[node] = as_a_whole
                if as_a_whole:
                    whole.append(node)
        self._places, self._vias, self._whole = places, vias, whole


class Known:
    """Steps that are in memory, for walks that go some ways alone."""

    def __init__(self, ways: Iterable[Way]) -> None:
        """Knows none."""
        self._steps: dict[Way, defaultdict[Node, list[Step]]] = {way: defaultdict(list) for way in ways}
        self._ends: dict[Way, defaultdict[Node, list[Edge]]] = {way: defaultdict(list) for way in ways}
        self._links: dict[Way, defaultdict[Node, list[Edge]]] = {way: defaultdict(list) for way in ways}
        self._is_up, self._is_down = "upstream" in self._steps, "downstream" in self._steps

    def add(self, source: Node | None, via: Node | None, target: Node | None) -> None:
        """The source fed the target by way of `via`; of a via that only reads or writes one end is null."""
        if target is not None and self._is_up:
            self._steps["upstream"][target].append((target, via, source))
        if source is not None and self._is_down:
            self._steps["downstream"][source].append((source, via, target))
        if via is None:
            return
        if target is None and source is not None and self._is_up:
            self._ends["upstream"][via].append((via, source))
        if source is None and target is not None and self._is_down:
            self._ends["downstream"][via].append((via, target))

    def add_one_way(self, way: Way, near: Node, via: Node | None, far: Node | None) -> None:
        """The step is there for those who go this way."""
        self._steps[way][near].append((near, via, far))

    def add_link(self, source: Node, target: Node) -> None:
        """One via feeds the other."""
        if self._is_up:
            self._links["upstream"][target].append((target, source))
        if self._is_down:
            self._links["downstream"][source].append((source, target))

    def steps(self, way: Way, near: Sequence[Node]) -> Iterator[Step]:
        """As `Steps`."""
        return (step for node in near for step in self._steps[way].get(node, ()))

    def ends(self, way: Way, vias: Sequence[Node]) -> Iterator[Edge]:
        """As `Steps`."""
        return (end for via in vias for end in self._ends[way].get(via, ()))

    def links(self, way: Way, vias: Sequence[Node]) -> Iterator[Edge]:
        """As `Steps`."""
        return (link for via in vias for link in self._links[way].get(via, ()))
