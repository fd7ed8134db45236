"""Runs as events tell of them: whose they are, when they began and ended, and why they failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from msgspec import Struct
from msgspec.structs import replace

from datlake_sdk.lineage.events import ENDINGS
from datlake_sdk.lineage.ids import run_id_of
from datlake_sdk.wire.models import RunError
from datlake_sdk.wire.models import RunState as RunOutcome
from datlake_server.services.claims import BY_EVENTS, claim
from datlake_server.services.openlineage import snapshots
from datlake_server.services.openlineage.batch import Batch, OpenRun, RunState
from datlake_server.services.openlineage.facets import Facets, Owner
from datlake_server.services.records import json_text
from datlake_server.services.stubs import job_row

if TYPE_CHECKING:
    from datlake_sdk.lineage.events import ParsedEvent
    from datlake_server.store.base import Tx


class _State(Struct, frozen=True):
    state: RunOutcome


def seen(batch: Batch, event: ParsedEvent, run_id: str, job_id: int, at: int) -> RunState:
    """The run of the event, which shows a sign of life; made, or claimed for its job, if need be."""
    state = batch.runs.get(run_id) or _known(batch, run_id)
    if state is None:
        state = _made(batch, event, run_id, job_id, at)
    else:
        batch.tx.do("openlineage.seen_run", run_id=run_id, now=batch.tx.now, external_id=event.external_id)
        if at < state.row.started_at:
            batch.tx.do("runs.begin_earlier", run_id=run_id, at=at)
            state.row = replace(state.row, started_at=at)
        state.is_new = False
        _claim(batch, state, event, job_id, at)
    batch.runs[run_id] = state
    return state


def end(batch: Batch, state: RunState, event: ParsedEvent, at: int) -> bool:
    """The run has the ending that the event tells, if it does; true where that changes whether the run has failed."""
    outcome = ENDINGS.get(event.event_type)
    if outcome is None:
        return False
    run_id = state.row.run_id
    batch.tx.do(
        "runs.add_ending",
        run_id=run_id,
        ended_at=at,
        state=outcome,
        op_key=f"{run_id}:complete",
        now=batch.tx.now,
        error=None,
    )
    had_failed, shown = state.has_failed, batch.tx.one(_State, "openlineage.show_ending", run_id=run_id)
    if shown is not None:
        state.row = replace(state.row, state=shown.state)
    return state.has_failed != had_failed


def follow_facets(batch: Batch, state: RunState, event: ParsedEvent, at: int) -> None:
    """The run's parent and its error are what its facets say."""
    told = event.run_facets
    owner = Owner("run", state.row.run_id)
    shows_error = event.event_type in ENDINGS and state.has_failed
    if not shows_error and "parent" not in told and "errorMessage" not in told:
        batch.facets.put(owner, told, at)
        return
    before = batch.facets.watch(owner, is_new=state.is_new)
    batch.facets.put(owner, told, at)
    after = batch.facets.watch(owner)
    if before.get("parent") != after.get("parent"):
        parent = _parent_of(batch.facets.said(owner, "parent"), state.row.run_id)
        if parent != state.row.parent_run_id:
            state.row = replace(state.row, parent_run_id=parent)
            batch.tx.do("openlineage.set_parent", run_id=state.row.run_id, parent_run_id=parent)
    if shows_error or "errorMessage" in told:
        _show_error(batch.tx, batch.facets, owner)


def follow_ending(tx: Tx, run_id: str) -> None:
    """What events told of a run is as the ending that an SDK told demands: its error, and what it has written."""
    facets, owner = Facets(tx), Owner("run", run_id)
    facets.watch(owner)
    _show_error(tx, facets, owner)
    row = tx.one(OpenRun, "openlineage.run", run_id=run_id)
    if row is not None:
        snapshots.settle_outcome(tx, row)


def _show_error(tx: Tx, facets: Facets, owner: Owner) -> None:
    tx.do("openlineage.set_error", run_id=owner.run_id, error=_error_of(facets.said(owner, "errorMessage")))


def _known(batch: Batch, run_id: str) -> RunState | None:
    row = batch.tx.one(OpenRun, "openlineage.run", run_id=run_id)
    return None if row is None else RunState(row, batch.told_of(run_id), is_new=False)


def _made(batch: Batch, event: ParsedEvent, run_id: str, job_id: int, at: int) -> RunState:
    namespace, name = cast("tuple[str, str]", event.job)
    told = event.run_facets.get("parent")
    parent = None if told is None or told.is_deleted else _parent_of(told.read(), run_id)
    batch.tx.do(
        "openlineage.add_run",
        run_id=run_id,
        job_id=job_id,
        namespace=namespace,
        at=at,
        now=batch.tx.now,
        external_id=event.external_id,
        parent_run_id=parent,
    )
    row = OpenRun(
        run_id=run_id,
        job_id=job_id,
        job_name=name,
        namespace=namespace,
        started_at=at,
        last_seen_at=batch.tx.now,
        origin=BY_EVENTS,
        claimed_at=at,
        parent_run_id=parent,
    )
    return RunState(row, {}, is_new=True)


def _claim(batch: Batch, state: RunState, event: ParsedEvent, job_id: int, at: int) -> None:
    """Of two jobs that claim one run it is of the one that was told first."""
    row = state.row
    namespace, name = cast("tuple[str, str]", event.job)
    is_first = (at, namespace, name) < (row.claimed_at, row.namespace, row.job_name)
    state.is_moved = is_first and row.job_id != job_id
    if is_first:
        job = job_row(batch.tx, namespace, name)
        state.row = replace(claim(batch.tx, row, job, at), claimed_at=at)


def _parent_of(facet: dict[str, object] | None, run_id: str) -> str | None:
    """The run that the facet names; no run is its own parent."""
    run = (facet or {}).get("run")
    text = cast("dict[str, object]", run).get("runId") if isinstance(run, dict) else None
    parent = run_id_of(text) if isinstance(text, str) and text else None
    return None if parent == run_id else parent


def _error_of(facet: dict[str, object] | None) -> str | None:
    """The error as runs have it: its type is the class that the stack trace ends or begins with, where one does."""
    if facet is None:
        return None
    message, trace = facet.get("message"), facet.get("stackTrace")
    trace = trace if isinstance(trace, str) else None
    error = RunError(type=_class_in(trace), message=message if isinstance(message, str) else "", traceback=trace)
    return json_text(error)


def _class_in(trace: str | None) -> str:
    lines = (trace or "").strip().splitlines()
    for line in (lines[-1], lines[0]) if lines else ():
        name = line.partition(":")[0].removeprefix("Caused by ").strip()
        if name and len(name) <= 200 and all(part.isidentifier() for part in name.split(".")):
            return name
    return "Error"
