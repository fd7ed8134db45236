"""Runs of jobs: how they start, what is said of them, and how they end. Merges by semantics.md's table.

Whatever the order in which the operations of a run arrive, and however often, the run ends up the same: the earliest
start and the earliest ending are shown, inputs and outputs are sets, and an operation for an unknown run makes it.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import asdict, replace

from datlake_sdk.errors import Conflict
from datlake_sdk.wire.ids import derived_id, new_id
from datlake_sdk.wire.models import Page, Run, RunState
from datlake_sdk.wire.operations import AddInputs, AddOutputs, CompleteRun, DescribeRun, GetRun, ListRuns, StartRun
from datlake_sdk.wire.times import micros
from datlake_server.services import labels, legacy, lineage, presence
from datlake_server.services.claims import BY_EVENTS
from datlake_server.services.pages import END_OF_TIME, cursor_from, moment_before, page
from datlake_server.services.places import Role
from datlake_server.services.presence import Life
from datlake_server.services.records import RunRow, json_text, run_of, run_row, runs_of
from datlake_server.services.registry import handles
from datlake_server.services.stubs import Told, at_most_now, ensured_run, job_row, put_facets
from datlake_server.store.base import Recorded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx, Value

# So many runs without an end are looked at for one page of a list; a page may be short of what it could hold, then.
LOOKED_AT = 1000


class _RunPlace(msgspec.Struct, frozen=True):
    run_id: str
    started_at: int


class _Unended(Life, frozen=True, kw_only=True):
    run_id: str
    started_at: int


@handles(StartRun)
def start_run(tx: Tx, op: StartRun, caller: Caller) -> Run:
    """Starts the run, or merges into the one that has this id."""
    run_id = op.run_id or (derived_id("run", op.namespace, op.job_name, caller.key) if caller.key else new_id())
    started = at_most_now(tx, op.started_at)
    told = Told(
        lost_after_us=presence.lost_after_us(op.heartbeat_interval_s),
        parent_run_id=op.parent_run_id.lower() if op.parent_run_id else None,
        process=presence.processes_text(op.process),
    )
    row = ensured_run(tx, op.namespace, op.job_name, run_id, started, told=told)
    is_same = (row.lost_after_us, row.parent_run_id, row.process) == (
        told.lost_after_us,
        told.parent_run_id,
        told.process,
    )
    if not is_same or row.origin & BY_EVENTS:  # what is the same may be so by events alone
        joined = presence.joined(row.process, told.process)
        tx.do("runs.merge_start", run_id=row.run_id, **asdict(replace(told, process=joined)))
    _describe(tx, row, started, op.metadata, op.environment)
    return run_of(tx, row.run_id, caller)


@handles(DescribeRun)
def describe_run(tx: Tx, op: DescribeRun, caller: Caller) -> Run:
    """Adds to the run's metadata and environment."""
    at = at_most_now(tx, op.described_at)
    row = ensured_run(tx, op.namespace, op.job_name, op.run_id, at)
    _describe(tx, row, at, op.metadata, op.environment)
    return run_of(tx, row.run_id, caller)


@handles(CompleteRun)
def complete_run(tx: Tx, op: CompleteRun, caller: Caller) -> Run:
    """Ends the run. Raises `Conflict` if it shows another outcome; the ending is kept all the same."""
    stated = at_most_now(tx, op.ended_at)
    row = ensured_run(tx, op.namespace, op.job_name, op.run_id, stated)
    outcome = outcome_of(op)
    repeated = op.ended_at is None and row.state == outcome
    if not repeated:
        _end(tx, row, outcome, stated, op)
    _describe(tx, row, stated, op.metadata, op.environment)
    for artifact in (*op.artifacts, *legacy.artifacts(op.metadata)):
        tx.do(
            "runs.add_artifact",
            run_id=row.run_id,
            uri=artifact.uri,
            type=artifact.type,
            name=artifact.name,
            size_bytes=artifact.size_bytes,
            sha256=artifact.sha256,
        )
    legacy.record_data(tx, row, op.metadata, stated)
    run = run_of(tx, row.run_id, caller)
    if run.state != outcome:
        message = f"run {run.run_id} already ended as {run.state}; that it {outcome} was recorded beside it"
        raise Recorded(Conflict(message, code="run_already_ended", run_id=run.run_id))
    return run


