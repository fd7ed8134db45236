"""`datlake lineage`: what feeds a thing and what it feeds, as a tree, a drawing or the graph itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

from datlake_sdk._amounts import version_of
from datlake_sdk.cli.connection import connect_to_read
from datlake_sdk.cli.exits import OK, UsageError
from datlake_sdk.cli.finding import anywhere, table_or_snapshot
from datlake_sdk.cli.graph_names import name_of
from datlake_sdk.cli.text import moment_of, say, say_json, say_page, shown, utc
from datlake_sdk.errors import NotFound
from datlake_sdk.wire.models import Snapshot
from datlake_sdk.wire.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from datlake_sdk.cli.arguments import Arguments
    from datlake_sdk.client import DatlakeClient
    from datlake_sdk.wire.models import Direction, Graph, GraphLevel, GraphNode, NodeKind

# A tree of more is no longer read.
MAX_NODES: Final = 1000
TITLES: Final[dict[Literal["upstream", "downstream"], str]] = {"upstream": "comes from", "downstream": "goes into"}


class Root(NamedTuple):
    """What a graph is asked for, by the parts of its name."""

    kind: NodeKind
    namespace: str
    name: str | None = None
    run_id: str | None = None
    snapshot_id: str | None = None
    field: str | None = None


class Scope(NamedTuple):
    """How much of the graph is asked for."""

    direction: Direction = "both"
    depth: int = 10
    level: GraphLevel | None = None
    as_of: datetime | None = None
    max_nodes: int = MAX_NODES


def lineage(arguments: Arguments) -> int:
    """Shows the lineage of a table, column, job, run or snapshot."""
    form = _format_of(arguments)
    scope = _scope_of(arguments)
    with connect_to_read(arguments) as client:
        root = root_of(client, arguments)
        graph = asked(client, root, scope)
        if form == "json":
            say_json(graph)
        elif form == "tree":
            say(*page(client, graph, root, scope))
        else:
            say_page(_drawn(form, graph, scope))
    if form != "json":
        _tell_cut(graph)
    return OK


def asked(client: DatlakeClient, root: Root, scope: Scope) -> Graph:
    """The graph around `root`."""
    return client.lineage(
        root.name,
        kind=root.kind,
        run_id=root.run_id,
        snapshot_id=root.snapshot_id,
        field=root.field,
        direction=scope.direction,
        depth=scope.depth,
        level=scope.level,
        as_of=scope.as_of,
        max_nodes=scope.max_nodes,
        namespace=root.namespace,
    )


def lineage_page(client: DatlakeClient, table: str, direction: Direction, *, depth: int) -> Iterator[str]:
    """The lines that show the lineage of the table."""
    root, scope = Root("table", client.settings.namespace, table), Scope(direction, depth)
    graph = asked(client, root, scope)
    yield from page(client, graph, root, scope)
    _tell_cut(graph)


def page(client: DatlakeClient, graph: Graph, root: Root, scope: Scope) -> Iterator[str]:
    """The lines that show the graph as trees."""
    from datlake_sdk.cli.column_tree import column_tree
    from datlake_sdk.cli.lineage_tree import Feeds, tree

    at = next((node for node in graph.nodes if node.id == graph.root), None)
    yield _head(client, at, root, scope)
    is_columns = scope.level == "column" or root.kind == "column"
    feeds = Feeds(client, graph, root.namespace, scope.as_of)
    for one, title in TITLES.items():
        if scope.direction in {"both", one}:
            drawn = column_tree(graph, root, one) if is_columns else tree(feeds, graph.root, one, scope.depth)
            lines = list(drawn)
            yield ""
            yield from [title, *lines] if lines else [f"{title} nothing that is known"]
    if is_columns and not graph.edges:
        yield ""
        yield "columns are known where `register_snapshot(column_lineage=…)` or OpenLineage's columnLineage tells them"


def root_of(client: DatlakeClient, arguments: Arguments) -> Root:
    """What the command line names. Raises `UsageError` where that is nothing, or too much."""
    given = [each for each in (arguments.table, arguments.job, arguments.run, arguments.snapshot) if each]
    if len(given) != 1:
        message = "name one thing to begin at: a TABLE, --job JOB, --run RUN or --snapshot ID"
        raise UsageError(message)
    if arguments.field and not arguments.table:
        message = "--field names a column of a table; give the TABLE, too"
        raise UsageError(message)
    is_scoped = arguments.namespace is not None
    if arguments.table:
        return _table_root(client, arguments.table, arguments.field)
    if arguments.job:
        return Root("job", client.settings.namespace, arguments.job)
    if arguments.run:
        from datlake_sdk.cli.runs import run_of

        run = run_of(client, arguments.run, is_scoped=is_scoped)
        return Root("run", run.namespace, run_id=run.run_id)
    text = cast("str", arguments.snapshot)
    found = anywhere(client, lambda scope: client.get_snapshot(text, namespace=scope), is_scoped=is_scoped)
    return Root("snapshot", found.namespace, snapshot_id=found.snapshot_id)


def _table_root(client: DatlakeClient, text: str, field: str | None) -> Root:
    found = table_or_snapshot(client, text)
    if field is not None:
        return Root("column", found.namespace, found.table_name, field=field)
    if isinstance(found, Snapshot):
        return Root("snapshot", found.namespace, snapshot_id=found.snapshot_id)
    return Root("table", found.namespace, found.table_name)


def _format_of(arguments: Arguments) -> str:
    if arguments.json and arguments.format not in {None, "json"}:
        message = f"--json and --format {arguments.format} ask for two things; give one of them"
        raise UsageError(message)
    return "json" if arguments.json else arguments.format or "tree"


def _scope_of(arguments: Arguments) -> Scope:
    return Scope(
        direction=cast("Direction", arguments.direction),
        depth=arguments.depth,
        level=cast("GraphLevel | None", arguments.level),
        as_of=None if arguments.as_of is None else moment_of(arguments.as_of, utc_now()),
        max_nodes=arguments.max_nodes,
    )


def _drawn(form: str, graph: Graph, scope: Scope) -> str:
    if form == "html":
        from datlake_sdk.cli.graph_page import graph_page

        return graph_page(graph, scope.direction, scope.as_of, utc_now())
    from datlake_sdk.cli.graph_text import dot, mermaid

    return dot(graph) if form == "dot" else mermaid(graph)


def _head(client: DatlakeClient, at: GraphNode | None, root: Root, scope: Scope) -> str:
    moment = "" if scope.as_of is None else f"  (as of {utc(scope.as_of, seconds=True)} UTC)"
    if at is None:
        return f"{shown(root.name or root.run_id or root.snapshot_id or '')}{moment}"
    version = ""
    if at.kind == "table":
        version = _version_at(client, at, scope.as_of)
    return f"{name_of(at)} {version}".rstrip() + moment


def _version_at(client: DatlakeClient, table: GraphNode, as_of: datetime | None) -> str:
    try:
        return version_of(client.latest_snapshot(table.name, as_of=as_of, namespace=table.namespace).version)
    except NotFound:  # jobs name the table, but none has registered a snapshot, or not yet then
        return ""


def _tell_cut(graph: Graph) -> None:
    if graph.truncated:
        sys.stdout.flush()
        told = f"cut at {len(graph.nodes)} nodes; --direction or a smaller --depth shows less at once, --max-nodes more"
        print(f"datlake: {told}", file=sys.stderr)
