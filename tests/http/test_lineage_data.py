"""What OpenLineage events tell of data is given back as it was told: facets, names of every kind, what feeds what."""

from __future__ import annotations

from typing import cast
from urllib.parse import quote

import pytest
from msgspec import json

from tests.http.told import Json, Story, at, facet

ODD: Json = facet(
    plums=[1, 2.5, None, True, {"é": "🍎\u0000", "": []}],
    large=123456789012345678901234567890,
    small=5e-324,
    text="x" * 5000,
    deleted={"_deleted": True},
)


def with_odd_facets(story: Story) -> Json:
    """An event that has a facet of its own wherever it may have one."""
    plums = story.data("plums", odd=ODD | {"of": "plums"}) | {"inputFacets": {"odd": ODD | {"of": "input"}}}
    jam = story.data("jam", odd=ODD | {"of": "jam"}) | {"outputFacets": {"odd": ODD | {"of": "output"}}}
    run, job = story.run(odd=ODD | {"of": "run"}), story.job(odd=ODD | {"of": "job"})
    return story.event("COMPLETE", run=run, job=job, inputs=[plums], outputs=[jam], odd={"of": "event"})


def test_what_nobody_knows_comes_back_as_it_was_told(story: Story) -> None:
    """A facet that Datlake does not understand is somebody's all the same."""
    told = with_odd_facets(story)
    story.tell(told)
    assert story.told_of_run() == [told]


@pytest.mark.parametrize(("path", "of"), [("/jobs/job", "job"), ("/tables/plums", "plums"), ("/tables/jam", "jam")])
def test_facets_are_shown_with_what_they_are_of(story: Story, path: str, of: str) -> None:
    story.tell(with_odd_facets(story))
    assert story.read(path)["facets"] == {"odd": ODD | {"of": of}}
    assert story.shown_run()["facets"] == {"odd": ODD | {"of": "run"}}


def of_job(story: Story, hour: int, value: Json) -> Json:
    return story.event(hour=hour, job=story.job(odd=value, even=facet(of="all")))


def of_run(story: Story, hour: int, value: Json) -> Json:
    return story.event(hour=hour, run=story.run(odd=value, even=facet(of="all")))


def of_table(story: Story, hour: int, value: Json) -> Json:
    return story.dataset_event("plums", odd=value, even=facet(of="all")) | {"eventTime": at(hour)}


PLACES = {"job": (of_job, "/jobs/job"), "run": (of_run, "/runs/{run_id}"), "table": (of_table, "/tables/plums")}


@pytest.mark.parametrize("hours", [(8, 9), (9, 8), (8, 9, 10), (10, 9, 8), (9, 10, 8)], ids=str)
@pytest.mark.parametrize("name", PLACES)
def test_a_facet_is_what_was_said_of_it_last(story: Story, name: str, hours: tuple[int, ...]) -> None:
    """Told at eight, taken back at nine and told anew at ten, whichever of these arrives first."""
    event, path = PLACES[name]
    values = {8: ODD, 9: facet(_deleted=True), 10: facet(of="ten")}
    story.tell(*(event(story, hour, values[hour]) for hour in hours))
    left = {"odd": values[10]} if 10 in hours else {}
    assert story.read(path.format(run_id=story.run_id()))["facets"] == {"even": facet(of="all")} | left


NAMES = {
    "a zero byte": ("plum\u0000jam", "plum jam"),
    "lines": ("plum\r\n\tjam", "plum jam"),
    "an emoji": ("🍎👩‍🌾", "🍎👩‍🌾"),
    "colons": ("10:30:00", "10:30:00"),
    "slashes": ("/plums//of/2026/", "/plums//of/2026/"),
    "dots": ("..", ".."),
    "percent signs": ("100%25 plum%2Fjam", "100%25 plum%2Fjam"),
    "a query": ("plums?namespace=x&y#z", "plums?namespace=x&y#z"),
    "a hyphen": ("-", "-"),
    "a backslash": ("C:\\plums", "C:\\plums"),
    "quotes": ("\"plums\" 'of' `2026`; --", "\"plums\" 'of' `2026`; --"),
    "Arabic": ("برقوق", "برقوق"),
    "blanks": (" plums ", " plums "),
}