@handles(AddInputs)
def add_inputs(tx: Tx, op: AddInputs, caller: Caller) -> Run:
    """Records what the run reads; a table without a version is pinned to its newest snapshot at that moment."""
    return _add(tx, op, "input", caller)


@handles(AddOutputs)
def add_outputs(tx: Tx, op: AddOutputs, caller: Caller) -> Run:
    """Records what the run writes."""
    return _add(tx, op, "output", caller)


@handles(GetRun)
def get_run(tx: Tx, op: GetRun, caller: Caller) -> Run:
    """The run of that id."""
    row = run_row(tx, op.run_id, op.namespace, op.job_name)
    return labels.whole_run(tx, run_of(tx, row.run_id, caller), row)


@handles(ListRuns)
def list_runs(tx: Tx, op: ListRuns, caller: Caller) -> Page[Run]:
    """Runs by their start, the latest first."""
    if op.job_name is not None:
        job_row(tx, op.namespace, op.job_name)
    if op.state in {"lost", "running"}:
        return _unended(tx, op, caller)
    places = tx.all(_RunPlace, _list_statement(op), **_list_values(op))
    runs = runs_of(tx, [place.run_id for place in places], caller)
    last = places[-1] if places else _RunPlace("", 0)
    return page(runs, op.limit, (last.started_at, last.run_id))


def outcome_of(op: CompleteRun) -> RunState:
    """The state that a completion asks for."""
    return "aborted" if op.aborted else "completed" if op.success else "failed"


def _end(tx: Tx, row: RunRow, outcome: RunState, ended_at: int, op: CompleteRun) -> None:
    error = None if op.error is None else json_text(op.error)
    key = op.key or row.run_id
    tx.do("runs.add_ending", run_id=row.run_id, ended_at=ended_at, state=outcome, op_key=key, now=tx.now, error=error)
    tx.do("runs.show_ending", run_id=row.run_id)
    if row.origin & BY_EVENTS:
        from datlake_server.services.openlineage.runs import follow_ending  # most jobs are told of by no events

        follow_ending(tx, row.run_id)


def _add(tx: Tx, op: AddInputs | AddOutputs, role: Role, caller: Caller) -> Run:
    at = at_most_now(tx, op.added_at)
    row = ensured_run(tx, op.namespace, op.job_name, op.run_id, at)
    lineage.record(tx, row, role, op.items, at)
    return run_of(tx, row.run_id, caller)


def _describe(tx: Tx, row: RunRow, at: int, metadata: Mapping[str, object], environment: Mapping[str, object]) -> None:
    put_facets(tx, row.run_id, "metadata", metadata, at)
    put_facets(tx, row.run_id, "environment", environment, at)


def _unended(tx: Tx, op: ListRuns, caller: Caller) -> Page[Run]:
    """The runs that show this state: the statement knows silence, processes are looked up here, one by one."""
    sees = caller.presence.sees_processes
    most = LOOKED_AT if sees else op.limit
    values = _list_values(op) | presence.silence(tx, caller)
    rows = tx.all(_Unended, "runs.page_unended", **values | {"sees": int(sees), "limit": most})
    found = list(islice((row for row in rows if presence.state_of(tx, row, caller) == op.state), op.limit))
    last = found[-1] if len(found) == op.limit else rows[-1] if len(rows) == most else None
    cursor = None if last is None else cursor_from(last.started_at, last.run_id)
    return Page(items=runs_of(tx, [row.run_id for row in found], caller), next_cursor=cursor)


def _list_statement(op: ListRuns) -> str:
    if op.state is not None or op.parent_run_id is not None:
        return "runs.page_filtered"
    return "runs.page_of_namespace" if op.job_name is None else "runs.page_of_job"


def _list_values(op: ListRuns) -> dict[str, Value]:
    before_at, before_id = moment_before(op.cursor)
    return {
        "namespace": op.namespace,
        "job_name": op.job_name,
        "since": 0 if op.since is None else micros(op.since),
        "until": END_OF_TIME if op.until is None else micros(op.until),
        "before_at": before_at,
        "before_id": before_id,
        "state": op.state,
        "lost": int(op.state == "lost"),
        "parent_run_id": op.parent_run_id.lower() if op.parent_run_id else None,
        "limit": op.limit,
    }
