"""The page of a lineage graph: it needs nothing else, says all there is, and no name in it is more than a name."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from datlake_sdk.cli.graph_page import graph_page
from datlake_sdk.cli.graph_style import SCRIPT, STYLE
from datlake_sdk.cli.text import shown
from datlake_sdk.wire.models import Graph
from tests.cli.graphs import LAST, column_graph, hostile_graph, node

# What the page is made of. A name that became markup would bring others, or more of these.
ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "header", "h1", "p", "main", "div", "span", "b", "button"),
    *("svg", "defs", "marker", "path", "g", "rect", "text", "circle", "details", "summary"),
    *("table", "thead", "tbody", "tr", "th", "td", "footer", "script"),
}
CLOSED_BY_NOTHING = {"meta"}


class Page(HTMLParser):
    """The page as a browser reads it: its elements, its attributes and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.elements.append(tag)
        self.attributes += attrs
        if tag not in CLOSED_BY_NOTHING:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element that holds nothing."""
        self.elements.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        """An element ends, and it is the one that was open."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text that a reader sees."""
        if self._open and self._open[-1] not in {"script", "style"}:
            self.text += data + "\n"


def page_of(graph: Graph) -> str:
    """The page as it is written."""
    return graph_page(graph, "both", None, LAST)


@pytest.mark.parametrize("graph", [hostile_graph(), column_graph()], ids=["hostile", "columns"])
def test_every_name_is_text_and_no_name_is_markup(graph: Graph) -> None:
    """A table's name comes from whoever may write to the lake; the page is opened by somebody else."""
    read = Page(page_of(graph))
    assert set(read.elements) <= ELEMENTS
    assert (read.elements.count("script"), read.elements.count("style")) == (1, 1)
    assert [name for name, _ in read.attributes if name.startswith("on")] == []
    for each in graph.nodes:
        assert shown(each.name) in read.text
        assert shown(each.namespace) in read.text


def test_the_page_loads_nothing_and_runs_only_what_is_its_own() -> None:
    """It is sent around, and opened years later without a network."""
    text = page_of(hostile_graph())
    read = Page(text)
    assert [value for name, value in read.attributes if name in {"src", "href", "action", "style"}] == []
    assert not re.search(r"url\((?!#)|@import|fetch\(|XMLHttpRequest|import\(", STYLE + SCRIPT)
    (policy,) = [value or "" for name, value in read.attributes if name == "content" and "default-src" in (value or "")]
    assert policy.startswith("default-src 'none'")
    for own in (STYLE, SCRIPT):
        assert f"'sha256-{b64encode(sha256(own.encode()).digest()).decode()}'" in policy
        assert f">{own}</" in text


def test_every_node_and_edge_is_drawn_and_told() -> None:
    """The drawing is for the eye, the tables are for those who search, copy or cannot see it."""
    graph = column_graph()
    text = page_of(graph)
    assert len(re.findall(r"data-node=\"\d+\"", text)) == len(graph.nodes)
    assert len(re.findall(r"data-from=\"\d+\"", text)) == len(graph.edges)
    assert text.count("<tr>") == len(graph.nodes) + len(graph.edges) + 2
    for told in ("aggregation + indirect group by", "transformation (masked)", "+2", "declared, not run yet"):
        assert told in text


def test_columns_are_rows_of_their_table() -> None:
    """A card for each column would tear a table apart."""
    text = page_of(column_graph())
    assert text.count('<g class="table') == 4
    assert text.count('class="node column') == 7
    assert text.count('class="node column start"') == 1


def test_a_graph_of_one_thing_says_that_nothing_is_known_of_it() -> None:
    """An empty drawing looks like a broken one."""
    lone = node("table", "lonely")
    assert "Nothing is known of it yet." in page_of(Graph(root=lone.id, nodes=[lone], edges=[]))
    assert "<svg" not in page_of(Graph(root="1", nodes=[], edges=[]))


def test_a_graph_that_was_cut_says_so_on_the_page() -> None:
    """Whoever gets the page does not see what was said on the terminal."""
    graph = column_graph()
    cut = Graph(root=graph.root, nodes=graph.nodes, edges=graph.edges, truncated=True)
    assert "Cut at 7 nodes" in page_of(cut)
    assert "Cut at" not in page_of(graph)


def test_a_long_name_is_cut_in_its_middle_and_whole_where_one_points() -> None:
    """Names that differ at their ends are told apart; a card as wide as its name would push others off the screen."""
    name = "warehouse.sales_of_all_regions_and_all_shops_by_day_and_hour_2026"
    lone = node("table", name)
    text = page_of(Graph(root=lone.id, nodes=[lone], edges=[]))
    assert f"<title>{name}\nin default</title>" in text
    (card,) = re.findall(r'<text class="name"[^>]*>([^<]*)</text>', text)
    begins, ends = card.split("…")
    assert name.startswith(begins)
    assert name.endswith(ends)
    assert 30 < len(card) < len(name)
