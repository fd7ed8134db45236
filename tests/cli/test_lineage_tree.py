"""`datlake lineage`: the tree shows what fed what, and never what only seems so."""

from __future__ import annotations

from datlake_sdk.client import DatlakeClient
from datlake_sdk.job import JobContext
from tests.cli.typed import Datlake


def step(client: DatlakeClient, job_name: str, inputs: list[str], output: str) -> None:
    """One run of the job that read the inputs and wrote the output."""
    with JobContext(client, job_name) as job:
        for name in inputs:
            job.get_table_latest_uri(name)
        job.register_snapshot(output, f"s3://lake/{job.run_id}", "parquet", inputs=None if inputs else [])


def names(tree: str) -> list[str]:
    """The lines of a tree without its branches and without what is said in brackets."""
    return [line.lstrip("├─└│ ").partition("  (")[0] for line in tree.splitlines()]


def test_a_tree_goes_up_to_the_sources_and_down_to_what_was_made(datlake: Datlake, client: DatlakeClient) -> None:
    """Where does it come from, and whom does it break: one answer, with jobs and versions."""
    step(client, "load", [], "raw")
    step(client, "load", [], "raw")
    step(client, "clean", ["raw"], "clean")
    step(client, "report", ["clean"], "daily")
    told = datlake("lineage", "clean").out
    assert names(told) == [
        *("clean v1", "", "comes from", "job clean", "raw v2", "job load", ""),
        *("goes into", "job report", "daily v1"),
    ]
    assert "job load  (2 runs, last " in told
    assert "goes into" not in datlake("lineage", "clean", "--direction", "upstream").out


def test_a_job_that_handles_many_tables_joins_only_those_that_met(datlake: Datlake, client: DatlakeClient) -> None:
    """A generic loader copies each table to another; the copy of one does not come from all the others."""
    for name in ("a", "b"):
        step(client, "load", [], f"{name}_raw")
        step(client, "copy", [f"{name}_raw"], f"{name}_copy")
    step(client, "join", ["a_copy", "b_copy"], "all")
    assert names(datlake("lineage", "a_copy", "--direction", "upstream").out)[3:] == [
        "job copy",
        "a_raw v1",
        "job load",
    ]
    whole = names(datlake("lineage", "all", "--direction", "upstream").out)[3:]
    assert whole == [
        *("job join", "a_copy v1", "job copy", "a_raw v1", "job load"),
        *("b_copy v1", "job copy", "b_raw v1", "job load"),
    ]


def test_a_cycle_is_marked_and_ends(datlake: Datlake, client: DatlakeClient) -> None:
    """A table that a job reads and writes is everyday life."""
    step(client, "load", [], "state")
    step(client, "update", ["state"], "state")
    told = datlake("lineage", "state", "--direction", "upstream")
    assert told.code == 0
    assert "a cycle" in told.out


def test_a_table_that_feeds_two_ways_is_drawn_once(datlake: Datlake, client: DatlakeClient) -> None:
    """Diamonds upon diamonds would double the tree with every floor."""
    step(client, "load", [], "t0")
    for floor in range(6):
        step(client, f"left{floor}", [f"t{floor}"], f"l{floor}")
        step(client, f"right{floor}", [f"t{floor}"], f"r{floor}")
        step(client, f"join{floor}", [f"l{floor}", f"r{floor}"], f"t{floor + 1}")
    told = datlake("lineage", "t6", "--direction", "upstream", "--depth", "100").out
    assert "(shown before)" in told
    assert len(told.splitlines()) < 60


def test_what_depth_leaves_out_is_said(datlake: Datlake, client: DatlakeClient) -> None:
    """A tree that is cut says so."""
    step(client, "load", [], "raw")
    step(client, "clean", ["raw"], "clean")
    step(client, "report", ["clean"], "daily")
    told = datlake("lineage", "daily", "--direction", "upstream", "--depth", "2").out
    assert names(told)[3:] == ["job report", "clean v1"]
    assert "--depth" in told
