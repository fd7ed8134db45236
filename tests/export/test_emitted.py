"""What Datlake's runs look like to others: valid OpenLineage that says what is known, and nothing that is secret."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import msgspec
import pytest
from msgspec.structs import replace

from datlake_sdk.lineage import validate
from datlake_sdk.lineage.emit import Ancestor, run_events
from datlake_sdk.wire.models import Artifact, DataRef, Run, RunData, RunError, Snapshot, Tag
from datlake_sdk.wire.operations import (
    AddInputs,
    AddOutputs,
    DescribeRun,
    LogEvent,
    StartRun,
    UpdateJob,
    UpdateTable,
)
from datlake_server.lake import Lake
from tests.export.story import (
    CHILD,
    COLUMNS,
    ENVIRONMENT,
    LONE,
    OTHER,
    RUN,
    SNAPSHOT,
    Event,
    at,
    at_path,
    data_of,
    ended,
    events_of,
    exported,
    lone,
    of,
    plain,
    told,
    types,
)
from tests.openlineage.material import needs_material
from tests.openlineage.specification import validator

ROOT = Path(__file__).resolve().parents[2]


# --- what is in them --------------------------------------------------------------------------------------------------


def test_a_run_is_a_start_what_it_logged_and_an_end_with_everything(lake: Lake) -> None:
    """One event to know that it runs, one to know all."""
    told(lake)
    ended(lake)
    start, logged, end = events_of(lake)
    assert [start["eventType"], logged["eventType"], end["eventType"]] == ["START", "RUNNING", "COMPLETE"]
    assert [start["eventTime"], end["eventTime"]] == ["2024-01-01T00:00:00Z", "2024-01-01T00:03:00Z"]
    assert [one["name"] for one in data_of(start, "inputs")] == ["raw.csv", "raw", "clean"]
    assert "outputs" not in start
    assert at_path(end, "run", "facets", "datlake_run", "metadata", 0, "values") == {"day": "today"}
    assert at_path(logged, "run", "facets", "datlake_events", "items", 0, "data") == {"rows": 7}
    assert plain(at_path(end, "job", "facets", "jobType")) == {
        "processingType": "BATCH",
        "integration": "DATLAKE",
        "jobType": "JOB",
    }
    assert plain(at_path(end, "run", "facets", "processing_engine")) == {
        "name": "Python",
        "version": "3.13.1",
        "openlineageAdapterVersion": "1.2.3",
    }
    assert plain(at_path(end, "job", "facets", "sourceCodeLocation")) == {
        "type": "git",
        "url": "file:///srv/etl/jobs/load%20it.py",
        "version": "4f2a91c",
        "branch": "main",
    }


def test_an_output_says_what_it_is_where_it_is_and_where_its_columns_come_from(lake: Lake) -> None:
    """Schema, version, storage and column lineage are what others draw and check."""
    told(lake)
    ended(lake)
    clean, sums = cast("list[dict[str, Event]]", events_of(lake)[-1]["outputs"])
    facets = clean["facets"]
    assert [str(clean["namespace"]), str(clean["name"])] == ["default", "clean"]
    assert plain(facets["schema"]) == {
        "fields": [{"name": "a", "type": "struct", "fields": [{"name": "b", "type": "int"}]}]
    }
    assert plain(facets["version"]) == {"datasetVersion": SNAPSHOT}
    assert plain(facets["symlinks"]) == {
        "identifiers": [{"namespace": "s3://b", "name": "clean/1.parquet", "type": "LOCATION"}]
    }
    assert plain(facets["storage"]) == {"storageLayer": "s3", "fileFormat": "parquet"}
    assert plain(facets["columnLineage"]) == COLUMNS
    assert plain(clean["outputFacets"]["outputStatistics"]) == {"rowCount": 7, "size": 70}
    assert plain(sums["facets"]["storage"]) == {"storageLayer": "iceberg"}
    assert "columnLineage" not in sums["facets"], "what the specification does not allow stays in our own facet"


def test_what_an_output_was_stated_to_be_made_from_is_explicit_lineage(lake: Lake) -> None:
    """Else others would draw every input to it."""
    told(lake)
    ended(lake)
    clean, sums = cast("list[dict[str, Event]]", events_of(lake)[-1]["outputs"])
    assert "lineage" not in clean["facets"]
    assert plain(sums["facets"]["lineage"]) == {
        "inputs": [{"namespace": "default", "name": "clean", "type": "DATASET"}]
    }


def test_a_snapshot_that_a_run_takes_for_another_table_is_not_told_as_that_table(lake: Lake) -> None:
    """What a job says wrongly must not move the snapshot in a lake that takes the events."""
    told(lake)
    wrong = [DataRef(table_name="elsewhere", snapshot_id=SNAPSHOT)]
    lake.dispatch(of(AddOutputs, items=wrong, added_at=at(2)))
    outputs = {str(one["name"]): one for one in data_of(events_of(lake)[-1], "outputs")}
    assert "datlake_snapshot" in cast("Event", outputs["clean"]["facets"])
    assert set(cast("Event", outputs["elsewhere"]["facets"])) == {"version"}


def test_where_a_table_is_said_to_be_is_its_other_name(lake: Lake) -> None:
    """A Spark job that reads the folder meets the table, whichever version lies in it."""
    told(lake)
    ended(lake)
    lake.dispatch(UpdateTable(table_name="clean", location="s3a://b/clean/"))
    clean = cast("list[Event]", events_of(lake)[-1]["outputs"])[0]
    (name,) = cast("list[Event]", at_path(clean, "facets", "symlinks", "identifiers"))
    assert name == {"namespace": "s3://b", "name": "clean", "type": "LOCATION"}


def test_a_run_names_its_parent_and_the_root_in_every_event(lake: Lake) -> None:
    """A consumer that names jobs by their parents must find one job, not two."""
    for run_id, parent in ((OTHER, None), (RUN, OTHER), (CHILD, RUN)):
        lake.dispatch(StartRun(job_name=f"job {run_id[-1]}", run_id=run_id, parent_run_id=parent, started_at=at(0)))
    events = events_of(lake, CHILD)
    assert types(events) == ["START", "RUNNING"]
    for event in events:
        parent_facet = at_path(event, "run", "facets", "parent")
        assert plain(parent_facet) == {
            "run": {"runId": RUN},
            "job": {"namespace": "default", "name": "job 1"},
            "root": {"run": {"runId": OTHER}, "job": {"namespace": "default", "name": "job 3"}},
        }


def test_a_parent_that_nobody_knows_is_not_made_up(lake: Lake) -> None:
    """The specification wants its job's name; ours is kept in our own facet."""
    lake.dispatch(of(StartRun, parent_run_id=OTHER, started_at=at(0)))
    (start, _) = events_of(lake)
    assert "parent" not in cast("Event", at_path(start, "run", "facets"))
    assert at_path(start, "run", "facets", "datlake_run", "parent_run_id") == OTHER


