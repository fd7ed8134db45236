"""Made-up lineage graphs, for what draws them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from datlake_sdk.wire.models import Graph, GraphEdge, GraphNode, NodeKind, Transformation

LAST = datetime(2026, 11, 23, 3, 10, tzinfo=UTC)
# What ends a label, opens an element or moves a cursor somewhere.
HOSTILE = (
    'a "quoted" name',
    "[brackets] (round) {curly} |pipes|",
    "<script>alert(1)</script>",
    "</title></style></script><img src=x onerror=alert(1)>",
    "line\nbreak\\n",
    "#35; &amp; `code`",
    "\x1b[31mred",
    "--> click n0 ; %% end",
    "é 表 🙂",
)


def node(kind: NodeKind, name: str, namespace: str = "default", **more: object) -> GraphNode:
    """A node whose id is all it is called."""
    field, version, run_id = more.get("field"), more.get("version"), more.get("run_id")
    return GraphNode(
        id=f"{kind}:{namespace}:{name}:{field}:{version}:{run_id}",
        kind=kind,
        namespace=namespace,
        name=name,
        **more,  # type: ignore[arg-type]  # the fields of the node, by their names
    )


def edge(source: GraphNode, target: GraphNode, count: int = 3, *how: Transformation) -> GraphEdge:
    """A step of data that so many runs took."""
    first = LAST - timedelta(days=30)
    return GraphEdge(
        source=source.id, target=target.id, first_seen=first, last_seen=LAST, count=count, transformations=list(how)
    )


def direct(subtype: str = "IDENTITY", *, masking: bool | None = None) -> Transformation:
    """A column gives its value."""
    return Transformation(type="DIRECT", subtype=subtype, masking=masking)


def indirect(subtype: str = "FILTER") -> Transformation:
    """A column decides about the other."""
    return Transformation(type="INDIRECT", subtype=subtype)


def hostile_graph() -> Graph:
    """Tables, jobs and namespaces of hostile names, each fed by the one before it."""
    nodes = [node("job" if at % 2 else "table", name, f"ns {name}") for at, name in enumerate(HOSTILE)]
    edges = [edge(left, right) for left, right in pairwise(nodes)]
    return Graph(root=nodes[0].id, nodes=nodes, edges=edges)


def column_graph() -> Graph:
    """`orders.amount` and what it is made of and decides about."""
    amount, status = node("column", "raw", field="amount"), node("column", "raw", field="status", hidden_upstream=2)
    mail, region = node("column", "raw", field="mail"), node("column", "shops", "postgres://db:5432", field="region")
    root, customer = node("column", "orders", field="amount"), node("column", "orders", field="customer")
    total = node("column", "report", field="total")
    return Graph(
        root=root.id,
        nodes=[amount, status, mail, region, root, customer, total],
        edges=[
            edge(amount, root, 3, direct("TRANSFORMATION")),
            edge(status, root, 3, indirect("FILTER")),
            edge(mail, customer, 3, direct("TRANSFORMATION", masking=True)),
            edge(root, total, 2, direct("AGGREGATION"), indirect("GROUP_BY")),
            edge(region, total, 0, indirect("JOIN")),
        ],
    )
