"""A lineage graph as a drawing in SVG: a card for each table, job, snapshot and run; of columns a card for each table.

Called by the page alone, which brings the colours. Every name is escaped here.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

from datlake_sdk._amounts import version_of, width
from datlake_sdk.cli.graph_layout import Box, Layout, Link, Place, laid_out
from datlake_sdk.cli.graph_names import elsewhere, how, is_indirect, name_of, times_of
from datlake_sdk.cli.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datlake_sdk.wire.models import Graph, GraphEdge, GraphNode

MARGIN: Final = 40.0
CARD_HEIGHT: Final = 52.0
HEAD_HEIGHT: Final = 46.0
ROW_HEIGHT: Final = 26.0
CARD_LEAST: Final = 168.0
CARD_MOST: Final = 340.0
# Of the widest of the usual system fonts, at 13 px in bold and at 12 px.
LETTER: Final = 8.4
SMALL_LETTER: Final = 7.3
# The dot of a run's state.
DOT: Final = 12.0
# The icon and the air on both sides.
ROOM: Final = 48.0
RUN_LETTERS: Final = 13  # of a UUIDv7 these are the time to the millisecond

# Drawn in a square of 16.
ICONS: Final = {
    "table": "M2.5 3.5h11v9h-11z M2.5 6.5h11 M6.5 6.5v6",
    "snapshot": "M2.5 3.5h11v9h-11z M2.5 6.5h11 M6.5 6.5v6",
    "job": "M8 2.5a5.5 5.5 0 1 0 .01 0z M6.6 5.6v4.8l4-2.4z",
    "run": "M8 2.5a5.5 5.5 0 1 0 .01 0z M6.6 5.6v4.8l4-2.4z",
}


class Card(NamedTuple):
    """A rectangle of the drawing: one node, or the columns of one table."""

    title: str
    subtitle: str
    kind: str
    tooltip: str
    nodes: list[GraphNode]
    is_root: bool

    @property
    def has_rows(self) -> bool:
        """True where its nodes are rows in it."""
        return self.nodes[0].kind == "column"

    @property
    def box(self) -> Box:
        """How large it is."""
        dot = DOT if self.kind == "run" else 0.0
        names = [width(self.title) * LETTER, width(self.subtitle) * SMALL_LETTER + dot]
        if self.has_rows:
            names += [width(node.field or "") * LETTER for node in self.nodes]
        room = min(max(max(names) + ROOM, CARD_LEAST), CARD_MOST)
        return Box(room, HEAD_HEIGHT + ROW_HEIGHT * len(self.nodes) + 6 if self.has_rows else CARD_HEIGHT)

    def at(self, index: int) -> float:
        """How far below its top the edges of its node begin and end."""
        return HEAD_HEIGHT + ROW_HEIGHT * (index + 0.5) if self.has_rows else CARD_HEIGHT / 2


def drawing(graph: Graph) -> str:
    """The `<svg>` element; a node has `data-node`, an edge `data-from` and `data-to`, the numbers of nodes."""
    cards = _cards(graph)
    numbers = {node.id: number for number, node in enumerate(graph.nodes)}
    where = {node.id: (card, index) for card, each in enumerate(cards) for index, node in enumerate(each.nodes)}
    edges = [edge for edge in graph.edges if edge.source in where and edge.target in where]
    links = [_link(edge, where, cards) for edge in edges]
    layout = laid_out([card.box for card in cards], links)
    wide, high = layout.width + 2 * MARGIN, layout.height + 2 * MARGIN
    size = f'viewBox="0 0 {wide:.0f} {high:.0f}" width="{wide:.0f}" height="{high:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="group" aria-label="lineage, drawn from left to right">',
        _markers(),
        f'<g transform="translate({MARGIN:.0f} {MARGIN:.0f})">',
        *_edges(edges, graph, numbers, layout),
        *_all_cards(cards, numbers, layout, graph.root),
        "</g></svg>",
    ]
    return "\n".join(parts)


# --- what is drawn ----------------------------------------------------------------------------------------------------


def _cards(graph: Graph) -> list[Card]:
    root = next((node for node in graph.nodes if node.id == graph.root), None)
    home = "" if root is None else root.namespace
    tables: dict[tuple[str, str], list[GraphNode]] = {}
    for node in graph.nodes:
        if node.kind == "column":
            tables.setdefault((node.namespace, node.name), []).append(node)
    cards = [
        _card(node, home, is_root=node.id == graph.root)
        for node in graph.nodes
        if node.kind != "column" and not (node.kind == "table" and (node.namespace, node.name) in tables)
    ]
    for (namespace, name), columns in tables.items():
        subtitle = elsewhere(columns[0], home)
        is_root = root is not None and (root.namespace, root.name) == (namespace, name)
        cards.append(
            Card(shown(name), subtitle or "table", "table", f"{shown(name)}\nin {shown(namespace)}", columns, is_root)
        )
    return cards


def _card(node: GraphNode, home: str, *, is_root: bool) -> Card:
    facts = [version_of(node.version) or node.kind]
    if node.kind == "run":
        facts = [node.state or "run", (node.run_id or "")[:RUN_LETTERS]]
    facts += [place] if (place := elsewhere(node, home)) else []
    told = (f"in {shown(node.namespace)}" if node.namespace else "", node.state, node.snapshot_id)
    lines = [name_of(node), *(each for each in told if each)]
    return Card(shown(node.name), shown(" · ".join(facts)), node.kind, "\n".join(lines), [node], is_root)


def _link(edge: GraphEdge, where: dict[str, tuple[int, int]], cards: Sequence[Card]) -> Link:
    (source, source_index), (target, target_index) = where[edge.source], where[edge.target]
    return Link(source, target, cards[source].at(source_index), cards[target].at(target_index))


# --- how it is drawn --------------------------------------------------------------------------------------------------


def _markers() -> str:
    """Arrow heads; one for each look, as they cannot take the colour of their line everywhere."""
    heads = "".join(
        f'<marker id="{name}" class="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto-start-reverse"><path d="M0 .5 7.5 4 0 7.5z"/></marker>'
        for name in ("head", "head-lit")
    )
    return f"<defs>{heads}</defs>"


def _edges(edges: Sequence[GraphEdge], graph: Graph, numbers: dict[str, int], layout: Layout) -> Iterator[str]:
    names = {node.id: name_of(node) for node in graph.nodes}
    yield '<g class="edges">'
    for edge, route, is_backward in zip(edges, layout.routes, layout.is_backward, strict=True):
        looks = "edge"
        if is_indirect(edge):
            looks += " indirect"
        if not edge.count:
            looks += " declared"
        end = "start" if is_backward else "end"
        told = "\n".join(
            part
            for part in (f"{names[edge.source]} → {names[edge.target]}", how(edge.transformations), times_of(edge))
            if part
        )
        yield (
            f'<path class="{looks}" d="{_path(route)}" marker-{end}="url(#head)" data-from="{numbers[edge.source]}" '
            f'data-to="{numbers[edge.target]}"><title>{_text(told)}</title></path>'
        )
    yield "</g>"


def _path(route: Sequence[Place]) -> str:
    """A curve that leaves each point level, and is straight where it passes through a layer."""
    begin, *rest = route
    if route[-1].x <= begin.x and len(route) == 2:
        return _loop(begin, route[-1])
    told = [f"M{begin.x:.1f} {begin.y:.1f}"]
    for left, right in zip(route, rest, strict=False):
        if abs(left.y - right.y) < 0.5:
            told.append(f"L{right.x:.1f} {right.y:.1f}")
        else:
            bend = (right.x - left.x) / 2
            told.append(
                f"C{left.x + bend:.1f} {left.y:.1f} {right.x - bend:.1f} {right.y:.1f} {right.x:.1f} {right.y:.1f}"
            )
    return "".join(told)


def _loop(begin: Place, end: Place) -> str:
    """A thing that feeds itself: out on the right, over its top, in on the left."""
    top = min(begin.y, end.y) - CARD_HEIGHT
    return (
        f"M{begin.x:.1f} {begin.y:.1f}C{begin.x + 36:.1f} {begin.y:.1f} {begin.x + 36:.1f} {top:.1f} "
        f"{begin.x - 12:.1f} {top:.1f}L{end.x + 12:.1f} {top:.1f}C{end.x - 36:.1f} {top:.1f} {end.x - 36:.1f} "
        f"{end.y:.1f} {end.x:.1f} {end.y:.1f}"
    )


def _all_cards(cards: Sequence[Card], numbers: dict[str, int], layout: Layout, root: str) -> Iterator[str]:
    for card, place in zip(cards, layout.places, strict=True):
        yield f'<g transform="translate({place.x:.1f} {place.y:.1f})">'
        yield from _table_card(card, numbers, root) if card.has_rows else _plain_card(card, numbers)
        yield "</g>"


def _plain_card(card: Card, numbers: dict[str, int]) -> Iterator[str]:
    node, box = card.nodes[0], card.box
    looks = f"node {card.kind}{' root' if card.is_root else ''}"
    radius = 26 if card.kind in {"job", "run"} else 6
    yield f'<g class="{looks}" data-node="{numbers[node.id]}" tabindex="0" aria-label="{_text(card.tooltip)}">'
    yield f"<title>{_text(card.tooltip)}</title>"
    yield f'<rect class="card" width="{box.width:.1f}" height="{box.height:.1f}" rx="{radius}"/>'
    yield from _head(card, box, 22)
    yield from _hidden(node, box, box.height / 2)
    yield "</g>"


def _table_card(card: Card, numbers: dict[str, int], root: str) -> Iterator[str]:
    box = card.box
    yield f'<g class="table{" root" if card.is_root else ""}"><title>{_text(card.tooltip)}</title>'
    yield f'<rect class="card" width="{box.width:.1f}" height="{box.height:.1f}" rx="6"/>'
    yield from _head(card, box, 20)
    yield f'<path class="rule" d="M0 {HEAD_HEIGHT:.0f}h{box.width:.1f}"/></g>'
    for index, node in enumerate(card.nodes):
        looks = f"node column{' start' if node.id == root else ''}"
        name = _cut(shown(node.field or ""), box.width - 28, LETTER)
        top = HEAD_HEIGHT + ROW_HEIGHT * index
        yield f'<g class="{looks}" data-node="{numbers[node.id]}" tabindex="0" aria-label="{_text(name_of(node))}">'
        yield f"<title>{_text(name_of(node))}</title>"
        yield f'<rect class="row" x="1" y="{top + 1:.0f}" width="{box.width - 2:.1f}" height="{ROW_HEIGHT - 1:.0f}"/>'
        yield f'<text class="field" x="14" y="{top + 17:.0f}">{_text(name)}</text>'
        yield from _hidden(node, box, top + ROW_HEIGHT / 2)
        yield "</g>"


def _head(card: Card, box: Box, baseline: float) -> Iterator[str]:
    left = 14 if card.kind in {"table", "snapshot"} else 18
    yield f'<path class="icon" transform="translate({left - 3} {baseline - 13:.0f})" d="{ICONS[card.kind]}"/>'
    room = box.width - ROOM
    yield f'<text class="name" x="{left + 18}" y="{baseline:.0f}">{_text(_cut(card.title, room, LETTER))}</text>'
    state = card.nodes[0].state if card.kind == "run" else None
    told = _cut(card.subtitle, room - (DOT if state else 0), SMALL_LETTER)
    x = left + 18
    if state is not None:
        yield f'<circle class="state {_text(state)}" cx="{x + 3}" cy="{baseline + 12:.0f}" r="3.5"/>'
        x += int(DOT)
    yield f'<text class="facts" x="{x}" y="{baseline + 16:.0f}">{_text(told)}</text>'


def _hidden(node: GraphNode, box: Box, y: float) -> Iterator[str]:
    """How many neighbours the drawing does not show, on their side."""
    for count, x, anchor, side in (
        (node.hidden_upstream, -8.0, "end", "upstream"),
        (node.hidden_downstream, box.width + 8, "start", "downstream"),
    ):
        if count:
            yield (
                f'<text class="more" x="{x:.1f}" y="{y - 6:.1f}" text-anchor="{anchor}">+{count}'
                f"<title>{count} more {side}, not drawn here</title></text>"
            )


def _cut(text: str, room: float, letter: float) -> str:
    """The text, shortened in its middle to what fits: beginnings and ends are what tells names apart."""
    most = max(4, int(room / letter))
    if width(text) <= most:
        return text
    begins, ends = text[: most // 2], text[-((most - 1) // 2) :]
    while width(begins) + width(ends) >= most:  # letters of two columns
        begins, ends = begins[:-1], ends[1:]
    return f"{begins}…{ends}"


def _text(text: str) -> str:
    return escape(text)