@pytest.mark.parametrize(
    ("how", "kind"),
    [({"success": True}, "COMPLETE"), ({"success": False}, "FAIL"), ({"success": False, "aborted": True}, "ABORT")],
)
def test_the_end_of_a_run_is_told_as_what_it_was(lake: Lake, how: Event, kind: str) -> None:
    """Whoever waits for the run must not wait for ever."""
    error = {"type": "ValueError", "message": "no", "traceback": "at line 7"}
    lake.dispatch(of(StartRun, started_at=at(0)))
    ended(lake, **how, error=None if how["success"] else error)
    start, end = events_of(lake)
    assert end["eventType"] == kind
    assert "errorMessage" not in cast("Event", at_path(start, "run", "facets"))
    if not how["success"]:
        assert plain(at_path(end, "run", "facets", "errorMessage")) == {
            "message": "ValueError: no",
            "programmingLanguage": "PYTHON",
            "stackTrace": "at line 7",
        }


def test_a_run_that_goes_on_or_is_lost_has_no_end(lake: Lake) -> None:
    """`lost` is presumed, and any sign of life ends it: nothing of it is told."""
    lake.dispatch(of(StartRun, started_at=at(0), heartbeat_interval_s=30.0))
    lake.dispatch(of(DescribeRun, metadata={"half": True}, described_at=at(5)))
    events = events_of(lake)
    assert types(events) == ["START", "RUNNING"]
    assert events[1]["eventTime"] == "2024-01-01T00:05:00Z"
    lake.dispatch(of(LogEvent, event_type="heartbeat", created_at=at(9)))
    assert events_of(lake) == events, "a sign of life is no news: who knows the events knows them again"


def test_credentials_of_uris_stay_at_home(lake: Lake) -> None:
    """Events are for other people's backends."""
    told(lake)
    lake.dispatch(of(AddInputs, items=[DataRef(uri="https://sam:hunter2@h/x?token=hunter2")], added_at=at(1)))
    lake.dispatch(of(AddOutputs, items=[DataRef(uri="s3://b/k?X-Amz-Signature=hunter2")], added_at=at(1)))
    ended(lake, artifacts=[{"type": "log", "uri": "https://sam:hunter2@h/log"}])
    lake.dispatch(UpdateTable(table_name="clean", location="s3://sam:hunter2@b/clean"))
    assert b"hunter2" not in msgspec.json.encode(exported(lake))


# --- from a record alone ----------------------------------------------------------------------------------------------

