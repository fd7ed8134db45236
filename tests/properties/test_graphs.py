"""Graphs against a walk that is written down as simply as it can be, whole and page by page."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datlake_sdk.client import DatlakeClient
from datlake_sdk.wire.models import Direction, Graph, GraphNode
from tests.graphs import Teller

TABLES, JOBS = 6, 4
FAR = 99
# Any more nodes than there are.
ALL = 100

Thing = tuple[Literal["table", "job"], str]
Edge = tuple[Thing, Thing]
_STORIES = itertools.count()


class Told(NamedTuple):
    """What a lake is told: runs that read and write, tables that name what feeds them, and jobs that follow jobs."""

    runs: list[tuple[int, set[int], set[int]]]
    fed: set[tuple[int, int]]
    links: set[tuple[int, int]]


_TABLE, _JOB = st.integers(0, TABLES - 1), st.integers(0, JOBS - 1)
_SOME = st.sets(_TABLE, max_size=2)
told = st.builds(
    Told,
    st.lists(st.tuples(_JOB, _SOME, _SOME), max_size=7),
    st.sets(st.tuples(_TABLE, _TABLE), max_size=2),
    st.sets(st.tuples(_JOB, _JOB).filter(lambda ends: ends[0] != ends[1]), max_size=2),
)


class Asked(NamedTuple):
    """A graph: what it is around, which way, and how far."""

    root: Thing
    direction: Direction
    depth: int


class Picture(NamedTuple):
    """Nodes with what is hidden around them, and edges."""

    nodes: dict[Thing, tuple[int, int]]
    edges: set[Edge]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatlakeClient]:
    """A lake that holds every story, each in a namespace of its own."""
    with DatlakeClient(str(tmp_path_factory.mktemp("graphs"))) as client:
        yield client


@settings(max_examples=40, deadline=None)
@given(told=told, depth=st.integers(1, 7), table=_TABLE, job=_JOB)
def test_a_graph_is_what_a_plain_walk_finds(lake: DatlakeClient, told: Told, depth: int, table: int, job: int) -> None:
    """Every node and edge within the depth, none beyond, and each neighbour that is left out is counted."""
    tell = _tell(lake, told)
    roots: list[Thing] = [("table", f"t{table}"), ("job", f"j{job}")]
    ways: tuple[Direction, ...] = ("upstream", "downstream", "both")
    for root, way, far in itertools.product(roots, ways, (depth, FAR)):
        asked = Asked(root, way, far)
        assert _picture([_ask(tell, asked, ALL)]) == _plain(told, asked)


@settings(max_examples=40, deadline=None)
@given(told=told, size=st.integers(1, 4), table=_TABLE, way=st.sampled_from(["upstream", "downstream", "both"]))
def test_all_pages_are_the_graph(lake: DatlakeClient, told: Told, size: int, table: int, way: Direction) -> None:
    """Each node and each edge once; the root first; an edge never before its nodes; the nearest before the far."""
    tell = _tell(lake, told)
    asked = Asked(("table", f"t{table}"), way, FAR)
    pages = list(_pages(tell, asked, size))
    assert all(len(page.nodes) == size for page in pages[:-1])
    assert all(page.truncated == (page is not pages[-1]) for page in pages)
    assert pages[0].root in {node.id for node in pages[0].nodes}
    shown: set[str] = set()
    for page in pages:
        assert page.root == pages[0].root
        shown |= {node.id for node in page.nodes}
        assert {end for edge in page.edges for end in (edge.source, edge.target)} <= shown
    whole = _plain(told, asked)
    seen = _picture(pages)
    assert seen.edges == whole.edges
    assert seen.nodes.keys() == whole.nodes.keys()
    distances = [_distance(told, asked, node) for page in pages for node in page.nodes]
    assert [min(distances[at:]) for at in range(0, len(distances), size)] == sorted(
        min(distances[at:]) for at in range(0, len(distances), size)
    )
    for at in range(1, len(pages)):
        assert max(distances[: at * size]) <= min(distances[at * size :])


@settings(max_examples=25, deadline=None)
@given(told=told, size=st.integers(1, 4), table=_TABLE)
def test_a_page_hides_what_neither_it_nor_an_earlier_one_draws(
    lake: DatlakeClient, told: Told, size: int, table: int
) -> None:
    """Who looks at a page knows where there is more."""
    tell = _tell(lake, told)
    around = _around(told)
    edges: set[Edge] = set()
    things: dict[str, Thing] = {}
    for page in _pages(tell, Asked(("table", f"t{table}"), "both", FAR), size):
        things |= {node.id: _thing(node) for node in page.nodes}
        edges |= {(things[edge.source], things[edge.target]) for edge in page.edges}
        for node in page.nodes:
            thing = _thing(node)
            assert (node.hidden_upstream, node.hidden_downstream) == _hidden(thing, around, edges)


def _tell(lake: DatlakeClient, told: Told) -> Teller:
    tell = Teller(lake, f"story-{next(_STORIES)}")
    for table in range(TABLES):
        tell.dataset(f"t{table}")
    for job in range(JOBS):
        tell.job(f"j{job}")
    for number, (job, reads, writes) in enumerate(told.runs):
        tell.run(f"j{job}", [f"t{one}" for one in reads], [f"t{one}" for one in writes], number=number)
    for target in sorted({target for _, target in told.fed}):
        tell.fed(f"t{target}", [f"t{source}" for source, one in sorted(told.fed) if one == target])
    for target in sorted({target for _, target in told.links}):
        tell.job(f"j{target}", after=[f"j{source}" for source, one in sorted(told.links) if one == target])
    return tell


def _ask(tell: Teller, asked: Asked, size: int, cursor: str | None = None) -> Graph:
    kind, name = asked.root
    return tell.client.lineage(
        name,
        kind=kind,
        direction=asked.direction,
        depth=asked.depth,
        max_nodes=size,
        cursor=cursor,
        namespace=tell.namespace,
    )


def _pages(tell: Teller, asked: Asked, size: int) -> Iterator[Graph]:
    page = _ask(tell, asked, size)
    yield page
    while page.next_cursor is not None:
        page = _ask(tell, asked, size, page.next_cursor)
        yield page


def _picture(pages: list[Graph]) -> Picture:
    nodes = [node for page in pages for node in page.nodes]
    things = {node.id: _thing(node) for node in nodes}
    edges = [(things[edge.source], things[edge.target]) for page in pages for edge in page.edges]
    assert len(things) == len(nodes)
    assert len(set(edges)) == len(edges)
    return Picture({_thing(node): (node.hidden_upstream, node.hidden_downstream) for node in nodes}, set(edges))


def _thing(node: GraphNode) -> Thing:
    assert node.kind in {"table", "job"}
    return ("table" if node.kind == "table" else "job"), node.name


# --- the plain walk ---------------------------------------------------------------------------------------------------


def _plain(told: Told, asked: Asked) -> Picture:
    edges: set[Edge] = set()
    nodes = {asked.root}
    for up in {"upstream": (True,), "downstream": (False,), "both": (True, False)}[asked.direction]:
        reached = _reached(told, asked, up=up)
        for near, step in _moves(told, up=up):
            for edge, far in zip(step, _distances(reached.get(near), len(step)), strict=True):
                if far is not None and far <= asked.depth:
                    edges.add(edge if not up else (edge[1], edge[0]))
                    nodes |= set(edge)
    around = _around(told)
    return Picture({node: _hidden(node, around, edges) for node in nodes}, edges)


def _distance(told: Told, asked: Asked, node: GraphNode) -> int:
    """How many edges it is from the root to the node."""
    thing = _thing(node)
    for depth in range(FAR):
        if thing in _plain(told, asked._replace(depth=depth)).nodes:
            return depth
    raise AssertionError(node)


def _distances(near: int | None, steps: int) -> list[int | None]:
    return [None if near is None else near + one for one in range(1, steps + 1)]


# Where a walk stands: at a table, at a job of which all data is walked, or at one that it only passes.
Stand = tuple[Literal["table", "whole", "passed"], str]


def _reached(told: Told, asked: Asked, *, up: bool) -> dict[Stand, int]:
    """The distance of all that is reached, found by going round until nothing becomes nearer."""
    kind, name = asked.root
    found: dict[Stand, int] = {("table" if kind == "table" else "whole", name): 0}
    changed = True
    while changed:
        changed = False
        for near, step in _moves(told, up=up):
            for stand, distance in _arrivals(near, step, found.get(near)):
                if distance <= asked.depth and distance < found.get(stand, FAR + 1):
                    found[stand] = distance
                    changed = True
    return found


def _arrivals(near: Stand, step: tuple[Edge, ...], distance: int | None) -> Iterator[tuple[Stand, int]]:
    if distance is None:
        return
    for number, (_, (kind, name)) in enumerate(step, 1):
        if kind == "table":
            yield ("table", name), distance + number
        else:
            yield ("passed" if near[0] == "table" else "whole", name), distance + number


def _moves(told: Told, *, up: bool) -> Iterator[tuple[Stand, tuple[Edge, ...]]]:
    """From each stand the edges that are gone along, those of one step one after the other."""
    for job, reads, writes in told.runs:
        near, far = (writes, reads) if up else (reads, writes)
        via: Thing = ("job", f"j{job}")
        for one in near:
            table: Thing = ("table", f"t{one}")
            yield ("table", f"t{one}"), ((table, via),)
            for other in far:
                yield ("table", f"t{one}"), ((table, via), (via, ("table", f"t{other}")))
        for other in far:
            yield ("whole", f"j{job}"), ((via, ("table", f"t{other}")),)
    for source, target in told.fed:
        one, other = (target, source) if up else (source, target)
        yield ("table", f"t{one}"), ((("table", f"t{one}"), ("table", f"t{other}")),)
    for source, target in told.links:
        one, other = (target, source) if up else (source, target)
        for stand in ("whole", "passed"):
            yield (stand, f"j{one}"), ((("job", f"j{one}"), ("job", f"j{other}")),)


def _around(told: Told) -> set[Edge]:
    """Every edge there is."""
    found: set[Edge] = {(("table", f"t{source}"), ("table", f"t{target}")) for source, target in told.fed}
    found |= {(("job", f"j{source}"), ("job", f"j{target}")) for source, target in told.links}
    for job, reads, writes in told.runs:
        found |= {(("table", f"t{one}"), ("job", f"j{job}")) for one in reads}
        found |= {(("job", f"j{job}"), ("table", f"t{one}")) for one in writes}
    return found


def _hidden(thing: Thing, around: set[Edge], drawn: set[Edge]) -> tuple[int, int]:
    rest = around - drawn
    return sum(target == thing for _, target in rest), sum(source == thing for source, _ in rest)
