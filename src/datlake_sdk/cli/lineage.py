"""`datlake lineage`: what feeds a table and what it feeds, as two trees, jobs between tables."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, Literal, cast

from datlake_sdk._amounts import version_of
from datlake_sdk.cli.connection import connect_to_read
from datlake_sdk.cli.exits import OK
from datlake_sdk.cli.lineage_tree import Feeds, tree
from datlake_sdk.cli.text import say, say_json, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datlake_sdk.cli.arguments import Arguments
    from datlake_sdk.client import DatlakeClient
    from datlake_sdk.wire.models import Direction

# A tree of more is no longer read.
MAX_NODES: Final = 1000
TITLES: Final[dict[Literal["upstream", "downstream"], str]] = {"upstream": "comes from", "downstream": "goes into"}


def lineage(arguments: Arguments) -> int:
    """Shows the lineage of one table."""
    direction = cast("Direction", arguments.direction)
    with connect_to_read(arguments) as client:
        if arguments.json:
            say_json(client.lineage(arguments.table, direction=direction, depth=arguments.depth, max_nodes=MAX_NODES))
        else:
            say(*lineage_page(client, arguments.table, direction, depth=arguments.depth))
    return OK


def lineage_page(client: DatlakeClient, table: str, direction: Direction, *, depth: int) -> Iterator[str]:
    """The lines of the page; says on stderr if the graph was cut."""
    graph = client.lineage(table, direction=direction, depth=depth, max_nodes=MAX_NODES)
    latest = client.get_table(table).latest
    yield f"{shown(table)} {version_of(latest.version if latest else None)}".rstrip()
    feeds = Feeds(client, graph)
    for one, title in TITLES.items():
        if direction in {"both", one}:
            lines = list(tree(feeds, graph.root, one, depth))
            yield ""
            yield from [title, *lines] if lines else [f"{title} nothing that is known"]
    if graph.truncated:
        told = f"cut at {MAX_NODES} nodes; --direction or a smaller --depth shows less at once"
        print(f"datlake: {told}", file=sys.stderr)
