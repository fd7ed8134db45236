"""The description of the routes that are no operations: bytes of objects and logs, the probes, the document itself."""

from __future__ import annotations

import re
from typing import Final, TypeAlias, cast

import msgspec

from datlake_sdk.wire.http import API_PREFIX
from datlake_sdk.wire.problems import CONTENT_TYPE, title_of

Json: TypeAlias = dict[str, object]

_MENTION: Final = re.compile(rb"#/components/responses/Problem(\d{3})")
_NAME: Json = {"type": "string", "minLength": 1, "maxLength": 2048, "pattern": "^[^\\x00-\\x1f\\x7f-\\x9f]+$"}
REQUEST_ID: Json = {
    "X-Request-Id": {"schema": {"type": "string"}, "description": "Finds this call in the server's log."}
}
_OFFSET: Json = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
_BYTES: Json = {"application/octet-stream": {"schema": {}}}


def extra_paths(stored: Json, log_state: Json) -> dict[str, Json]:
    """Path items by path; `stored` is the schema of a stored object, `log_state` that of a log that grows."""
    probes: dict[str, Json] = {}
    for prefix in ("", API_PREFIX):
        suffix = "" if prefix else "AtRoot"
        probes[f"{prefix}/health/live"] = {"get": _probe(f"Live{suffix}", "The process answers.", ())}
        probes[f"{prefix}/health/ready"] = {"get": _probe(f"Ready{suffix}", "The lake answers.", (500, 503))}
    described: Json = {
        "operationId": "Describe",
        "summary": "This document",
        "tags": ["server"],
        "responses": {
            "200": _json({"type": "object"}),
            "304": _empty("The client has this already."),
            **problems(405, 500),
        },
    }
    return {
        f"{API_PREFIX}/datasets/{{bucket}}/{{object}}": {
            "parameters": _address(),
            "put": _put(stored),
            "get": _get("GetObject", "The bytes of an object, whole or one range of them"),
            "head": _get("HeadObject", "What `GET` would say of an object, without its bytes"),
        },
        f"{API_PREFIX}/runs/{{run_id}}/log": {
            "parameters": [
                {"name": "run_id", "in": "path", "required": True, "schema": {**_NAME, "maxLength": 256}},
                {"name": "namespace", "in": "query", "schema": {**_NAME, "default": "default"}},
            ],
            "post": _append_log(log_state),
            "get": _read_log(),
        },
        **probes,
        f"{API_PREFIX}/openapi.json": {"get": described},
    }


def add_node_id(described: Json) -> None:
    """The description of the lineage has Marquez's way to name a node, and its answer, too."""
    parameter: Json = {
        "name": "nodeId",
        "in": "query",
        "required": False,
        "schema": {"type": "string", "minLength": 1},
        "description": "Marquez's way: `dataset:{namespace}:{name}` or `job:{namespace}:{name}`. Only `depth` counts "
        "beside it, in jobs (20), and the answer has Marquez's shape.",
    }
    cast("list[Json]", described["parameters"]).append(parameter)
    good = cast("dict[str, Json]", described["responses"])["200"]
    answer = cast("dict[str, Json]", good["content"])["application/json"]
    nodes: Json = {"graph": {"type": "array", "items": {"type": "object"}}}
    theirs: Json = {"type": "object", "properties": nodes, "required": ["graph"], "description": "With `nodeId`."}
    answer["schema"] = {"anyOf": [answer["schema"], theirs]}


def _address() -> list[Json]:
    about = "Its slashes may be sent as they are; `.` and `..` between them as `%2E` and `%2E%2E`."
    return [
        {"name": "bucket", "in": "path", "required": True, "schema": _NAME},
        {"name": "object", "in": "path", "required": True, "schema": _NAME, "description": about},
        {"name": "namespace", "in": "query", "schema": {**_NAME, "default": "default"}},
    ]


def _put(stored: Json) -> Json:
    digest: Json = {
        "name": "Content-Digest",
        "in": "header",
        "schema": {"type": "string", "pattern": "^sha-256=:[A-Za-z0-9+/]{43}=:$"},
        "description": "RFC 9530; the upload is refused where the bytes that came differ.",
    }
    return {
        "operationId": "PutObject",
        "summary": "Stores bytes of any size; visible only when whole",
        "description": "The body is streamed to disk and never held in memory. Sent again, it replaces what was there.",
        "tags": ["objects"],
        "parameters": [digest],
        "requestBody": {"required": True, "content": {"*/*": {"schema": {}}}},
        "responses": {"201": _json(stored), **problems(400, 401, 403, 405, 408, 409, 413, 422, 429, 500, 503, 507)},
    }


