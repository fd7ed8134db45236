"""What the clients ask of lineage and tell it, embedded and over HTTP alike."""

from __future__ import annotations

import asyncio

import pytest

from datlake_sdk.aio_client import AsyncDatlakeClient
from datlake_sdk.client import DatlakeClient
from datlake_sdk.errors import InvalidRequest
from datlake_sdk.job import JobContext
from tests.cli.told_events import pipeline, told
from tests.places import Place


def test_a_snapshot_is_named_by_its_id_by_itself_or_by_what_registered_it(client: DatlakeClient) -> None:
    """Whoever has one of the three in his hands should not have to take it apart."""
    with JobContext(client, "load") as job:
        answer = job.register_snapshot("raw", "s3://lake/raw/1", "parquet", inputs=[])
    with JobContext(client, "clean") as job:
        job.get_table_latest_uri("raw")
        job.register_snapshot("clean", "s3://lake/clean/1", "parquet")
    raw = client.latest_snapshot("raw")
    for named in (raw, raw.snapshot_id, dict(answer)):
        assert [(used.kind, used.name) for used in client.impact(named)] == [("run", "clean"), ("snapshot", "clean")]
        assert [(led.kind, led.name) for led in client.trace(named)] == [("run", "load")]
    assert [used.distance for used in client.impact(raw, limit=1)] == [1, 2]
    with pytest.raises(InvalidRequest, match="has no `snapshot_id`; pass a snapshot or its id"):
        client.impact({"table_name": "raw"})


def test_events_become_runs_and_told_again_change_nothing(client: DatlakeClient, place: Place) -> None:
    """A producer that is not sure sends again."""
    events = pipeline(place.namespace)
    first = client.record_lineage(events[0])
    assert (first.is_repeat, client.record_lineage(events[0]).is_repeat) == (False, True)
    results = client.record_lineage_batch(events)
    assert (results.status, results.summary.received, results.summary.successful) == ("success", 6, 6)
    run = client.get_run(first.run_id or "")
    assert (run.job_name, run.state) == ("load", "completed")
    assert [event["eventType"] for event in client.run_open_lineage(run.run_id, limit=1)] == ["START", "COMPLETE"]


def test_of_a_batch_each_event_is_taken_or_refused_by_itself(client: DatlakeClient, place: Place) -> None:
    """One bad event must not cost the others."""
    good = told(place.namespace, "load", "COMPLETE", 5)
    results = client.record_lineage_batch([good, {**good, "eventTime": "yesterday"}])
    assert (results.status, results.summary.successful, results.summary.failed) == ("partial_success", 1, 1)
    assert [failed.index for failed in results.failed_events] == [1]
    with pytest.raises(InvalidRequest, match="eventTime"):
        client.record_lineage({**good, "eventTime": "yesterday"})


def test_strict_refuses_what_the_specification_does_not_allow(client: DatlakeClient, place: Place) -> None:
    """Also where all of a batch is refused."""
    loose = {**told(place.namespace, "load", "COMPLETE", 5), "producer": 7}
    with pytest.raises(InvalidRequest, match="producer"):
        client.record_lineage(loose, strict=True)
    assert client.record_lineage_batch([loose], strict=True).status == "failure"
    assert client.record_lineage(loose).is_repeat is False


def test_search_and_export_are_of_all_namespaces_unless_one_is_named(place: Place) -> None:
    """A client's own namespace is where its names are; what is searched for may be anywhere."""
    scope = place.namespace
    with DatlakeClient(place.address, namespace="elsewhere", timeout=10) as client:
        client.record_lineage(told(scope, "nightly_load", "COMPLETE", 5, outputs=("raw",)))
        found = [hit for hit in client.search("nightly", kind="job", limit=1000) if hit.namespace == scope]
        assert [hit.name for hit in found] == ["nightly_load"]
        assert client.search("nightly", namespace="elsewhere").items == []
        jobs = [event["job"] for event in client.export_open_lineage(since="2026-11-20T00:00:00Z") if "job" in event]
        assert {"namespace": scope, "name": "nightly_load"} in jobs
        assert list(client.export_open_lineage(namespace="elsewhere")) == []


def test_the_default_namespace_can_be_searched_alone(place: Place) -> None:
    """What is not sent means all namespaces, so `default` is sent."""
    with place.client() as client:
        client.record_lineage(told("default", f"mine {place.namespace}", "COMPLETE", 5))
        client.record_lineage(told("other", f"theirs {place.namespace}", "COMPLETE", 5))
        found = client.search(place.namespace, kind="job", namespace="default")
        assert {hit.namespace for hit in found} == {"default"}


def test_the_awaitable_client_asks_and_tells_the_same(place: Place) -> None:
    """Programs on an event loop hold the same questions."""

    async def story() -> list[str]:
        async with AsyncDatlakeClient(place.address, namespace=place.namespace, timeout=10) as client:
            assert (await client.record_lineage_batch(pipeline(place.namespace))).summary.successful == 6
            raw = await client.latest_snapshot("raw")
            names = [used.name async for used in await client.impact(raw, limit=1)]
            assert [led.name async for led in await client.trace(raw)] == ["load"]
            graph = await client.lineage("raw", direction="downstream", level="run")
            assert {node.kind for node in graph.nodes} == {"run", "snapshot"}
            return names

    assert asyncio.run(story()) == ["clean", "clean", "report"]


def test_a_graph_that_was_cut_goes_on_at_its_cursor(client: DatlakeClient) -> None:
    """A table that a hundred jobs read is walked in pieces, and none is missed."""
    with JobContext(client, "load") as job:
        job.register_snapshot("raw", "s3://lake/raw/1", "parquet", inputs=[])
    for number in range(5):
        with JobContext(client, f"read_{number}") as job:
            job.get_table_latest_uri("raw")
            job.register_snapshot(f"copy_{number}", f"s3://lake/copy/{number}", "parquet")
    page = client.lineage("raw", direction="downstream", max_nodes=4)
    assert page.truncated
    names = {node.name for node in page.nodes}
    while page.next_cursor is not None:
        page = client.lineage("raw", direction="downstream", max_nodes=4, cursor=page.next_cursor)
        names |= {node.name for node in page.nodes}
    assert names == {"raw", *(f"read_{number}" for number in range(5)), *(f"copy_{number}" for number in range(5))}
