"""Events: what jobs tell while they run. A heartbeat is not kept, it only moves the run's `last_seen_at`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from datlake_sdk.errors import DatlakeError, NotFound
from datlake_sdk.wire.ids import derived_id, new_id
from datlake_sdk.wire.models import Event, EventResult, EventResults
from datlake_sdk.wire.operations import EventItem, Events, LogEvent, LogEvents
from datlake_sdk.wire.times import moment
from datlake_server.services.pages import number_after, page
from datlake_server.services.records import RunRow, json_text, run_row
from datlake_server.services.registry import handles
from datlake_server.services.stubs import at_most_now, ensured_run

if TYPE_CHECKING:
    from datlake_sdk.wire.models import Page
    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx

HEARTBEAT = "heartbeat"


class _EventRow(msgspec.Struct, frozen=True):
    seq: int
    event_id: str
    namespace: str
    event_type: str
    data: str
    job_name: str | None
    run_id: str | None
    created_at: int
    received_at: int


@handles(LogEvent)
def log_event(tx: Tx, op: LogEvent, caller: Caller) -> Event:
    """Keeps the event; the same `event_id` again answers the event that is kept."""
    event_id = op.event_id or (derived_id("event", op.namespace, caller.key) if caller.key else new_id())
    return keep(tx, op.namespace, op, event_id.lower())


@handles(LogEvents)
def log_events(tx: Tx, op: LogEvents, caller: Caller) -> EventResults:
    """Keeps each event of the batch or says why not; one that is refused stops none."""
    results = [_attempt(tx, op, index, caller) for index in range(len(op.events))]
    return EventResults(accepted=sum(result.error is None for result in results), items=results)


@handles(Events)
def events(tx: Tx, op: Events, caller: Caller) -> Page[Event]:
    """The run's events in the order they were accepted."""
    run = run_row(tx, op.run_id, op.namespace)
    rows = tx.all(
        _EventRow,
        "events.page",
        run_id=run.run_id,
        namespace=run.namespace,
        after=number_after(op.cursor, 0),
        event_type=op.event_type,
        limit=op.limit,
    )
    return page([_event(row) for row in rows], op.limit, (rows[-1].seq if rows else 0,))


def _attempt(tx: Tx, op: LogEvents, index: int, caller: Caller) -> EventResult:
    item = op.events[index]
    event_id = item.event_id or (derived_id("event", op.namespace, caller.key, str(index)) if caller.key else new_id())
    try:
        return EventResult(index=index, event_id=keep(tx, op.namespace, item, event_id.lower()).event_id)
    except DatlakeError as error:
        return EventResult(index=index, event_id=event_id, error=error.message)


def keep(tx: Tx, namespace: str, item: LogEvent | EventItem, event_id: str) -> Event:
    """The event, kept under that id; the one that is kept already, where there is one."""
    created = at_most_now(tx, item.created_at)
    run_id = item.run_id.lower() if item.run_id else None
    job_name = _sign_of_life(tx, namespace, item.job_name, run_id)
    event = Event(
        event_id=event_id,
        event_type=item.event_type,
        data=item.data,
        namespace=namespace,
        created_at=moment(created),
        received_at=moment(tx.now),
        job_name=job_name,
        run_id=run_id,
    )
    if item.event_type == HEARTBEAT:
        return event
    new = tx.do(
        "events.insert",
        event_id=event_id,
        namespace=namespace,
        event_type=item.event_type,
        data=json_text(item.data),
        job_name=job_name,
        run_id=run_id,
        created_at=created,
        now=tx.now,
    )
    return event if new else _kept(tx, event_id, namespace)


def _kept(tx: Tx, event_id: str, namespace: str) -> Event:
    row = tx.one(_EventRow, "events.get", event_id=event_id)
    if row is None or row.namespace != namespace:
        message = f"there is no event {event_id} in namespace {namespace!r}; use a new event_id"
        raise NotFound(message, code="event_not_found")
    return _event(row)


def _sign_of_life(tx: Tx, namespace: str, job_name: str | None, run_id: str | None) -> str | None:
    if run_id is None:
        return job_name
    if job_name is not None:
        return ensured_run(tx, namespace, job_name, run_id, tx.now).job_name
    if tx.one(RunRow, "runs.get", run_id=run_id) is None:
        return None  # the event came before its run, and names no job to make one of
    name = run_row(tx, run_id, namespace).job_name
    tx.do("runs.seen", run_id=run_id, now=tx.now)
    return name


def _event(row: _EventRow) -> Event:
    return Event(
        event_id=row.event_id,
        event_type=row.event_type,
        data=msgspec.json.decode(row.data, type=dict[str, object]),
        namespace=row.namespace,
        created_at=moment(row.created_at),
        received_at=moment(row.received_at),
        job_name=row.job_name,
        run_id=row.run_id,
    )