def _get(name: str, summary: str) -> Json:
    wanted: list[Json] = [
        {"name": header, "in": "header", "schema": {"type": "string"}}
        for header in ("Range", "If-Range", "If-None-Match")
    ]
    facts: Json = {
        **REQUEST_ID,
        "ETag": {"schema": {"type": "string"}, "description": "The sha256 of the whole object, quoted."},
        "Accept-Ranges": {"schema": {"type": "string"}},
    }
    body: Json = {} if name.startswith("Head") else {"content": _BYTES}
    part: Json = (
        {} if name.startswith("Head") else {"206": {"description": "The range.", "headers": facts, "content": _BYTES}}
    )
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["objects"],
        "parameters": wanted,
        "responses": {
            "200": {"description": "The bytes.", "headers": facts, **body},
            **part,
            "304": _empty("The client has this already."),
            **problems(400, 401, 403, 404, 405, 416, 422, 429, 500, 503),
        },
    }


def _append_log(log_state: Json) -> Json:
    return {
        "operationId": "AppendLog",
        "summary": "Adds bytes to a run's log while the run goes",
        "description": (
            "Sent again, they are there once. 409 `log_gap` where bytes before them are missing, `log_differs` where "
            "others are there already; `current_version` of the problem is the size of the log then. With `job_name`, "
            "a run that nothing is known of is made. After the log was sealed nothing is added, and the answer says so."
        ),
        "tags": ["runs"],
        "parameters": [
            {"name": "offset", "in": "query", "required": True, "schema": _OFFSET, "description": "Of the first byte."},
            {"name": "job_name", "in": "query", "schema": _NAME},
        ],
        "requestBody": {
            "required": True,
            "description": "At most 1 MiB.",
            "content": {"text/plain": {"schema": {"type": "string"}}, **_BYTES},
        },
        "responses": {
            "200": _json(log_state),
            **problems(400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 500, 503, 507),
        },
    }


def _read_log() -> Json:
    facts: Json = {
        **REQUEST_ID,
        "X-Log-Size": {"schema": {"type": "integer"}, "description": "How many bytes the log has now."},
        "X-Log-Final": {
            "schema": {"type": "boolean"},
            "description": "`true` once nothing will be added: the run has ended, and its log is whole.",
        },
    }
    return {
        "operationId": "ReadLog",
        "summary": "What a run said so far, and with `follow` what it goes on to say",
        "description": (
            "With `follow` the answer goes on until the run has ended, at most an hour; then, and where the connection "
            "broke, ask again from the byte you are at."
        ),
        "tags": ["runs"],
        "parameters": [
            {"name": "offset", "in": "query", "schema": {**_OFFSET, "default": 0}, "description": "The first byte."},
            {
                "name": "limit",
                "in": "query",
                "schema": {"type": "integer", "minimum": 1, "maximum": 1048576},
                "description": "How many bytes at most; all without it.",
            },
            {"name": "follow", "in": "query", "schema": {"type": "boolean", "default": False}},
        ],
        "responses": {
            "200": {
                "description": "The bytes.",
                "headers": facts,
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
            **problems(400, 401, 403, 404, 405, 422, 429, 500, 503),
        },
    }


def _probe(name: str, summary: str, statuses: tuple[int, ...]) -> Json:
    text: Json = {"type": "string"}
    state: Json = {"type": "object", "properties": {"status": text, "quick_check": text}, "required": ["status"]}
    return {
        "operationId": name,
        "summary": summary.rstrip("."),
        "tags": ["server"],
        "responses": {"200": _json(state), **problems(405, *statuses)},
    }


def _json(schema: Json) -> Json:
    return {"description": "The answer.", "headers": REQUEST_ID, "content": {"application/json": {"schema": schema}}}


def _empty(description: str) -> Json:
    return {"description": description, "headers": REQUEST_ID}


def problems(*statuses: int) -> Json:
    """References to the problems that can come, by status."""
    return {str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in statuses}


def problem_responses(described: Json) -> Json:
    """The responses that `problems` refer to, one for each status that the paths of `described` mention."""
    mentioned = sorted({int(status) for status in _MENTION.findall(msgspec.json.encode(described))})
    content = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        f"Problem{status}": {"description": title_of(status), "headers": REQUEST_ID, "content": content}
        for status in mentioned
    }
