"""Draws a walk page by page: which of its nodes and edges are on the page that is asked for. Called by `graph`."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire import codec
from datlake_sdk.wire.models import Graph
from datlake_sdk.wire.times import micros, moment
from datlake_server.services.graph_levels import ROWS_READ, id_of
from datlake_server.services.graph_roots import root_of
from datlake_server.services.graph_walk import Seen, Walk
from datlake_server.services.pages import cursor_from, place_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datlake_sdk.wire.operations import Lineage
    from datlake_server.caller import Caller
    from datlake_server.services.graph_levels import Level
    from datlake_server.services.graph_walk import Edge, Node, Start, Steps, Way
    from datlake_server.store.base import Tx

_BOTH: Final[tuple[Way, Way]] = ("upstream", "downstream")
_Count = Annotated[int, Meta(ge=0, le=ROWS_READ)]
_Moment = Annotated[int, Meta(ge=0, le=253_402_300_799_999_999)]  # until the end of year 9999, as times on the wire


class Asked(Struct, frozen=True):
    """The walk that a question asks for, and how many of its nodes were answered before."""

    level: Level
    start: Start
    ways: Sequence[Way]
    depth: int
    before: int
    most: int


class Resumed(Struct, frozen=True):
    """Where an answer goes on: behind how many nodes, and as of when its first page was answered."""

    count: int
    as_of: int


def drawn(tx: Tx, op: Lineage, caller: Caller) -> Graph:
    """The graph around the named root: the `max_nodes` nodes that come next, and the edges that come with them.

    Nodes come by their distance from the root, those of one distance in an order that stays. The first page begins at
    the root; the page of a `next_cursor` goes on behind the last node, and holds the edges that the further nodes
    bring: to each other and to nodes of earlier pages, which it names by their ids and does not tell again. So all
    pages together are the whole graph, each node and each edge once. A node's hidden neighbours are those that neither
    its page nor an earlier one draws it with. What is told between two pages is left out of the second, as far as
    times show it.
    """
    resumed = _resumed(tx, op)
    as_of = moment(resumed.as_of) if op.cursor is not None else op.as_of
    level, start = root_of(tx, replace(op, as_of=as_of), caller)
    ways = _BOTH if op.direction == "both" else (op.direction,)
    asked = Asked(level, start, ways, op.depth, resumed.count, resumed.count + op.max_nodes)
    seen = Walk(level, start, ways, op.depth, Seen(asked.most)).to_the_end()
    nodes = list(seen.nodes)
    edges, new_edges = _edges(asked, seen, nodes)
    drawing = level.draw(nodes[asked.before :], new_edges, edges)
    return Graph(
        root=id_of(start.root),
        nodes=sorted(
            drawing.nodes, key=lambda node: (node.kind, node.namespace, node.name, node.version or 0, node.id)
        ),
        edges=drawing.edges,
        truncated=seen.is_cut or level.is_cut,
        next_cursor=cursor_from(len(nodes), resumed.as_of, _question(op)) if seen.is_cut else None,
    )


def _edges(asked: Asked, seen: Seen, nodes: list[Node]) -> tuple[dict[Edge, None], list[Edge]]:
    """All edges between the nodes, and those of them that no earlier page has drawn."""
    if not asked.before and not seen.is_cut:
        return seen.edges, list(seen.edges)
    # A walk that ran out of room has not looked at all that lies between the nodes it took.
    steps = asked.level.among(nodes, asked.ways)
    edges = _edges_between(asked, steps, nodes)
    earlier = _edges_between(asked, steps, nodes[: asked.before])
    return edges, [edge for edge in edges if edge not in earlier]


def _edges_between(asked: Asked, steps: Steps, nodes: list[Node]) -> dict[Edge, None]:
    only = Seen(asked.most, only=set(nodes))
    return Walk(steps, asked.start, asked.ways, asked.depth, only).to_the_end().edges


def _resumed(tx: Tx, op: Lineage) -> Resumed:
    if op.cursor is None:
        return Resumed(0, tx.now if op.as_of is None else micros(op.as_of))
    count, as_of, question = place_of(op.cursor, tuple[_Count, _Moment, str])
    if question != _question(op):
        message = "the cursor is of another graph; ask for that one as before, or leave the cursor out"
        raise InvalidRequest(message, code="bad_cursor")
    return Resumed(count, as_of)


def _question(op: Lineage) -> str:
    """What the pages of one graph have in common."""
    return sha256(codec.encode(replace(op, cursor=None, max_nodes=1))).hexdigest()[:16]
