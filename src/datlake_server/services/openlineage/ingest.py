"""OpenLineage events into the lake: each is kept as it came, once, and merged in the same transaction.

The merge knows no order: what is told earliest, latest or greatest stays, whichever arrived first.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from datlake_sdk.errors import DatlakeError, InvalidRequest
from datlake_sdk.lineage.events import ParsedEvent, parse
from datlake_sdk.lineage.validate import check
from datlake_sdk.wire.models import BatchSummary, FailedEvent, LineageReceipt, LineageResults
from datlake_sdk.wire.operations import RecordLineage, RecordLineageBatch
from datlake_server.services.openlineage import declared, own, runs
from datlake_server.services.openlineage.batch import Batch
from datlake_server.services.openlineage.run_events import RunMerge
from datlake_server.services.registry import handles

if TYPE_CHECKING:
    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx


@handles(RecordLineage)
def record_lineage(tx: Tx, op: RecordLineage, caller: Caller) -> LineageReceipt:
    """The event is kept and merged, if it was not before."""
    event = _parsed(bytes(op.event), strict=op.strict)
    if own.is_own(event):
        is_new = own.merge(tx, event)
        return LineageReceipt(event_id=event.digest, run_id=event.run_id, is_repeat=not is_new)
    batch = Batch(tx)
    is_new = merge(batch, event)
    batch.facets.flush()
    return LineageReceipt(event_id=event.digest, run_id=event.run_id, is_repeat=not is_new)


@handles(RecordLineageBatch)
def record_lineage_batch(tx: Tx, op: RecordLineageBatch, caller: Caller) -> LineageResults:
    """Every event that can be read is kept and merged; the others are told with the reason."""
    batch, failed = Batch(tx), list[FailedEvent]()
    for index, raw in enumerate(op.events):
        try:
            event = _parsed(bytes(raw), strict=op.strict)
        except InvalidRequest as error:
            failed.append(FailedEvent(index=index, reason=str(error)))
            continue
        if not own.is_own(event):
            merge(batch, event)
            continue
        try:
            tx.nested(partial(own.merge, tx, event))
        except DatlakeError as error:
            failed.append(FailedEvent(index=index, reason=str(error)))
    batch.facets.flush()
    received = len(op.events)
    summary = BatchSummary(
        received=received, successful=received - len(failed), failed=len(failed), non_retriable=len(failed)
    )
    if not failed:
        return LineageResults(status="success", summary=summary)
    is_partial = len(failed) < received
    return LineageResults(status="partial_success" if is_partial else "failure", summary=summary, failed_events=failed)


def merge(batch: Batch, event: ParsedEvent) -> bool:
    """The lake is as if it had always known the event; false where it did."""
    job_id = None if event.job is None else batch.job_id(*event.job)
    table_id = None if event.dataset is None else batch.table_id(event.dataset)
    is_new = batch.tx.do(
        "openlineage.add_event",
        digest=event.digest,
        event_at=event.at,
        now=batch.tx.now,
        event_type=event.event_type,
        run_id=event.run_id,
        job_id=job_id,
        table_id=table_id,
        body=event.body,
    )
    if not is_new:
        return False
    at = min(event.at, batch.tx.now)
    if event.run_id is not None and job_id is not None:
        RunMerge(batch, event, runs.seen(batch, event, event.run_id, job_id, at), at).merge(job_id)
    elif job_id is not None:
        declared.of_job(batch, event, job_id, at)
    elif event.dataset is not None and table_id is not None:
        declared.of_dataset(batch, event.dataset, table_id, at)
    return True


def _parsed(raw: bytes, *, strict: bool) -> ParsedEvent:
    event = parse(raw)
    if strict:
        check(msgspec.json.decode(raw))
    return event
