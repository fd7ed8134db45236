"""One request and its answer over plain ASGI: headers, query, bounded bodies, problems. Endpoints speak in these."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, MutableMapping
from hashlib import sha256
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from datlake_sdk.errors import DatlakeError, InvalidRequest
from datlake_sdk.wire.problems import CONTENT_TYPE as PROBLEM_TYPE
from datlake_sdk.wire.problems import Problem, problem_from_error
from datlake_server.http.router import MethodRefused, decoded

# ASGI's own types are dictionaries of anything; they go no further than this file.
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

JSON: Final = b"application/json"
BODY_DEADLINE_S: Final = 30.0  # a megabyte in half a minute is 35 kB/s; slower than that is holding, not sending
STILL_S: Final = 60.0  # bytes that stand still for so long, in either direction, will not move again
_DRAIN_LIMIT_BYTES: Final = 4 << 20  # read and dropped, so that the sender hears the refusal instead of a reset
_QUERY_LIMIT_BYTES: Final = 64 << 10


class Disconnected(Exception):
    """The client went away before its request was whole; there is nobody to answer."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What goes back: `body` is bytes, or a stream whose length a `content-length` header states."""

    status: int = 200
    headers: Headers = ()
    body: bytes | AsyncIterator[bytes] = b""


class Incoming:
    """A request as endpoints see it; `names` are the decoded names of the path, `query` its decoded parameters."""

    __slots__ = ("_receive", "headers", "is_alias", "method", "names", "path", "query", "request_id")

    def __init__(self, scope: Scope, receive: Receive, request_id: str) -> None:
        self.method: str = scope["method"]
        self.path: bytes = scope["raw_path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.query: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.request_id = request_id
        self.is_alias = False
        self._receive = receive

    def header(self, name: bytes) -> str | None:
        """The header's text, null where it was not sent. `name` is lower case."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1").strip()

    @property
    def content_length(self) -> int | None:
        """The length that the client stated, null where it stated none."""
        stated = self.header(b"content-length")
        return int(stated) if stated is not None and stated.isdigit() else None

    async def chunks(self, patience_s: float = STILL_S) -> AsyncIterator[bytes]:
        """The body piece by piece; the client sends no faster than this is read. Raises `Disconnected`."""
        more = True
        while more:
            async with asyncio.timeout(patience_s):
                message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            if message.get("body"):
                yield message["body"]
            more = message.get("more_body", False)

    async def disconnected(self) -> None:
        """Returns when the client has gone. Only for requests whose body is read or of no interest."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def body(self, limit_bytes: int) -> bytes:
        """The whole body. Raises `InvalidRequest`: 413 beyond `limit_bytes`, 408 when it does not come."""
        body, size, is_large = bytearray(), 0, (self.content_length or 0) > limit_bytes
        if is_large and b"expect" in self.headers:
            raise _too_large(limit_bytes)
        try:
            async with asyncio.timeout(BODY_DEADLINE_S):
                async for chunk in self.chunks(BODY_DEADLINE_S):
                    size += len(chunk)
                    is_large = is_large or size > limit_bytes
                    if is_large and size > _DRAIN_LIMIT_BYTES + limit_bytes:
                        break
                    if not is_large:
                        body += chunk
        except TimeoutError as error:
            raise slow_body() from error
        if is_large:
            raise _too_large(limit_bytes)
        return bytes(body)


def slow_body() -> InvalidRequest:
    """The refusal for a body that does not arrive."""
    return InvalidRequest("the body did not arrive in time; send it again", code="slow_body", status=408)


def _too_large(limit_bytes: int) -> InvalidRequest:
    return InvalidRequest(
        f"the body is larger than {limit_bytes:,} bytes; send it in parts, or as an object under /datasets",
        code="too_large",
        status=413,
    )


def query_from(scope: Scope) -> dict[str, str]:
    """The query's parameters. Raises `InvalidRequest` for what is not UTF-8, given twice or endless."""
    raw: bytes = scope["query_string"]
    if len(raw) > _QUERY_LIMIT_BYTES:
        raise InvalidRequest("the query is longer than 64 KiB", code="too_large", status=413)
    values: dict[str, str] = {}
    for pair in raw.split(b"&") if raw else ():
        name, _, value = pair.partition(b"=")
        key = _query_text(name)
        if key in values:
            raise InvalidRequest(f"the query gives `{key}` twice; send it once", status=422)
        if pair:
            values[key] = _query_text(value)
    return values


def _query_text(raw: bytes) -> str:
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest("the query is not percent-encoded UTF-8", code="bad_address", status=400) from error


def take_names_from_query(request: Incoming) -> None:
    """A name written as `-` in the path is taken from the query, where browsers leave `.` and `..` alone."""
    for name, value in request.names.items():
        if value == "-" and name in request.query:
            request.names[name] = request.query.pop(name)


def json_answer(value: object, status: int = 200, headers: Headers = ()) -> Answer:
    """`value` as a JSON answer."""
    body = msgspec.json.encode(value)
    return Answer(
        status=status, headers=((b"content-type", JSON), (b"cache-control", b"no-store"), *headers), body=body
    )


def tagged_answer(value: object, if_none_match: str | None) -> Answer:
    """`value` as a JSON answer with an `ETag`, or 304 where the client has it already."""
    body = msgspec.json.encode(value)
    etag = f'"{sha256(body).hexdigest()[:32]}"'
    headers: Headers = ((b"etag", etag.encode()), (b"cache-control", b"private, no-cache"))
    if if_none_match is not None and is_listed(etag, if_none_match):
        return Answer(status=304, headers=headers)
    return Answer(headers=((b"content-type", JSON), *headers), body=body)


def is_listed(etag: str, header: str) -> bool:
    """True where an `If-None-Match` header names `etag`, weakly or strongly, or everything."""
    return header.strip() == "*" or any(one.strip().removeprefix("W/") == etag for one in header.split(","))


def problem_answer(error: DatlakeError, request_id: str) -> Answer:
    """The problem (RFC 9457) that tells `error`."""
    problem = problem_from_error(error, request_id)
    if problem.status < 400 or problem.status > 599:
        problem = msgspec.structs.replace(problem, status=500)
    return Answer(status=problem.status, headers=_problem_headers(error, problem), body=msgspec.json.encode(problem))


def _problem_headers(error: DatlakeError, problem: Problem) -> Headers:
    headers: list[tuple[bytes, bytes]] = [(b"content-type", PROBLEM_TYPE.encode()), (b"cache-control", b"no-store")]
    if isinstance(error, MethodRefused):
        headers.append((b"allow", error.allow.encode()))
    if problem.status in {429, 503} or problem.code == "operation_in_progress":
        headers.append((b"retry-after", b"1"))
    if problem.status in {408, 413}:
        headers.append((b"connection", b"close"))
    return tuple(headers)


async def send_answer(answer: Answer, extra: Headers, request: Incoming, send: Send) -> None:
    """`answer` is on its way, without its body where the client asked for the head only."""
    headers = [*answer.headers, *extra]
    if isinstance(answer.body, bytes) and answer.status != 304:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if isinstance(answer.body, bytes):
        await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else answer.body})
    elif request.method == "HEAD":
        await send({"type": "http.response.body", "body": b""})
    else:
        await _stream(answer.body, request, send)


async def _stream(body: AsyncIterator[bytes], request: Incoming, send: Send) -> None:
    """Sends piece by piece, and stops when the client is gone: the server would accept and drop the rest in silence."""
    gone = asyncio.create_task(request.disconnected())
    try:
        async for chunk in body:
            async with asyncio.timeout(STILL_S):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if gone.done():
                return
        await send({"type": "http.response.body", "body": b""})
    except TimeoutError:
        return  # a reader that stands still; the server closes an answer that is not completed
    finally:
        gone.cancel()
        if isinstance(body, AsyncGenerator):
            await body.aclose()


__all__ = [
    "Answer",
    "Disconnected",
    "Headers",
    "Incoming",
    "decoded",
    "is_listed",
    "json_answer",
    "problem_answer",
    "query_from",
    "send_answer",
    "slow_body",
    "tagged_answer",
    "take_names_from_query",
]
