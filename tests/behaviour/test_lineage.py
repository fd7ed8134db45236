"""What feeds what: tables through jobs, snapshots through runs, and nothing that never met."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from datlake_sdk import DatlakeClient, InvalidRequest, JobContext, NotFound
from datlake_sdk.wire.models import Graph

Edges = set[tuple[str, str]]


def step(client: DatlakeClient, job: str, reads: list[str], writes: list[str]) -> JobContext:
    """A run that reads and registers tables."""
    with JobContext(client, job) as run:
        for name in reads:
            run.get_table_latest_uri(name)
        for name in writes:
            run.register_snapshot(name, f"s3://b/{name}/{run.run_id}", "csv")
    return run


def edges(graph: Graph) -> Edges:
    names = {node.id: node.name for node in graph.nodes}
    assert len(names) == len(graph.nodes)
    assert graph.root in names
    return {(names[edge.source], names[edge.target]) for edge in graph.edges}


@pytest.fixture
def chain(client: DatlakeClient) -> DatlakeClient:
    """Raw → clean → tidy → report → daily, and other → report."""
    client.register_snapshot("raw", "s3://b/raw", "csv")
    client.register_snapshot("other", "s3://b/other", "csv")
    step(client, "clean", ["raw"], ["tidy"])
    step(client, "report", ["tidy", "other"], ["daily"])
    return client


def test_a_table_shows_all_that_feeds_it_and_all_it_feeds(chain: DatlakeClient) -> None:
    up = {("raw", "clean"), ("clean", "tidy"), ("tidy", "report"), ("other", "report"), ("report", "daily")}
    assert edges(chain.lineage("daily", direction="upstream")) == up
    assert edges(chain.lineage("raw", direction="downstream")) == up - {("other", "report")}
    assert edges(chain.lineage("raw", direction="upstream")) == set()
    assert edges(chain.lineage("tidy")) == up - {("other", "report")}


def test_depth_counts_edges_and_what_is_left_out_is_counted(chain: DatlakeClient) -> None:
    one = chain.lineage("daily", direction="upstream", depth=1)
    assert edges(one) == {("report", "daily")}
    assert {node.name: node.hidden_upstream for node in one.nodes} == {"daily": 0, "report": 2}
    two = chain.lineage("daily", direction="upstream", depth=2)
    assert edges(two) == {("tidy", "report"), ("other", "report"), ("report", "daily")}
    assert {node.name: node.hidden_upstream for node in two.nodes} == {"daily": 0, "report": 0, "tidy": 1, "other": 0}
    assert not two.truncated
    up = chain.lineage("tidy", direction="upstream")
    assert {node.name: node.hidden_downstream for node in up.nodes} == {"raw": 0, "clean": 0, "tidy": 1}


def test_a_job_is_drawn_between_its_tables(chain: DatlakeClient) -> None:
    graph = chain.lineage("report", kind="job", depth=1)
    assert edges(graph) == {("tidy", "report"), ("other", "report"), ("report", "daily")}
    assert {node.name: node.kind for node in graph.nodes}["report"] == "job"
    deeper = chain.lineage("report", kind="job", direction="upstream", depth=3)
    assert edges(deeper) == {("tidy", "report"), ("other", "report"), ("raw", "clean"), ("clean", "tidy")}


def test_snapshots_are_fed_by_runs(client: DatlakeClient) -> None:
    """Versions that a run did not read did not feed what it wrote."""
    client.register_snapshot("raw", "s3://b/raw/1", "csv")
    first = step(client, "clean", ["raw"], ["tidy"])
    client.register_snapshot("raw", "s3://b/raw/2", "csv")
    second = step(client, "clean", ["raw"], ["tidy"])
    graph = client.lineage(run_id=second.run_id)
    assert sorted((node.kind, node.name, node.version) for node in graph.nodes) == [
        ("run", "clean", None),
        ("snapshot", "raw", 2),
        ("snapshot", "tidy", 2),
    ]
    by_version = client.lineage("tidy", level="run", version=1, direction="upstream")
    assert {node.run_id for node in by_version.nodes if node.kind == "run"} == {first.run_id}
    newest = client.latest_snapshot("tidy")
    by_id = client.lineage(snapshot_id=newest.snapshot_id, direction="upstream")
    assert [(node.kind, node.version) for node in by_id.nodes if node.kind == "snapshot"] == [
        ("snapshot", 2),
        ("snapshot", 2),
    ]


def test_stated_inputs_feed_their_output_alone(client: DatlakeClient) -> None:
    for name in ("a", "b"):
        client.register_snapshot(name, f"s3://b/{name}", "csv")
    with JobContext(client, "split") as job:
        job.get_table_latest_uri("a")
        job.get_table_latest_uri("b")
        job.register_snapshot("from_a", "s3://b/fa", "csv", inputs=["a"])
        job.register_snapshot("from_nothing", "s3://b/fn", "csv", inputs=[])
        job.register_snapshot("from_both", "s3://b/fb", "csv")
    assert edges(client.lineage("from_a", direction="upstream")) == {("a", "split"), ("split", "from_a")}
    assert edges(client.lineage("from_nothing", direction="upstream")) == {("split", "from_nothing")}
    assert edges(client.lineage("from_both", direction="upstream")) == {
        ("a", "split"),
        ("b", "split"),
        ("split", "from_both"),
    }


def test_runs_of_one_job_join_nothing_that_never_met(client: DatlakeClient) -> None:
    """A job that copies anything anywhere does not make everything the ancestor of everything."""
    for name in ("a", "b"):
        client.register_snapshot(name, f"s3://b/{name}", "csv")
        step(client, "copy", [name], [f"{name}_copy"])
    assert edges(client.lineage("a_copy", direction="upstream")) == {("a", "copy"), ("copy", "a_copy")}
    graph = client.lineage("a", direction="downstream")
    assert edges(graph) == {("a", "copy"), ("copy", "a_copy")}


def test_an_input_read_after_an_output_was_written_feeds_it_too(client: DatlakeClient) -> None:
    """The order within a run says nothing, and neither does the order of arrival."""
    client.register_snapshot("a", "s3://b/a", "csv")
    with JobContext(client, "j") as job:
        job.register_snapshot("out", "s3://b/out", "csv")
        job.get_table_latest_uri("a")
    assert edges(client.lineage("out", direction="upstream")) == {("a", "j"), ("j", "out")}


def test_a_cycle_is_drawn_once(client: DatlakeClient) -> None:
    client.register_snapshot("state", "s3://b/state", "csv")
    for _ in range(3):
        step(client, "fold", ["state"], ["state"])
    graph = client.lineage("state", depth=100)
    assert edges(graph) == {("state", "fold"), ("fold", "state")}
    assert {edge.count for edge in graph.edges} == {3}
    assert edges(client.lineage("fold", kind="job", depth=100)) == edges(graph)


def test_an_edge_tells_when_and_how_often(client: DatlakeClient) -> None:
    client.register_snapshot("a", "s3://b/a", "csv")
    before = datetime.now(UTC)
    step(client, "j", ["a"], ["b"])
    last = step(client, "j", ["a"], ["b"])
    [into] = client.lineage("a", depth=1).edges
    assert (into.count, into.last_run_id) == (2, last.run_id)
    assert before - timedelta(seconds=1) <= into.first_seen <= into.last_seen <= datetime.now(UTC)


def test_a_graph_too_large_is_cut_and_says_so(client: DatlakeClient) -> None:
    with JobContext(client, "fan") as job:
        job.add_output(*[f"s3://out/{number:02}" for number in range(20)])
    whole = client.lineage("fan", kind="job")
    assert (len(whole.nodes), whole.truncated) == (21, False)
    cut = client.lineage("fan", kind="job", max_nodes=5)
    assert (len(cut.nodes), cut.truncated) == (5, True)
    root = next(node for node in cut.nodes if node.id == cut.root)
    assert root.hidden_downstream == 16
    assert len(client.lineage("fan", kind="job", max_nodes=1).nodes) == 1


def test_a_graph_as_of_a_moment_holds_what_was_known_then(chain: DatlakeClient) -> None:
    moment = datetime.now(UTC)
    step(chain, "late", ["daily"], ["after"])
    assert ("daily", "late") in edges(chain.lineage("daily"))
    assert ("daily", "late") not in edges(chain.lineage("daily", as_of=moment))
    assert edges(chain.lineage("daily", as_of="1999-01-01T00:00:00Z")) == set()


def test_a_failed_run_shows_what_it_read_and_no_more(client: DatlakeClient) -> None:
    client.register_snapshot("a", "s3://b/a", "csv")
    with pytest.raises(ValueError, match="x"), JobContext(client, "j") as job:  # noqa: PT012 -- the block is the job
        job.get_table_latest_uri("a")
        raise ValueError("x")
    assert edges(client.lineage("a")) == {("a", "j")}
    [run] = [node for node in client.lineage(run_id=job.run_id).nodes if node.kind == "run"]
    assert run.state == "failed"


def test_a_root_that_is_not_there_is_not_found(client: DatlakeClient) -> None:
    missing = "0193a5c0-0000-7000-8000-0000000000c1"
    calls: list[Callable[[], object]] = [
        lambda: client.lineage("none"),
        lambda: client.lineage("none", kind="job"),
        lambda: client.lineage(run_id=missing),
        lambda: client.lineage(snapshot_id=missing),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            call()
    bad_calls: list[Callable[[], object]] = [
        client.lineage,
        lambda: client.lineage("x", depth=0),
        lambda: client.lineage("x", max_nodes=5001),
        lambda: client.lineage(kind="run"),
    ]
    for bad in bad_calls:
        with pytest.raises(InvalidRequest):
            bad()


def test_a_run_with_very_many_inputs_and_outputs_stays_one_step(client: DatlakeClient) -> None:
    """Past the bound the run itself stands between them; none of them is lost."""
    with JobContext(client, "wide") as job:
        job.add_input(*[f"s3://in/{number}" for number in range(150)])
        job.add_output(*[f"s3://out/{number}" for number in range(150)])
    run = client.get_run(job.run_id)
    assert (len(run.inputs), len(run.outputs)) == (150, 150)
    graph = client.lineage("7", namespace="s3://out", direction="upstream", depth=6, max_nodes=5000)
    names = {node.name for node in graph.nodes}
    assert {"149", "0"} <= names
    assert len([node for node in graph.nodes if node.kind == "table"]) == 151
