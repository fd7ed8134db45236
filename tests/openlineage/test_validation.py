"""Strict validation says what the specification's schemas say, and where; the lenient one never asks it."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import json

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.lineage.shapes import Object
from datlake_sdk.lineage.shapes_facets import DATASET_FACETS, JOB_FACETS, RUN_FACETS
from datlake_sdk.lineage.validate import check, problems
from tests.openlineage import specification
from tests.openlineage.material import (
    FOLDER,
    IS_HERE,
    PRODUCER,
    Json,
    event_sets,
    event_with,
    full_event,
    needs_material,
    place_of,
    read,
    samples,
)

STEMS = list(samples()) if IS_HERE else []
FILES = [path.stem for path in sorted((FOLDER / "spec" / "facets").glob("*.json"))]
VERSIONS = [path.name.partition("__")[0] for path in sorted((FOLDER / "spec" / "versions").glob("*__OpenLineage.json"))]
WRONG: list[object] = [
    None,
    True,
    5,
    1.5,
    2.0,
    "x",
    "",
    "https://example.com/x",
    "2024-01-01T00:00:00Z",
    [],
    {},
    [1],
    {"a": 1},
]
BASE: Json = {"_producer": PRODUCER, "_schemaURL": "https://example.com/facet.json"}


def told(event: object) -> list[str]:
    return [str(problem) for problem in problems(event)]


def paths(event: object) -> list[str]:
    return [problem.path for problem in problems(event)]


def simple(**more: object) -> Json:
    return event_with(("run", "facets"), {}) | more


def mutated(event: Json) -> Iterator[Json]:
    """The event with each part of it left out, or with something else in its place."""
    for path in list(_paths(event)):
        yield _changed(event, path, [])
        for wrong in WRONG:
            yield _changed(event, path, [wrong])


def _paths(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _paths(item, (*path, key))


def _changed(event: Json, path: tuple[str | int, ...], instead: list[object]) -> Json:
    changed = copy.deepcopy(event)
    holder: object = changed
    for step in path[:-1]:
        holder = holder[step]  # type: ignore[index] # the path was found there
    if instead:
        holder[path[-1]] = instead[0]  # type: ignore[index] # as above
    else:
        del holder[path[-1]]  # type: ignore[attr-defined] # as above
    return changed


def agree(event: Json) -> None:
    found = told(event)
    assert specification.is_valid(event) == (not found), f"{found}\n{json.encode(event).decode()}"


@needs_material
@pytest.mark.parametrize("stem", STEMS)
def test_a_sample_of_the_specification_and_all_that_is_wrong_with_it_is_judged_as_by_its_schema(stem: str) -> None:
    """Each part of each standard facet, left out or of another type; the samples themselves are valid."""
    name, facet = samples()[stem]
    event = event_with(place_of(stem), {name: facet})
    assert told(event) == []
    agree(event)
    for changed in mutated(event):
        agree(changed)


@needs_material
@pytest.mark.parametrize("stem", FILES)
def test_a_facet_with_all_that_its_schema_knows_and_all_that_is_wrong_with_it_is_judged_as_by_it(stem: str) -> None:
    """Samples leave much out; made from the schema, a facet has every key, and every kind of condition and source."""
    judged: set[bytes] = set()
    for choice in range(16):
        place = (("outputs", "facets"), ("job", "facets"))[choice % 2] if stem == "LineageFacet" else place_of(stem)
        event = event_with(place, specification.fullest(stem, choice))
        if json.encode(event) in judged:
            continue
        assert told(event) == []
        for changed in (event, *mutated(event)):
            if (text := json.encode(changed)) not in judged:
                judged.add(text)
                agree(changed)


@needs_material
def test_the_event_sets_and_all_that_is_wrong_with_them_are_judged_as_by_the_schemas() -> None:
    """Whole events of real producers: some are valid and some are not."""
    seen = {bool(told(event)) for events in event_sets().values() for event in events}
    assert seen == {True, False}
    for events in event_sets().values():
        for event in events:
            agree(event)
    for changed in mutated(full_event()):
        agree(changed)


@needs_material
@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_published_core_takes_for_an_event_is_valid(version: str) -> None:
    """Producers keep their versions for years."""
    url = f"https://openlineage.io/spec/{version}/OpenLineage.json#/definitions/RunEvent"
    every = [{**event, "schemaURL": url} for events in event_sets().values() for event in events]
    every = [{key: value for key, value in event.items() if key != "dataset"} for event in every]
    taken = [event for event in every if specification.run_event(version).is_valid(event)]
    assert len(taken) > len(every) / 2
    for event in taken:
        check(event)


@needs_material
def test_every_facet_that_the_specification_has_is_known_by_name() -> None:
    """A new release of the specification adds some: this says that ours are behind."""
    names = {name for path in (FOLDER / "spec" / "facets").glob("*.json") for name in _properties(read(path))}
    assert names == {*RUN_FACETS, *JOB_FACETS, *DATASET_FACETS}
    assert len(list((FOLDER / "spec" / "facets").glob("*.json"))) == 38


def _properties(schema: Json) -> set[str]:
    properties = schema["properties"]
    assert isinstance(properties, dict)
    return set(properties)


@needs_material
@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_wrong_in_several_places_is_judged_as_by_the_schemas(data: st.DataObject) -> None:
    """One fault must not hide another, nor heal it."""
    events = [event for events in event_sets().values() for event in events]
    event = data.draw(st.sampled_from(events))
    # The schemas take a bad job beside a dataset for an event of the dataset; for us it is neither.
    event = {key: value for key, value in event.items() if key != "dataset"}
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from(list(_paths(event))))
        instead = data.draw(st.sampled_from([[], *([wrong] for wrong in WRONG)]))
        event = _changed(event, path, list(instead))
        if not event:
            return
    agree(event)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ([], "$: expected an object, found a list"),
        ({}, "$.eventTime: expected a date-time of RFC 3339 with its zone, found nothing"),
        (simple(run={"runId": "r 1"}), '$.run.runId: expected a UUID, found "r 1"'),
        (
            simple(eventType="DONE"),
            '$.eventType: expected one of START, RUNNING, COMPLETE, ABORT, FAIL, OTHER, found "DONE"',
        ),
        (simple(producer="me"), "$.producer: expected a URI, found text"),
        (simple(inputs={}), "$.inputs: expected a list, found an object"),
        (simple(outputs=[{"name": "t"}]), "$.outputs[0].namespace: expected text, found nothing"),
        (
            event_with(("run", "facets"), {"nominalTime": {**BASE, "nominalStartTime": "2024-01-01T00:00"}}),
            (
                "$.run.facets.nominalTime.nominalStartTime: expected a date-time of RFC 3339 with its zone, found "
                '"2024-01-01T00:00"'
            ),
        ),
        (
            event_with(("job", "facets"), {"my facet": {"_producer": PRODUCER}}),
            '$.job.facets["my facet"]._schemaURL: expected a URI, found nothing',
        ),
        (
            event_with(
                ("outputs", "facets"), {"schema": {**BASE, "fields": [{"name": "a", "fields": [{"type": "int"}]}]}}
            ),
            "$.outputs[0].facets.schema.fields[0].fields[0].name: expected text, found nothing",
        ),
        (
            event_with(("run", "facets"), {"executionParameters": {**BASE, "parameters": [{"key": "k", "unit": "s"}]}}),
            '$.run.facets.executionParameters.parameters[0].unit: expected no such key, found "s"',
        ),
        (
            event_with(("job", "facets"), {"lineage": {**BASE, "entries": [{"type": "JOB", "name": "j"}]}}),
            "$.job.facets.lineage.entries[0]: expected namespace and name or none of them, found no namespace",
        ),
        (
            event_with(("inputs", "inputFacets"), {"subset": {**BASE, "inputCondition": {"type": "all"}}}),
            (
                "$.inputs[0].inputFacets.subset.inputCondition.type: expected one of location, partition, binary, "
                'compare, found "all"'
            ),
        ),
    ],
    ids=lambda value: value.partition(" ")[0] if isinstance(value, str) else "",
)
def test_a_fault_is_told_with_its_path_and_what_was_expected(event: object, expected: str) -> None:
    """Whoever emits the event must find the place without reading the schemas."""
    assert told(event)[0] == expected


@pytest.mark.parametrize(
    "parts",
    [{}, {"job", "dataset"}, {"run"}],
    ids=lambda parts: " and ".join(sorted(parts)) or "none",
)
def test_an_event_is_of_a_run_with_its_job_or_of_a_job_or_of_a_dataset(parts: set[str]) -> None:
    """Two of them at once are no event of either kind."""
    named = {"namespace": "n", "name": "x"}
    every: Json = {"run": {"runId": "0190c6a0-0000-7000-8000-00000000abcd"}, "job": named, "dataset": named}
    rest = {key: value for key, value in simple().items() if key in {"eventTime", "producer", "schemaURL"}}
    assert told(rest | {name: every[name] for name in parts})
    for kind in ({"run", "job"}, {"job"}, {"dataset"}):
        assert not told(rest | {name: every[name] for name in kind})


@pytest.mark.parametrize("place", [("job", "facets"), ("outputs", "facets")], ids=str)
def test_a_facet_that_is_taken_back_needs_to_say_nothing_else(place: tuple[str, ...]) -> None:
    """The schemas would ask for the text of a description that is gone; producers send what says that it is gone."""
    assert not told(event_with(place, {"documentation": {**BASE, "_deleted": True}}))
    [problem] = told(event_with(place, {"documentation": {**BASE, "description": "d", "_deleted": "yes"}}))
    assert problem.endswith("documentation._deleted: expected true or false, found text")


def test_an_event_with_very_many_faults_is_refused_with_the_first_ten() -> None:
    """An answer is for a person; and nobody has to find a million faults to refuse an event."""
    with pytest.raises(InvalidRequest) as caught:
        check(simple(inputs=[{}] * 100_000))
    assert caught.value.code == "openlineage_invalid"
    assert caught.value.message.count("expected") == 10
    assert "$.inputs[4].name" in caught.value.message
    assert "; and more;" in caught.value.message


def test_what_is_nested_very_deep_is_judged_like_anything_else() -> None:
    """A stack of Python's own would end at a thousand."""
    fields: Json = {"type": "the innermost has no name"}
    for _ in range(5_000):
        fields = {"name": "f", "fields": [fields]}
    event = event_with(("outputs", "facets"), {"schema": {**BASE, "fields": [fields]}})
    [problem] = problems(event)
    assert problem.path.count(".fields[0]") == 5_001
    assert problem.path.endswith(".name")


def test_a_value_that_may_be_a_secret_is_not_repeated() -> None:
    """What is refused ends up in logs."""
    variables = [{"name": "TOKEN", "value": {"secret": "s3cr3t"}}, {"name": ["s3cr3t"], "value": "v"}]
    event = event_with(("run", "facets"), {"environmentVariables": {**BASE, "environmentVariables": variables}})
    assert len(told(event)) == 2
    assert "s3cr3t" not in str(told(event))
    assert "s3cr3t" not in str(told(simple(producer="db s3cr3t")))


def test_no_shape_names_a_key_twice() -> None:
    """A key that is required and optional would be judged by whichever comes first."""
    for facet in (*RUN_FACETS.values(), *JOB_FACETS.values(), *DATASET_FACETS.values()):
        assert isinstance(facet, Object)
        assert not {*facet.required} & {*facet.optional}