RECORD = Run(
    run_id=RUN,
    job_name="load",
    namespace="default",
    state="failed",
    started_at=at(0),
    ended_at=at(3),
    parent_run_id=OTHER,
    metadata={"a": 1},
    environment=ENVIRONMENT,
    error=RunError(type="E", message=""),
    inputs=[RunData(table_name="raw", namespace="default", snapshot_id=LONE, version=1, uri="s3://b/raw", stale=True)],
    outputs=[
        RunData(table_name="clean", namespace="default", snapshot_id=SNAPSHOT, version=1, row_count=7),
        RunData(table_name="x", namespace="s3://b", uri="s3://b/x"),
    ],
    artifacts=[Artifact(type="log", uri="datlake://artifacts/log")],
    tags=[Tag(key="tier"), Tag(key="team", value="etl", source="people")],
)
REGISTERED = Snapshot(
    snapshot_id=SNAPSHOT,
    table_name="clean",
    namespace="default",
    version=1,
    uri="file:///data/clean.csv",
    format="csv",
    schema={"a": "int"},
    created_at=at(2),
    run_id=RUN,
    column_lineage=COLUMNS,
)


def test_a_record_alone_is_told_without_a_lake() -> None:
    """An SDK that has no lake emits from what it knows itself."""
    parent = Ancestor(run_id=OTHER, namespace="default", job_name="nightly")
    start, end = run_events(RECORD, [REGISTERED], parent=parent, root=parent)
    assert [start["eventType"], end["eventType"]] == ["START", "FAIL"]
    assert plain(at_path(end, "run", "facets", "tags")) == {
        "tags": [{"key": "tier", "value": "true"}, {"key": "team", "value": "etl", "source": "people"}]
    }
    assert at_path(end, "run", "facets", "errorMessage", "message") == "E"
    assert at_path(end, "outputs", 0, "facets", "datlake_snapshot", "schema") == {"a": "int"}
    items = cast("list[Event]", at_path(end, "run", "facets", "datlake_data", "items"))
    assert [(item["role"], item["table_name"]) for item in items] == [("input", "raw"), ("output", "x")]
    assert items[0]["stale"] is True
    for event in (start, end):
        validate.check(event)


def test_much_data_is_told_in_several_events() -> None:
    """An event of a hundred thousand datasets would be refused everywhere."""
    many = [RunData(table_name=f"t{number}", namespace="n") for number in range(700)]
    events = run_events(replace(RECORD, inputs=many, outputs=many))
    assert types(events) == ["START", "RUNNING", "RUNNING", "FAIL"]
    names = [
        (role, one["name"]) for event in events[1:] for role in ("inputs", "outputs") for one in data_of(event, role)
    ]
    assert names == [(role, one.table_name) for role in ("inputs", "outputs") for one in many]
    assert events == run_events(replace(RECORD, inputs=many, outputs=many)), "the same record is the same events"


# --- by the specification's own schemas -------------------------------------------------------------------------------


@needs_material
@pytest.mark.parametrize("example", ["nyc_weather.py", "failing_job.py", "nested_runs.py", "tracked_decorator.py"])
def test_what_the_examples_leave_behind_is_valid(tmp_path: Path, example: str) -> None:
    """The weather jobs are what people copy; what they emit must be taken by any backend."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DATLAKE_")}
    environment = clean | {"DATLAKE_HOME": str(tmp_path / "lake"), "TMPDIR": str(tmp_path)}
    subprocess.run(
        [sys.executable, str(ROOT / "examples" / example)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    lake = Lake.open(str(tmp_path / "lake"))
    events = exported(lake)
    lake.close()
    assert len(events) >= 2
    for event in events:
        assert_valid(event)


@needs_material
def test_all_kinds_of_events_are_valid(lake: Lake) -> None:
    """Runs with all there is to tell, jobs, tables, and snapshots of no run."""
    told(lake)
    lake.dispatch(StartRun(job_name="child", run_id=CHILD, parent_run_id=RUN, started_at=at(1)))
    lake.dispatch(UpdateJob(job_name="load", owner="etl", description="Loads."))
    lake.dispatch(UpdateTable(table_name="clean", owner="etl", description="Clean.", location="file:///data/c d"))
    lake.dispatch(lone(schema={"a": "int"}))
    ended(lake, success=False, error={"type": "E", "message": "m", "traceback": "t"})
    parent = Ancestor(run_id=OTHER, namespace="default", job_name="nightly")
    for event in [*exported(lake), *run_events(RECORD, [REGISTERED], parent=parent, root=parent)]:
        assert_valid(event)


def assert_valid(event: Event) -> None:
    """The specification's schemas have nothing against it, and neither has our own strictness."""
    assert [error.message for error in validator().iter_errors(event)] == []
    validate.check(event)
