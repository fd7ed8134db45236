"""The graphs that Marquez's clients draw, from whatever node they begin at."""

from __future__ import annotations

import pytest

from datlake_sdk.wire.ids import quoted
from tests.marquez import story
from tests.marquez.asking import EARLY, Marquez, at, column_graph, data, edges, graph, run_event, run_id


def test_the_graph_holds_whatever_hangs_together(shop: Marquez) -> None:
    """From any of its nodes, as Marquez's readers know it."""
    raw, clean = (f"dataset:{name[0]}:{name[1]}" for name in (story.RAW, story.CLEAN))
    counts = f"dataset:{story.COUNTS[0]}:{story.COUNTS[1]}"
    cleaner, counter = "job:shop:clean: orders", "job:shop:count"
    steps = {(raw, cleaner), (cleaner, clean), (clean, counter), (counter, counts)}
    for root in (raw, clean, counts, counter, f"run:{story.CLEANED}"):
        assert steps <= edges(graph(shop, root))
    nodes = graph(shop, cleaner)
    assert steps <= edges(nodes)
    assert nodes[cleaner]["type"] == "JOB"
    assert nodes[raw]["data"]["sourceName"] == "shop-db"
    near = graph(shop, cleaner, "&depth=0")
    assert set(near) == {cleaner, raw, clean}


@pytest.mark.parametrize(
    ("namespace", "name"),
    [
        ("plain", "plain"),
        ("postgres://db.example.org:5432", "a.b.c"),
        ("s3://bucket", "folder/with:colon"),
        ("a:b:c", "d:e"),
        ("arn:aws:glue:eu:1", "table/db/t"),
        ("kafka://host:9092", "topic#1"),
        ("umläute", "naïve: 100 %"),
        ("x", "ends#0193a5c0-0000-7000-8000-000000000001"),
    ],
)
def test_a_node_is_found_however_many_colons_its_names_have(marquez: Marquez, namespace: str, name: str) -> None:
    """An id of a node is its names joined by colons, which cannot be taken apart by rule."""
    job, table = (namespace, f"job {name}"), (namespace, name)
    facets = {"schema": {"fields": [{"name": "a:b", "type": "INT"}]}}
    marquez.tell(run_event("COMPLETE", run_id(), job, EARLY, [], [data(table, **facets)]))
    for node_id in (f"job:{namespace}:job {name}", f"dataset:{namespace}:{name}"):
        found = graph(marquez, node_id)
        assert node_id in found
        assert found[node_id]["data"]["name"] == (job[1] if node_id.startswith("job") else name)
    assert column_graph(marquez, f"datasetField:{namespace}:{name}:a:b") == {}
    assert marquez.get(at("namespaces", namespace, "datasets", name))["name"] == name
    assert marquez.get(at("namespaces", namespace, "jobs", f"job {name}"))["namespace"] == namespace


def test_a_dataset_may_be_named_with_its_version(shop: Marquez) -> None:
    version = shop.get(at("namespaces", story.LAKE, "datasets", "clean/orders"))["currentVersion"]
    assert f"dataset:{story.LAKE}:clean/orders" in graph(shop, f"dataset:{story.LAKE}:clean/orders#{version}")
    columns = column_graph(shop, f"dataset:{story.LAKE}:clean/orders#{version}")
    assert f"datasetField:{story.LAKE}:clean/orders:id#{version}" in columns


def test_the_graph_of_columns_tells_what_feeds_what_and_how(shop: Marquez) -> None:
    total = f"datasetField:{story.LAKE}:counts: by day:sum"
    amount = f"datasetField:{story.LAKE}:clean/orders:amount"
    source = f"datasetField:{story.RAW[0]}:{story.RAW[1]}:amount"
    assert edges(column_graph(shop, total)) == {(source, amount), (amount, total)}
    assert edges(column_graph(shop, total, "&depth=1")) == {(amount, total)}
    found = column_graph(shop, amount, "&withDownstream=True")
    assert edges(found) == {(source, amount), (amount, total)}
    [fed] = found[amount]["data"]["inputFields"]
    assert (fed["field"], fed["transformationType"]) == ("amount", "IDENTITY, FILTER")
    assert found[amount]["data"]["fieldType"] == "DECIMAL"
    of_job = column_graph(shop, "job:shop:clean: orders")
    assert {(node["data"]["dataset"], node["data"]["field"]) for node in of_job.values()} == {
        ("clean/orders", "id"),
        ("clean/orders", "amount"),
        (story.RAW[1], "id"),
        (story.RAW[1], "amount"),
    }


def test_our_own_address_answers_in_their_shape_where_it_is_asked_in_their_way(shop: Marquez) -> None:
    """`nodeId` is Marquez's; without it the graph is Datlake's."""
    node_id = quoted("job:shop:count")
    theirs = shop.server.ask("GET", f"/api/v1/lineage?nodeId={node_id}")
    assert theirs.json == shop.get(f"/lineage?nodeId={node_id}")
    ours = shop.server.ask("GET", "/api/v1/lineage?kind=job&namespace=shop&name=count")
    assert (ours.status, set(ours.json)) == (200, {"root", "nodes", "edges", "truncated", "next_cursor"})
