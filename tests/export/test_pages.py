"""How a lake gives events: what came in, what SDKs told, everything; page by page, each of bounded size."""

from __future__ import annotations

from datetime import datetime

import msgspec
import pytest
from msgspec.structs import replace

from datlake_sdk.errors import InvalidRequest, NotFound
from datlake_sdk.wire.models import DataRef
from datlake_sdk.wire.operations import (
    AddInputs,
    ExportOpenLineage,
    RecordLineage,
    RunOpenLineage,
    StartRun,
    UpdateJob,
    UpdateTable,
)
from datlake_server.lake import Lake
from datlake_server.services import openlineage_export
from tests.export.story import OTHER, RUN, Event, at, at_path, data_of, events_of, exported, lone, of, told, types


def test_what_came_in_comes_out_first_in_the_order_of_its_times(lake: Lake) -> None:
    """A run of which both told has both: others' events as they were, and ours."""
    came = [_event("COMPLETE", at(2), weird=[1.0, {"a": None}]), _event("START", at(1))]
    for event in came:
        lake.dispatch(RecordLineage(event=msgspec.Raw(msgspec.json.encode(event))))
    lake.dispatch(of(StartRun, started_at=at(0)))
    events = events_of(lake)
    assert events[:2] == came[::-1]
    assert [event["eventTime"] for event in events[2:]] == ["2024-01-01T00:00:00Z", "2024-01-01T00:02:00Z"]
    assert paged(lake, RunOpenLineage(run_id=RUN, limit=1)) == events


def test_a_run_that_others_told_of_alone_has_their_events_alone(lake: Lake) -> None:
    """Nothing is added to what a producer said."""
    lake.dispatch(RecordLineage(event=msgspec.Raw(msgspec.json.encode(_event("START", at(1))))))
    assert types(events_of(lake)) == ["START"]


def test_an_export_has_everything_page_by_page(lake: Lake) -> None:
    """Jobs and tables as people described them, snapshots of no run, runs by their start, declarations."""
    told(lake)
    lake.dispatch(StartRun(job_name="early", run_id=OTHER, started_at=at(-9), namespace="shop"))
    lake.dispatch(UpdateJob(job_name="load", owner="etl", description="Loads."))
    lake.dispatch(UpdateTable(table_name="clean", owner="etl", location="s3://b/clean"))
    lake.dispatch(lone())
    declared: Event = {"eventTime": "2024-01-01T00:00:00Z", "job": {"namespace": "n", "name": "j"}, "producer": "x:y"}
    lake.dispatch(RecordLineage(event=msgspec.Raw(msgspec.json.encode(declared))))
    events = exported(lake)
    assert [_about(event) for event in events] == [
        "job load",
        "table clean",
        "snapshot raw",
        *["run early"] * 2,
        *["run load"] * 3,
        "job j",
    ]
    for limit in (1, 2, 3):
        assert paged(lake, ExportOpenLineage(limit=limit)) == events
    assert [_about(event) for event in exported(lake, namespace="shop")] == ["run early"] * 2
    assert "run early" not in [_about(event) for event in exported(lake, since=at(-1))]


def test_the_size_of_a_page_is_bounded_in_bytes_too(lake: Lake) -> None:
    """A thousand runs with a megabyte of metadata each must not be one answer."""
    heavy: dict[str, object] = {"text": "x" * (openlineage_export.PAGE_BYTES // 3)}
    for number in range(5):
        run_id = f"{RUN[:-4]}{number:04x}"
        lake.dispatch(StartRun(job_name="load", run_id=run_id, started_at=at(number), metadata=heavy))
    page = lake.dispatch(ExportOpenLineage(limit=1000))
    assert len(page.items) == 6
    assert len(paged(lake, ExportOpenLineage(limit=1000))) == 10


def test_a_run_with_much_data_is_given_a_part_at_a_time(lake: Lake) -> None:
    """Each page reads what it gives, and no more."""
    lake.dispatch(of(StartRun, started_at=at(0)))
    for first in range(0, 1100, 550):
        items = [DataRef(uri=f"s3://b/{number:04}") for number in range(first, first + 550)]
        lake.dispatch(of(AddInputs, items=items, added_at=at(1)))
    events = events_of(lake)
    assert types(events) == ["START", "RUNNING", "RUNNING", "RUNNING"]
    assert sum(len(data_of(event, "inputs")) for event in events[1:]) == 1100
    assert paged(lake, RunOpenLineage(run_id=RUN, limit=1)) == events


def test_a_cursor_of_another_list_is_refused(lake: Lake) -> None:
    """Guessing where to go on would leave something out without a word."""
    with pytest.raises(InvalidRequest, match="leave it out to begin at the first page"):
        lake.dispatch(ExportOpenLineage(cursor="zz"))


def test_a_run_of_another_namespace_is_not_told(lake: Lake) -> None:
    """As with every other reading of it."""
    lake.dispatch(of(StartRun, started_at=at(0)))
    with pytest.raises(NotFound):
        lake.dispatch(RunOpenLineage(run_id=RUN, namespace="other"))


def paged(lake: Lake, op: RunOpenLineage | ExportOpenLineage) -> list[Event]:
    """All pages together; each has as much as it may, or a cursor."""
    events: list[Event] = []
    while True:
        page = lake.dispatch(op)
        assert len(page.items) <= op.limit
        events += page.items
        if page.next_cursor is None:
            return events
        op = replace(op, cursor=page.next_cursor)


def _event(kind: str, moment: datetime, **more: object) -> Event:
    return {
        "eventType": kind,
        "eventTime": msgspec.to_builtins(moment),
        "run": {"runId": RUN},
        "job": {"namespace": "default", "name": "load"},
        "producer": "https://example.com/producer",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        **more,
    }


def _about(event: Event) -> str:
    if "run" in event:
        return f"run {at_path(event, 'job', 'name')}"
    if "job" in event:
        return f"job {at_path(event, 'job', 'name')}"
    facets = at_path(event, "dataset", "facets")
    assert isinstance(facets, dict)
    kind = "snapshot" if "datlake_snapshot" in facets else "table"
    return f"{kind} {at_path(event, 'dataset', 'name')}"
