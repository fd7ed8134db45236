"""What the specification's own schemas say of an event: the oracle of strict validation. Knows nothing of ours."""

from __future__ import annotations

from functools import cache
from typing import NoReturn

import jsonschema_rs

from tests.openlineage.material import CORE, FOLDER, PRODUCER, RUN_ID, Json, read

FACETS = "https://openlineage.io/spec/facets"
# Files that lay down a facet's shape without saying where it belongs, or for two places at once.
BY_POINTER = {"BaseSubsetDatasetFacet", "LineageFacet"}

_BASE: Json = {"_producer": PRODUCER, "_schemaURL": PRODUCER}
_VALUES: Json = {
    "string": "text",
    "uri": PRODUCER,
    "uuid": RUN_ID,
    "date-time": "2024-03-01T06:00:00.5+01:00",
    "integer": 7,
    "number": 1.5,
    "boolean": True,
}


@cache
def validator() -> jsonschema_rs.Draft202012Validator:
    """One schema: the core's, with each facet held against its own where it is known by name."""
    ids = {stem: str(schema["$id"]) for stem, schema in _facets().items()}
    return _validator(_all(ids), [])


@cache
def run_event(version: str) -> jsonschema_rs.Draft202012Validator:
    """A run event of the core as it was published, with the facets that it names beside it.

    Not the whole core: those of 2-0-0 and 2-0-1 have run events for job events, too, and so take none.
    """
    beside = f"https://openlineage.io/spec/{version}/facets"
    facets = [(f"{beside}/{stem}.json", schema) for stem, schema in _facets().items()]
    published = read(FOLDER / "spec" / "versions" / f"{version}__OpenLineage.json")
    definitions = "$defs" if "$defs" in published else "definitions"
    schema: Json = {"$ref": f"{published['$id']}#/{definitions}/RunEvent"}
    return _validator(schema, [*facets, (str(published["$id"]), published)])


def _facets() -> dict[str, Json]:
    return {path.stem: read(path) for path in sorted((FOLDER / "spec" / "facets").glob("*.json"))}


def _validator(schema: Json, more: list[tuple[str, Json]]) -> jsonschema_rs.Draft202012Validator:
    resources = [(str(one["$id"]), one) for one in [read(FOLDER / "spec" / "OpenLineage.json"), *_facets().values()]]
    registry = jsonschema_rs.Registry([*resources, *more], retriever=_nothing)
    return jsonschema_rs.Draft202012Validator(schema, registry=registry, validate_formats=True)


def _nothing(uri: str) -> NoReturn:
    """A test asks nobody on the network."""
    raise KeyError(uri)


def is_valid(event: object) -> bool:
    """True where the schemas have nothing against `event`."""
    return bool(validator().is_valid(event))


def fullest(stem: str, choice: int) -> Json:
    """The facet of a file of the specification with every key there is; `choice` numbers the ways to choose in it."""
    file = _facets()[stem]
    return {name: _instance(file, schema, choice, 0) for name, schema in _object(file["properties"]).items()}


def _instance(file: Json, told: object, choice: int, depth: int) -> object:
    """A value as `told` asks for it."""
    schema = _object(told)
    if "$ref" in schema:
        where = str(schema["$ref"]).partition("#/$defs/")
        return _BASE if where[0] else _instance(file, _object(file["$defs"])[where[2]], choice, depth + 1)
    if "const" in schema or "enum" in schema:
        return schema.get("const") or _list(schema["enum"])[0]
    merged: Json = {}
    for part in _list(schema.get("allOf", [])):
        merged |= _object(_instance(file, part, choice, depth))
    for several in ("oneOf", "anyOf"):
        if several in schema:
            parts = _list(schema[several])
            return _instance(file, parts[choice % len(parts)], choice // len(parts), depth)
    if schema.get("type") in {"object", None}:
        return merged | _filled(file, schema, choice, depth)
    if schema["type"] == "array":
        return [] if depth > 9 else [_instance(file, schema["items"], choice, depth + 1)]
    return _VALUES[str(schema.get("format", schema["type"]))]


def _filled(file: Json, schema: Json, choice: int, depth: int) -> Json:
    keys = _object(schema.get("properties", {}))
    filled = {name: _instance(file, of_key, choice, depth + 1) for name, of_key in keys.items()}
    others = schema.get("additionalProperties")
    return filled | ({"any": _instance(file, others, choice, depth + 1)} if isinstance(others, dict) else {})


def _object(value: object) -> Json:
    assert isinstance(value, dict)
    return value


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


def _all(ids: dict[str, str]) -> Json:
    run = _allof(ids, "RunFacet")
    job = _allof(ids, "JobFacet", {"lineage": f"{ids['LineageFacet']}#/$defs/LineageJobFacet"})
    dataset = _allof(
        ids,
        "DatasetFacet",
        {
            "lineage": f"{ids['LineageFacet']}#/$defs/LineageDatasetFacet",
            "subset": f"{ids['BaseSubsetDatasetFacet']}#/$defs/BaseSubsetDatasetFacet",
        },
    )
    inputs, outputs = _items(facets=dataset, inputFacets=dataset), _items(facets=dataset, outputFacets=dataset)
    parts: Json = {"run": _with(facets=run), "job": _with(facets=job), "dataset": _with(facets=dataset)}
    return {"allOf": [{"$ref": CORE}, {"properties": parts | {"inputs": inputs, "outputs": outputs}}]}


def _allof(ids: dict[str, str], ending: str, pointed: dict[str, str] | None = None) -> Json:
    files = [{"$ref": url} for stem, url in ids.items() if stem.endswith(ending) and stem not in BY_POINTER]
    return {"allOf": [*files, {"properties": {name: {"$ref": url} for name, url in (pointed or {}).items()}}]}


def _with(**properties: Json) -> Json:
    return {"properties": properties}


def _items(**properties: Json) -> Json:
    return {"items": _with(**properties)}
