"""One story that tests of the export tell: a run that reads and writes, and what is asked of a lake that knows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TypeVar, cast

import msgspec
from msgspec.structs import replace

from datlake_sdk.wire.models import DataRef
from datlake_sdk.wire.op import Op
from datlake_sdk.wire.operations import (
    AddInputs,
    CompleteRun,
    ExportOpenLineage,
    LogEvent,
    RegisterSnapshot,
    RunOpenLineage,
    StartRun,
)
from datlake_server.lake import Lake

Event = dict[str, object]
OpT = TypeVar("OpT", bound=Op[object])

START = datetime(2024, 1, 1, tzinfo=UTC)
RUN, CHILD, OTHER = (f"0193a5c0-0000-7000-8000-{number:012x}" for number in (1, 2, 3))
SNAPSHOT, NEXT, LONE = (f"0193a5c0-0000-7000-8000-{number:012x}" for number in (16, 17, 18))
JOB: Event = {"job_name": "load", "run_id": RUN}
ENVIRONMENT: dict[str, object] = {
    "python_version": "3.13.1",
    "datlake_version": "1.2.3",
    "git_commit": "4f2a91c",
    "git_branch": "main",
    "entry_point": "jobs/load it.py",
    "working_directory": "/srv/etl",
}
COLUMNS: Event = {
    "fields": {"a": {"inputFields": [{"namespace": "default", "name": "raw", "field": "x"}]}},
    "dataset": [{"namespace": "default", "name": "raw", "field": "y", "transformations": [{"type": "INDIRECT"}]}],
}


def at(minutes: float) -> datetime:
    """So many minutes into the story."""
    return START + timedelta(minutes=minutes)


def of(kind: type[OpT], **fields: object) -> OpT:
    """An operation on the run of the story, or on what the fields name."""
    names = {field.name for field in msgspec.structs.fields(kind)}
    return msgspec.convert({name: value for name, value in (JOB | fields).items() if name in names}, kind)


def told(lake: Lake) -> None:
    """A run that read a file and a table, and wrote two."""
    lake.dispatch(of(StartRun, started_at=at(0), metadata={"day": "today"}, environment=ENVIRONMENT))
    lake.dispatch(of(AddInputs, items=[DataRef(uri="s3://b/raw.csv"), DataRef(table_name="raw")], added_at=at(1)))
    schema = {"fields": [{"name": "a", "type": "struct", "fields": [{"name": "b", "type": "int"}]}]}
    registration = of(
        RegisterSnapshot,
        table_name="clean",
        snapshot_id=SNAPSHOT,
        uri="s3://b/clean/1.parquet",
        format="parquet",
        schema=schema,
        row_count=7,
        size_bytes=70,
        column_lineage=COLUMNS,
        created_at=at(2),
    )
    lake.dispatch(registration)
    stated = replace(registration, table_name="sums", snapshot_id=NEXT, format="iceberg", column_lineage={"odd": 1})
    lake.dispatch(replace(stated, uri="postgres://sam:hunter2@h/db/public/sums", inputs=[DataRef(table_name="clean")]))
    lake.dispatch(of(LogEvent, event_type="metrics", data={"rows": 7}, event_id=OTHER, created_at=at(2)))


def ended(lake: Lake, **how: object) -> None:
    """The run has ended so."""
    lake.dispatch(of(CompleteRun, **{"success": True, "ended_at": at(3)} | how))


def events_of(lake: Lake, run_id: str = RUN) -> list[Event]:
    """The run's events, on one page."""
    page = lake.dispatch(RunOpenLineage(run_id=run_id, limit=1000))
    assert page.next_cursor is None
    return page.items


def exported(lake: Lake, **how: object) -> list[Event]:
    """All that the lake gives, on one page."""
    return lake.dispatch(msgspec.convert({"limit": 1000} | how, ExportOpenLineage)).items


def at_path(event: object, *path: str | int) -> object:
    """What stands there in the event."""
    for step in path:
        event = cast("dict[str | int, object]", event)[step]
    return event


def types(events: list[Event]) -> list[object]:
    """The kinds of the events."""
    return [event.get("eventType") for event in events]


def plain(facet: object) -> Event:
    """The facet without its marks."""
    return {name: value for name, value in cast("Event", facet).items() if not name.startswith("_")}


def data_of(event: Event, role: str) -> list[Event]:
    """The event's `inputs` or `outputs`."""
    return cast("list[Event]", event.get(role, []))


def lone(**more: object) -> RegisterSnapshot:
    """A snapshot that no run registered."""
    fields = {"table_name": "raw", "snapshot_id": LONE, "uri": "s3://b/r", "format": "csv", "created_at": at(1)}
    return of(RegisterSnapshot, **fields, run_id=None, job_name=None, **more)
