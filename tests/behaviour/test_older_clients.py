"""Clients of the older backend go on working: their bodies, their missing ids, their repeats."""

from __future__ import annotations

import pytest

from datlake_sdk import DatlakeClient, InvalidRequest
from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.operations import LogEvent, RegisterSnapshot, StartRun


def test_the_inputs_and_outputs_of_an_old_completion_become_lineage(client: DatlakeClient) -> None:
    client.register_snapshot("raw", "s3://b/raw/1", "csv")
    client.register_snapshot("raw", "s3://b/raw/2", "csv")
    run = client.start_run("nightly", metadata={"source": "s3"})
    old = {
        "inputs": [{"name": "raw", "uri": "s3://b/raw/1"}, {"name": "moved", "uri": "s3://b/gone"}],
        "outputs": [{"name": "daily", "uri": "s3://b/daily/1", "format": "parquet", "schema": {"id": "int64"}}],
        "artifacts": [{"uri": "datlake://artifacts/x.log", "type": "log"}],
        "rows": 3,
    }
    done = client.complete_run("nightly", run.run_id, metadata=old)
    assert [(data.table_name, data.version) for data in done.inputs] == [("moved", None), ("raw", 1)]
    assert [(data.table_name, data.version, data.format) for data in done.outputs] == [("daily", 1, "parquet")]
    assert [(artifact.type, artifact.uri) for artifact in done.artifacts] == [("log", "datlake://artifacts/x.log")]
    assert done.metadata["rows"] == 3
    assert client.resolve_table_uri("daily") == "s3://b/daily/1"
    graph = client.lineage("daily", direction="upstream")
    assert {node.name for node in graph.nodes} == {"daily", "nightly", "raw", "moved"}


def test_an_old_completion_does_not_register_again_what_the_run_registered(client: DatlakeClient) -> None:
    """Repeated or not: one write is one version."""
    run = client.start_run("nightly")
    client.register_snapshot("daily", "s3://b/1", "csv", job_name="nightly", run_id=run.run_id)
    old = {"outputs": [{"name": "daily", "uri": "s3://b/1"}, {"name": "more", "uri": "s3://b/2"}]}
    for _ in range(2):
        client.complete_run("nightly", run.run_id, metadata=old)
    assert client.get_table("daily").snapshot_count == 1
    assert client.get_table("more").snapshot_count == 1


@pytest.mark.parametrize(
    "odd",
    [
        {"inputs": "raw"},
        {"inputs": [1, None, {}, {"name": ""}, {"name": 7}, {"uri": "\x00"}]},
        {"outputs": {"name": "x"}},
        {"outputs": [{"name": "x"}, {"uri": "s3://b/only"}, {"name": "y", "uri": "u", "schema": 3}]},
        {"artifacts": [{}, {"uri": ""}, "x"]},
    ],
)
def test_metadata_that_only_looks_like_an_old_body_is_metadata(client: DatlakeClient, odd: dict[str, object]) -> None:
    run = client.start_run("nightly")
    done = client.complete_run("nightly", run.run_id, metadata=odd)
    assert done.state == "completed"
    assert done.metadata == odd


def test_without_an_id_the_same_registration_is_the_same_snapshot(client: DatlakeClient) -> None:
    """The natural key decides: table, URI, run and content."""
    scope = client.settings.namespace
    run = client.start_run("nightly")

    def register(uri: str, row_count: int | None = None) -> int:
        op = RegisterSnapshot(
            table_name="t",
            uri=uri,
            format="csv",
            job_name="nightly",
            run_id=run.run_id,
            row_count=row_count,
            namespace=scope,
        )
        return client.call(op).version

    first, again = register("s3://b/1"), register("s3://b/1")
    other = register("s3://b/2")
    changed = register("s3://b/1", row_count=4)
    # Over HTTP every POST has a key, and only the key decides; each of these calls has its own.
    assert (first, again, other, changed) in {(1, 1, 2, 3), (1, 2, 3, 4)}
    assert (again == 1) == (client.base_url is None)


def test_the_lake_mints_what_an_older_client_leaves_out(client: DatlakeClient) -> None:
    scope = client.settings.namespace
    run = client.call(StartRun(job_name="nightly", namespace=scope))
    assert run.state == "running"
    assert client.get_run(run.run_id) == run
    event = client.call(LogEvent(event_type="e", run_id=run.run_id, namespace=scope))
    assert [found.event_id for found in client.events(run.run_id)] == [event.event_id]


def test_a_registration_for_a_run_nobody_knows_must_name_its_job(client: DatlakeClient) -> None:
    with pytest.raises(InvalidRequest) as caught:
        client.register_snapshot("t", "s3://b/1", "csv", run_id=new_id())
    assert caught.value.code == "job_missing"
