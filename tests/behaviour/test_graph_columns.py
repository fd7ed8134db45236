"""Which column feeds which: directly, by deciding about it, through whole tables, and as of any moment."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from datlake_sdk import DatlakeClient, InvalidRequest, NotFound
from datlake_sdk.wire.ids import derived_id
from datlake_sdk.wire.models import Graph, NodeKind, Transformation
from tests.graphs import Dataset, Facets, Teller, at, edges, hidden, names
from tests.places import Place

DIRECT = {"type": "DIRECT", "subtype": "IDENTITY"}
SUM = {"type": "DIRECT", "subtype": "AGGREGATION", "description": "sum", "masking": False}
FILTER = {"type": "INDIRECT", "subtype": "FILTER"}


@pytest.fixture
def tell(client: DatlakeClient, place: Place) -> Teller:
    """Tells the lake of this story."""
    return Teller(client, place.namespace)


def columns(fields: Mapping[str, list[dict[str, object]]], *all_of: dict[str, object]) -> Facets:
    """The column lineage of an output: what feeds each field, and what feeds all of them."""
    told = {field: {"inputFields": sources} for field, sources in fields.items()}
    return {"columnLineage": {"fields": told, "dataset": list(all_of)}}


def schema(*fields: str) -> Facets:
    """The fields of an output."""
    return {"schema": {"fields": [{"name": field, "type": "string"} for field in fields]}}


def steps(graph: Graph) -> dict[tuple[str, str], list[Transformation]]:
    """The transformations of each edge."""
    known = {node.id: f"{node.name}.{node.field}" if node.field else node.name for node in graph.nodes}
    return {(known[edge.source], known[edge.target]): edge.transformations for edge in graph.edges}


@pytest.fixture
def chain(tell: Teller) -> Teller:
    """raw.amount → sales.amount → daily.total, and sales.shop decides about all of daily."""
    source = tell.source
    tell.run(
        "load",
        ["raw"],
        ["sales"],
        minute=1,
        facets={
            "sales": {
                **schema("amount", "shop", "note"),
                **columns(
                    {
                        "amount": [source("raw", "amount", transformations=[DIRECT])],
                        "shop": [source("raw", "shop", transformations=[DIRECT])],
                    },
                ),
            }
        },
    )
    daily: dict[Dataset, Facets] = {
        "daily": {
            **schema("day", "total"),
            **columns(
                {"total": [source("sales", "amount", transformations=[SUM])], "day": [source("sales", "day")]},
                source("sales", "shop", transformations=[FILTER]),
            ),
        }
    }
    tell.run("report", ["sales"], ["daily"], minute=2, facets=daily)
    return tell


def test_a_column_shows_what_feeds_it_and_what_it_feeds(chain: Teller) -> None:
    """One edge a step, without the jobs between: depth 1 is the column next to it."""
    client = chain.client
    up = client.lineage("daily", field="total", direction="upstream")
    assert edges(up) == {
        ("sales.amount", "daily.total"),
        ("sales.shop", "daily.total"),
        ("raw.amount", "sales.amount"),
        ("raw.shop", "sales.shop"),
    }
    assert {(node.kind, node.namespace) for node in up.nodes} == {("column", chain.namespace)}
    [root] = [node for node in up.nodes if node.id == up.root]
    assert (root.name, root.field) == ("daily", "total")
    down = client.lineage("raw", field="amount", direction="downstream")
    assert edges(down) == {("raw.amount", "sales.amount"), ("sales.amount", "daily.total")}
    one = client.lineage("daily", field="total", direction="upstream", depth=1)
    assert edges(one) == {("sales.amount", "daily.total"), ("sales.shop", "daily.total")}
    assert hidden(one) == {"daily.total": (0, 0), "sales.amount": (1, 0), "sales.shop": (1, 1)}


def test_an_edge_tells_how_a_column_feeds_the_other(chain: Teller) -> None:
    """Whether it gives the value or decides about it, and since when, how often, and by which run."""
    graph = chain.client.lineage("daily", field="total", direction="upstream", depth=1)
    assert steps(graph) == {
        ("sales.amount", "daily.total"): [
            Transformation(type="DIRECT", subtype="AGGREGATION", description="sum", masking=False)
        ],
        ("sales.shop", "daily.total"): [Transformation(type="INDIRECT", subtype="FILTER")],
    }
    assert {(edge.count, edge.first_seen, edge.last_seen) for edge in graph.edges} == {(1, at(2), at(2))}


def test_what_decides_about_a_table_feeds_each_of_its_columns(chain: Teller) -> None:
    """A filter on shop is why a day is missing, and nobody names each column for it."""
    client = chain.client
    assert edges(client.lineage("sales", field="shop", direction="downstream")) == {
        ("sales.shop", "daily.day"),
        ("sales.shop", "daily.total"),
    }
    assert ("sales.shop", "daily.day") in edges(client.lineage("daily", field="day", direction="upstream"))


def test_a_table_shows_all_its_columns(chain: Teller) -> None:
    """Those that nothing feeds, too; the table itself is the frame around them."""
    graph = chain.client.lineage("sales", level="column", depth=1)
    assert {node.field for node in graph.nodes if node.name == "sales"} == {None, "amount", "shop", "note", "day"}
    [root] = [node for node in graph.nodes if node.id == graph.root]
    assert (root.kind, root.name, root.hidden_upstream, root.hidden_downstream) == ("table", "sales", 0, 0)
    assert edges(graph) == {
        ("raw.amount", "sales.amount"),
        ("raw.shop", "sales.shop"),
        ("sales.amount", "daily.total"),
        ("sales.day", "daily.day"),
        ("sales.shop", "daily.day"),
        ("sales.shop", "daily.total"),
    }
    empty = chain.client.lineage("raw", level="column", direction="upstream")
    assert names(empty) == {"raw", "raw.amount", "raw.shop"}


def test_a_run_that_says_a_step_in_two_ways_took_it_once(tell: Teller) -> None:
    """Of one run: shop gives its value and is a filter as well. Another job takes the step, too."""
    both = columns(
        {"shop": [tell.source("sales", "shop", transformations=[DIRECT])]},
        tell.source("sales", "shop", transformations=[FILTER]),
    )
    only_filter = columns({}, tell.source("sales", "shop", transformations=[FILTER]))
    tell.run("report", ["sales"], ["daily"], minute=1, number=1, facets={"daily": both})
    tell.run("report", ["sales"], ["daily"], minute=2, number=2, facets={"daily": only_filter})
    last = tell.run("other", ["sales"], ["daily"], minute=3, facets={"daily": both})
    graph = tell.client.lineage("daily", field="shop", direction="upstream")
    [edge] = graph.edges
    assert (edge.count, edge.first_seen, edge.last_seen, edge.last_run_id) == (3, at(1), at(3), last)
    assert [step.type for step in edge.transformations] == ["DIRECT", "INDIRECT"]


def test_a_table_that_feeds_a_column_as_a_whole_is_its_source(tell: Teller) -> None:
    """A count of rows comes of no column; what fed the table is behind it, and each of its columns has a part."""
    source = tell.source
    counted: Facets = {"lineage": {"fields": {"rows": {"inputs": [source("sales")]}}, "inputs": []}}
    tell.run("load", ["raw"], ["sales"], facets={"sales": columns({"shop": [source("raw", "shop")]})})
    tell.run("count", ["sales"], ["counts"], facets={"counts": counted})
    client = tell.client
    up = client.lineage("counts", field="rows", direction="upstream")
    assert edges(up) == {("sales", "counts.rows"), ("raw.shop", "sales")}
    assert set(hidden(up).values()) == {(0, 0)}
    down = client.lineage("raw", field="shop", direction="downstream")
    assert edges(down) == {("raw.shop", "sales.shop"), ("sales.shop", "counts.rows")}
    assert set(hidden(down).values()) == {(0, 0)}


def test_what_a_dataset_says_of_its_columns_has_no_runs(tell: Teller) -> None:
    """A view's columns are known before anybody reads it."""
    facet = columns({"total": [tell.source("sales", "amount", transformations=[SUM])]})["columnLineage"]
    tell.dataset("view", minute=1, columnLineage=facet)
    [edge] = tell.client.lineage("view", field="total").edges
    assert (edge.count, edge.last_run_id, edge.first_seen) == (0, None, at(1))


