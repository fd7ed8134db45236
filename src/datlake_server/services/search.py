"""Finds jobs, tables, columns, runs and labels by what they are called, best first.

Names that are what was typed, or begin so, come first; then runs whose ids begin so, names that have all its words,
what has them in its description or namespace, and where little was found names that hold its letters, or words close to
its own. Triggers keep what can be found, a row a name (0005_search.sql), and a page costs the same on a small lake and
a large one. PostgreSQL does it with these rows too: a `tsvector` under GIN, asked by `to_tsquery('simple', 'word:*')`,
`pg_trgm` under GIN for letters and typos, and an index on `lower(name) text_pattern_ops`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datlake_sdk.wire.operations import Search
from datlake_server.services.registry import handles

if TYPE_CHECKING:
    from datlake_sdk.wire.models import Page, SearchHit
    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx


@handles(Search)
def search(tx: Tx, op: Search, caller: Caller) -> Page[SearchHit]:
    """What is called as was typed, or close to it."""
    from datlake_server.services import search_walk  # no job searches, and every job loads this

    return search_walk.found(tx, op)
