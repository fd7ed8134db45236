"""Tables and their snapshots: what a reader gets, what a writer may rely on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from datlake_sdk import Conflict, DataRef, DatlakeClient, InvalidRequest, JobContext, NotFound
from datlake_sdk.wire.ids import new_id

NOW = datetime.now(UTC)


def test_a_read_records_the_exact_snapshot(client: DatlakeClient) -> None:
    """What a run read stays what it read, though the table moves on."""
    first = client.register_snapshot("raw", "file:///raw/1", "csv", row_count=3)
    with JobContext(client, "nightly") as job:
        assert job.get_table_latest_uri("raw") == "file:///raw/1"
        client.register_snapshot("raw", "file:///raw/2", "csv")
    [data] = client.get_run(job.run_id).inputs
    assert (data.snapshot_id, data.version, data.uri) == (first.snapshot_id, 1, "file:///raw/1")
    assert (data.format, data.row_count) == ("csv", 3)
    assert client.resolve_table_uri("raw") == "file:///raw/2"


def test_an_older_snapshot_can_be_read_by_version_id_or_time(client: DatlakeClient) -> None:
    old = client.register_snapshot("raw", "file:///1", "csv", created_at=NOW - timedelta(days=2))
    client.register_snapshot("raw", "file:///2", "csv", created_at=NOW - timedelta(days=1))
    with JobContext(client, "nightly") as job:
        assert job.get_table_latest_uri("raw", version=1) == "file:///1"
        assert job.get_table_latest_uri("raw", version=old.snapshot_id) == "file:///1"
        assert job.get_table_latest_uri("raw", as_of=NOW - timedelta(days=1, hours=1)) == "file:///1"
        assert job.get_table_latest_uri("raw", as_of=NOW.isoformat()) == "file:///2"
        assert job.get_table_latest("raw").version == 2
        for wrong in (3, 0, "9" * 30, "no", "٣"):
            with pytest.raises(NotFound) as caught:
                job.get_table_latest_uri("raw", version=wrong)
            assert caught.value.code == "snapshot_not_found"
        with pytest.raises(NotFound):
            job.get_table_latest_uri("raw", as_of=NOW - timedelta(days=3))
        with pytest.raises(InvalidRequest):
            job.get_table_latest_uri("raw", as_of="2024-01-01")
    assert [data.version for data in client.get_run(job.run_id).inputs] == [1, 2]


def test_a_version_called_latest_is_the_latest(client: DatlakeClient) -> None:
    """The address means the same whichever method wrote it."""
    client.register_snapshot("raw", "file:///1", "csv")
    assert client.get_table_snapshot("raw", "latest") == client.latest_snapshot("raw")


def test_a_registration_is_answered_with_what_was_stored(client: DatlakeClient) -> None:
    with JobContext(client, "nightly") as job:
        got = job.register_snapshot(
            "out", "s3://b/out", "parquet", {"id": "int64"}, row_count=2, size_bytes=99, metadata={"k": [1]}
        )
    assert got["version"] == 1
    assert got["deferred"] is False
    assert (got["table_name"], got["uri"], got["format"], got["schema"]) == (
        "out",
        "s3://b/out",
        "parquet",
        {"id": "int64"},
    )
    assert (got["run_id"], got["job_name"], got["row_count"], got["size_bytes"]) == (job.run_id, "nightly", 2, 99)
    stored = client.get_snapshot(got["snapshot_id"])
    assert [(field.name, field.type) for field in stored.fields] == [("id", "int64")]
    assert stored.metadata == {"k": [1]}
    [data] = client.get_run(job.run_id).outputs
    assert (data.table_name, data.version, data.row_count) == ("out", 1, 2)


def test_a_writer_that_expects_another_version_is_refused(client: DatlakeClient) -> None:
    """Two writers that read the same version cannot both go on from it."""
    with JobContext(client, "nightly") as job:
        assert job.register_snapshot("t", "s3://b/1", "csv", expected_version=0)["version"] == 1
        with pytest.raises(Conflict) as caught:
            job.register_snapshot("t", "s3://b/2", "csv", expected_version=0)
        assert (caught.value.current_version, caught.value.code) == (1, "version_conflict")
        assert caught.value.run_id == job.run_id
        with pytest.raises(Conflict) as empty:
            job.register_snapshot("new", "s3://b/n", "csv", expected_version=4)
        assert empty.value.current_version == 0
        assert job.register_snapshot("t", "s3://b/2", "csv", expected_version=1)["version"] == 2
    run = client.get_run(job.run_id)
    assert run.state == "completed"
    assert [data.version for data in run.outputs] == [1, 2]
    with pytest.raises(NotFound):
        client.get_table("new")


def test_the_history_of_a_table_is_listed_backwards_in_pages(client: DatlakeClient) -> None:
    for number in range(1, 8):
        client.register_snapshot("t", f"s3://b/{number}", "csv")
    page = client.list_snapshots("t", limit=3)
    assert [item.version for item in page.items] == [7, 6, 5]
    assert [item.version for item in page] == [7, 6, 5, 4, 3, 2, 1]
    table = client.get_table("t")
    assert (table.snapshot_count, table.latest and table.latest.version) == (7, 7)


def test_a_late_snapshot_never_rolls_the_table_back(client: DatlakeClient) -> None:
    """It gets the next version, keeps its time, and readers keep what they had."""
    newest = client.register_snapshot("t", "s3://b/new", "csv", created_at=NOW - timedelta(hours=1))
    late = client.register_snapshot("t", "s3://b/old", "csv", created_at=NOW - timedelta(hours=2))
    assert (late.version, late.late, newest.late) == (2, True, False)
    assert client.latest_snapshot("t") == newest
    assert client.latest_snapshot("t", as_of=NOW - timedelta(minutes=90)) == late
    with pytest.raises(Conflict) as caught:
        client.register_snapshot("t", "s3://b/x", "csv", expected_version=2)
    assert caught.value.current_version == 1
    following = client.register_snapshot("t", "s3://b/x", "csv", expected_version=1, created_at=NOW - timedelta(days=9))
    assert following.version == 3
    assert client.latest_snapshot("t") == following


def test_the_same_snapshot_again_is_the_same_snapshot(client: DatlakeClient) -> None:
    snapshot_id = new_id()
    first = client.register_snapshot("t", "s3://b/1", "csv", snapshot_id=snapshot_id, expected_version=0)
    again = client.register_snapshot("t", "s3://b/1", "csv", snapshot_id=snapshot_id, expected_version=0)
    assert first == again
    assert client.get_table("t").snapshot_count == 1


def test_a_snapshot_id_with_other_content_is_refused(client: DatlakeClient) -> None:
    snapshot_id = new_id()
    client.register_snapshot("t", "s3://b/1", "csv", snapshot_id=snapshot_id)
    for table, uri in (("t", "s3://b/2"), ("u", "s3://b/1")):
        with pytest.raises(InvalidRequest) as caught:
            client.register_snapshot(table, uri, "csv", snapshot_id=snapshot_id.upper())
        assert caught.value.code == "snapshot_id_reused"
    assert client.get_table("t").snapshot_count == 1


def test_things_of_another_namespace_are_not_there(client: DatlakeClient) -> None:
    """One lake, several teams: an id is no key to another's data."""
    mine = client.register_snapshot("t", "s3://b/1", "csv", job_name="j", run_id=new_id())
    run = client.get_run(str(mine.run_id))
    other = f"{client.settings.namespace}-other"
    refused: list[Callable[[], object]] = [
        lambda: client.get_run(run.run_id, namespace=other),
        lambda: client.get_snapshot(mine.snapshot_id, namespace=other),
        lambda: client.get_table("t", namespace=other),
        lambda: client.get_job("j", namespace=other),
        lambda: client.events(run.run_id, namespace=other),
        lambda: client.diff_runs(run.run_id, run.run_id, namespace=other),
        lambda: client.lineage(run_id=run.run_id, namespace=other),
        lambda: client.lineage(snapshot_id=mine.snapshot_id, namespace=other),
        lambda: client.lineage("t", namespace=other),
        lambda: client.start_run("j", run_id=run.run_id, namespace=other),
        lambda: client.complete_run("j", run.run_id, namespace=other),
        lambda: client.add_inputs("j", run.run_id, ["x"], namespace=other),
        lambda: client.log_event("e", run_id=run.run_id, namespace=other),
        lambda: client.log_event("e", job_name="j", run_id=run.run_id, namespace=other),
    ]
    for call in refused:
        with pytest.raises(NotFound):
            call()
    assert client.get_run(run.run_id) == run
    assert not client.list_jobs(namespace=other).items
    assert not client.list_tables(namespace=other).items


