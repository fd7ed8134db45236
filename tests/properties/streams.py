"""Streams of operations as several jobs' processes would send them, and what a lake shows after them.

Few runs, tables, URIs and moments, so that they meet often. Every operation carries its own time, long past, so that
its arrival says nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from hypothesis import strategies as st
from msgspec.structs import replace

from datlake_sdk.wire.models import Artifact, DataRef, RunError
from datlake_sdk.wire.operations import (
    AddInputs,
    AddOutputs,
    CompleteRun,
    DescribeRun,
    EventItem,
    LogEvent,
    LogEvents,
    Op,
    RegisterSnapshot,
    StartRun,
)

START = datetime(2024, 1, 1, tzinfo=UTC)
Stream = list[Op[object]]


class _Run(NamedTuple):
    namespace: str
    job_name: str
    run_id: str


def _id(number: int) -> str:
    return f"0193a5c0-0000-7000-8000-{number:012x}"


RUNS = [
    _Run("default", "load", _id(1)),
    _Run("default", "load", _id(2)),
    _Run("default", "report", _id(3)),
    _Run("other", "load", _id(4)),
]
TABLES = ["t", "u"]
URIS = ["s3://b/x", "s3://b/y", "file:///data/z.csv"]
SNAPSHOTS = [_id(number) for number in range(16, 21)]
EVENTS = [_id(number) for number in range(32, 36)]

runs = st.sampled_from([RUNS[0], *RUNS])
times = st.integers(0, 4).map(lambda minutes: START + timedelta(minutes=minutes))
values: st.SearchStrategy[dict[str, object]] = st.dictionaries(
    st.sampled_from("ab"), st.integers(0, 2) | st.just({"deep": [1]}), max_size=2
)
tables = st.sampled_from(TABLES)
uris = st.sampled_from(URIS)
errors = st.none() | st.builds(RunError, type=st.sampled_from("EF"), message=st.just("m"))
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
namespaces = st.sampled_from([None, None, "default", "other"])
pinned = st.builds(
    DataRef,
    table_name=tables,
    namespace=namespaces,
    snapshot_id=st.sampled_from([*SNAPSHOTS[:2], _id(99)]),
    stale=st.booleans(),
    age_s=st.none() | st.sampled_from([1.5, 3.0]),
    deferred=st.booleans(),
)
refs = st.lists(
    st.builds(DataRef, table_name=tables, namespace=namespaces)
    | st.builds(DataRef, uri=uris, namespace=namespaces)
    | st.builds(DataRef, table_name=tables, uri=uris)
    | pinned,
    max_size=3,
)
old_data = st.fixed_dictionaries(
    {}, optional={"name": tables, "uri": uris, "format": st.sampled_from(["csv", "parquet"]), "schema": values}
).filter(lambda item: "name" in item or "uri" in item)
old_artifact = st.fixed_dictionaries(
    {"uri": st.just("datlake://a/b")}, optional={"type": st.sampled_from(["log", "file"])}
)
old_metadata = st.fixed_dictionaries(
    {},
    optional={
        "a": st.integers(0, 2),
        "inputs": st.lists(old_data, max_size=2),
        "outputs": st.lists(old_data, max_size=2),
        "artifacts": st.lists(old_artifact, max_size=1),
    },
)


def _of_run(kind: type[Op[object]], **fields: st.SearchStrategy[object]) -> st.SearchStrategy[Op[object]]:
    """Operations of this kind for any of the runs."""
    return st.builds(lambda run, given: kind(**run._asdict(), **given), runs, st.fixed_dictionaries(fields))


operations: st.SearchStrategy[Op[object]] = st.one_of(
    _of_run(
        StartRun,
        metadata=values,
        environment=values,
        started_at=times,
        parent_run_id=st.none() | st.sampled_from([_id(64), _id(65)]),
        heartbeat_interval_s=st.none() | st.sampled_from([0.0, 30.0, 900.0]),
    ),
    _of_run(DescribeRun, metadata=values, environment=values, described_at=times),
    _of_run(
        CompleteRun,
        success=st.booleans(),
        aborted=st.booleans(),
        metadata=values,
        environment=values,
        artifacts=artifacts,
        ended_at=times,
        error=errors,
    ),
    _of_run(CompleteRun, success=st.just(value=True), metadata=old_metadata, ended_at=times),
    _of_run(AddInputs, items=refs, added_at=times),
    _of_run(AddOutputs, items=refs, added_at=times),
)


@st.composite
def registrations(draw: st.DrawFn, snapshot_id: str) -> list[Op[object]]:
    """One snapshot, told once or twice: who repeats it may have another clock."""
    run = draw(st.none() | runs)
    content = RegisterSnapshot(
        namespace=draw(st.sampled_from(["default", "default", "other"])) if run is None else run.namespace,
        job_name=run and run.job_name,
        run_id=run and run.run_id,
        snapshot_id=snapshot_id,
        table_name=draw(tables),
        uri=draw(uris),
        format=draw(st.sampled_from(["csv", "parquet"])),
        row_count=draw(st.none() | st.integers(0, 9)),
        inputs=None if run is None else draw(st.none() | refs),
    )
    return [replace(content, created_at=at) for at in draw(st.lists(times, min_size=1, max_size=2))]


@st.composite
def logged(draw: st.DrawFn, event_id: str) -> Op[object]:
    """An event, alone or in a batch, with or without its job."""
    run = draw(runs)
    item = EventItem(
        event_type=draw(st.sampled_from(["heartbeat", "told"])),
        data=draw(values),
        job_name=draw(st.sampled_from([None, run.job_name])),
        run_id=run.run_id,
        event_id=event_id,
        created_at=draw(times),
    )
    if draw(st.booleans()):
        return LogEvents(namespace=run.namespace, events=[item])
    return LogEvent(namespace=run.namespace, **{name: getattr(item, name) for name in item.__struct_fields__})


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """What some jobs tell, in some order."""
    stream: Stream = draw(st.lists(operations, min_size=2, max_size=8))
    for snapshot_id in draw(st.lists(st.sampled_from(SNAPSHOTS), max_size=5, unique=True)):
        stream += draw(registrations(snapshot_id))
    for event_id in draw(st.lists(st.sampled_from(EVENTS), max_size=2, unique=True)):
        stream.append(draw(logged(event_id)))
    return stream


class Delivery(NamedTuple):
    """A stream, and how it is delivered: in another order, with repetitions, in two parts."""

    stream: Stream
    first: Stream
    second: Stream


@st.composite
def deliveries(draw: st.DrawFn) -> Delivery:
    """A stream with an order of arrival."""
    stream = draw(streams())
    again = draw(st.lists(st.sampled_from(stream), max_size=4))
    arrived = draw(st.permutations([*stream, *again]))
    split = draw(st.integers(0, len(arrived)))
    return Delivery(stream, arrived[:split], arrived[split:])
