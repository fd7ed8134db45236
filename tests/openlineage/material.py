"""Where the specification's schemas, samples and event sets lie: `../shared/data/openlineage` beside the checkout.

They are not part of the repository; tests that stand on them are skipped where they are not there.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import json

Json = dict[str, object]

FOLDER = Path(__file__).parents[2].parent / "shared" / "data" / "openlineage"
IS_HERE = FOLDER.is_dir()
needs_material = pytest.mark.skipif(
    not IS_HERE,
    reason="the specification and its event sets are not beside the checkout, in ../shared/data/openlineage",
)

PRODUCER = "https://example.com/producer"
CORE = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
RUN_ID = "0190c6a0-0000-7000-8000-00000000abcd"
FILLED_IN = datetime(2024, 3, 1, 6, tzinfo=UTC)


def read(path: Path) -> Json:
    """The JSON object in a file."""
    return json.decode(path.read_bytes(), type=Json)


def samples() -> dict[str, tuple[str, object]]:
    """Each sample by its file's name: the facet's name and the facet."""
    found = {path.stem: read(path) for path in sorted((FOLDER / "spec" / "samples").glob("*__*.json"))}
    # One file is a whole event.
    return {stem: next(iter(sample.items())) for stem, sample in found.items() if not stem.startswith("tests__")}


def spark_simple() -> list[Json]:
    """Four events of one Spark job that reads t1 and writes t2."""
    return [read(path) for path in sorted((FOLDER / "events" / "spark_simple").glob("[0-9].json"))]


def food_delivery(start: datetime = FILLED_IN) -> list[Json]:
    """26 events of thirteen jobs, whose times are filled in."""
    text = (FOLDER / "events" / "food_delivery" / "events.template.json").read_text(encoding="utf-8")

    def time(found: re.Match[str]) -> str:
        minutes = int(found[1] or 0)
        return (start + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")

    return json.decode(re.sub(r"\{\{RUN_(?:START_TIME|END_TIME_AFTER_(\d+)_MINUTES)\}\}", time, text), type=list[Json])


def simple_run_event() -> Json:
    """One event whose run id is a text."""
    return read(FOLDER / "events" / "simple_run_event.json")


def full_event() -> Json:
    """The specification's own event with all there is."""
    return read(FOLDER / "spec" / "samples" / "tests__example_full_event.json")


def event_sets() -> dict[str, list[Json]]:
    """All event sets by their names."""
    return {
        "spark_simple": spark_simple(),
        "food_delivery": food_delivery(),
        "simple_run_event": [simple_run_event()],
        "full_event": [full_event()],
    }


def place_of(stem: str) -> tuple[str, ...]:
    """Where in an event the facet of a sample belongs, by its file's name."""
    if stem.startswith("LineageFacet"):
        return ("outputs", "facets") if stem.endswith("dataset-to-dataset") else ("job", "facets")
    kind = stem.partition("__")[0]
    if kind in {"DataQualityAssertionsDatasetFacet", "BaseSubsetDatasetFacet"} or kind.endswith("InputDatasetFacet"):
        return "inputs", "inputFacets"
    if kind.endswith("OutputDatasetFacet"):
        return "outputs", "outputFacets"
    for ending, owner in {"RunFacet": "run", "JobFacet": "job", "DatasetFacet": "outputs"}.items():
        if kind.endswith(ending):
            return owner, "facets"
    raise AssertionError(stem)


def event_with(place: tuple[str, ...], facets: Json) -> Json:
    """A completed run with one input and one output, and these facets in their place."""
    owner, container = place
    event: dict[str, object] = {
        "eventTime": "2024-03-01T06:00:00Z",
        "producer": PRODUCER,
        "schemaURL": f"{CORE}#/$defs/RunEvent",
        "eventType": "COMPLETE",
    }
    parts: dict[str, Json] = {
        "run": {"runId": RUN_ID},
        "job": {"namespace": "jobs", "name": "transform"},
        "inputs": {"namespace": "store", "name": "source"},
        "outputs": {"namespace": "store", "name": "target"},
    }
    parts[owner] = {**parts[owner], container: facets}
    return event | {name: [part] if name in {"inputs", "outputs"} else part for name, part in parts.items()}
