"""What a producer of OpenLineage is answered, event by event, and what its runs, jobs and tables are shown as then."""

from __future__ import annotations

from itertools import permutations
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

import pytest
from msgspec import json

from datlake_sdk.wire.operations import ListRuns
from datlake_server.lake import Lake
from datlake_server.store.sqlite import now_us
from tests.http.served import Server
from tests.http.told import Json, Story, at, facet

RUN_ID = "0190c6a0-0000-7000-8000-00000000abcd"
YEAR_US = 365 * 24 * 3600 * 1_000_000
TRACE = "Traceback (most recent call last):\n  ...\nfarm.errors.Rotten: the plums are blue"
ROTTEN = facet(message="the plums are blue", programmingLanguage="Python", stackTrace=TRACE)


@pytest.mark.parametrize("kind", ["run", "job", "dataset"])
def test_each_kind_of_event_is_answered_with_its_receipt(story: Story, kind: str) -> None:
    """The receipt names the event by what it says, and the run where it is about one."""
    events = {"run": story.event(), "job": story.job_event(), "dataset": story.dataset_event("plums")}
    first, again = (story.send(events[kind]) for _ in range(2))
    assert (first.status, again.status) == (201, 201)
    assert len(str(first.json["event_id"])) == 64
    assert first.json["run_id"] == (story.run_id() if kind == "run" else None)
    assert first.json["is_repeat"] is False
    assert again.json == first.json | {"is_repeat": True}


@pytest.mark.parametrize("kind", ["run", "job", "dataset"])
def test_the_same_event_however_it_is_written_changes_nothing(story: Story, kind: str) -> None:
    """Producers retry, and what sends for them writes JSON in its own way."""
    data: Json = {"inputs": [story.data("plums")], "outputs": [story.data("jam", odd=facet(of="1"))]}
    told = {
        "run": story.event("COMPLETE") | data,
        "job": story.job_event() | data,
        "dataset": story.dataset_event("plums", odd=facet(of="1")),
    }[kind]
    first = story.send(told)
    shown = story.all_shown()
    backwards = dict(reversed(told.items()))
    written = json.format(json.encode(backwards), indent=3).replace(b"plums", b"pl\\u0075ms")
    for again in (json.encode(told), written + b"\n"):
        assert story.send(again).json == first.json | {"is_repeat": True}
    assert written != json.encode(told)
    assert story.all_shown() == shown


