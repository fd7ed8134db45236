"""How large the events are that a lake gives: as large as another takes, whatever a run told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import msgspec
from msgspec.structs import replace

from datlake_sdk.client import DatlakeClient
from datlake_sdk.lineage import emit, own_facets
from datlake_sdk.lineage.emit import EVENT_BYTES
from datlake_sdk.wire.models import Artifact, DataRef
from datlake_sdk.wire.op import Op
from datlake_sdk.wire.operations import (
    AddInputs,
    DescribeRun,
    ExportOpenLineage,
    LogEvent,
    RecordLineage,
    RegisterSnapshot,
    RunOpenLineage,
    StartRun,
)
from datlake_server.lake import Lake
from datlake_server.services.catalog import LIMITS
from tests.export.story import RUN, Event, at, at_path, data_of, ended, events_of, of, types
from tests.export.test_pages import paged
from tests.http.served import Server
from tests.properties import shown

KIB = 1 << 10
# What a lake takes of one event alone, but for what stands around it.
ROOM = LIMITS["body_bytes"] - KIB


@contextmanager
def served(home: Path) -> Iterator[DatlakeClient]:
    """A client of a lake that is served, and holds nothing."""
    server = Server(home)
    try:
        with DatlakeClient(server.url) as client:
            yield client
    finally:
        server.stop()


def test_a_served_lake_takes_all_of_a_run_that_told_more_than_a_request_may_hold(lake: Lake, tmp_path: Path) -> None:
    """Every operation was small enough to be taken; an export that is refused would lose them all."""
    for op in (*described(9), *logged(100), *registered(40, columns=4_000)):
        lake.dispatch(op)
    ended(lake)
    events = paged(lake, ExportOpenLineage(limit=1000))
    with served(tmp_path / "other") as client:
        for event in reversed(events):
            client.record_lineage(event)
    other = Lake.open(str(tmp_path / "other"))
    try:
        assert shown.by_lake(other) == shown.by_lake(lake)
    finally:
        other.close()


def test_what_was_told_of_a_run_is_told_in_parts(lake: Lake) -> None:
    """Metadata may be added as long as the run goes on."""
    for op in described(9):
        lake.dispatch(op)
    ended(lake)
    events = events_of(lake)
    assert types(events) == ["START", *["RUNNING"] * 4, "COMPLETE"]
    assert max(sizes(events)) < ROOM
    told = [key for event in events for key in metadata_of(event)]
    assert told == [f"key {number}" for number in range(9)]


def test_what_a_run_logged_is_told_in_parts_by_its_size(lake: Lake) -> None:
    """Two hundred events of 64 KiB are 13 MiB."""
    for op in logged(40):
        lake.dispatch(op)
    events = events_of(lake)
    assert max(sizes(events)) < ROOM
    told = [len(data_of(facets, "items")) for event in events if (facets := own_of(event, "datlake_events"))]
    assert told == [11, 11, 11, 7]


def test_outputs_with_thousands_of_columns_are_told_in_parts(lake: Lake) -> None:
    """Five hundred of them would be a hundred megabytes."""
    for op in registered(10, columns=4_000):
        lake.dispatch(op)
    events = events_of(lake)
    assert max(sizes(events)) < ROOM
    assert len(events) > 4
    assert [str(one["name"]) for event in events for one in data_of(event, "outputs")] == [f"t{n}" for n in range(10)]


def test_inputs_with_thousands_of_columns_begin_a_run_as_far_as_they_fit(lake: Lake) -> None:
    """A start tells that the run begins; the rest is told before its end."""
    for op in registered(10, columns=4_000):
        lake.dispatch(replace(op, run_id=None, job_name=None))
    lake.dispatch(of(AddInputs, items=[DataRef(table_name=f"t{number}") for number in range(10)], added_at=at(3)))
    start, *rest = events_of(lake)
    assert 0 < len(data_of(start, "inputs")) < 10
    assert sum(len(data_of(event, "inputs")) for event in rest) == 10
    assert max(sizes([start, *rest])) < ROOM


def test_one_snapshot_that_is_larger_is_told_whole(lake: Lake) -> None:
    """As much as one request may register fits into one event of a batch, however often it is said there."""
    narrow = {f"{number:x}": "i" for number in range(80_000)}
    lake.dispatch(of(StartRun, started_at=at(0)))
    lake.dispatch(registration(0, narrow))
    ended(lake)
    events = events_of(lake)
    assert types(events) == ["START", "RUNNING", "COMPLETE"]
    assert EVENT_BYTES < max(sizes(events)) < LIMITS["batch_bytes"] - KIB


def test_pages_of_one_event_have_the_same_parts(lake: Lake) -> None:
    """A page goes on within what it had begun."""
    for op in (*described(4), *logged(20), *registered(5, columns=4_000)):
        lake.dispatch(op)
    ended(lake)
    assert paged(lake, RunOpenLineage(run_id=RUN, limit=1)) == events_of(lake)


def test_events_that_came_in_are_read_a_part_at_a_time(lake: Lake) -> None:
    """Fifty of five megabytes each are not read at once."""
    for number in range(12):
        event = {
            "eventType": "RUNNING",
            "eventTime": msgspec.to_builtins(at(number)),
            "run": {"runId": RUN, "facets": {"a": {"text": "x" * (1 << 20)}}},
            "job": {"namespace": "default", "name": "load"},
            "producer": "x:y",
        }
        lake.dispatch(RecordLineage(event=msgspec.Raw(msgspec.json.encode(event))))
    events = paged(lake, RunOpenLineage(run_id=RUN, limit=1000))
    assert [event["eventTime"] for event in events] == [msgspec.to_builtins(at(number)) for number in range(12)]


def test_parts_say_all_and_each_fits() -> None:
    """Those of a run that told little are one, as it stands."""
    small = own_facets.RunFacet(started_at=at(0), metadata=[own_facets.Kept(at(0), {"a": 1, "b": 2})])
    assert emit.pieces(small) == [small]
    large = replace(
        small,
        lost_after_s=9.0,
        environment=[own_facets.Kept(at(0), {str(key): "x" * (300 * KIB) for key in range(4)})],
        artifacts=[Artifact(type="file", uri=f"s3://b/{'k' * 1000}/{number}") for number in range(1000)],
    )
    parts = emit.pieces(large)
    assert [part.lost_after_s for part in parts] == [9.0] * len(parts)
    assert max(len(msgspec.json.encode(part)) for part in parts) < EVENT_BYTES + KIB
    assert [one for part in parts for one in part.artifacts] == large.artifacts
    assert {key for part in parts for kept in part.environment for key in kept.values} == set("0123")


def described(count: int) -> Iterator[Op[object]]:
    """So many times 300 KiB of metadata."""
    yield of(StartRun, started_at=at(0))
    for number in range(count):
        yield of(DescribeRun, metadata={f"key {number}": "x" * (300 * KIB)}, described_at=at(1))


def logged(count: int) -> Iterator[Op[object]]:
    """So many events of 64 KiB."""
    yield of(StartRun, started_at=at(0))
    for number in range(count):
        data = {"text": "x" * (64 * KIB)}
        yield of(LogEvent, event_type="note", data=data, event_id=id_of(number), created_at=at(1))


def registered(count: int, columns: int) -> Iterator[RegisterSnapshot]:
    """So many tables with so many columns."""
    schema = {f"column {number}": "int64" for number in range(columns)}
    return (registration(number, schema) for number in range(count))


def registration(number: int, schema: dict[str, str]) -> RegisterSnapshot:
    """The run has written the table of that number."""
    return of(
        RegisterSnapshot,
        table_name=f"t{number}",
        snapshot_id=id_of(1000 + number),
        uri=f"s3://b/t{number}",
        format="parquet",
        schema=schema,
        created_at=at(2),
    )


def id_of(number: int) -> str:
    """An id of its own."""
    return f"0193a5c0-0000-7000-8000-{number:012x}"


def sizes(events: list[Event]) -> list[int]:
    """How many bytes each is."""
    return [len(msgspec.json.encode(event)) for event in events]


def own_of(event: Event, facet: str) -> Event:
    """That facet of ours of the event's run; empty where it has none."""
    facets = at_path(event, "run", "facets")
    assert isinstance(facets, dict)
    return cast("Event", facets.get(facet, {}))


def metadata_of(event: Event) -> list[str]:
    """The keys of the run's metadata that the event tells."""
    return [key for kept in data_of(own_of(event, "datlake_run"), "metadata") for key in cast("Event", kept["values"])]
