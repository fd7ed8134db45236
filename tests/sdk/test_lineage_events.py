"""An OpenLineage event travels as it is, in whatever form a caller has it."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from enum import Enum

import msgspec
import pytest

from datlake_sdk._lineage_events import event_of, events_of
from datlake_sdk.errors import InvalidRequest
from datlake_sdk.transport.answers import Received, answer_from
from datlake_sdk.wire.operations import RecordLineageBatch

TOLD = {"eventTime": "2026-11-23T03:00:00Z", "run": {"runId": "r"}, "job": {"namespace": "n", "name": "j"}}


class Kind(Enum):
    """As producers have the types of their events."""

    START = "START"


class Event(msgspec.Struct, omit_defaults=True, rename="camel"):
    """An event as a Struct of somebody's own."""

    event_time: str
    run: dict[str, str]
    job: dict[str, str]
    event_type: str | None = None


def read(event: object) -> object:
    """What travels, read again."""
    return json.loads(bytes(event_of(event)))


def test_a_dict_a_struct_and_json_are_the_same_event() -> None:
    """Producers differ in what they hold when they tell."""
    whole = Event(event_time="2026-11-23T03:00:00Z", run={"runId": "r"}, job={"namespace": "n", "name": "j"})
    text = json.dumps(TOLD)
    assert [read(each) for each in (TOLD, whole, text, text.encode(), bytearray(text.encode()))] == [TOLD] * 5


def test_json_is_passed_on_to_the_letter() -> None:
    """What is kept is what was told: no digit and no order is lost on the way."""
    text = '{ "z": 1.10, "a": 123456789012345678901234567890 }'
    assert bytes(event_of(text)) == text.encode()


def test_times_and_enums_in_a_dict_become_what_the_specification_has() -> None:
    """Users write Python."""
    moment = datetime(2026, 11, 23, 3, tzinfo=UTC)
    assert read({"eventTime": moment, "eventType": Kind.START, "extra": {1j}}) == {
        "eventTime": "2026-11-23T03:00:00Z",
        "eventType": "START",
        "extra": ["1j"],
    }


@pytest.mark.parametrize(
    "event", ["{", b"", "[1, 2", '{"a": \ud800}', '{"a": 1} 2'], ids=["open", "empty", "array", "half", "two"]
)
def test_what_is_no_json_is_refused_before_it_travels(event: object) -> None:
    """In a batch it would make the good ones beside it unreadable."""
    with pytest.raises(InvalidRequest, match=r"this event cannot be read: .*; pass a dict"):
        event_of(event)
    with pytest.raises(InvalidRequest, match="event 1 of the batch: this event cannot be read"):
        events_of([TOLD, event])


def test_an_empty_answer_says_that_all_of_a_batch_were_accepted() -> None:
    """204 is how the specification says it; the caller gets counts all the same."""
    op = RecordLineageBatch(events=events_of([TOLD, TOLD, TOLD]))
    answer = answer_from(Received(204, {}, b"", "http://lake/api/v1/lineage/batch"), op)
    assert (answer.status, answer.summary.received, answer.summary.successful) == ("success", 3, 3)
    assert answer.failed_events == []


@pytest.mark.parametrize("version", ["event_v2", "run"], ids=["new", "deprecated"])
def test_an_event_of_the_openlineage_client_travels_as_that_client_sends_it(version: str) -> None:
    """Its users have such objects in their hands; what is null in them is left out, at every depth."""
    told = subprocess.run([sys.executable, "-c", FOREIGN, version], capture_output=True, text=True, check=True)
    mine, theirs = told.stdout.splitlines()
    assert json.loads(mine) == json.loads(theirs)
    assert "null" not in mine
    assert json.loads(mine)["run"]["facets"]["nominalTime"]["nominalStartTime"] == "2026-11-23T03:00:00Z"


# In a process of its own: importing that client loads two HTTP libraries, and its older half warns.
FOREIGN = """
import importlib, sys
from datlake_sdk._lineage_events import event_of
from openlineage.client import facet_v2
from openlineage.client.serde import Serde

old = importlib.import_module(f"openlineage.client.{sys.argv[1]}")
when = facet_v2.nominal_time_run.NominalTimeRunFacet(nominalStartTime="2026-11-23T03:00:00Z")
event = old.RunEvent(
    eventType=old.RunState.START,
    eventTime="2026-11-23T03:00:00Z",
    run=old.Run(runId="0199a5b2-1111-7000-8000-000000000001", facets={"nominalTime": when}),
    job=old.Job(namespace="n", name="j"),
    producer="https://example.com/p",
)
print(bytes(event_of(event)).decode())
print(Serde.to_json(event))
"""
