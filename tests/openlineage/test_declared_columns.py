"""What a job declares of columns stays beside what its runs tell, in whatever order the two are told."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest
from msgspec import Raw, json

from datlake_sdk.wire.operations import Lineage, RecordLineage
from datlake_server.lake import Lake
from tests.openlineage.material import PRODUCER, Json

RUN = "0190c6a0-0000-7000-8000-000000000001"
SHELF = "s3://shelf"
Fed = tuple[str, int, tuple[str, ...]]


def fed(**columns: str) -> list[Json]:
    """The jam, whose columns come from plums as said."""
    fields = {
        column: {
            "inputFields": [{"namespace": SHELF, "name": "plums", "field": "a", "transformations": [{"type": how}]}]
        }
        for column, how in columns.items()
    }
    facet: Json = {"_producer": PRODUCER, "_schemaURL": PRODUCER, "fields": fields}
    return [{"namespace": SHELF, "name": "jam", "facets": {"columnLineage": facet}}]


def event(minute: int, job: str, outputs: list[Json], run_id: str | None = RUN) -> Json:
    """An event of a run, or of the job alone."""
    of_run: Json = {} if run_id is None else {"run": {"runId": run_id}, "eventType": "RUNNING"}
    return {
        "eventTime": f"2026-02-01T08:0{minute}:00Z",
        "producer": PRODUCER,
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
        "job": {"namespace": "farm", "name": job},
        "inputs": [{"namespace": SHELF, "name": "plums"}],
        "outputs": outputs,
        **of_run,
    }


STORIES: dict[str, tuple[list[Json], set[Fed]]] = {
    "a run that turns out to be of another job": (
        [
            event(2, "boil", fed(b="DIRECT")),
            event(1, "stir", fed(b="DIRECT")),
            event(3, "boil", fed(b="INDIRECT"), None),
        ],
        {("b", 1, ("DIRECT", "INDIRECT"))},
    ),
    "a run that takes a column back": (
        [
            event(1, "boil", fed(b="DIRECT", c="DIRECT")),
            event(2, "boil", fed(b="DIRECT")),
            event(3, "boil", fed(c="INDIRECT"), None),
            event(4, "boil", fed(c="DIRECT"), None),
        ],
        {("b", 1, ("DIRECT",)), ("c", 0, ("INDIRECT",))},
    ),
}


def columns_fed(home: Path, told: list[Json]) -> set[Fed]:
    """Which columns a lake that is told these events draws below the plums', in how many runs, and how."""
    lake = Lake.open(str(home))
    try:
        for one in told:
            lake.dispatch(RecordLineage(event=Raw(json.encode(one))))
        asked = Lineage(kind="column", name="plums", namespace=SHELF, field="a", direction="downstream")
        graph = lake.dispatch(asked)
    finally:
        lake.close()
    fields = {node.id: node.field or "" for node in graph.nodes}
    return {
        (fields[edge.target], edge.count, tuple(sorted(step.type for step in edge.transformations or ())))
        for edge in graph.edges
    }


@pytest.mark.parametrize("story", STORIES)
def test_columns_are_counted_the_same_in_every_order(story: str, tmp_path: Path) -> None:
    """What no run of the job tells any more is as it was declared."""
    told, expected = STORIES[story]
    for number, order in enumerate(permutations(told)):
        assert columns_fed(tmp_path / str(number), list(order)) == expected
