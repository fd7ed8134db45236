"""Tables that are one thing are one node, whatever name their data was told by."""

from __future__ import annotations

import pytest

from datlake_sdk import DatlakeClient, JobContext, NotFound
from tests.graphs import Teller, at, edges, hidden
from tests.places import Place


@pytest.fixture
def tell(client: DatlakeClient, place: Place) -> Teller:
    """Tells the lake of this story."""
    return Teller(client, place.namespace)


@pytest.fixture
def halves(tell: Teller) -> Teller:
    """Load writes the bucket; report reads the table; that they are one is said last."""
    tell.run("load", ["raw"], [tell.bucket("sales")], minute=1)
    tell.run("report", ["sales"], ["daily"], minute=2)
    tell.same("sales", tell.bucket("sales"), minute=3)
    return tell


CHAIN = {("raw", "load"), ("load", "sales"), ("sales", "report"), ("report", "daily")}


def test_a_link_that_is_told_last_joins_the_graphs(halves: Teller) -> None:
    """A producer names files, another one tables; the graph ends at neither."""
    client = halves.client
    assert edges(client.lineage("daily", direction="upstream")) == CHAIN
    assert edges(client.lineage("raw", direction="downstream")) == CHAIN


def test_both_names_are_the_same_root(halves: Teller) -> None:
    """Whoever asks knows one of the names. The graph shows the one that has no store as its namespace."""
    client, (store, name) = halves.client, halves.bucket("sales")
    by_table = client.lineage("sales")
    assert edges(by_table) == CHAIN
    assert client.lineage(name, namespace=store) == by_table
    assert [(node.namespace, node.name) for node in by_table.nodes if node.id == by_table.root] == [
        (halves.namespace, "sales")
    ]
    assert set(hidden(by_table).values()) == {(0, 0)}


def test_a_name_that_no_table_has_finds_the_table_that_is_also_called_so(tell: Teller) -> None:
    """Of a symlink nobody may ever have told as of a dataset."""
    tell.run("load", ["raw"], ["sales"])
    tell.same("sales", ("hive://metastore", f"{tell.namespace}.sales"), minute=1)
    found = tell.client.lineage(f"{tell.namespace}.sales", namespace="hive://metastore")
    assert edges(found) == {("raw", "load"), ("load", "sales")}
    with pytest.raises(NotFound):
        tell.client.lineage("nobody", namespace="hive://metastore")


def test_an_edge_counts_each_run_once_by_whichever_names_it_was_told(tell: Teller) -> None:
    """One run read the path, one the table, and one told of both."""
    bucket = tell.bucket("sales")
    tell.same("sales", bucket)
    tell.run("report", [bucket], ["daily"], minute=1, number=1)
    tell.run("report", ["sales"], ["daily"], minute=2, number=2)
    last = tell.run("report", [bucket, "sales"], ["daily"], minute=3, number=3)
    [read] = list(tell.client.lineage("sales", depth=1).edges)
    assert (read.count, read.last_run_id) == (3, last)
    assert (read.first_seen, read.last_seen) == (at(1), at(3))


def test_what_is_hidden_around_a_table_is_counted_over_all_its_names(tell: Teller) -> None:
    """Two jobs write it, by a name each; one of them reads it by both."""
    bucket = tell.bucket("sales")
    tell.same("sales", bucket)
    tell.run("one", writes=["sales"])
    tell.run("other", writes=[bucket])
    tell.run("reader", ["sales", bucket], ["daily"])
    shown = tell.client.lineage("daily", direction="upstream", depth=2)
    assert edges(shown) == {("sales", "reader"), ("reader", "daily")}
    assert hidden(shown) == {"daily": (0, 0), "reader": (0, 0), "sales": (2, 0)}


def test_data_without_a_version_joins_runs_by_any_of_its_names(tell: Teller) -> None:
    """A job writes files, and another reads the table that is there: neither tells of a version."""
    client, (store, name) = tell.client, tell.bucket("landing")
    with JobContext(client, "load") as job:
        job.add_output(f"{store}/{name}")
    reader = tell.run("reader", ["landing"], ["made"])
    tell.same("landing", (store, name))
    graph = client.lineage(run_id=reader, direction="upstream")
    assert edges(graph) == {("load", "landing"), ("landing", "reader")}
    assert [node.namespace for node in graph.nodes if node.kind == "table"] == [tell.namespace]
    assert edges(client.lineage(run_id=job.run_id, direction="downstream")) == {
        ("load", "landing"),
        ("landing", "reader"),
        ("reader", "made"),
    }


def test_the_newest_version_of_a_group_is_what_its_graph_of_runs_is_around(tell: Teller) -> None:
    """Asked by the name under which nothing was ever written, the graph is that of what was."""
    bucket = tell.bucket("sales")
    tell.run("load", ["raw"], [bucket], minute=1)
    tell.dataset("sales", minute=2)
    tell.same("sales", bucket, minute=3)
    graph = tell.client.lineage("sales", level="run", direction="upstream")
    assert edges(graph) == {("raw", "load"), ("load", "sales")}
    assert [(node.namespace, node.version) for node in graph.nodes if node.id == graph.root] == [(bucket[0], 1)]


def test_names_that_part_again_are_two_tables_again(halves: Teller) -> None:
    """A wrong symlink is taken back by the same producer."""
    halves.dataset("sales", minute=4, symlinks={"_deleted": True})
    assert edges(halves.client.lineage("daily", direction="upstream")) == {("sales", "report"), ("report", "daily")}
