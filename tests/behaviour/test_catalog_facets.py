"""A table, job or run shows what producers tell of it, under any of its names."""

from __future__ import annotations

import itertools

import pytest

from datlake_sdk.client import DatlakeClient
from datlake_sdk.errors import NotFound
from datlake_sdk.job import JobContext
from datlake_sdk.wire.models import DatasetName, Tag
from tests.places import Place

PRODUCER = "https://example.org/producer"
SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"


def at(minute: int) -> str:
    """A moment as producers write it."""
    return f"2026-05-04T09:{minute:02}:00Z"


def facet(**facts: object) -> dict[str, object]:
    """A facet as producers send it."""
    return {"_producer": PRODUCER, "_schemaURL": PRODUCER, **facts}


def dataset(namespace: str, name: str, **facets: dict[str, object]) -> dict[str, object]:
    """A dataset with its facets."""
    return {"namespace": namespace, "name": name, "facets": facets}


def event(place: Place, minute: int, kind: str = "START", **more: object) -> dict[str, object]:
    """An event of the job `load`; `run`, `job` are facets, `inputs` and `outputs` datasets."""
    return {
        "eventType": kind,
        "eventTime": at(minute),
        "producer": PRODUCER,
        "schemaURL": SCHEMA,
        "job": {"namespace": place.namespace, "name": "load", "facets": more.pop("job", {})},
        "run": {"runId": more.pop("run_id", f"manual of {place.namespace}"), "facets": more.pop("run", {})},
        **more,
    }


def store_of(place: Place) -> str:
    """A bucket that this story alone knows."""
    return f"s3://{place.namespace}"


def test_a_table_shows_what_is_told_of_its_dataset(client: DatlakeClient, place: Place) -> None:
    """A platform team reads owners, descriptions and schemas where everybody looks, not in a second catalog."""
    store = store_of(place)
    told = dataset(
        store,
        "landing",
        schema=facet(fields=[{"name": "id", "type": "int"}]),
        documentation=facet(description="raw files"),
        ownership=facet(owners=[{"name": "ingest", "type": "TEAM"}, {"name": "ada"}]),
        tags=facet(
            tags=[{"key": "pii", "value": "yes", "source": "scan", "field": "id"}, {"key": "raw", "value": "1"}]
        ),
        custom=facet(anything=[1, {"deep": None}]),
    )
    client.record_lineage(event(place, 1, inputs=[told]))
    table = client.get_table("landing", namespace=store)
    assert (table.description, table.owner, table.latest) == ("raw files", "ingest, ada", None)
    assert table.facets["custom"] == facet(anything=[1, {"deep": None}])
    assert table.facets["schema"] == facet(fields=[{"name": "id", "type": "int"}])
    assert table.tags == [
        Tag(key="raw", value="1", source=None),
        Tag(key="pii", value="yes", source="scan", field="id"),
    ]


def test_what_people_say_stands_before_what_producers_tell(client: DatlakeClient, place: Place) -> None:
    """Nobody's words are overwritten by a nightly job; once they are cleared the producer's show again."""
    told = event(
        place,
        1,
        job={"documentation": facet(description="loads"), "ownership": facet(owners=[{"name": "team"}])},
        outputs=[dataset(place.namespace, "sales", documentation=facet(description="of a job"))],
    )
    client.record_lineage(told)
    assert client.get_job("load").description == "loads"
    assert client.get_job("load").owner == "team"
    assert client.get_table("sales").description == "of a job"
    client.update_table("sales", {"description": "of ours"})
    client.update_job("load", {"owner": "us"})
    client.record_lineage(told | {"eventTime": at(5)})
    assert client.get_table("sales").description == "of ours"
    assert (client.get_job("load").owner, client.get_job("load").description) == ("us", "loads")
    assert client.update_table("sales", {"description": None}).description == "of a job"


def test_a_facet_that_is_taken_back_is_not_shown(client: DatlakeClient, place: Place) -> None:
    """Whatever came first: the later telling counts."""
    kept = event(place, 1, job={"x": facet(n=1), "y": facet(n=2)}, run={"z": facet(n=3)})
    gone = event(place, 2, job={"x": facet(_deleted=True)}, run={"z": facet(_deleted=True)})
    for one in (gone, kept):
        client.record_lineage(one)
    assert client.get_job("load").facets == {"y": facet(n=2)}
    assert client.get_run(f"manual of {place.namespace}").facets == {}