def test_a_refused_event_is_no_sign_of_life_for_anothers_run(client: DatlakeClient) -> None:
    """In a batch, where what is refused takes nothing else with it."""
    from datlake_sdk.wire.operations import EventItem

    run = client.start_run("j")
    other = f"{client.settings.namespace}-other"
    items = [EventItem(event_type="heartbeat", run_id=run.run_id, job_name=name) for name in ("j", None)]
    assert client.log_events(items, namespace=other).accepted == 0
    assert client.get_run(run.run_id).last_seen_at == run.last_seen_at


def test_explicit_inputs_and_outputs_are_tables_uris_paths_or_snapshots(client: DatlakeClient) -> None:
    first = client.register_snapshot("raw", "s3://b/raw/1", "csv")
    client.register_snapshot("raw", "s3://b/raw/2", "csv")
    with JobContext(client, "nightly") as job:
        job.add_input("raw", DataRef(snapshot_id=first.snapshot_id), "s3://me:secret@elsewhere/x", "unknown_table")
        job.add_input(DataRef(uri="s3://b/raw/1"))
        job.add_output("postgres://db/sales")
    run = client.get_run(job.run_id)
    assert [(data.table_name, data.version) for data in run.inputs if data.version] == [("raw", 1), ("raw", 2)]
    others = {data.table_name: data for data in run.inputs if not data.version}
    assert set(others) == {"x", "unknown_table"}
    assert "secret" not in str(others["x"].uri)
    assert [data.uri for data in run.outputs] == ["postgres://db/sales"]
    assert job.warnings == []


