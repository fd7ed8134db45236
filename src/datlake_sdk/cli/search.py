"""`datlake search`: jobs, tables, columns, runs and tags by name, in every namespace unless one is named."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

from datlake_sdk.cli.connection import connect_to_read
from datlake_sdk.cli.exits import OK
from datlake_sdk.cli.listing import listed, tell_more
from datlake_sdk.cli.text import filled, say, say_json, shown

if TYPE_CHECKING:
    from datlake_sdk.cli.arguments import Arguments
    from datlake_sdk.wire.models import HitKind, SearchHit

DESCRIPTION_LETTERS = 60


def search(arguments: Arguments) -> int:
    """Lists what the words find, best first."""
    words = " ".join(arguments.words)
    kind = cast("HitKind | None", arguments.kind)
    scope = arguments.namespace
    with connect_to_read(arguments) as client:
        page = listed(
            arguments.limit,
            lambda limit, cursor: client.search(words, kind=kind, limit=limit, cursor=cursor, namespace=scope),
        )
    if arguments.json:
        say_json(page)
    elif page.items:
        say(*filled(("WHAT", "NAME", "NAMESPACE", "RUN", "DESCRIPTION"), [_cells(hit) for hit in page.items]))
        tell_more(page)
    else:
        print(f"datlake: nothing is called {shown(words)!r}{_where(scope, kind)}; try fewer words", file=sys.stderr)
    return OK


def _where(scope: str | None, kind: HitKind | None) -> str:
    """What the search was narrowed to: the usual reason for finding nothing."""
    among = "" if kind is None else f" among {kind}s"
    return among if scope is None else f"{among} in namespace {shown(scope)!r}"


def _cells(hit: SearchHit) -> tuple[str, ...]:
    name = hit.name if hit.field is None else f"{hit.name}.{hit.field}"
    told = " ".join((hit.description or "").split())
    return (
        hit.kind,
        name if hit.tag is None else f"{hit.tag} on {name}",
        hit.namespace,
        hit.run_id or "",
        told if len(told) <= DESCRIPTION_LETTERS else f"{told[:DESCRIPTION_LETTERS]}…",
    )
