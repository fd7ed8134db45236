"""In what two runs differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from datlake_sdk.wire.models import Difference, Run, RunData, RunDiff
from datlake_sdk.wire.operations import DiffRuns
from datlake_server.services.records import run_of, run_row
from datlake_server.services.registry import handles
from datlake_server.services.snapshots import snapshots_of

if TYPE_CHECKING:
    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx


@handles(DiffRuns)
def diff_runs(tx: Tx, op: DiffRuns, caller: Caller) -> RunDiff:
    """All facts in which the two runs differ, by path; nothing that is the same."""
    left = run_of(tx, run_row(tx, op.run_id, op.namespace).run_id, caller)
    right = run_of(tx, run_row(tx, op.other, op.namespace).run_id, caller)
    facts_left, facts_right = _facts(tx, left), _facts(tx, right)
    paths = sorted(facts_left.keys() | facts_right.keys())
    return RunDiff(
        left=left.run_id,
        right=right.run_id,
        differences=[
            Difference(path=path, left=facts_left.get(path), right=facts_right.get(path))
            for path in paths
            if facts_left.get(path) != facts_right.get(path)
        ],
    )


def _facts(tx: Tx, run: Run) -> dict[str, object]:
    facts: dict[str, object] = {"job_name": run.job_name, "state": run.state}
    if run.ended_at is not None:
        facts["duration_s"] = round((run.ended_at - run.started_at).total_seconds(), 3)
    if run.error is not None:
        facts["error"] = f"{run.error.type}: {run.error.message}"
    facts.update({f"metadata.{key}": value for key, value in run.metadata.items()})
    facts.update({f"environment.{key}": value for key, value in run.environment.items()})
    for role, items in (("inputs", run.inputs), ("outputs", run.outputs)):
        facts.update(_data_facts(tx, role, items))
    return facts


def _data_facts(tx: Tx, role: str, items: list[RunData]) -> dict[str, object]:
    found = {
        item.snapshot_id: item for item in snapshots_of(tx, [item.snapshot_id for item in items if item.snapshot_id])
    }
    facts: dict[str, object] = {}
    for item in items:
        place = f"{role}.{item.namespace}.{item.table_name}"
        facts[f"{place}.version"] = item.version
        facts[f"{place}.uri"] = item.uri
        facts[f"{place}.row_count"] = item.row_count
        if (snapshot := found.get(item.snapshot_id or "")) is not None:
            facts[f"{place}.schema"] = msgspec.to_builtins(snapshot.fields)
    return facts
