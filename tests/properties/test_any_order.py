"""The operations of a run end in the same run in any order and however often they arrive."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from datlake_sdk.errors import Conflict
from datlake_sdk.wire.models import Artifact, DataRef, RunError
from datlake_sdk.wire.operations import (
    AddInputs,
    AddOutputs,
    CompleteRun,
    DescribeRun,
    GetRun,
    Lineage,
    LogEvent,
    Op,
    RegisterSnapshot,
    StartRun,
)
from datlake_server.lake import Lake

RUN = "0193a5c0-0000-7000-8000-0000000000c1"
PARENT = "0193a5c0-0000-7000-8000-0000000000c2"
OTHER_PARENT = "0193a5c0-0000-7000-8000-0000000000c3"
START = datetime(2024, 1, 1, tzinfo=UTC)

times = st.integers(0, 3).map(lambda minutes: START + timedelta(minutes=minutes))
few = st.dictionaries(st.sampled_from("ab"), st.integers(0, 2), max_size=2)
refs = st.lists(
    st.builds(DataRef, uri=st.sampled_from(["s3://b/x", "s3://b/y", "s3://c/z"]))
    | st.builds(DataRef, table_name=st.sampled_from(["t", "u"])),
    max_size=2,
)
artifacts = st.lists(
    st.builds(
        Artifact,
        type=st.sampled_from(["log", "json"]),
        uri=st.just("datlake://a/b"),
        name=st.none() | st.sampled_from(["one", "two"]),
        size_bytes=st.none() | st.integers(0, 2),
        sha256=st.none() | st.sampled_from(["aa", "bb"]),
    ),
    max_size=2,
)
errors = st.none() | st.builds(RunError, type=st.sampled_from("EF"), message=st.just("m"))

operations: st.SearchStrategy[Op[object]] = st.one_of(
    st.builds(
        StartRun,
        job_name=st.just("j"),
        run_id=st.just(RUN),
        metadata=few,
        started_at=times,
        parent_run_id=st.none() | st.sampled_from([PARENT, OTHER_PARENT]),
        heartbeat_interval_s=st.none() | st.sampled_from([0.0, 30.0, 900.0]),
    ),
    st.builds(
        DescribeRun, job_name=st.just("j"), run_id=st.just(RUN), metadata=few, environment=few, described_at=times
    ),
    st.builds(
        CompleteRun,
        job_name=st.just("j"),
        run_id=st.just(RUN),
        success=st.booleans(),
        aborted=st.booleans(),
        metadata=few,
        artifacts=artifacts,
        ended_at=times,
        error=errors,
    ),
    st.builds(AddInputs, job_name=st.just("j"), run_id=st.just(RUN), items=refs, added_at=times),
    st.builds(AddOutputs, job_name=st.just("j"), run_id=st.just(RUN), items=refs, added_at=times),
    st.builds(
        RegisterSnapshot,
        job_name=st.just("j"),
        run_id=st.just(RUN),
        table_name=st.sampled_from(["out", "more"]),
        uri=st.just("s3://b/out"),
        format=st.just("csv"),
        snapshot_id=st.uuids().map(str),
        inputs=st.none() | refs,
        created_at=times,
    ),
    st.builds(
        LogEvent,
        event_type=st.sampled_from(["heartbeat", "told"]),
        job_name=st.just("j"),
        run_id=st.just(RUN),
        event_id=st.uuids().map(str),
        created_at=times,
    ),
)


@st.composite
def orders(draw: st.DrawFn) -> tuple[list[Op[object]], list[Op[object]]]:
    """A stream, and the same one shuffled with repetitions."""
    stream = draw(st.lists(operations, min_size=2, max_size=6))
    again = draw(st.lists(st.sampled_from(stream), max_size=4))
    return stream, draw(st.permutations([*stream, *again]))


def told(stream: list[Op[object]]) -> object:
    """What a lake says of the run after `stream`, but for what depends on when and in which order it came."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        lake = Lake.open(home)
        for op in stream:
            with suppress(Conflict):
                lake.dispatch(op)
        run = msgspec.to_builtins(lake.dispatch(GetRun(run_id=RUN)))
        graph = lake.dispatch(Lineage(kind="run", run_id=RUN))
        lake.close()
    for timed in (run, *run["endings"]):
        timed.pop("last_seen_at", None)
        timed.pop("received_at", None)
    for role in ("inputs", "outputs"):
        run[role] = sorted(str(data | {"version": None}) for data in run[role])
    if run["started_at"] > "2025":  # known by snapshots and events alone: it began when they came
        run.pop("started_at")
    nodes = {node.id: (node.kind, node.name, node.snapshot_id) for node in graph.nodes}
    return run, sorted(str((nodes[edge.source], nodes[edge.target])) for edge in graph.edges)


@given(orders())
@settings(max_examples=120, deadline=None)
def test_any_order_and_any_repetition_end_in_the_same_run(both: tuple[list[Op[object]], list[Op[object]]]) -> None:
    """What is journaled is delivered when it can be; that must not show in what is known afterwards."""
    stream, shuffled = both
    assert told(stream) == told(shuffled)
