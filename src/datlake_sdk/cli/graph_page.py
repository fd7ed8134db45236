"""A lineage graph as one page of HTML that needs nothing else: a drawing, and all of it again as tables.

No name can become markup: each is escaped, and the page's own policy allows its one script and its one style alone.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Final

from datlake_sdk._amounts import version_of
from datlake_sdk.cli.graph_names import how, name_of
from datlake_sdk.cli.graph_style import SCRIPT, STYLE
from datlake_sdk.cli.graph_svg import drawing
from datlake_sdk.cli.text import shown, utc, without_empty

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from datlake_sdk.wire.models import Direction, Graph, GraphEdge, GraphNode

WORDS: Final[dict[Direction, str]] = {
    "upstream": "What it comes from",
    "downstream": "What it goes into",
    "both": "What it comes from and what it goes into",
}
PLURALS: Final = {"table": "tables", "job": "jobs", "snapshot": "snapshots", "run": "runs", "column": "columns"}
# Beyond so many rows the tables begin folded.
OPEN_ROWS: Final = 60


def graph_page(graph: Graph, direction: Direction, as_of: datetime | None, now: datetime) -> str:
    """The page, whole."""
    return "\n".join(_lines(graph, direction, as_of, now))


def _lines(graph: Graph, direction: Direction, as_of: datetime | None, now: datetime) -> Iterator[str]:
    root = next((node for node in graph.nodes if node.id == graph.root), None)
    name = "nothing that is known" if root is None else name_of(root)
    policy = f"default-src 'none'; style-src '{_hash(STYLE)}'; script-src '{_hash(SCRIPT)}'; base-uri 'none'"
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{_text(f'Lineage of {name}')}</title>"
    yield f"<style>{STYLE}</style>\n</head>\n<body>"
    yield from _head(graph, root, name, f"{WORDS[direction]}, as known on {utc(as_of or now, seconds=True)} UTC")
    yield "<main>"
    if graph.nodes:
        yield f'<div class="bar">{"".join(_legend(graph))}{_buttons()}</div>'
        yield f'<div class="canvas">{drawing(graph)}</div>'
        yield from _tables(graph)
    yield "</main>"
    yield f"<footer>Drawn by Datlake, {utc(now, seconds=True)} UTC. All times are UTC.</footer>"
    if graph.nodes:
        yield f"<script>{SCRIPT}</script>"
    yield "</body>\n</html>"


def _head(graph: Graph, root: GraphNode | None, name: str, what: str) -> Iterator[str]:
    place = "" if root is None else f"In namespace {shown(root.namespace)}. "
    counts = [
        f"{count} {PLURALS[kind] if count > 1 else kind}"
        for kind in PLURALS
        if (count := sum(node.kind == kind for node in graph.nodes))
    ]
    yield f"<header><h1>{_text(name)}</h1>"
    told = f"{', '.join(counts)}." if graph.edges else "Nothing is known of it yet."
    yield f'<p class="muted">{_text(f"{place}{what}. {told}")}</p>'
    if graph.truncated:
        told = (
            f"Cut at {len(graph.nodes)} nodes: what lies beyond them is not drawn. --max-nodes draws more, --direction "
            "and --depth less at once."
        )
        yield f'<p class="banner">{_text(told)}</p>'
    yield "</header>"


def _legend(graph: Graph) -> Iterator[str]:
    """What the looks mean, of those that are there."""
    kinds = {node.kind for node in graph.nodes}
    for kind in PLURALS:
        if kind in kinds and kind != "column":
            corner = 7 if kind in {"job", "run"} else 3
            yield (
                f'<span><svg width="24" height="16" class="{kind}"><rect class="card" x="1" y="1" width="22" '
                f'height="14" rx="{corner}"/></svg>{kind}</span>'
            )
    indirect = any(each.type == "INDIRECT" for edge in graph.edges for each in edge.transformations)
    if indirect:
        yield _line_legend("edge", "gives its value") + _line_legend("edge indirect", "decides about it")
    if any(not edge.count for edge in graph.edges):
        yield _line_legend("edge declared", "declared, not run yet")
    if any(node.hidden_upstream or node.hidden_downstream for node in graph.nodes):
        yield "<span><b>+3</b> more, not drawn</span>"


def _line_legend(looks: str, told: str) -> str:
    return f'<span><svg width="28" height="8"><path class="{looks}" d="M1 4h26"/></svg>{told}</span>'


def _buttons() -> str:
    each = (("fit", "Fit"), ("full", "100 %"), ("out", "&minus;"), ("in", "+"))
    names = {"fit": "fit it to the page", "full": "full size", "out": "smaller", "in": "larger"}
    buttons = "".join(f'<button id="{key}" title="{names[key]}">{text}</button>' for key, text in each)
    return f'<div class="buttons" hidden>{buttons}</div>'


# --- the same as tables -----------------------------------------------------------------------------------------------


def _tables(graph: Graph) -> Iterator[str]:
    names = {node.id: name_of(node) for node in graph.nodes}
    is_open = " open" if len(graph.nodes) + len(graph.edges) <= OPEN_ROWS else ""
    yield f"<details{is_open}><summary>All of it as tables</summary>"
    yield from _table(("WHAT", "NAME", "NAMESPACE", "VERSION OR STATE", "ID"), map(_node_row, graph.nodes))
    has_how = any(edge.transformations for edge in graph.edges)
    header = ("FROM", "TO", *(("HOW",) if has_how else ()), ">RUNS", "FIRST (UTC)", "LAST (UTC)", "LAST RUN")
    yield from _table(header, (_edge_row(edge, names, has_how=has_how) for edge in graph.edges))
    yield "</details>"


def _node_row(node: GraphNode) -> tuple[str, ...]:
    name = node.name if node.field is None else f"{node.name}.{node.field}"
    return (
        node.kind,
        name,
        node.namespace,
        node.state or version_of(node.version),
        node.snapshot_id or node.run_id or "",
    )


def _edge_row(edge: GraphEdge, names: dict[str, str], *, has_how: bool) -> tuple[str, ...]:
    told = (how(edge.transformations),) if has_how else ()
    ends = names.get(edge.source, ""), names.get(edge.target, "")
    return (*ends, *told, str(edge.count), utc(edge.first_seen), utc(edge.last_seen), edge.last_run_id or "")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    header, rows = without_empty(header, list(rows))
    looks = [' class="number"' if name.startswith(">") else "" for name in header]
    heads = "".join(f"<th{look}>{name.lstrip('>')}</th>" for name, look in zip(header, looks, strict=True))
    yield f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>'
    for row in rows:
        cells = "".join(f"<td{look}>{_text(cell)}</td>" for cell, look in zip(row, looks, strict=True))
        yield f"<tr>{cells}</tr>"
    yield "</tbody></table></div>"


def _text(text: str) -> str:
    return escape(shown(text))


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
