"""The OpenAPI 3.1 document, made from `OPERATIONS` and the few routes that are none. Pure; built once per app."""

from __future__ import annotations

import re
from typing import Final, TypeAlias, cast, get_type_hints

import msgspec

from datlake_sdk.wire.http import API_PREFIX, BODY_METHODS
from datlake_sdk.wire.models import LakeObject, LogState
from datlake_sdk.wire.operations import OPERATIONS, Lineage, Op, RecordLineageBatch, answer_type
from datlake_sdk.wire.problems import Problem
from datlake_server.http.endpoint import KEY_PATTERN, TAGGED, path_names, query_parameters
from datlake_server.http.openapi_extras import REQUEST_ID, add_node_id, extra_paths, problem_responses, problems
from datlake_server.services.catalog import LIMITS
from datlake_server.services.receipts import is_keyed

Json: TypeAlias = dict[str, object]

_REF: Final = "#/components/schemas/{name}"
_GLOBAL: Final = frozenset({"ListNamespaces", "ListJobs", "ListTables", "GetConfig", "ListObjects", "LogEvents"})
_ABOUT: Final = """\
Lineage-tracked data jobs: which run wrote this, from exactly what, and where is its log.

Names in a path are percent-encoded (`/` as `%2F`, `.` and `..` as `%2E` and `%2E%2E`); any name may also be written as
`-` in the path and given in the query: `/tables/-/snapshots/latest?table_name=..`.
`X-Request-Id` is taken from the request or made, and returned on every answer. `POST` and `PUT` take an
`Idempotency-Key`: the same key and body get the same answer however often they are sent. Errors are problems (RFC
9457). Unknown query parameters are refused; unknown fields of a body are ignored. Times are RFC 3339 with a time zone.
`HEAD` works wherever `GET` does. Marquez's API has a document of its own: `/marquez/api/v1/openapi.json`."""


def document(version: str) -> Json:
    """The whole description of the server."""
    answers = {op_type: answer_type(op_type) for op_type in OPERATIONS}
    kinds = [*dict.fromkeys(answers.values()), Problem, LakeObject, LogState]
    refs, components = msgspec.json.schema_components(kinds, ref_template=_REF, schema_hook=_anything)
    shown = dict(zip(kinds, refs, strict=True))
    _, requests = msgspec.json.schema_components(OPERATIONS, ref_template=_REF, schema_hook=_anything)
    paths: dict[str, Json] = {}
    for op_type in OPERATIONS:
        for number, path in enumerate(op_type.http.paths):
            described = _operation(op_type, path, requests[op_type.__name__], shown[answers[op_type]])
            if number:
                # An operationId is unique; a shorter path is the same operation at another address.
                described["operationId"] = f"{op_type.__name__}Anywhere"
            paths.setdefault(API_PREFIX + path, {})[op_type.http.method.lower()] = described
    for path, item in extra_paths(shown[LakeObject], shown[LogState]).items():
        paths.setdefault(path, {}).update(item)
    add_node_id(cast("Json", paths[f"{API_PREFIX}{Lineage.http.path}"]["get"]))
    named = {op_type.__name__ for op_type in OPERATIONS}
    nested = {name: schema for name, schema in requests.items() if name not in named}
    schemas = {name: _portable(schema) for name, schema in sorted({**nested, **components}.items())}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Datlake",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in _TAGS],
        "paths": {path: _ordered(item) for path, item in paths.items()},
        "components": {
            "schemas": schemas,
            "responses": problem_responses({"paths": paths}),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _operation(op_type: type[Op[object]], path: str, schema: Json, answer: Json) -> Json:
    has_body = op_type.http.method in BODY_METHODS
    described: Json = {
        "operationId": op_type.__name__,
        "summary": _summary(op_type),
        "description": re.sub(r"\n\s*", "\n", (op_type.__doc__ or "").strip()),
        "tags": [_tag(path)],
        "parameters": _parameters(op_type, path, schema),
        "responses": _responses(op_type, answer),
    }
    if has_body:
        whole = op_type.body_field
        body = _events(op_type, whole) if whole else _body(schema, path, null_is_absent=op_type.http.method != "PATCH")
        described["requestBody"] = {
            "required": whole is not None or "required" in body,
            "content": {"application/json": {"schema": body}},
        }
    return described


def _parameters(op_type: type[Op[object]], path: str, schema: Json) -> list[Json]:
    fields = _fields(schema)
    names: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": _portable(_not_null(fields[name]))}
        for name in path_names(path)
    ]
    required = _required(schema)
    query: list[Json] = [
        {"name": name, "in": "query", "required": field in required, "schema": _portable(_not_null(fields[field]))}
        for name, field in query_parameters(op_type, path).items()
    ]
    headers = [
        _HEADERS["request_id"],
        *([_HEADERS["key"]] if is_keyed(op_type) else []),
        *([_HEADERS["known"]] if op_type in TAGGED else []),
    ]
    return [*names, *query, *headers]