def test_what_cannot_be_an_input_is_told_and_does_not_stop_the_job(client: DatlakeClient) -> None:
    with JobContext(client, "nightly") as job:
        job.add_input(DataRef())
        job.add_input(DataRef(snapshot_id=new_id()))
        job.add_input("\x00")
    assert client.get_run(job.run_id).state == "completed"
    assert len(job.warnings) == 3


def test_what_people_say_about_tables_and_jobs_can_be_changed_and_cleared(client: DatlakeClient) -> None:
    client.register_snapshot("t", "s3://b/1", "csv", job_name="j", run_id=new_id())
    table = client.update_table("t", {"owner": "ops", "expected_freshness_s": 3600, "compatibility": "full"})
    assert (table.owner, table.expected_freshness_s, table.compatibility) == ("ops", 3600, "full")
    assert client.update_table("t", {"owner": None}).owner is None
    assert client.get_table("t").expected_freshness_s == 3600
    assert client.update_job("j", {"description": "é"}).description == "é"
    assert client.get_job("j").run_count == 1
    with pytest.raises(InvalidRequest):
        client.update_table("t", {"name": "u"})
    with pytest.raises(InvalidRequest):
        client.update_table("t", {"compatibility": "sideways"})
    with pytest.raises(NotFound):
        client.update_job("none", {"owner": "x"})


def test_a_schema_comes_back_as_it_was_given(client: DatlakeClient) -> None:
    shapes: list[object] = [{"a": "int"}, [["a", "int"]], {"fields": [{"name": "a", "type": "int"}], "x": 1}, [], {}]
    for number, shape in enumerate(shapes):
        assert isinstance(shape, (dict, list))
        snapshot = client.register_snapshot("t", f"s3://b/{number}", "csv", shape)
        assert snapshot.schema == shape
        assert [field.name for field in snapshot.fields] == (["a"] if shape else [])
    assert client.register_snapshot("t", "s3://b/none", "csv").schema is None


def test_two_runs_are_compared(client: DatlakeClient) -> None:
    with JobContext(client, "j", {"day": 1, "same": True}) as left:
        left.register_snapshot("t", "s3://b/1", "csv", row_count=1)
    with JobContext(client, "j", {"day": 2, "same": True}) as right:
        right.register_snapshot("t", "s3://b/2", "csv", row_count=2)
    paths = {difference.path for difference in client.diff_runs(left.run_id, right.run_id).differences}
    assert any("day" in path for path in paths)
    assert not any("same" in path for path in paths)
    assert client.diff_runs(left.run_id, left.run_id).differences == []


def test_lists_are_pages_that_go_on_by_themselves(client: DatlakeClient) -> None:
    for number in range(7):
        client.register_snapshot(f"t{number}", "s3://b/1", "csv", job_name=f"j{number}", run_id=new_id())
    assert [table.table_name for table in client.list_tables(limit=3)] == [f"t{number}" for number in range(7)]
    assert [job.job_name for job in client.list_jobs(limit=2)] == [f"j{number}" for number in range(7)]
    runs = client.list_runs(limit=3)
    assert len(runs.items) == 3
    assert [run.job_name for run in runs] == [f"j{number}" for number in reversed(range(7))]
    assert client.settings.namespace in [found.namespace for found in client.list_namespaces(limit=1)]
    for bad in ("x", "zz", "22", b"[1]".hex(), f"[{10**30}]".encode().hex(), f'[{10**30},"x"]'.encode().hex()):
        for pages in (client.list_tables, client.list_runs, client.list_jobs):
            with pytest.raises(InvalidRequest) as caught:
                pages(cursor=bad)
            assert caught.value.code == "bad_cursor"


def test_runs_are_found_by_state_and_time(client: DatlakeClient) -> None:
    done = client.complete_run("j", client.start_run("j", started_at="2024-01-01T00:00:00Z").run_id)
    open_ = client.start_run("j", started_at="2024-01-02T00:00:00Z")
    assert [run.run_id for run in client.list_runs("j", state="completed")] == [done.run_id]
    assert [run.run_id for run in client.list_runs(state="running")] == [open_.run_id]
    assert [run.run_id for run in client.list_runs(since="2024-01-02T00:00:00Z")] == [open_.run_id]
    assert [run.run_id for run in client.list_runs(until="2024-01-02T00:00:00Z")] == [done.run_id]
    assert not client.list_runs(state="lost").items
    with pytest.raises(NotFound):
        client.list_runs("none")
