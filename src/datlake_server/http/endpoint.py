"""One operation over HTTP: reads the request, asks the lake on a thread, answers. The rules are the services'."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire.http import BODY_METHODS, operation_from_request, query_name
from datlake_sdk.wire.models import LineageResults
from datlake_sdk.wire.operations import (
    CompleteRun,
    GetSnapshot,
    GetTableSnapshot,
    LatestSnapshot,
    Lineage,
    LogEvents,
    Op,
    RecordLineageBatch,
)
from datlake_server.caller import Caller
from datlake_server.http.exchange import Answer, Headers, Incoming, json_answer, tagged_answer, take_names_from_query
from datlake_server.http.packed import unpacked
from datlake_server.http.writes import Work, Write, Writes
from datlake_server.services.catalog import LIMITS
from datlake_server.services.receipts import is_keyed

if TYPE_CHECKING:
    from datlake_server.http.threads import Threads
    from datlake_server.lake import Lake
    from datlake_server.services.receipts import Answered

# What `GetConfig` tells of them.
BODY_LIMIT_BYTES: Final = LIMITS["body_bytes"]
BATCH_LIMIT_BYTES: Final = LIMITS["batch_bytes"]
DEPTH_LIMIT: Final = 64  # deeper JSON is no metadata; it would only exhaust whoever reads it back
# What is larger is read on a thread of its own: reading it takes longer than a commit.
GROUPED_BYTES: Final = 64 << 10
GROUPED_PACKED_BYTES: Final = 8 << 10
# An ending looks after the run's log, which may be large.
SLOW: Final[frozenset[type[Op[object]]]] = frozenset({CompleteRun})
BATCHES: Final[frozenset[type[Op[object]]]] = frozenset({LogEvents, RecordLineageBatch})
TAGGED: Final[frozenset[type[Op[object]]]] = frozenset({GetSnapshot, GetTableSnapshot, LatestSnapshot, Lineage})

_ESCAPES: Final = re.compile(rb"\\.", re.DOTALL)
_NEITHER_BRACKETS_NOR_QUOTES: Final = bytes(byte for byte in range(256) if byte not in b'[]{}"')
_JSON_TYPE: Final = re.compile(r"application/(?:[\w.-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
KEY_PATTERN: Final = r'^("([ !#-\[\]-~]|\\["\\])+"|[!#-~][!-~]*)$'
_KEY: Final = re.compile(KEY_PATTERN)
_KEY_LIMIT: Final = 255
_REPLAYED: Final[Headers] = ((b"idempotency-replayed", b"true"),)


class OperationEndpoint:
    """Answers the operation `op_type` at `path`."""

    def __init__(self, op_type: type[Op[object]], path: str, lake: Lake, threads: Threads, writes: Writes) -> None:
        self._op_type = op_type
        self._lake = lake
        self._threads = threads
        self._writes = writes
        self._is_grouped = op_type.writes and op_type not in SLOW
        self._has_body = op_type.http.method in BODY_METHODS
        self._limit_bytes = BATCH_LIMIT_BYTES if op_type in BATCHES else BODY_LIMIT_BYTES
        self._parameters = frozenset(query_parameters(op_type, path))

    async def __call__(self, request: Incoming) -> Answer:
        """The answer of the lake, as JSON."""
        take_names_from_query(request)
        self._settle_query(request)
        body = b""
        if self._has_body:
            body = await request.body(self._limit_bytes)
            require_json(request.header(b"content-type"), body)
        most = GROUPED_PACKED_BYTES if request.header(b"content-encoding") else GROUPED_BYTES
        if self._is_grouped and len(body) <= most:
            return await self._writes.run(Write(partial(self._begun, request, body), partial(self._told, request)))
        return await self._threads.run(partial(self._answer, request, body))

    def _settle_query(self, request: Incoming) -> None:
        unknown = sorted(request.query.keys() - self._parameters)
        if not unknown:
            return
        if not request.is_alias:
            # A mistyped filter that is silently ignored answers another question than the one asked.
            known = ", ".join(sorted(self._parameters)) or "none"
            raise InvalidRequest(
                f"unknown query parameter {unknown[0]!r}; this address takes: {known}", code="unknown_parameter"
            )
        for name in unknown:
            del request.query[name]

    def _answer(self, request: Incoming, body: bytes) -> Answer:
        return self._told(request, self._lake.answer(*self._asked(request, body)))

    def _begun(self, request: Incoming, body: bytes) -> Work:
        return self._lake.prepared(*self._asked(request, body))

    def _asked(self, request: Incoming, body: bytes) -> tuple[Op[object], Caller]:
        body = unpacked(body, request.header(b"content-encoding"), self._limit_bytes)
        require_shallow(body)
        op = operation_from_request(self._op_type, request.names, request.query, body)
        key = key_from_header(request.header(b"idempotency-key")) if is_keyed(self._op_type) else None
        return op, Caller(key=key, request_id=request.request_id)

    def _told(self, request: Incoming, answer: Answered[object]) -> Answer:
        if self._op_type in TAGGED:
            return tagged_answer(answer.value, request.header(b"if-none-match"))
        if _says_nothing(answer.value) and not _wants_all(request):
            return Answer(status=204, headers=_REPLAYED if answer.is_replay else ())
        return json_answer(answer.value, self._op_type.http.status, _REPLAYED if answer.is_replay else ())


def _says_nothing(answer: object) -> bool:
    """True for a batch of OpenLineage events that were all accepted: then its specification answers without a body."""
    return isinstance(answer, LineageResults) and answer.status == "success"


def _wants_all(request: Incoming) -> bool:
    """True where the sender prefers a body (RFC 7240, section 4.2), as our own clients do."""
    return "return=representation" in (request.header(b"prefer") or "")


def path_names(path: str) -> list[str]:
    """The names that a path template holds, in order."""
    return [part[1:-1].removesuffix("...") for part in path.split("/") if part.startswith("{")]


def query_parameters(op_type: type[Op[object]], path: str) -> dict[str, str]:
    """Query parameter to field, for an operation at one of its paths."""
    fields = list(op_type.__struct_fields__)
    if op_type.body_field is not None:
        fields.remove(op_type.body_field)
    elif op_type.http.method in BODY_METHODS:
        fields = ["namespace"]
    return {query_name(field): field for field in fields if field not in path_names(path)}


def key_from_header(text: str | None) -> str | None:
    """The idempotency key, quoted as the draft standard has it or bare. Raises `InvalidRequest` (400)."""
    if text is None:
        return None
    if not _KEY.fullmatch(text) or len(text) > _KEY_LIMIT:
        raise InvalidRequest(
            f"Idempotency-Key must be 1 to {_KEY_LIMIT} printable ASCII characters; a UUID is a good one",
            code="bad_idempotency_key",
            status=400,
        )
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text


def require_json(content_type: str | None, body: bytes) -> None:
    """Raises `InvalidRequest` (415) for a body that says it is something else."""
    if body and content_type is not None and not _JSON_TYPE.fullmatch(content_type):
        raise InvalidRequest(
            f"the body is {content_type[:100]!r}; send JSON as application/json", code="not_json", status=415
        )


def _brackets(body: bytes) -> bytes:
    """The brackets outside of strings."""
    plain = _ESCAPES.sub(b"", body) if b"\\" in body else body
    return b"".join(plain.translate(None, _NEITHER_BRACKETS_NOR_QUOTES).split(b'"')[::2])


def require_shallow(body: bytes) -> None:
    """Raises `InvalidRequest` (422) for JSON that is nested deeper than anybody reads."""
    if body.count(b"[") + body.count(b"{") <= DEPTH_LIMIT:
        return
    brackets = _brackets(body)
    left = brackets
    for _ in range(DEPTH_LIMIT // 2):  # what is shallow is gone in a few rounds, each a level or two; a batch has many
        left = left.replace(b"[]", b"").replace(b"{}", b"")
        if not left:
            return
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH_LIMIT:
            raise InvalidRequest(f"the JSON is nested deeper than {DEPTH_LIMIT} levels", code="too_deep")
