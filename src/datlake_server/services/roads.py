"""Answers who used a snapshot, by whatever road, and what led to it: runs and snapshots, the nearest first.

What is walked are the pairs that runs recorded, so also data without a snapshot is on the road, by its table alone; it
is no answer itself. No answer goes further than a hundred thousand runs and places: the page behind is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datlake_sdk.wire.operations import Impact, Trace
from datlake_server.services.registry import handles

if TYPE_CHECKING:
    from datlake_sdk.wire.models import Page, Related
    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx


@handles(Impact)
def impact(tx: Tx, op: Impact, caller: Caller) -> Page[Related]:
    """The runs that read the snapshot, what they made of it, who read that, and so on."""
    from datlake_server.services import roads_walk  # no job asks for it, and every job loads this

    return roads_walk.related(tx, op, caller, "downstream")


@handles(Trace)
def trace(tx: Tx, op: Trace, caller: Caller) -> Page[Related]:
    """The run that made the snapshot, what it read, the runs that made that, and so on."""
    from datlake_server.services import roads_walk  # as above

    return roads_walk.related(tx, op, caller, "upstream")
