"""How OpenLineage events come: many at once, packed, too large, too deep; a server takes what it can and lives on."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from typing import cast

import pytest
from msgspec import json

from tests.http.served import Server
from tests.http.told import Json, Story

ALL = {"Prefer": "return=representation"}
MIB = 1 << 20


@pytest.fixture(autouse=True)
def lives_on(server: Server) -> Iterator[None]:
    """Whatever a server was sent, it answers the next."""
    yield
    assert server.ask("GET", "/health/ready").status == 200


def summary(received: int, failed: int) -> Json:
    """How many there were, and what became of them."""
    good = received - failed
    return {"received": received, "successful": good, "failed": failed, "retriable": 0, "non_retriable": failed}


def run_ids(story: Story) -> set[object]:
    return {run["run_id"] for run in story.items("/runs", limit="1000")}


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_a_batch_that_is_taken_whole_needs_no_words(story: Story, count: int) -> None:
    """Who prefers some is told that nothing failed; sent again it changes nothing."""
    batch = [story.event(run_id=story.run_id(str(number))) for number in range(count)]
    silent = story.send(batch, "/batch")
    assert (silent.status, silent.body) == (204, b"")
    told = story.send(batch, "/batch", **ALL)
    assert (told.status, told.json["status"], told.json["failed_events"]) == (200, "success", [])
    assert told.json["summary"] == summary(count, 0)
    assert run_ids(story) == {story.run_id(str(number)) for number in range(count)}


@pytest.mark.parametrize("query", ["", "?strict=true"])
def test_the_good_events_of_a_batch_are_taken_beside_the_bad(story: Story, query: str) -> None:
    """The bad ones are told by their place in the batch, each with what is wrong; nobody need send the others again."""
    good, text, nothing = story.event(run_id=story.run_id("good")), story.event(run_id="monday"), {"eventType": "START"}
    reply = story.send([good, nothing, 7, text, story.event()], f"/batch{query}")
    bad = [1, 2, 3] if query else [1, 2]
    assert (reply.status, reply.json["status"]) == (200, "partial_success")
    assert reply.json["summary"] == summary(5, len(bad))
    failed = cast("list[Json]", reply.json["failed_events"])
    assert [one["index"] for one in failed] == bad
    reasons = ["`eventTime`", "`$`", "$.run.runId"]
    assert all(reason in str(one["reason"]) for reason, one in zip(reasons, failed, strict=False))
    assert run_ids(story) >= {story.run_id("good"), story.run_id()}
    assert len(run_ids(story)) == 5 - len(bad)


def test_a_batch_of_bad_events_alone_has_failed(story: Story) -> None:
    batch = [{}, story.event() | {"job": {"namespace": "farm", "name": ""}}, [story.event()], None]
    reply = story.send(batch, "/batch")
    assert (reply.status, reply.json["status"], reply.json["summary"]) == (200, "failure", summary(4, 4))
    assert run_ids(story) == set()


@pytest.mark.parametrize("count", [2, 5])
def test_an_event_that_a_batch_holds_several_times_is_kept_once(story: Story, count: int) -> None:
    story.tell(story.event())
    assert story.send([story.event("COMPLETE", 9)] * count, "/batch").status == 204
    assert len(story.told_of_run()) == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{}", 422), (b'"x"', 422), (b"null", 422), (b"", 400), (b"[{]", 400), (b"[%s{}]" % (b"{}," * 1000), 422)],
    ids=["an object", "a text", "null", "nothing", "broken JSON", "one event too many"],
)
def test_what_is_no_batch_is_refused_whole(story: Story, body: bytes, status: int) -> None:
    assert story.send(body, "/batch").status == status


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip"])
def test_packed_events_are_what_they_were(story: Story, coding: str) -> None:
    """Clients of OpenLineage pack them, one or many."""
    told = story.event()
    single = story.send(gzip.compress(json.encode(told)), Content_Encoding=coding)
    assert (single.status, single.json["is_repeat"]) == (201, False)
    assert story.send(told).json == single.json | {"is_repeat": True}
    ended = story.event("COMPLETE", 9)
    both = json.encode([told, ended])
    assert story.send(gzip.compress(both), "/batch", Content_Encoding=coding).status == 204
    in_members = gzip.compress(both[:40]) + gzip.compress(b"") + gzip.compress(both[40:])
    assert story.send(in_members, "/batch", Content_Encoding=coding).status == 204
    assert story.told_of_run() == [told, ended]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "not packed": gzip.decompress,
    "cut short": lambda packed: packed[:-1],
    "a head alone": lambda packed: packed[:10],
    "garbled": lambda packed: packed[:12] + b"\xff\xff\xff" + packed[15:],
    "another checksum": lambda packed: packed[:-8] + bytes(4) + packed[-4:],
    "followed by something": lambda packed: packed + b"x",
    "in too many members": lambda packed: packed + gzip.compress(b"") * 100,
}


@pytest.mark.parametrize("path", ["", "/batch"])
@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_packet_is_refused(story: Story, name: str, path: str) -> None:
    told = json.encode([story.event()] if path else story.event())
    reply = story.send(DAMAGES[name](gzip.compress(told)), path, Content_Encoding="gzip")
    assert (reply.status, reply.json["code"]) == (400, "malformed")
    assert run_ids(story) == set()


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "gzip, gzip"])
def test_another_packing_is_refused_by_its_name(story: Story, coding: str) -> None:
    reply = story.send(gzip.compress(json.encode(story.event())), Content_Encoding=coding)
    assert (reply.status, reply.json["code"]) == (415, "unknown_encoding")
    assert coding in str(reply.json["detail"])


@pytest.mark.parametrize(("path", "limit"), [("", MIB), ("/batch", 5 * MIB)])
def test_a_packet_of_much_of_nothing_is_refused(story: Story, path: str, limit: int) -> None:
    """Blanks before an event are JSON; 64 MiB of them come in 64 KiB."""
    told = json.encode(story.event() if not path else [story.event()])
    for size in (limit + 1, 64 * MIB):
        reply = story.send(gzip.compress(told.rjust(size), 1), path, Content_Encoding="gzip")
        assert (reply.status, reply.json["code"]) == (413, "too_large")
    assert run_ids(story) == set()
    assert story.send(gzip.compress(told.rjust(limit), 1), path, Content_Encoding="gzip").status in {201, 204}


@pytest.mark.parametrize(("path", "limit"), [("", MIB), ("/batch", 5 * MIB)])
def test_an_event_may_be_as_large_as_a_body(story: Story, path: str, limit: int) -> None:
    """One byte more is refused, and nothing is taken of it."""
    told = story.event() | {"run": story.run(odd={"x": ""})}
    empty = len(json.encode([told] if path else told))
    largest = story.event() | {"run": story.run(odd={"x": "x" * (limit - empty)})}
    larger = story.event() | {"run": story.run(odd={"x": "x" * (limit - empty + 1)})}
    refused = story.send([larger] if path else larger, path)
    assert (refused.status, refused.json["code"], run_ids(story)) == (413, "too_large", set())
    assert story.send([largest] if path else largest, path).status in {201, 204}
    assert story.told_of_run() == [largest]


def nested(levels: int) -> object:
    """Lists in lists."""
    value: object = "plum"
    for _ in range(levels):
        value = [value]
    return value


def test_an_event_may_be_64_levels_deep(story: Story) -> None:
    """The facet's value is at the fifth; one level more is refused, a hundred thousand too."""
    deep = story.event() | {"run": story.run(odd={"x": nested(60)})}
    story.tell(deep)
    assert story.told_of_run() == [deep]
    deeper = json.encode(story.event("COMPLETE") | {"run": story.run(odd={"x": nested(61)})})
    for body in (deeper, b"[" * 100_000, b'{"run":' * 100_000):
        reply = story.send(body)
        assert (reply.status, reply.json["code"]) == (422, "too_deep")
    assert story.told_of_run() == [deep]
