"""What the things of a lineage graph are called, wherever a graph is drawn. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datlake_sdk._amounts import version_of
from datlake_sdk.cli.text import shown, utc

if TYPE_CHECKING:
    from datlake_sdk.wire.models import GraphEdge, GraphNode, Transformation


def name_of(node: GraphNode) -> str:
    """`sales v12`, `sales.amount`, `job nightly`, `run nightly 0199…`: on one line, nothing in it moves a cursor."""
    name = shown(node.name)
    if node.kind == "column":
        return f"{name}.{shown(node.field or '')}"
    if node.kind == "job":
        return f"job {name}"
    if node.kind == "run":
        # Where many tables met in one run, the run itself stands between them; then its id is all its name.
        return f"run {name}" if node.name == node.run_id else f"run {name} {node.run_id or ''}".rstrip()
    return f"{name} {version_of(node.version)}".rstrip()


def elsewhere(node: GraphNode, home: str) -> str:
    """The node's namespace where that is another than `home`; empty otherwise, and of a run that stands for itself."""
    return "" if node.namespace == home else shown(node.namespace)


def times_of(edge: GraphEdge) -> str:
    """`3 runs, last 2026-11-23 03:10`."""
    if not edge.count:
        return "declared, not run yet"
    return f"{edge.count} run{'' if edge.count == 1 else 's'}, last {utc(edge.last_seen)}"


def how(transformations: list[Transformation]) -> str:
    """How a column feeds another: `identity`, `indirect filter`, `aggregation (masked)`; empty where nobody told."""
    return " + ".join(dict.fromkeys(_how(each) for each in transformations))


def is_indirect(edge: GraphEdge) -> bool:
    """True where the column decides about the other, and gives it no value."""
    return bool(edge.transformations) and all(each.type == "INDIRECT" for each in edge.transformations)


def _how(told: Transformation) -> str:
    subtype = shown(told.subtype or "").lower().replace("_", " ")
    kind = shown(told.type).lower()
    text = subtype or kind
    if kind != "direct" and subtype:
        text = f"{kind} {subtype}"
    return f"{text} (masked)" if told.masking else text
