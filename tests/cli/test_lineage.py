"""`datlake lineage`, `impact`, `trace`, `diff`, `search`: what fed this number, who has used it, what has changed."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

import pytest

from datlake_sdk.client import DatlakeClient
from datlake_sdk.job import JobContext
from tests.cli.typed import Datlake

COLUMNS = {
    "fields": {
        "total": {
            "inputFields": [
                {
                    "namespace": "default",
                    "name": "raw",
                    "field": "amount",
                    "transformations": [{"type": "DIRECT", "subtype": "AGGREGATION"}],
                }
            ]
        }
    }
}


class Story(NamedTuple):
    """The runs of a small pipeline, by job."""

    load: str
    clean: str
    report: str


def step(client: DatlakeClient, job_name: str, inputs: list[str], output: str, rows: int = 10) -> str:
    """The run of the job that read the inputs and wrote the output."""
    with JobContext(client, job_name) as job:
        for name in inputs:
            job.get_table_latest_uri(name)
        uri = f"s3://lake/{job.run_id}"
        job.register_snapshot(
            output, uri, "parquet", {"amount": "int64"}, row_count=rows, inputs=None if inputs else []
        )
    return job.run_id


@pytest.fixture
def story(client: DatlakeClient) -> Story:
    """The jobs have run once: raw → clean → daily."""
    return Story(
        step(client, "load", [], "raw"),
        step(client, "clean", ["raw"], "clean"),
        step(client, "report", ["clean"], "daily"),
    )


def names(tree: str) -> list[str]:
    """The lines of a tree without its branches and without what is said in brackets."""
    return [line.lstrip("├─└│ ").partition("  (")[0] for line in tree.splitlines()]


def test_lineage_begins_at_a_table_a_version_a_run_a_job_or_a_snapshot(
    datlake: Datlake, client: DatlakeClient, story: Story
) -> None:
    """People hold what they hold: a name from a dashboard, an id from a log."""
    by_run = ["comes from", f"run clean {story.clean}", "raw v1", f"run load {story.load}"]
    version = names(datlake("lineage", "clean@v1", "--direction", "upstream").out)
    assert version == ["clean v1", "", *by_run]
    found = client.latest_snapshot("clean").snapshot_id
    assert names(datlake("lineage", "--snapshot", found, "--direction", "upstream").out) == version
    run = names(datlake("lineage", "--run", story.clean[:-3], "--direction", "upstream").out)
    assert run == [f"run clean {story.clean}", "", "comes from", "raw v1", f"run load {story.load}"]
    job = names(datlake("lineage", "--job", "clean", "--direction", "downstream").out)
    assert job == ["job clean", "", "goes into", "clean v1", "job report", "daily v1"]


@pytest.mark.usefixtures("story")
def test_lineage_of_a_past_moment_shows_what_was_known_then(datlake: Datlake) -> None:
    """The number was right last week; what fed it then?"""
    past = datlake("lineage", "clean", "--as-of", "2020-01-01").out
    assert past.splitlines()[0] == "clean  (as of 2020-01-01 00:00:00 UTC)"
    assert past.count("nothing that is known") == 2
    assert "job load" in datlake("lineage", "clean", "--as-of", "2200-01-01").out


@pytest.mark.usefixtures("story")
def test_a_graph_comes_in_every_format(datlake: Datlake) -> None:
    """To read, to send, to put on a page, to go on with."""
    graph = datlake("lineage", "clean", "--format", "json").json
    assert graph == datlake("lineage", "clean", "--json").json
    beginnings = {"mermaid": "flowchart LR\n", "dot": "digraph lineage {\n", "html": "<!doctype html>\n"}
    for form, begins in beginnings.items():
        told = datlake("lineage", "clean", "--format", form)
        assert (told.code, told.err) == (0, "")
        assert told.out.startswith(begins)
        assert "daily" in told.out


@pytest.mark.usefixtures("story")
def test_a_graph_that_is_cut_says_so(datlake: Datlake) -> None:
    """A drawing that looks whole and is not misleads."""
    told = datlake("lineage", "clean", "--max-nodes", "2", "--format", "dot")
    assert told.code == 0
    assert told.err.startswith("datlake: cut at 2 nodes; ")


def test_columns_are_asked_for_by_name(datlake: Datlake, client: DatlakeClient) -> None:
    """A sum is wrong, not a table."""
    step(client, "load", [], "raw")
    spot = json.loads(json.dumps(COLUMNS).replace('"default"', json.dumps(datlake.place.namespace)))
    with JobContext(client, "sum") as job:
        job.get_table_latest_uri("raw")
        job.register_snapshot("sums", "s3://lake/sums", "parquet", {"total": "int64"}, column_lineage=spot)
    told = datlake("lineage", "sums", "--field", "total", "--direction", "upstream").out
    assert names(told) == ["sums.total", "", "comes from", "raw.amount"]
    assert "(aggregation; 1 run, last " in told
    whole = names(datlake("lineage", "sums", "--level", "column", "--direction", "upstream").out)
    assert whole[-2:] == ["sums.total", "raw.amount"]


@pytest.mark.parametrize(
    "words",
    [[], ["clean", "--job", "clean"], ["--field", "a", "--job", "b"], ["clean", "--json", "--format", "dot"]],
    ids=["nothing", "two things", "a column of a job", "two formats"],
)
def test_what_cannot_be_meant_is_a_mistake_of_usage(embedded: Datlake, words: list[str]) -> None:
    """One line says what would do, and no lake is asked."""
    told = embedded("lineage", *words)
    assert (told.code, told.out) == (2, "")
    assert len(told.err.splitlines()) == 1


def test_a_name_of_another_namespace_is_told_where_it_is(embedded: Datlake) -> None:
    """Producers choose namespaces; who asks does not know them."""
    with embedded.place.client() as other:
        other.register_snapshot("orders", "s3://lake/orders", "parquet", namespace="warehouse")
    for command in ("lineage", "impact", "trace"):
        told = embedded(command, "orders")
        assert told.code == 3
        assert "there is one in warehouse: name it with --namespace" in told.err


def test_impact_tells_all_that_used_a_snapshot(datlake: Datlake, client: DatlakeClient, story: Story) -> None:
    """The number is wrong: who has it already?"""
    told = datlake("impact", "raw")
    assert told.out.splitlines()[0] == "raw v1 has been consumed by"
    rows = [line.split() for line in told.out.splitlines()[3:]]
    assert [(row[0], row[1], row[2], row[3]) for row in rows] == [
        ("1", "run", "clean", "completed"),
        ("2", "snapshot", "clean", "v1"),
        ("3", "run", "report", "completed"),
        ("4", "snapshot", "daily", "v1"),
    ]
    assert story.report in told.out
    snapshot_id = client.latest_snapshot("raw").snapshot_id
    assert datlake("impact", snapshot_id, "--json").items == datlake("impact", "raw@1", "--json").items
    assert datlake("impact", "raw", "--limit", "1").err.startswith("datlake: these are the first 1; ")
    assert datlake("impact", "daily").out == "daily v1 has been consumed by nothing that is known\n"


def test_trace_tells_all_that_led_to_a_snapshot(datlake: Datlake, story: Story) -> None:
    """Which run, which input, which code: back to where the data came in."""
    told = datlake("trace", "daily").out
    lines = told.splitlines()
    assert lines[0] == "daily v1 comes from"
    assert [line.split()[:3] for line in lines[3:]] == [
        ["1", "run", "report"],
        ["2", "snapshot", "clean"],
        ["3", "run", "clean"],
        ["4", "snapshot", "raw"],
        ["5", "run", "load"],
    ]
    assert f"s3://lake/{story.clean}" in told
    assert datlake("trace", "daily@9").code == 3


def test_diff_shows_what_differs_and_nothing_else(datlake: Datlake, client: DatlakeClient) -> None:
    """It worked yesterday."""
    one, other = step(client, "load", [], "raw", rows=1204), step(client, "load", [], "raw", rows=3)
    told = datlake("diff", one, other)
    assert told.code == 0
    rows = [re.split(r" {2,}", line) for line in told.out.splitlines()[4:]]
    facts = {row[0].rpartition(".")[2]: row[1:] for row in rows}
    assert facts["row_count"] == ["1 204", "3"]
    assert facts["version"] == ["v1", "v2"]
    assert "amount" not in told.out
    assert datlake("diff", one, other, "--json").json["left"] == one
    assert "They do not differ" in datlake("diff", one, one).out
    assert datlake("diff", one, "nope").code == 3


def test_diff_names_the_columns_that_changed(datlake: Datlake, client: DatlakeClient) -> None:
    """Of two schemas of a hundred columns one wants to see the one that is not the same."""
    runs: list[str] = []
    for schema in ({"a": "int64", "b": "text"}, {"a": "int32", "b": "text", "c": "date"}):
        with JobContext(client, "load") as job:
            job.register_snapshot("raw", f"s3://lake/{job.run_id}", "parquet", schema)
        runs.append(job.run_id)
    rows = [re.split(r" {2,}", line) for line in datlake("diff", *runs).out.splitlines()]
    columns = {row[0].rpartition(", column ")[2]: row[1:] for row in rows if ", column " in row[0]}
    assert columns == {"a": ["int64", "int32"], "c": ["–", "date"]}


def test_search_finds_by_parts_of_names_in_every_namespace(datlake: Datlake, client: DatlakeClient) -> None:
    """Somebody remembers a word of it."""
    scope = datlake.place.namespace
    step(client, "load_orders", [], "orders_by_region")
    told = [line.split() for line in datlake("search", "orders", "--namespace", scope).out.splitlines()]
    assert [row for row in told if row[:3] == ["table", "orders_by_region", scope]]
    assert [row for row in told if row[:3] == ["job", "load_orders", scope]]
    elsewhere = datlake("search", "orders", "region", "--kind", "table", "--json", DATLAKE_NAMESPACE="other").items
    assert scope in {hit["namespace"] for hit in elsewhere}
    nothing = datlake("search", "xyzzy")
    assert (nothing.code, nothing.out) == (0, "")
    assert "nothing is called 'xyzzy'" in nothing.err


def test_a_page_can_be_written_to_a_file_on_any_terminal(embedded: Datlake) -> None:
    """Names hold letters that an old terminal's encoding lacks; a page is UTF-8 whatever the terminal is."""
    with embedded.place.client() as own:
        own.register_snapshot("表", "s3://lake/t", "parquet")
    done = embedded.raw("lineage", "表", "--format", "html", PYTHONIOENCODING="latin-1")
    assert done.returncode == 0
    assert "表" in done.stdout.decode("utf-8")