def test_columns_of_tables_that_are_one_are_one(tell: Teller) -> None:
    """The producer that wrote the files named columns as the one that reads the table does."""
    bucket = tell.bucket("sales")
    tell.run("load", ["raw"], [bucket], facets={bucket: columns({"shop": [tell.source("raw", "shop")]})})
    tell.run("report", ["sales"], ["daily"], facets={"daily": columns({"shop": [tell.source("sales", "shop")]})})
    tell.same("sales", bucket)
    chain = {("raw.shop", "sales.shop"), ("sales.shop", "daily.shop")}
    assert edges(tell.client.lineage("daily", field="shop")) == chain
    assert edges(tell.client.lineage(bucket[1], namespace=bucket[0], field="shop")) == chain


def test_columns_as_of_a_moment_are_those_that_were_known(chain: Teller) -> None:
    """What report told a minute later was not known then."""
    client = chain.client
    assert edges(client.lineage("sales", field="amount", as_of=at(1))) == {("raw.amount", "sales.amount")}
    early = client.lineage("sales", level="column", as_of=at(1))
    assert "sales.day" not in names(early)
    assert hidden(early)["sales.amount"] == (0, 0)


def test_a_column_that_feeds_itself_ends_the_walk(tell: Teller) -> None:
    """A running total is made of itself."""
    facets = columns({"a": [tell.source("state", "b")], "b": [tell.source("state", "a"), tell.source("state", "b")]})
    tell.run("fold", ["state"], ["state"], facets={"state": facets})
    graph = tell.client.lineage("state", field="a", depth=100)
    assert edges(graph) == {("state.b", "state.a"), ("state.a", "state.b"), ("state.b", "state.b")}
    assert set(hidden(graph).values()) == {(0, 0)}


def test_what_the_sdk_tells_of_columns_is_walked_too(client: DatlakeClient, place: Place) -> None:
    """`column_lineage` of a registration is the same facet."""
    source = {"namespace": place.namespace, "name": "sales", "field": "amount"}
    client.register_snapshot("sales", "s3://b/sales", "parquet", {"amount": "double"})
    client.register_snapshot(
        "daily",
        "s3://b/daily",
        "parquet",
        {"total": "double"},
        job_name="report",
        run_id=derived_id(place.namespace),
        column_lineage={"fields": {"total": {"inputFields": [source]}}},
    )
    assert edges(client.lineage("daily", field="total")) == {("sales.amount", "daily.total")}


def test_a_column_that_is_not_known_and_a_root_without_columns_are_refused(chain: Teller) -> None:
    """A made-up column would be an answer about nothing."""
    client = chain.client
    with pytest.raises(NotFound) as missing:
        client.lineage("sales", field="colour")
    assert missing.value.code == "column_not_found"
    with pytest.raises(NotFound):
        client.lineage("nothing", field="colour")
    without: tuple[NodeKind, ...] = ("job", "run", "snapshot")
    for kind in without:
        with pytest.raises(InvalidRequest, match="columns"):
            client.lineage("load", kind=kind, level="column")
    with pytest.raises(InvalidRequest, match="field"):
        client.lineage("sales", kind="column")
