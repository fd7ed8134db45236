"""A lineage graph as text that other programs draw: Mermaid's, for pages of Markdown, and Graphviz's. Pure.

Names are anybody's: what would end a label, or mean something in it, is written as the format escapes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datlake_sdk.cli.graph_names import elsewhere, how, is_indirect, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datlake_sdk.wire.models import Graph, GraphNode, NodeKind

# By kind: how a box begins and ends in Mermaid, and its shape in Graphviz.
MERMAID: Final[dict[NodeKind, tuple[str, str]]] = {
    "table": ("[", "]"),
    "snapshot": ("[", "]"),
    "column": ("[", "]"),
    "job": ("([", "])"),
    "run": ("([", "])"),
}
DOT: Final[dict[NodeKind, str]] = {
    "table": "box",
    "snapshot": "box",
    "column": "box",
    "job": 'box, style="rounded,filled", fillcolor="#e9effd"',
    "run": 'box, style="rounded,filled", fillcolor="#e9effd"',
}
# Mermaid reads labels as HTML, and `#` begins a character by number.
_MERMAID_SPECIAL: Final = frozenset('#&<>"`\\|{}[]()$')


def mermaid(graph: Graph) -> str:
    """The graph as a Mermaid flowchart, to be put in a block of Markdown."""
    return "\n".join(_mermaid_lines(graph))


def dot(graph: Graph) -> str:
    """The graph as Graphviz draws it: `… | dot -Tsvg`."""
    return "\n".join(_dot_lines(graph))


def _mermaid_lines(graph: Graph) -> Iterator[str]:
    keys = _keys(graph)
    yield "flowchart LR"
    for node in graph.nodes:
        left, right = MERMAID[node.kind]
        yield f'    {keys[node.id]}{left}"{_mermaid_text(label_of(graph, node))}"{right}'
    for edge in graph.edges:
        told = how(edge.transformations)
        text = f'|"{_mermaid_text(told)}"|' if told else ""
        arrow = "-.->" if is_indirect(edge) or not edge.count else "-->"
        yield f"    {keys[edge.source]} {arrow}{text} {keys[edge.target]}"
    yield "    classDef work fill:#e9effd,stroke:#2557d6,color:#171b22"
    yield "    classDef root stroke-width:3px"
    work = [keys[node.id] for node in graph.nodes if node.kind in {"job", "run"}]
    if work:
        yield f"    class {','.join(work)} work"
    if graph.root in keys:
        yield f"    class {keys[graph.root]} root"


def _dot_lines(graph: Graph) -> Iterator[str]:
    keys = _keys(graph)
    yield "digraph lineage {"
    yield "    rankdir=LR;"
    yield '    node [fontname="sans-serif", fontsize=11];'
    yield '    edge [fontname="sans-serif", fontsize=9, color="#58616e"];'
    for node in graph.nodes:
        bold = ", penwidth=3" if node.id == graph.root else ""
        yield f"    {keys[node.id]} [label={_dot_text(label_of(graph, node))}, shape={DOT[node.kind]}{bold}];"
    for edge in graph.edges:
        told = how(edge.transformations)
        facts = [f"label={_dot_text(told)}"] if told else []
        facts += ["style=dashed"] if is_indirect(edge) or not edge.count else []
        looks = f" [{', '.join(facts)}]" if facts else ""
        yield f"    {keys[edge.source]} -> {keys[edge.target]}{looks};"
    yield "}"


def label_of(graph: Graph, node: GraphNode) -> str:
    """What the node is called in a drawing; the namespace where it is not the root's."""
    home = next((each.namespace for each in graph.nodes if each.id == graph.root), node.namespace)
    place = elsewhere(node, home)
    return f"{name_of(node)} (in {place})" if place else name_of(node)


def _keys(graph: Graph) -> dict[str, str]:
    """Short names of our own for the nodes: their ids may hold anything."""
    return {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}


def _mermaid_text(text: str) -> str:
    return "".join(f"#{ord(char)};" if char in _MERMAID_SPECIAL else char for char in text)


def _dot_text(text: str) -> str:
    # In a label `&` begins a character by its name in HTML.
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
    return f'"{escaped}"'
