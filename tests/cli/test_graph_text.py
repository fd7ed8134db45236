"""Graphs as text that other programs draw, and columns as a tree: names of every kind stay names."""

from __future__ import annotations

import re
from html import unescape

import pytest

from datlake_sdk.cli.column_tree import column_tree
from datlake_sdk.cli.graph_names import name_of
from datlake_sdk.cli.graph_text import dot, label_of, mermaid
from datlake_sdk.cli.lineage import Root
from datlake_sdk.wire.models import Direction, Graph
from tests.cli.graphs import column_graph, direct, edge, hostile_graph, node

GRAPHS = {"hostile": hostile_graph(), "columns": column_graph()}


def mermaid_label(text: str) -> str:
    """A label as Mermaid reads it: `#34;` is the character of that number."""
    return re.sub(r"#(\d+);", lambda found: chr(int(found[1])), text)


def dot_label(text: str) -> str:
    """A label as Graphviz reads it: a backslash escapes, `&` begins a character of HTML."""
    return unescape(re.sub(r"\\(.)", r"\1", text))


@pytest.mark.parametrize("name", GRAPHS)
def test_a_mermaid_chart_names_every_node_and_nothing_else(name: str) -> None:
    """A quote or a bracket in a name would end the label, and what follows would be read as a command."""
    graph = GRAPHS[name]
    first, *lines = mermaid(graph).splitlines()
    assert first == "flowchart LR"
    nodes = [re.fullmatch(r'    n\d+(?:\["([^"\[\]<>]*)"\]|\(\["([^"\[\]<>]*)"\]\))', line) for line in lines]
    labels = [mermaid_label(found[1] or found[2]) for found in nodes if found]
    assert labels == [label_of(graph, each) for each in graph.nodes]
    edges = [line for line in lines if re.fullmatch(r'    n\d+ (-->|-\.->)(\|"[a-z_# +()0-9;]*"\|)? n\d+', line)]
    assert len(edges) == len(graph.edges)
    rest = [line for line in lines if line not in edges and not re.match(r"    n\d+[\[(]", line)]
    assert {line.split()[0] for line in rest} <= {"classDef", "class"}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graphviz_graph_names_every_node_and_nothing_else(name: str) -> None:
    """The same for Graphviz, whose labels end at a quote that no backslash stands before."""
    graph = GRAPHS[name]
    text = dot(graph)
    labels = re.findall(r'^    n\d+ \[label="((?:[^"\\]|\\.)*)", shape=box[^\n]*\];$', text, flags=re.MULTILINE)
    assert [dot_label(label) for label in labels] == [label_of(graph, each) for each in graph.nodes]
    edges = re.findall(r"^    n\d+ -> n\d+(?: \[[^\n]*\])?;$", text, flags=re.MULTILINE)
    assert len(edges) == len(graph.edges)
    assert len(text.splitlines()) == len(labels) + len(edges) + 5


def test_a_label_says_where_a_name_belongs_unless_that_is_where_one_began() -> None:
    """Two tables of one name in two stores would look the same."""
    graph = column_graph()
    labels = [label_of(graph, each) for each in graph.nodes]
    assert "shops.region (in postgres://db:5432)" in labels
    assert "orders.amount" in labels


def tree(graph: Graph, direction: Direction) -> list[str]:
    """The lines of the tree below the root."""
    return list(column_tree(graph, Root("column", "default", "orders", field="amount"), direction))


def test_a_tree_of_columns_says_how_each_becomes_the_other() -> None:
    """A filter that dropped rows explains a wrong sum as well as the column that was added up."""
    assert tree(column_graph(), "upstream") == [
        "├─ raw.amount  (transformation; 3 runs, last 2026-11-23 03:10)",
        "└─ raw.status  (indirect filter; 3 runs, last 2026-11-23 03:10)  (more beyond: --depth)",
    ]
    assert tree(column_graph(), "downstream") == [
        "└─ report.total  (aggregation + indirect group by; 2 runs, last 2026-11-23 03:10)"
    ]


def test_below_a_table_stand_its_columns_each_with_a_tree() -> None:
    """Asked for a whole table, one wants to see all its columns at once."""
    graph = column_graph()
    whole = Graph(root="table:1", nodes=[*graph.nodes, node("table", "orders")], edges=graph.edges)
    whole = Graph(root=whole.nodes[-1].id, nodes=whole.nodes, edges=whole.edges)
    lines = tree(whole, "upstream")
    assert [line for line in lines if line[0] not in "├└"] == ["orders.amount", "orders.customer"]
    assert lines[-1] == "└─ raw.mail  (transformation (masked); 3 runs, last 2026-11-23 03:10)"


def test_columns_that_feed_each_other_in_a_circle_end() -> None:
    """A table that is updated from itself feeds its own columns."""
    one, two = node("column", "orders", field="amount"), node("column", "orders", field="sum")
    graph = Graph(root=one.id, nodes=[one, two], edges=[edge(one, two, 1, direct()), edge(two, one, 1, direct())])
    assert [line.partition("  (")[0].lstrip("└─ ") for line in tree(graph, "upstream")] == [
        "orders.sum",
        "orders.amount",
    ]
    assert tree(graph, "upstream")[-1].endswith("(a cycle: it is above)")


def test_no_name_moves_the_cursor_of_a_terminal() -> None:
    """An escape sequence in a table's name could rewrite what stands above it."""
    assert all(name_of(each).isprintable() for each in hostile_graph().nodes)