@pytest.mark.parametrize("name", NAMES)
def test_whatever_data_and_jobs_are_called_they_are_found_again(story: Story, name: str) -> None:
    """By a query with `-` in the name's place, for clients that collapse dots or slashes; and in the path."""
    told, shown = NAMES[name]
    fed: Json = {"inputs": [story.data("plums")], "outputs": [story.data(told)]}
    story.tell(story.event("COMPLETE", job=story.job(told)) | fed)
    assert story.read("/tables/-", table_name=shown)["table_name"] == shown
    assert story.read("/tables/-/snapshots/latest", table_name=shown)["run_id"] == story.run_id()
    assert story.read("/jobs/-", job_name=shown)["job_name"] == shown
    if shown not in {"..", "-"}:
        assert story.read(f"/tables/{quote(shown, safe='')}") == story.read("/tables/-", table_name=shown)
    assert [table["table_name"] for table in story.items("/tables")] == sorted([shown, "plums"])
    assert story.told_of_run()[0]["outputs"] == fed["outputs"]


@pytest.mark.parametrize("namespace", ["s3://plums:9000/x", "postgres://farm:5432", "урожай", "a&b=c#d"])
def test_a_namespace_may_be_the_address_of_a_store(story: Story, namespace: str) -> None:
    told = {"namespace": f"{namespace}/{story.namespace}", "name": "jam"}
    story.tell(story.event("COMPLETE", outputs=[told]))
    assert story.read("/tables/-", table_name="jam", namespace=told["namespace"])["namespace"] == told["namespace"]
    assert story.steps("jam", namespace=told["namespace"]) == {("job", "jam")}


def test_a_run_feeds_each_of_its_outputs_from_each_of_its_inputs(story: Story) -> None:
    """Told at its start and at its end, it is one run; and nothing else is drawn."""
    fed: Json = {"inputs": [story.data("plums"), story.data("sugar")], "outputs": [story.data("jam")]}
    story.tell(story.event() | fed, story.event("COMPLETE", 9) | fed)
    story.tell(story.event("COMPLETE", 9, story.run_id("other"), job=story.job("other"), inputs=[story.data("salt")]))
    assert story.steps("jam") == {("plums", "job"), ("sugar", "job"), ("job", "jam")}
    assert story.steps("plums") == {("plums", "job"), ("job", "jam")}
    graph = story.read("/lineage", name="jam")
    assert {edge["count"] for edge in cast("list[Json]", graph["edges"])} == {1}
    assert {edge["last_run_id"] for edge in cast("list[Json]", graph["edges"])} == {story.run_id()}


def feeding(story: Story, name: str, *sources: str) -> Json:
    """What the `lineage` facet says of one dataset."""
    inputs = [{"namespace": story.namespace, "name": source, "type": "DATASET"} for source in sources]
    return {"namespace": story.namespace, "name": name, "type": "DATASET", "inputs": inputs}


@pytest.mark.parametrize("said_by", ["the datasets", "the job"])
def test_where_an_event_says_what_feeds_what_nothing_else_is_inferred(story: Story, said_by: str) -> None:
    """Two roads through one job, not four."""
    jam, brine = feeding(story, "jam", "plums"), feeding(story, "brine", "salt")
    fed: Json = {"inputs": [story.data("plums"), story.data("salt")]}
    if said_by == "the job":
        fed["job"] = story.job(lineage=facet(entries=[jam, brine]))
        fed["outputs"] = [story.data("jam"), story.data("brine")]
    else:
        said = {str(one["name"]): facet(inputs=one["inputs"]) for one in (jam, brine)}
        fed["outputs"] = [story.data(name, lineage=lineage) for name, lineage in said.items()]
    assert story.send(story.event() | fed, "?strict=true").status == 201
    story.tell(story.event("COMPLETE", 9) | fed)
    assert story.steps("jam") == {("plums", "job"), ("job", "jam")}
    assert story.steps("brine") == {("salt", "job"), ("job", "brine")}
    assert story.steps("plums") == {("plums", "job"), ("job", "jam")}


def test_what_a_job_declares_is_drawn_before_any_run(story: Story) -> None:
    """With a count of none, until a run has taken the step."""
    fed: Json = {"inputs": [story.data("plums")], "outputs": [story.data("jam")]}
    for event, count in ((story.job_event() | fed, 0), (story.event("COMPLETE") | fed, 1)):
        story.tell(event)
        assert story.steps("jam") == {("plums", "job"), ("job", "jam")}
        edges = cast("list[Json]", story.read("/lineage", name="jam")["edges"])
        assert {edge["count"] for edge in edges} == {count}


def test_an_event_is_kept_in_the_form_that_its_digest_is_of(story: Story) -> None:
    """Keys sorted, no blanks: who exports it sends the same bytes to everybody."""
    told = with_odd_facets(story)
    story.tell(told)
    reply = story.server.ask("GET", f"/api/v1/lineage/events?namespace={quote(story.namespace, safe='')}")
    assert json.encode(told, order="sorted") in reply.body
