"""Answers what feeds a thing, and what it feeds: a walk on one of three levels, drawn page by page.

Tables by way of jobs, snapshots by way of runs, or columns. A step follows a pair that was recorded, so a job that
reads other things in other runs joins nothing that never met.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datlake_sdk.wire.operations import Lineage
from datlake_server.services.registry import handles

if TYPE_CHECKING:
    from datlake_sdk.wire.models import Graph
    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx


@handles(Lineage)
def lineage(tx: Tx, op: Lineage, caller: Caller) -> Graph:
    """The graph around the named root, or the next page of it."""
    from datlake_server.services import graph_pages  # no job asks for it, and every job loads this

    return graph_pages.drawn(tx, op, caller)
