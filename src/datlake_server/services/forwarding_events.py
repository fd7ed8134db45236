"""The events that are to be forwarded: those that came in, as they came, and those that are made of what SDKs told.

An event is made once: what an unchanged run gives again is known by its digest, and so it is when it comes back by way
of others. That is how lakes that forward to each other come to rest. The forwarder is the one caller.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct

from datlake_sdk.wire.operations import ExportOpenLineage
from datlake_server.services.forwarding import Outgoing, Place
from datlake_server.services.openlineage_export import (
    export_open_lineage,
    told_of_job,
    told_of_run,
    told_of_snapshot,
    told_of_table,
)
from datlake_server.services.openlineage_of_run import SDK
from datlake_server.services.records import RunRow, json_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx

PAGE_EVENTS: Final = 100
PAGE_BYTES: Final = 512 << 10


class Change(Struct, frozen=True):
    """What an SDK told has changed: a run, a snapshot of no run, or what is said of a job or table."""

    change_id: int
    kind: Literal["run", "snapshot", "job", "table"]
    id: str


class _Number(Struct, frozen=True):
    n: int


def changes(tx: Tx, limit: int) -> list[Change]:
    """What has changed since it was last told, the longest ago first."""
    return tx.all(Change, "forwarding.changed", limit=limit)


def made(tx: Tx, changed: Sequence[Change]) -> list[Outgoing]:
    """What has changed as events, as it is now."""
    return [_outgoing(event) for change in changed for event in _events_of(tx, change)]


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
    found = export_open_lineage(tx, op, caller)
    return [_outgoing(event) for event in found.items], found.next_cursor


def remember_made(tx: Tx, events: Iterable[Outgoing]) -> None:
    """Those of the events that did not come in as they are known to be from here, should they come back."""
    for event in events:
        tx.do("forwarding.make", digest=event.digest, now=tx.now)


def _events_of(tx: Tx, change: Change) -> Iterator[dict[str, object]]:
    if change.kind == "run":
        row = tx.one(RunRow, "runs.get", run_id=change.id)
        yield from told_of_run(tx, row) if row is not None and row.origin & SDK else ()
        return
    tell = {"job": told_of_job, "table": told_of_table}.get(change.kind)
    event = told_of_snapshot(tx, change.id) if tell is None else tell(tx, int(change.id))
    if event is not None:
        yield event


def _outgoing(event: dict[str, object]) -> Outgoing:
    body = msgspec.json.encode(event, order="sorted")
    return Outgoing(0, sha256(body).hexdigest(), body.decode())