def test_a_run_is_found_by_the_text_that_its_producer_gave(client: DatlakeClient, place: Place) -> None:
    """A scheduler's id is no UUID; it is what stands in the scheduler's log."""
    text = f"manual of {place.namespace}"
    tags = facet(tags=[{"key": "cost", "value": "7", "source": "me"}])
    client.record_lineage(event(place, 1, run={"tags": tags, "nominalTime": facet(nominalStartTime=at(0))}))
    run = client.get_run(text)
    assert (run.external_id, run.job_name) == (text, "load")
    assert run == client.get_run(run.run_id)
    assert run.facets == {"tags": tags, "nominalTime": facet(nominalStartTime=at(0))}
    assert run.tags == [Tag(key="cost", value="7", source="me")]
    assert [listed.facets for listed in client.list_runs().items] == [{}]
    with pytest.raises(NotFound):
        client.get_run("another")


def test_a_run_that_an_sdk_alone_told_of_shows_nothing_more(client: DatlakeClient) -> None:
    """And asks for nothing more."""
    with JobContext(client, "plain") as job:
        pass
    run = client.get_run(job.run_id)
    assert (run.external_id, run.tags, run.facets) == (None, [], {})


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_last_change_of_state_is_shown(client: DatlakeClient, place: Place, order: tuple[int, ...]) -> None:
    """A table that was dropped still has a past, and says so."""
    states = ("CREATE", "ALTER", "DROP")
    for number in order:
        changed = dataset(place.namespace, "t", lifecycleStateChange=facet(lifecycleStateChange=states[number]))
        client.record_lineage(event(place, number, run_id=f"{place.namespace} {number}", outputs=[changed]))
    assert client.get_table("t").lifecycle == "DROP"


def test_both_names_of_a_symlink_lead_to_the_table(client: DatlakeClient, place: Place) -> None:
    """A path is what Spark writes, a name is what people ask for."""
    store, link = store_of(place), {"namespace": place.namespace, "name": "sales", "type": "TABLE"}
    told = dataset(store, "warehouse/sales", symlinks=facet(identifiers=[link]))
    client.record_lineage(event(place, 1, "COMPLETE", outputs=[told]))
    table = client.get_table("sales")
    assert (table.namespace, table.table_name) == (store, "warehouse/sales")
    assert table.aliases == [DatasetName(namespace=place.namespace, name="sales")]
    newest = client.latest_snapshot("sales")
    assert newest == table.latest
    assert client.get_table_snapshot("sales", newest.version) == newest
    assert client.list_snapshots("sales").items == [newest]
    # Once a table of that very name is made, it is meant; the two are one thing.
    client.register_snapshot("sales", "s3://b/other", "csv", {"n": "int"})
    own = client.get_table("sales")
    assert own.namespace == place.namespace
    assert own.aliases == [DatasetName(namespace=store, name="warehouse/sales")]


def test_the_place_that_people_give_a_table_is_another_name_of_it(client: DatlakeClient, place: Place) -> None:
    """What a producer tells of the bucket is then of the table; null, or another place, ends that."""
    store = store_of(place)
    client.register_snapshot("sales", "s3://b/v1", "csv", {"n": "int"})
    table = client.update_table("sales", {"location": f"{store}/sales"})
    assert table.location == f"{store}/sales"
    assert table.aliases == [DatasetName(namespace=store, name="sales")]
    assert client.get_table("sales", namespace=store).table_name == "sales"
    assert client.latest_snapshot("sales", namespace=store).namespace == place.namespace
    assert client.update_table("sales", {"owner": "us"}).location == f"{store}/sales"
    moved = client.update_table("sales", {"location": f"{store}/elsewhere"})
    assert moved.aliases == [DatasetName(namespace=store, name="elsewhere")]
    cleared = client.update_table("sales", {"location": None})
    assert (cleared.location, cleared.aliases) == (None, [])
    with pytest.raises(NotFound):
        client.get_table("elsewhere", namespace=store)


def test_a_snapshot_is_found_by_what_its_store_calls_it(client: DatlakeClient, place: Place) -> None:
    """An Iceberg snapshot's id is what an engine prints; a number that is a version of ours is that first."""
    store = store_of(place)
    for minute, version in enumerate(("3051729675574597004", "2")):
        told = dataset(store, "t", version=facet(datasetVersion=version))
        client.record_lineage(event(place, minute, "COMPLETE", run_id=f"{place.namespace} {version}", outputs=[told]))
    by_text = client.get_table_snapshot("t", "3051729675574597004", namespace=store)
    assert (by_text.store_version, by_text.version) == ("3051729675574597004", 1)
    assert client.get_snapshot("3051729675574597004", namespace=store) == by_text
    assert client.get_table_snapshot("t", by_text.snapshot_id, namespace=store) == by_text
    second = client.get_table_snapshot("t", 2, namespace=store)
    assert (second.store_version, second.version) == ("2", 2)
    client.record_lineage(event(place, 3, outputs=[dataset(store, "u", version=facet(datasetVersion="2"))]))
    with pytest.raises(NotFound, match="name the table"):
        client.get_snapshot("2", namespace=store)
