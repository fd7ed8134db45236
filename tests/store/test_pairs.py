"""What a run's outputs were made from ends the same, however late it is said."""

from __future__ import annotations

import itertools
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest

from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.models import DataRef, Graph, Run
from datlake_sdk.wire.operations import (
    AddInputs,
    AddOutputs,
    GetRun,
    Lineage,
    Op,
    RegisterSnapshot,
    StartRun,
)
from datlake_server.lake import Lake

RUN = "0193a5c0-0000-7000-8000-0000000000d1"
WRITTEN = "0193a5c0-0000-7000-8000-0000000000d2"
AT = datetime(2024, 1, 1, tzinfo=UTC)

READS = AddInputs(job_name="j", run_id=RUN, items=[DataRef(table_name="a"), DataRef(table_name="b")], added_at=AT)
WRITES = AddOutputs(job_name="j", run_id=RUN, items=[DataRef(table_name="out", snapshot_id=WRITTEN)], added_at=AT)
STATES = RegisterSnapshot(
    table_name="out",
    uri="s3://b/out",
    format="csv",
    snapshot_id=WRITTEN,
    job_name="j",
    run_id=RUN,
    inputs=[DataRef(table_name="a")],
    created_at=AT,
)


def _graphs(lake: Lake) -> list[Graph]:
    return [
        lake.dispatch(Lineage(name="out", direction="upstream")),
        lake.dispatch(Lineage(name="b", direction="downstream")),
        lake.dispatch(Lineage(kind="run", run_id=RUN)),
    ]


def _seen(run: Run) -> object:
    return run.state, run.inputs, run.outputs


def _lake(folder: Path, *operations: Op[object]) -> Lake:
    lake = Lake.open(str(folder))
    for operation in operations:
        lake.dispatch(operation)
    return lake


def _names(graph: Graph) -> set[tuple[str, str]]:
    names = {node.id: node.name for node in graph.nodes}
    return {(names[edge.source], names[edge.target]) for edge in graph.edges}


def _edges(folder: Path) -> list[tuple[object, ...]]:
    """(source, target, count, last run) of every edge; a half edge has one end."""
    asked = (
        "SELECT s.name, t.name, e.run_count, e.last_run_id FROM edges e LEFT JOIN tables s ON s.table_id = e.source "
        "LEFT JOIN tables t ON t.table_id = e.target ORDER BY 1, 2"
    )
    with closing(apsw.Connection(str(folder / "lake.db"))) as connection:
        return [tuple(row) for row in connection.execute(asked)]


@pytest.mark.parametrize("order", list(itertools.permutations((READS, WRITES, STATES))))
def test_stated_inputs_win_whatever_was_told_before(tmp_path: Path, order: tuple[Op[object], ...]) -> None:
    """What waited in a job's outbox arrives in any order; an output is known before it is registered, or after."""
    start = StartRun(job_name="j", run_id=RUN, started_at=AT)
    lake = _lake(tmp_path / "one", start, *order)
    other = _lake(tmp_path / "other", start, STATES, WRITES, READS)
    [up, down, run] = _graphs(lake)
    assert _names(up) == {("a", "j"), ("j", "out")}
    assert _names(down) == {("b", "j")}
    assert [_names(graph) for graph in _graphs(other)] == [_names(up), _names(down), _names(run)]
    assert _edges(tmp_path / "one") == _edges(tmp_path / "other")
    assert _seen(lake.dispatch(GetRun(run_id=RUN))) == _seen(other.dispatch(GetRun(run_id=RUN)))
    lake.close()
    other.close()


def test_an_input_that_is_added_later_does_not_feed_a_stated_output(tmp_path: Path) -> None:
    """Once its inputs are stated, the run's others are none of them, also where it was told of before."""
    late = AddInputs(job_name="j", run_id=RUN, items=[DataRef(table_name="c")], added_at=AT)
    lake = _lake(tmp_path / "lake", READS, WRITES, STATES, late)
    assert _names(lake.dispatch(Lineage(name="c", direction="downstream"))) == {("c", "j")}
    lake.close()


def test_other_runs_of_a_job_keep_their_edge_when_one_states_its_inputs(tmp_path: Path) -> None:
    """An edge tells how often it was seen; a run that takes its part back takes no more than that."""
    lake = _lake(tmp_path / "lake")
    before = new_id()
    lake.dispatch(AddInputs(job_name="j", run_id=before, items=READS.items, added_at=AT))
    lake.dispatch(AddOutputs(job_name="j", run_id=before, items=[DataRef(table_name="out")], added_at=AT))
    for operation in (READS, WRITES):
        lake.dispatch(operation)
    lake.dispatch(STATES)
    last = max(before, RUN)
    assert _edges(tmp_path / "lake") == [
        (None, "out", 2, last),
        ("a", None, 2, last),
        ("a", "out", 2, last),
        ("b", None, 2, last),
        ("b", "out", 1, before),
    ]
    lake.close()


def test_the_thousandth_output_takes_no_longer_than_the_first(tmp_path: Path) -> None:
    """A run that writes a table per customer read all that it had written for each one more."""
    lake = _lake(tmp_path / "lake", StartRun(job_name="j", run_id=RUN), READS)
    took: list[float] = []
    for number in range(3000):
        began = time.process_time()
        lake.dispatch(
            RegisterSnapshot(table_name=f"t{number}", uri=f"s3://b/{number}", format="csv", job_name="j", run_id=RUN)
        )
        took.append(time.process_time() - began)
    first, last = sorted(took[:500])[250], sorted(took[-500:])[250]
    assert last < 3 * first
    lake.close()