FIRST = "2019-01-01T00:00:00Z"
BEGUN = ("running", at(8), None)
STORIES: dict[str, tuple[list[tuple[str, int, Json]], tuple[str, str, str | None]]] = {
    "a start": ([("START", 8, {})], BEGUN),
    "a start and an end": ([("START", 8, {}), ("COMPLETE", 9, {})], ("completed", at(8), at(9))),
    "an end alone": ([("COMPLETE", 9, {})], ("completed", at(9), at(9))),
    "an end, and a start of years before": (
        [("START", 8, {}), ("COMPLETE", 9, {}), ("START", 8, {"eventTime": FIRST})],
        ("completed", FIRST, at(9)),
    ),
    "two ends": ([("START", 8, {}), ("FAIL", 10, {}), ("COMPLETE", 9, {})], ("completed", at(8), at(9))),
    "a failure before the end": ([("FAIL", 9, {}), ("COMPLETE", 10, {})], ("failed", at(9), at(9))),
    "an abortion": ([("START", 8, {}), ("ABORT", 9, {})], ("aborted", at(8), at(9))),
    "an end and a sign of life after it": (
        [("START", 8, {}), ("COMPLETE", 9, {}), ("RUNNING", 10, {})],
        ("completed", at(8), at(9)),
    ),
    "what is no change of state": ([("OTHER", 9, {}), ("RUNNING", 8, {})], BEGUN),
    "a type that nobody knows": ([("PONDERING", 8, {})], BEGUN),
    "a type in lower case": ([("start", 8, {}), ("fail", 9, {})], ("failed", at(8), at(9))),
    "no type": ([("START", 8, {"eventType": None})], BEGUN),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_run_is_what_its_events_tell_in_whatever_order(story: Story, name: str) -> None:
    """The earliest moment is its start, the earliest end its end, and no later one opens it again."""
    told, expected = STORIES[name]
    for number, order in enumerate(permutations(told)):
        run_id = story.run_id(str(number))
        for event_type, hour, more in order:
            story.tell(story.event(event_type, hour, run_id, **more))
        run = story.shown_run(run_id)
        assert (run["state"], run["started_at"], run["ended_at"]) == expected, order


@pytest.mark.parametrize("event_type", ["FAIL", "ABORT"])
@pytest.mark.parametrize("told_with", ["the end", "an event before", "an event after"])
def test_why_a_run_failed_is_shown_whichever_event_tells_it(story: Story, event_type: str, told_with: str) -> None:
    why = story.run(errorMessage=ROTTEN)
    end = story.event(event_type, 10)
    events = {
        "the end": [end | {"run": why}],
        "an event before": [story.event("RUNNING", 9, run=why), end],
        "an event after": [end, story.event("OTHER", 11, run=why)],
    }[told_with]
    story.tell(story.event(), *events)
    run = story.shown_run()
    assert run["state"] == {"FAIL": "failed", "ABORT": "aborted"}[event_type]
    assert run["error"] == {"type": "farm.errors.Rotten", "message": "the plums are blue", "traceback": TRACE}


def test_a_streaming_run_is_never_lost(server: Server, story: Story) -> None:
    """Nobody promised signs of life for it; a run of an SDK that did, and has been silent for a year, is lost."""
    streaming = facet(processingType="STREAMING", integration="FLINK", jobType="JOB")
    story.tell(story.event(job=story.job("stream", jobType=streaming)))
    begun = {"run_id": story.run_id("sdk"), "heartbeat_interval_s": 1}
    target = f"/api/v1/jobs/batch/runs?namespace={quote(story.namespace, safe='')}"
    assert server.ask("POST", target, begun).status == 201
    later = Lake.open(str(server.home), clock=lambda: now_us() + YEAR_US)
    runs = later.dispatch(ListRuns(namespace=story.namespace)).items
    later.close()
    assert {run.job_name: run.state for run in runs} == {"stream": "running", "batch": "lost"}
    assert story.shown_run()["state"] == "running"


@pytest.mark.parametrize(
    "text", ["scheduled__2026-02-01T08:00", "dag/task: 1", "🍎", "..", "plum-" * 409 + "jam"], ids=range(5)
)
def test_a_run_whose_id_is_text_is_found_by_it(story: Story, text: str) -> None:
    """Other tools name runs as they like, at length: the id is made of the text, the same everywhere."""
    story.tell(story.event(run_id=text))
    made = str(uuid5(NAMESPACE_URL, f"openlineage:run:{text}"))
    run = story.shown_run(made)
    assert (run["run_id"], run["external_id"]) == (made, text)
    assert story.read("/runs/-", run_id=text) == run
    for path in ("events", "openlineage"):
        assert story.items(f"/runs/-/{path}", run_id=text) == story.items(f"/runs/{made}/{path}")


def test_an_upper_case_uuid_is_the_same_run(story: Story) -> None:
    story.tell(story.event(run_id=RUN_ID.upper()), story.event("COMPLETE", 9, RUN_ID))
    (run,) = story.items("/runs")
    assert (run["run_id"], run["external_id"], run["state"]) == (RUN_ID, None, "completed")
    assert story.shown_run(RUN_ID.upper()) == story.shown_run(RUN_ID)


UNUSABLE: dict[str, tuple[Json, str]] = {
    "a blank run id": ({"run": {"runId": " "}}, "$.run.runId"),
    "a run id of other blanks": ({"run": {"runId": "\u00a0\u2003"}}, "$.run.runId"),
    "a run id of control characters": ({"run": {"runId": "\t"}}, "$.run.runId"),
    "an empty run id": ({"run": {"runId": ""}}, "$.run.runId"),
    "a run id that is a number": ({"run": {"runId": 7}}, "$.run.runId"),
    "a run without a job": ({"job": None}, "$.job"),
    "an empty name of a job": ({"job": {"namespace": "farm", "name": ""}}, "$.job.name"),
    "an empty namespace of a job": ({"job": {"namespace": "", "name": "job"}}, "$.job.namespace"),
    "an input that is none": ({"inputs": [{"namespace": "farm", "name": "a"}, 7]}, "$.inputs[1]"),
    "an input without a namespace": ({"inputs": [{"name": "plums"}]}, "$.inputs[0]"),
    "a time that is none": ({"eventTime": "noon"}, "$.eventTime"),
    "nothing that it is about": ({"run": None, "job": None}, "$"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_event_that_cannot_be_used_is_refused_with_the_place(story: Story, name: str) -> None:
    """And leaves nothing behind."""
    broken, place = UNUSABLE[name]
    reply = story.send(story.event() | broken)
    assert (reply.status, reply.json["code"]) == (422, "openlineage_unusable")
    assert str(reply.json["detail"]).endswith(f"at `{place}`")
    assert [story.items(path) for path in ("/jobs", "/runs", "/tables")] == [[], [], []]


@pytest.mark.parametrize("body", [b"", b"{", b"plums", b"\xff", b"[]", b"7", b"null"], ids=range(7))
def test_what_is_no_json_object_is_no_event(story: Story, body: bytes) -> None:
    reply = story.send(body)
    assert (reply.status, reply.json["code"]) in {(400, "malformed"), (422, "openlineage_unusable")}


INVALID: dict[str, tuple[Json, str]] = {
    "a run id that is no UUID": ({"run": {"runId": "monday"}}, "$.run.runId: expected a UUID"),
    "a type that is none": ({"eventType": "PONDERING"}, "$.eventType"),
    "no producer": ({"producer": None}, "$.producer"),
    "a facet without a schema": ({"run": {"runId": RUN_ID, "facets": {"odd": {}}}}, "$.run.facets.odd._schemaURL"),
    "an output's rows that are text": (
        {"outputs": [{"namespace": "a", "name": "b", "outputFacets": {"outputStatistics": facet(rowCount="x")}}]},
        "$.outputs[0].outputFacets.outputStatistics.rowCount",
    ),
}


@pytest.mark.parametrize("name", INVALID)
def test_strictly_what_departs_from_the_specification_is_refused_with_its_path(story: Story, name: str) -> None:
    """Leniently the very same event is taken."""
    broken, path = INVALID[name]
    told = story.event() | broken
    reply = story.send(told, "?strict=true")
    assert (reply.status, reply.json["code"]) == (422, "openlineage_invalid")
    assert path in str(reply.json["detail"])
    assert story.items("/jobs") == []
    assert [story.send(told, query).status for query in ("", "?strict=false")] == [201, 201]
    assert story.items("/jobs") != []


def test_strictly_what_is_as_specified_is_taken(story: Story) -> None:
    data: Json = {"inputs": [story.data("plums")], "outputs": [story.data("jam", odd=facet(of=[1, None]))]}
    for told in (story.event("COMPLETE") | data, story.job_event() | data, story.dataset_event("jam")):
        assert story.send(told, "?strict=true").status == 201


@pytest.mark.parametrize("query", ["?strict=perhaps", "?strickt=true"])
def test_strictness_that_is_misspelt_is_refused(story: Story, query: str) -> None:
    """It would otherwise pass for leniency."""
    assert story.send(story.event(), query).status == 422
    assert story.items("/runs") == []


@pytest.mark.parametrize("header", ["Bearer of-nothing", "Basic dXNlcjpwYXNz", "odd"])
def test_a_key_is_taken_where_none_is_asked_for(story: Story, header: str) -> None:
    """Producers of OpenLineage are often configured with one."""
    assert story.send(story.event(), Authorization=header).status == 201
