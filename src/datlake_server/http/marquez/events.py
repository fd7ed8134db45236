"""The OpenLineage events that were received, as they came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Raw, Struct

if TYPE_CHECKING:
    from datlake_server.http.marquez.asking import Ask
    from datlake_server.store.base import Tx

# A page ends early where its events are larger than this together: each of them may have a megabyte.
PAGE_BYTES: Final = 16 << 20
_END_OF_TIME: Final = 2**62
_STATEMENTS: Final = {"asc": "marquez.events_up", "desc": "marquez.events_down"}


class _Place(Struct, frozen=True):
    seq: int
    size: int


class _Body(Struct, frozen=True):
    seq: int
    body: str


class _Number(Struct, frozen=True):
    n: int


def get(tx: Tx, ask: Ask) -> dict[str, object]:
    """A page of the events from `after` on and before `before`, the latest first unless `sortDirection` says `asc`."""
    window = ask.window()
    span = {"after": ask.moment("after", 0), "before": ask.moment("before", _END_OF_TIME)}
    statement = ask.one_of("sortDirection", _STATEMENTS, _STATEMENTS["desc"])
    places = tx.all(_Place, statement, limit=window.limit, offset=window.offset, **span)
    seqs = [place.seq for place in _fitting(places)]
    rows = tx.all(_Body, "marquez.event_bodies", seqs=msgspec.json.encode(seqs).decode())
    bodies = {row.seq: Raw(row.body.encode()) for row in rows}
    count = tx.one(_Number, "marquez.count_events", **span)
    return {"events": [bodies[seq] for seq in seqs], "totalCount": count.n if count else 0}


def _fitting(places: list[_Place]) -> list[_Place]:
    kept, size = list[_Place](), 0
    for place in places:
        size += place.size
        if kept and size > PAGE_BYTES:
            break
        kept.append(place)
    return kept
