"""Steps without a run and steps without data: what jobs and datasets declare, and jobs that feed jobs."""

from __future__ import annotations

import pytest

from datlake_sdk import DatlakeClient
from tests.graphs import Teller, at, edges, hidden
from tests.places import Place


@pytest.fixture
def tell(client: DatlakeClient, place: Place) -> Teller:
    """Tells the lake of this story."""
    return Teller(client, place.namespace)


def test_a_declared_step_is_drawn_with_no_runs(tell: Teller) -> None:
    """What a job will do is worth seeing before it has done it, and no run is made up for it."""
    tell.job("report", ["sales"], ["daily"], minute=1)
    graph = tell.client.lineage("daily", direction="upstream")
    assert edges(graph) == {("sales", "report"), ("report", "daily")}
    assert {(edge.count, edge.last_run_id, edge.first_seen) for edge in graph.edges} == {(0, None, at(1))}
    assert set(hidden(graph).values()) == {(0, 0)}
    run = tell.run("report", ["sales"], ["daily"], minute=5)
    after = tell.client.lineage("daily", direction="upstream")
    assert {(edge.count, edge.last_run_id, edge.first_seen, edge.last_seen) for edge in after.edges} == {
        (1, run, at(1), at(5))
    }


def test_what_a_dataset_says_of_itself_is_an_edge_without_a_job(tell: Teller) -> None:
    """A view is made of tables, and nothing runs. It is one edge away, not two."""
    tell.fed("view", ["sales", "rates"], minute=1)
    tell.run("load", ["raw"], ["sales"])
    client = tell.client
    assert edges(client.lineage("view", depth=1)) == {("sales", "view"), ("rates", "view")}
    graph = client.lineage("view", direction="upstream", depth=2)
    assert edges(graph) == {("sales", "view"), ("rates", "view"), ("load", "sales")}
    assert hidden(graph) == {"view": (0, 0), "sales": (0, 0), "rates": (0, 0), "load": (1, 0)}
    assert edges(client.lineage("raw", direction="downstream", depth=3)) == {
        ("raw", "load"),
        ("load", "sales"),
        ("sales", "view"),
    }
    near = client.lineage("sales", depth=1, direction="upstream")
    assert hidden(near) == {"sales": (0, 1), "load": (1, 0)}
    [edge] = list(client.lineage("rates", depth=1).edges)
    assert (edge.count, edge.last_run_id, edge.first_seen) == (0, None, at(1))


def test_jobs_that_feed_jobs_are_walked_to_what_they_read(tell: Teller) -> None:
    """A job that passes data on in memory is no end of the road: the jobs before it are, and what they read."""
    tell.run("extract", ["raw"], minute=1)
    tell.run("publish", [], ["daily"], minute=2)
    tell.job("publish", after=["extract"], minute=3)
    client = tell.client
    chain = {("raw", "extract"), ("extract", "publish"), ("publish", "daily")}
    assert edges(client.lineage("daily", direction="upstream")) == chain
    assert edges(client.lineage("raw", direction="downstream")) == chain
    assert edges(client.lineage("publish", kind="job")) == chain
    assert edges(client.lineage("daily", direction="upstream", depth=2)) == {
        ("extract", "publish"),
        ("publish", "daily"),
    }
    cut = client.lineage("daily", direction="upstream", depth=1)
    assert hidden(cut) == {"daily": (0, 0), "publish": (1, 0)}


def test_a_link_between_jobs_tells_how_often_it_was_told(tell: Teller) -> None:
    """Each run may say of which job it came; a declaration counts as none."""
    upstream = {"jobDependencies": {"upstream": [{"job": {"namespace": tell.namespace, "name": "first"}}]}}
    tell.job("second", after=["first"], minute=1)
    tell.run("second", number=1, minute=2, run_facets=upstream)
    last = tell.run("second", number=2, minute=3, run_facets=upstream)
    [edge] = tell.client.lineage("second", kind="job").edges
    assert (edge.count, edge.last_run_id, edge.first_seen, edge.last_seen) == (2, last, at(1), at(3))


def test_a_linked_job_brings_all_it_reads_and_a_passed_one_only_what_met(tell: Teller) -> None:
    """Data that went through a job in another run did not meet; a whole job that comes before is another thing."""
    tell.run("copy", ["a"], ["a_copy"], number=1)
    tell.run("copy", ["b"], ["b_copy"], number=2)
    tell.job("last", after=["copy"])
    tell.run("last", [], ["end"])
    client = tell.client
    assert edges(client.lineage("a_copy", direction="upstream")) == {("a", "copy"), ("copy", "a_copy")}
    assert edges(client.lineage("end", direction="upstream")) == {
        ("a", "copy"),
        ("b", "copy"),
        ("copy", "last"),
        ("last", "end"),
    }


def test_a_graph_as_of_a_moment_leaves_out_what_was_said_later(tell: Teller) -> None:
    """Declarations, links and what datasets say of themselves have their time as runs have."""
    tell.run("load", ["raw"], ["sales"], minute=1)
    tell.fed("view", ["sales"], minute=2)
    tell.job("mail", ["view"], minute=3)
    tell.job("mail", after=["alarm"], minute=4)
    steps = [("raw", "load"), ("load", "sales"), ("sales", "view"), ("view", "mail"), ("alarm", "mail")]
    known = {1: 2, 2: 3, 3: 4, 4: 5}
    for minute, many in known.items():
        graph = tell.client.lineage("load", kind="job", as_of=at(minute), depth=6)
        both = tell.client.lineage("mail", kind="job", as_of=at(minute), depth=6, direction="upstream")
        assert edges(graph) | edges(both) == set(steps[:many])
        assert {up for up, _ in hidden(both).values()} == {0}
    assert edges(tell.client.lineage("sales", as_of=at(0.5))) == set()
    assert hidden(tell.client.lineage("sales", as_of=at(1), depth=1))["sales"] == (0, 0)


def test_jobs_and_tables_that_feed_each_other_in_circles_are_drawn_once(tell: Teller) -> None:
    """Whatever circle producers tell, a walk ends."""
    tell.job("a", after=["b"])
    tell.job("b", after=["a"])
    tell.fed("x", ["y"])
    tell.fed("y", ["x"])
    tell.run("a", ["x"], ["y"])
    graph = tell.client.lineage("x", depth=100)
    assert edges(graph) == {("a", "b"), ("b", "a"), ("x", "y"), ("y", "x"), ("x", "a"), ("a", "y")}
    assert set(hidden(graph).values()) == {(0, 0)}
