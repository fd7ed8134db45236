"""One run as OpenLineage events: those that came in, then what an SDK told of it. Read as they are asked for.

Export and forwarder call it. An event of ours has no more than `EVENT_BYTES`, so that every lake takes it; only what
cannot be told in parts, such as one snapshot, makes a larger one.
"""

from __future__ import annotations

from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from datlake_sdk.lineage import emit
from datlake_sdk.lineage.emit import DATA_PER_EVENT, EVENT_BYTES, RunRecord
from datlake_server.services.openlineage_told import DataRow, LoggedRow, data_rows, logged, run_record, slice_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from datlake_sdk.lineage.own_facets import RunFacet
    from datlake_server.services.records import RunRow
    from datlake_server.store.base import Tx

Event = dict[str, object]

SDK: Final = 1
LOGGED_PER_EVENT: Final = 200
# So many rows are read at once, and no more than so much of what came in: one event of it may have 5 MiB.
READ_ROWS: Final = 50
READ_BYTES: Final = 8 << 20

_CAME, _START, _TOLD, _LOGGED, _DATA, _DONE = range(6)


class Within(Struct, frozen=True, array_like=True):
    """A place in the events of a run: after what the step has done, by a number and up to two texts."""

    step: int = _CAME
    number: int = 0
    text: str = ""
    more: str = ""


class Part(Struct, frozen=True):
    """An event, how large it is, and the place after it."""

    event: Event
    size_bytes: int
    after: Within


class CameRow(Struct, frozen=True):
    """An event that came in: its time, its digest, itself."""

    at: int
    id: str
    body: str


BEGIN: Final = Within()


def events_of_run(tx: Tx, row: RunRow, after: Within = BEGIN) -> Iterator[Part]:
    """The run's events after that place."""
    if after.step == _CAME:
        yield from _as_they_came(tx, row, after)
        after = Within(_START)
    if row.origin & SDK and after.step < _DONE:
        yield from as_told(tx, row, run_record(tx, row), after)


def as_told(tx: Tx, row: RunRow, record: RunRecord, after: Within = BEGIN, *, with_log: bool = True) -> Iterator[Part]:
    """What an SDK told of the run, after that place."""
    *before, rest = emit.pieces(record.told)
    if after.step <= _START:
        yield _started(tx, row, record)
    if after.step <= _TOLD:
        yield from _told(record, before, after.number if after.step == _TOLD else 0)
    if after.step <= _LOGGED and with_log:
        yield from _logged(tx, row, record, after.number if after.step == _LOGGED else 0)
    yield from _data(tx, row, replace(record, told=rest), after if after.step == _DATA else BEGIN)


def size_of(event: Event) -> int:
    """How many bytes the event is as JSON."""
    return len(msgspec.json.encode(event))


def _part(event: Event, after: Within) -> Part:
    return Part(event, size_of(event), after)


def _as_they_came(tx: Tx, row: RunRow, after: Within) -> Iterator[Part]:
    at, digest = after.number, after.text
    while rows := tx.all(
        CameRow,
        "export.events_of_run",
        run_id=row.run_id,
        after_at=at,
        after_id=digest,
        limit=READ_ROWS,
        bytes=READ_BYTES,
    ):
        at, digest = rows[-1].at, rows[-1].id
        for came in rows:
            yield Part(msgspec.json.decode(came.body), len(came.body), Within(_CAME, came.at, came.id))


def _started(tx: Tx, row: RunRow, record: RunRecord) -> Part:
    """The start with as many inputs as fit; all are told again."""

    def tell(rows: Sequence[DataRow]) -> Part:
        return _part(emit.start(record, slice_of(tx, row, rows)), Within(_TOLD))

    return _fitting(data_rows(tx, row.run_id, ("", 0, ""), DATA_PER_EVENT), tell)


def _told(record: RunRecord, pieces: Sequence[RunFacet], done: int) -> Iterator[Part]:
    for number, piece in enumerate(pieces[done:], start=done + 1):
        yield _part(emit.tell(record, piece), Within(_TOLD, number))


def _logged(tx: Tx, row: RunRow, record: RunRecord, after: int) -> Iterator[Part]:
    while rows := tx.all(
        LoggedRow, "export.logged", run_id=row.run_id, after=after, limit=LOGGED_PER_EVENT, bytes=EVENT_BYTES
    ):
        after = rows[-1].seq
        yield _part(emit.log(record, logged(rows)), Within(_LOGGED, after))


def _data(tx: Tx, row: RunRow, record: RunRecord, after: Within) -> Iterator[Part]:
    """The run's data a slice at a time, then its end, with the last of them where both fit into one event."""
    while after.step < _DONE:
        rows = data_rows(tx, row.run_id, (after.text, after.number, after.more), DATA_PER_EVENT + 1)
        part = _fitting(rows[:DATA_PER_EVENT], partial(_slice, tx, row, record, len(rows)))
        yield part
        after = part.after


def _slice(tx: Tx, row: RunRow, record: RunRecord, left: int, rows: Sequence[DataRow]) -> Part:
    """The run has these data, of so many that are left."""
    data = slice_of(tx, row, rows)
    if len(rows) == left:
        ended = _part(emit.end(record, data), Within(_DONE))
        if not rows or ended.size_bytes <= EVENT_BYTES:
            return ended
    last = rows[-1]
    return _part(emit.go_on(record, data), Within(_DATA, last.table_id, last.role, last.snapshot_id))


def _fitting(rows: Sequence[DataRow], tell: Callable[[Sequence[DataRow]], Part]) -> Part:
    """The event of as many of the rows as fit into one, and of one row at least where there is any."""
    sizes = accumulate(row.size_bytes for row in rows)
    rows = rows[: max(1, sum(size <= EVENT_BYTES for size in sizes))]
    part = tell(rows)
    while part.size_bytes > EVENT_BYTES and len(rows) > 1:
        rows = rows[: len(rows) // 2]
        part = tell(rows)
    return part
