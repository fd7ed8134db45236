"""Whose child a run is, by whichever name its producer calls the facet."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest
from msgspec import Raw, json

from datlake_sdk.wire.operations import GetRun, RecordLineage, RunOpenLineage
from datlake_server.lake import Lake
from tests.openlineage.material import PRODUCER, Json

CHILD, A, B = (f"0190c6a0-0000-7000-8000-00000000000{digit}" for digit in "1ab")


def event(minute: int, **facets: str) -> Json:
    """An event of the child, whose facets name these runs."""
    parents = {
        name: {
            "_producer": PRODUCER,
            "_schemaURL": PRODUCER,
            "run": {"runId": run_id},
            "job": {"namespace": "farm", "name": "harvest"},
        }
        for name, run_id in facets.items()
    }
    return {
        "eventType": "RUNNING",
        "eventTime": f"2026-02-01T08:0{minute}:00Z",
        "producer": PRODUCER,
        "schemaURL": PRODUCER,
        "run": {"runId": CHILD, "facets": parents},
        "job": {"namespace": "farm", "name": "harvest.pick"},
    }


STORIES: dict[str, tuple[list[Json], str]] = {
    "its first name alone": ([event(1, parentRun=A), event(2)], A),
    "its own name before the first one": ([event(1, parent=A, parentRun=B)], A),
    "the later of two, whatever they are called": ([event(1, parent=A), event(2, parentRun=B)], B),
    "the later one, called as it is now": ([event(1, parentRun=A), event(2, parent=B)], B),
}


@pytest.mark.parametrize("story", STORIES)
def test_a_run_has_the_parent_that_its_producer_names(story: str, tmp_path: Path) -> None:
    """Airflow's integrations called the facet `parentRun` until the specification named it, and some tools still do."""
    told, parent = STORIES[story]
    for number, order in enumerate(permutations(told)):
        lake = Lake.open(str(tmp_path / str(number)))
        try:
            for one in order:
                lake.dispatch(RecordLineage(event=Raw(json.encode(one))))
            assert lake.dispatch(GetRun(run_id=CHILD, namespace="farm")).parent_run_id == parent
            assert lake.dispatch(RunOpenLineage(run_id=CHILD, namespace="farm")).items == told
        finally:
            lake.close()
