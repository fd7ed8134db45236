"""Who OpenLineage events are forwarded to, how far each target has got, and what is kept for it.

A target's place moves only after it has answered, so that whatever dies, it gets everything at least once. The
forwarder is the one caller, but for `states`, which `GetConfig` tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from datlake_sdk.wire.models import Forwarding
from datlake_sdk.wire.times import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datlake_server.store.base import Tx

# What nobody configures any more keeps its place for a week: a server may be started once without its settings.
UNWANTED_US: Final = 7 * 86_400_000_000
# A target that is away for longer gets everything again, when it is back, instead of what is kept for it.
FEED_KEPT: Final = 1_000_000
REFUSALS_KEPT: Final = 1_000
MADE_KEPT_US: Final = 30 * 86_400_000_000
PURGED_AT_ONCE: Final = 5_000
TROUBLE_CHARACTERS: Final = 500


class Place(Struct, frozen=True, kw_only=True):
    """How far a target has got. `history` is where it stands in the export, null once it has all of that."""

    target: str
    position: int
    history: str | None
    sent: int
    refused: int
    failing_since: int | None
    trouble: str | None
    waiting: int
    oldest_at: int | None


class Outgoing(Struct, frozen=True):
    """An event on its way: its place in the feed (0: it is of the history), the sha256 of its body, the body."""

    seq: int
    digest: str
    body: str | None


class Refusal(Struct, frozen=True):
    """An event that a target refused for good."""

    event: Outgoing
    status: int | None
    answer: str


# --- who wants what ---------------------------------------------------------------------------------------------------


def want(tx: Tx, targets: Iterable[str], *, all_history: bool) -> None:
    """The targets are told of what happens from now on, and new ones of all that did before where that is asked for.

    Those that nobody has wanted for a week are forgotten; with the last of them nothing is noted any more.
    """
    for target in targets:
        tx.do("forwarding.want", target=target, history="" if all_history else None, now=tx.now)
    tx.do("forwarding.forget", before=tx.now - UNWANTED_US)
    if places(tx):
        tx.do("forwarding.listen")
        return
    tx.do("forwarding.listen_no_more")
    tx.do("forwarding.forget_feed")
    tx.do("forwarding.forget_changed")


def places(tx: Tx) -> list[Place]:
    """Every target that has a place."""
    return tx.all(Place, "forwarding.targets")


def states(tx: Tx) -> list[Forwarding]:
    """Every target with its lag, as `GetConfig` tells it."""
    return [
        Forwarding(
            target=place.target,
            sent=place.sent,
            waiting=place.waiting,
            lag_s=0.0 if place.oldest_at is None else max(tx.now - place.oldest_at, 0) / 1e6,
            is_catching_up=place.history is not None,
            refused=place.refused,
            failing_since=None if place.failing_since is None else moment(place.failing_since),
            trouble=place.trouble,
        )
        for place in places(tx)
    ]


# --- how it went ------------------------------------------------------------------------------------------------------


def advance(tx: Tx, before: Place, after: Place, sent: int, refusals: Sequence[Refusal]) -> None:
    """The target stands at `after`, with `sent` events more, of which it refused some."""
    tx.do(
        "forwarding.advance",
        target=before.target,
        position=after.position,
        seen=before.history,
        history=after.history,
        sent=sent - len(refusals),
        refused=len(refusals),
    )
    for refusal in refusals:
        tx.do(
            "forwarding.refuse",
            target=before.target,
            digest=refusal.event.digest,
            status=refusal.status,
            answer=refusal.answer[:TROUBLE_CHARACTERS],
            now=tx.now,
            body=refusal.event.body or "",
        )
    if refusals:
        tx.do("forwarding.trim_refusals", target=before.target, kept=REFUSALS_KEPT)


def fail(tx: Tx, target: str, trouble: str) -> None:
    """The target does not answer as it should, and since when."""
    tx.do("forwarding.fail", target=target, trouble=trouble[:TROUBLE_CHARACTERS], now=tx.now)


def purge(tx: Tx, *, kept: int = FEED_KEPT) -> int:
    """How many targets were overtaken; what all have, and what nobody needs any more, is gone, slice by slice."""
    overtaken = tx.do("forwarding.overtake", kept=kept)
    tx.do("forwarding.purge_feed", most=PURGED_AT_ONCE)
    tx.do("forwarding.purge_made", before=tx.now - MADE_KEPT_US, most=PURGED_AT_ONCE)
    return overtaken
