"""`datlake impact` and `trace`: all that consumed a snapshot, and all that led to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datlake_sdk._amounts import version_of
from datlake_sdk.cli.connection import connect_to_read
from datlake_sdk.cli.exits import OK
from datlake_sdk.cli.finding import snapshot_at
from datlake_sdk.cli.listing import listed, tell_more
from datlake_sdk.cli.text import filled, say, say_json, shown, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datlake_sdk.cli.arguments import Arguments
    from datlake_sdk.client import DatlakeClient
    from datlake_sdk.paging import Paged
    from datlake_sdk.wire.models import Page, Related, Snapshot

COMMIT_LETTERS = 12


def impact(arguments: Arguments) -> int:
    """Lists what consumed the snapshot."""

    def ask(client: DatlakeClient, snapshot: Snapshot, limit: int, cursor: str | None) -> Paged[Related]:
        return client.impact(snapshot, limit=limit, cursor=cursor, namespace=snapshot.namespace)

    return _related(arguments, ask, "has been consumed by")


def trace(arguments: Arguments) -> int:
    """Lists what led to the snapshot."""

    def ask(client: DatlakeClient, snapshot: Snapshot, limit: int, cursor: str | None) -> Paged[Related]:
        return client.trace(snapshot, limit=limit, cursor=cursor, namespace=snapshot.namespace)

    return _related(arguments, ask, "comes from")


def _related(
    arguments: Arguments, ask: Callable[[DatlakeClient, Snapshot, int, str | None], Paged[Related]], title: str
) -> int:
    with connect_to_read(arguments) as client:
        snapshot = snapshot_at(client, arguments.snapshot or "", is_scoped=arguments.namespace is not None)
        page = listed(arguments.limit, lambda limit, cursor: ask(client, snapshot, limit, cursor))
        if arguments.json:
            say_json(page)
        else:
            say(*_page(snapshot, page, title))
            tell_more(page)
    return OK


def _page(snapshot: Snapshot, page: Page[Related], title: str) -> Iterator[str]:
    name = f"{shown(snapshot.table_name)} {version_of(snapshot.version)}"
    if not page.items:
        yield f"{name} {title} nothing that is known"
        return
    yield f"{name} {title}"
    yield ""
    home = {snapshot.namespace}
    header = (">STEPS", "WHAT", "NAME", "NAMESPACE", "STATE", "WHEN (UTC)", "ID", "COMMIT", "LOG OR DATA")
    yield from filled(header, [_cells(item, home) for item in page.items])


def _cells(item: Related, home: set[str]) -> tuple[str, ...]:
    is_run = item.kind == "run"
    return (
        str(item.distance),
        item.kind,
        item.name,
        "" if item.namespace in home else item.namespace,
        (item.state or "") if is_run else version_of(item.version),
        utc(item.at),
        (item.run_id if is_run else item.snapshot_id) or "",
        (item.commit or "")[:COMMIT_LETTERS],
        (item.log_uri if is_run else item.uri) or "",
    )
