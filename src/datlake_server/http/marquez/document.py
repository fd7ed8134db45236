"""The OpenAPI document of Marquez's API as it is served here, made from its table of addresses. Pure; built once.

It names every address with what it does and the names in its path. What goes in and out is Marquez's to describe.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from datlake_sdk.wire.http import API_PREFIX, BODY_METHODS
from datlake_sdk.wire.operations import RecordLineage
from datlake_sdk.wire.problems import CONTENT_TYPE, Problem
from datlake_server.http.marquez.addresses import ADDRESSES, LINEAGE, PREFIX, is_under_ours

if TYPE_CHECKING:
    from collections.abc import Iterator

Json: TypeAlias = dict[str, object]

_ABOUT: Final = """\
Marquez's API over a lake of Datlake: bodies, query parameters and answers are those of Marquez's own document. Names in
a path are percent-encoded. Query parameters that an address does not know are ignored; errors are problems (RFC 9457).
Addresses of which two servers are named answer under both."""
_OURS: Final = {"url": API_PREFIX}
_MARQUEZ: Final = {"url": PREFIX}
_OBJECT: Final[Json] = {"application/json": {"schema": {"type": "object"}}}
_ANYTHING: Final[Json] = {"application/json": {"schema": {}}}
_PROBLEM: Final = "#/components/responses/Problem"


def document(version: str) -> Json:
    """The whole description of Marquez's addresses."""
    paths: dict[str, Json] = {}
    for method, path, about in _described():
        item = paths.setdefault(path, {"servers": [_MARQUEZ, _OURS]} if is_under_ours(path) else {})
        item[method.lower()] = _operation(method, path, about)
    _, shapes = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    problem = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Datlake: Marquez's API", "version": version, "description": _ABOUT},
        "servers": [_MARQUEZ],
        "tags": [{"name": name} for name in dict.fromkeys(map(_tag, paths))],
        "paths": paths,
        "components": {
            "schemas": shapes,
            "responses": {"Problem": {"description": "What was wrong, and what to do next.", "content": problem}},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _described() -> Iterator[tuple[str, str, str]]:
    for method, path, work in ADDRESSES:
        yield method, path, work.__doc__ or ""
    yield "POST", LINEAGE, RecordLineage.__doc__ or ""


def _operation(method: str, path: str, about: str) -> Json:
    text: Json = {"type": "string", "minLength": 1}
    names: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": text} for name in re.findall(r"{(\w+)}", path)
    ]
    body: Json = {"requestBody": {"content": _OBJECT}} if method in BODY_METHODS else {}
    return {
        "operationId": "_".join([method.lower(), *re.findall(r"\w+", path)]),
        "summary": about.strip().partition("\n")[0].rstrip("."),
        "tags": [_tag(path)],
        "parameters": names,
        **body,
        "responses": {"2XX": {"description": "The answer.", "content": _ANYTHING}, "default": {"$ref": _PROBLEM}},
    }


def _tag(path: str) -> str:
    """What the address is about: the last of its words that names a kind of thing."""
    words = [word for word in path.split("/") if word in {"datasets", "jobs", "runs"}]
    return words[-1] if words else path.split("/")[1]