def _responses(op_type: type[Op[object]], answer: Json) -> Json:
    headers: Json = dict(REQUEST_ID)
    if op_type in TAGGED:
        headers["ETag"] = {"schema": {"type": "string"}, "description": "Changes when the answer does."}
    if is_keyed(op_type):
        headers["Idempotency-Replayed"] = _REPLAYED
    good: Json = {"description": "The answer.", "headers": headers, "content": {"application/json": {"schema": answer}}}
    statuses = [400, 401, 403, 405, 422, 429, 500, 503]
    if op_type.__name__ not in _GLOBAL:
        statuses.append(404)
    if op_type.http.method in BODY_METHODS:
        statuses += [408, 409, 413, 415, 507]
    unchanged: dict[str, Json] = (
        {"304": {"description": "The client has this already.", "headers": headers}} if op_type in TAGGED else {}
    )
    if op_type is RecordLineageBatch:
        unchanged["204"] = {"description": "All events were accepted.", "headers": headers}
    return {str(op_type.http.status): good, **unchanged, **problems(*sorted(statuses))}


def _body(schema: Json, path: str, *, null_is_absent: bool) -> Json:
    """What goes into the body: all but the names in the path and the namespace, which the query carries."""
    elsewhere = {"op", "namespace", *path_names(path)}
    required = _required(schema)
    fields = {
        name: _or_null(_portable(field)) if null_is_absent and name not in required else _portable(field)
        for name, field in _fields(schema).items()
        if name not in elsewhere
    }
    needed = [name for name in required if name not in elsewhere]
    return {"type": "object", "properties": fields, **({"required": needed} if needed else {})}


def _events(op_type: type[Op[object]], field: str) -> Json:
    """The body of an operation that takes JSON which others specify: one object, or a list of them."""
    one: Json = {"type": "object", "description": "An OpenLineage event: of a run, a job or a dataset."}
    is_list = get_type_hints(op_type)[field] is not msgspec.Raw
    return {"type": "array", "items": one, "maxItems": LIMITS["batch_events"]} if is_list else one


def _fields(schema: Json) -> dict[str, Json]:
    return cast("dict[str, Json]", schema["properties"])


def _required(schema: Json) -> list[str]:
    return cast("list[str]", schema.get("required", []))


def _or_null(schema: Json) -> Json:
    """The schema of a value that may also be null."""
    options = cast("list[Json]", schema.get("anyOf", []))
    null: Json = {"type": "null"}
    if null in options:
        return schema
    if options:
        return {**schema, "anyOf": [*options, null]}
    about: Json = {name: schema[name] for name in ("default", "description") if name in schema}
    kept = {name: value for name, value in schema.items() if name not in about}
    return {**about, "anyOf": [kept, null]}


def _not_null(schema: Json) -> Json:
    """The schema of a value in an address: absent where a body would hold null."""
    options = cast("list[Json]", schema.get("anyOf", []))
    if not options:
        return {name: value for name, value in schema.items() if not (name == "default" and value is None)}
    kept = [option for option in options if option != {"type": "null"}]
    return dict(kept[0]) if len(kept) == 1 else {**schema, "anyOf": kept}


def _portable(schema: Json) -> Json:
    """The schema with its patterns as readers of JSON Schema expect them: `$` is the end of the text there."""
    text = msgspec.json.encode(schema).replace(rb"(?![\\s\\S])", b"$")
    return msgspec.json.decode(text, type=dict[str, object])


def _anything(_: type[object]) -> Json:
    """The schema of `object`: msgspec has none of its own, and wants one that is not empty."""
    return {"description": "Any JSON value."}


def _ordered(item: Json) -> Json:
    return {method: item[method] for method in sorted(item, key=_METHODS.index)}


def _summary(op_type: type[Op[object]]) -> str:
    return (op_type.__doc__ or op_type.__name__).strip().split("\n")[0].split(". ")[0].rstrip(".")


def _tag(path: str) -> str:
    first = path.split("/")[1]
    return _SHOWN_UNDER.get("tables" if path.endswith("register-snapshot") else first, first)


_METHODS: Final = ("parameters", "get", "head", "post", "put", "patch", "delete")
_SHOWN_UNDER: Final = {
    "tables": "tables",
    "snapshots": "tables",
    "datasets": "objects",
    "search": "lineage",
    "namespaces": "server",
    "config": "server",
}
_TAGS: Final = ("jobs", "runs", "tables", "events", "lineage", "objects", "server")
_REPLAYED: Final[Json] = {
    "schema": {"type": "string", "const": "true"},
    "description": "This is what the key's first request was answered; nothing was done now.",
}
_HEADERS: Final[dict[str, Json]] = {
    "request_id": {
        "name": "X-Request-Id",
        "in": "header",
        "schema": {"type": "string"},
        "description": "Your name for this call, at most 128 printable characters; anything else is replaced.",
    },
    "key": {
        "name": "Idempotency-Key",
        "in": "header",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": KEY_PATTERN},
        "description": "The same key and body get the same answer for 30 days, another body gets 422; printable ASCII, "
        "bare or quoted.",
    },
    "known": {
        "name": "If-None-Match",
        "in": "header",
        "schema": {"type": "string"},
        "description": "The ETag of what you have; 304 where it still holds.",
    },
}
