"""The events that are to be forwarded: those that came in, as they came, and those that are made of an SDK's runs.

An event is made once: what an unchanged run gives again is known by its digest, and so it is when it comes back by way
of others. That is how lakes that forward to each other come to rest. The forwarder is the one caller.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from datlake_sdk.wire.operations import ExportOpenLineage
from datlake_server.services.forwarding import Outgoing, Place
from datlake_server.services.records import json_text, runs_of
from datlake_server.services.registry import HANDLERS
from datlake_server.services.snapshots import snapshots_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datlake_sdk.wire.models import Run, Snapshot
    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx

PAGE_EVENTS: Final = 100
PAGE_BYTES: Final = 512 << 10


class Change(Struct, frozen=True):
    """A run that has changed."""

    change_id: int
    run_id: str


class _Number(Struct, frozen=True):
    n: int


def changes(tx: Tx, limit: int) -> list[Change]:
    """Runs that have changed since they were last told, the longest ago first."""
    return tx.all(Change, "forwarding.changed", limit=limit)


def made(tx: Tx, changed: Sequence[Change], caller: Caller) -> list[Outgoing]:
    """The runs as events, as they are now."""
    from datlake_sdk.lineage.emit import run_events

    runs = runs_of(tx, [change.run_id for change in changed], caller)
    return [_outgoing(event) for run in runs for event in run_events(run, _snapshots(tx, run))]


def publish(tx: Tx, changed: Sequence[Change], events: Sequence[Outgoing]) -> int:
    """How many of the events are new and in the feed now; the changes are settled, but for those that changed again."""
    fresh = [event for event in events if tx.do("forwarding.make", digest=event.digest, now=tx.now)]
    for event in fresh:
        tx.do("forwarding.feed", digest=event.digest, now=tx.now, body=event.body)
    tx.do("forwarding.settle", change_ids=json_text([change.change_id for change in changed]))
    return len(fresh)


def last(tx: Tx) -> int:
    """The newest event's place in the feed."""
    found = tx.one(_Number, "forwarding.last")
    return 0 if found is None else found.n


def page(tx: Tx, place: Place) -> list[Outgoing]:
    """The next events for a target that has its history."""
    return tx.all(Outgoing, "forwarding.page", position=place.position, limit=PAGE_EVENTS, bytes=PAGE_BYTES)


def history(tx: Tx, place: Place, caller: Caller) -> tuple[list[Outgoing], str | None]:
    """The next events of all that was there before, and where they go on, null at their end."""
    op = ExportOpenLineage(limit=PAGE_EVENTS, cursor=place.history or None)
    found = HANDLERS[ExportOpenLineage](tx, op, caller)
    return [_outgoing(event) for event in found.items], found.next_cursor


def remember_made(tx: Tx, events: Iterable[Outgoing]) -> None:
    """Those of the events that did not come in as they are known to be from here, should they come back."""
    for event in events:
        tx.do("forwarding.make", digest=event.digest, now=tx.now)


def _snapshots(tx: Tx, run: Run) -> list[Snapshot]:
    ids = {data.snapshot_id for data in (*run.inputs, *run.outputs) if data.snapshot_id is not None}
    return snapshots_of(tx, sorted(ids))


def _outgoing(event: dict[str, object]) -> Outgoing:
    body = msgspec.json.encode(event, order="sorted")
    return Outgoing(0, sha256(body).hexdigest(), body.decode())
