"""Stories in which the order of arrival once showed: each in all of its orders, held equal to the fold."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import msgspec
import pytest

from datlake_sdk.lineage.ids import version_id
from datlake_sdk.wire.models import DataRef
from datlake_sdk.wire.operations import AddInputs, AddOutputs, Op, RecordLineage, RegisterSnapshot
from tests.properties.openlineage_fold import fold
from tests.properties.openlineage_streams import Delivery, Item, Json, Sent, facet, named
from tests.properties.test_openlineage_any_order import shown_after

JOB = ("default", "load")
A, B = "0193a5c0-0000-7000-8000-0000000000aa", "0193a5c0-0000-7000-8000-0000000000bb"
T, U = ("default", "t"), ("s3://b", "u")
FED = facet(fields={"a": {"inputFields": [{**named(U), "field": "b"}]}})


def dataset(name: tuple[str, str], version: str = "", **facets: Json) -> Json:
    """A dataset with these facets."""
    return {**named(name), "facets": facets | ({"version": facet(datasetVersion=version)} if version else {})}


def event(run_id: str, minute: int, *, inputs: list[Json] | None = None, outputs: list[Json], **facets: Json) -> Json:
    """An event of a run of the job, which has these facets."""
    return {
        "eventTime": f"2024-01-01T00:0{minute}:00Z",
        "eventType": "RUNNING",
        "producer": "https://example.com/producer",
        "schemaURL": "https://example.com/schema",
        "run": {"runId": run_id},
        "job": {**named(JOB), "facets": facets},
        "inputs": inputs or [],
        "outputs": outputs,
    }


def renamed(before: tuple[str, str]) -> Json:
    """An output that was dropped, and what it was called."""
    change = facet(lifecycleStateChange="DROP", previousIdentifier=named(before))
    return dataset(T, lifecycleStateChange=change)


# Of two versions of one moment the one with the greater id.
NEWER = max("v1", "v2", key=lambda version: version_id(*T, version))
SELF_FED = facet(entries=[{"type": "DATASET", **named(T), "inputs": [{"type": "DATASET", **named(T)}]}])
# As `event` has it: an SDK tells it of the same run and moment.
READ = AddInputs(
    job_name="load", run_id=A, items=[DataRef(table_name="t")], added_at=datetime(2024, 1, 1, 0, 4, tzinfo=UTC)
)
WROTE = AddOutputs(
    job_name="load", run_id=A, items=[DataRef(uri="s3://b/u")], added_at=datetime(2024, 1, 1, tzinfo=UTC)
)
REGISTERED = RegisterSnapshot(
    table_name="t", uri="s3://b/u", format="csv", snapshot_id=B, created_at=datetime(2023, 1, 1, tzinfo=UTC)
)
STORIES: dict[str, list[Item]] = {
    "columns are as of the version that is told later": [
        event(A, 1, outputs=[dataset(T, columnLineage=FED)]),
        event(A, 3, outputs=[dataset(T, "v1")]),
    ],
    "columns are as of the earlier of two versions": [
        event(A, 1, outputs=[dataset(T, "v1")]),
        event(A, 3, outputs=[dataset(T, "v2", columnLineage=FED)]),
    ],
    "a version that the run made first is none that it reads of others": [
        event(A, 1, inputs=[dataset(T)], outputs=[dataset(T, NEWER)]),
        event(B, 1, outputs=[dataset(T, "v1"), dataset(T, "v2")]),
    ],
    "what was stated of an output goes with it when a version takes its place": [
        event(A, 2, outputs=[dataset(T)], lineage=SELF_FED),
        event(A, 3, outputs=[dataset(T, "v1")], lineage=facet(entries=[])),
        event(A, 1, inputs=[dataset(T, "v1")], outputs=[]),
    ],
    "the greater name before a change stays, whichever table came first": [
        event(A, 1, outputs=[renamed(U)]),
        event(A, 1, outputs=[renamed(("a", "u"))]),
    ],
    "what an SDK and an event tell to be read at one moment are two things": [
        event(A, 4, inputs=[dataset(T)], outputs=[dataset(U, "v1")]),
        READ,
        event(A, 3, outputs=[dataset(T)]),
    ],
    "a table that an event names is known though nothing points to it any more": [
        {"eventTime": "2024-01-01T00:01:00Z", "producer": "https://example.com/producer", "dataset": dataset(U)},
        WROTE,
        REGISTERED,
    ],
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_every_order_of_the_story_ends_as_the_fold_says(story: list[Item], empty_lake: Path) -> None:
    """Each of these ended otherwise in some order, which chance finds once in a thousand streams."""
    expected = fold(story)
    for arrived in permutations(story):
        sent = [Sent(0, one if isinstance(one, Op) else told(one)) for one in arrived]
        assert shown_after(empty_lake, Delivery(story, list(arrived), sent, in_turn=True)) == expected


def told(one: Json) -> RecordLineage:
    """The event, as a producer sends it."""
    return RecordLineage(event=msgspec.Raw(msgspec.json.encode(one)))
