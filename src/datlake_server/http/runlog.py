"""The log of a run over HTTP: appended by byte offset while the run goes, read from any offset, followed to its end."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from datlake_sdk.errors import DatlakeError, InvalidRequest, ServerError
from datlake_sdk.wire.ids import DEFAULT_NAMESPACE
from datlake_sdk.wire.operations import GetRun
from datlake_server.http.exchange import Answer, Headers, Incoming, json_answer, take_names_from_query
from datlake_server.run_logs import PIECE_LIMIT_BYTES, LogPlace

if TYPE_CHECKING:
    from datlake_sdk.wire.models import LogState
    from datlake_server.http.threads import Threads
    from datlake_server.lake import Lake

FOLLOW_S: Final = 3600.0  # then the client asks again, by offset: nobody is followed who forgot that they follow
FOLLOW_EVERY_S: Final = 0.25
FOLLOWERS: Final = 256  # each asks the lake four times a second, a quarter of a millisecond in all
QUIET_S: Final = 2.0  # after so long without a word, the run is asked how it is

_NUMBER: Final = re.compile(r"[0-9]{1,19}")
_LARGEST: Final = 2**63 - 1

# A log may be read in a browser, from the page's own origin: it is text there, whatever is in it.
_DEFENCE: Final[Headers] = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"sandbox"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class AppendLog:
    """Appends a body to a run's log."""

    def __init__(self, lake: Lake, threads: Threads) -> None:
        self._lake = lake
        self._threads = threads

    async def __call__(self, request: Incoming) -> Answer:
        """200 with how far the log has grown, once the bytes are safe on disk."""
        _settle_query(request, "namespace", "offset", "job_name")
        if "offset" not in request.query:
            raise InvalidRequest("offset is missing: say how many bytes of the log came before these", code="invalid")
        place = LogPlace(
            request.query.get("namespace", DEFAULT_NAMESPACE),
            request.names["run_id"],
            _number(request, "offset", 0),
            request.query.get("job_name"),
        )
        data = await request.body(PIECE_LIMIT_BYTES)
        return json_answer(await self._threads.run(partial(self._lake.append_log, place, data)))


class _Ask(Struct, frozen=True):
    """Whose log, from where, how much of it."""

    namespace: str
    run_id: str
    offset: int
    limit: int | None


class ReadLog:
    """Answers the bytes of a run's log, and those to come where they are asked for."""

    def __init__(self, lake: Lake, threads: Threads) -> None:
        self._lake = lake
        self._threads = threads
        self._followers = 0

    async def __call__(self, request: Incoming) -> Answer:
        """200 with the bytes; `X-Log-Size` and `X-Log-Final` say how far the log has grown."""
        _settle_query(request, "namespace", "offset", "limit", "follow")
        ask = _Ask(
            request.query.get("namespace", DEFAULT_NAMESPACE),
            request.names["run_id"],
            _number(request, "offset", 0),
            _number(request, "limit", 1, PIECE_LIMIT_BYTES) if "limit" in request.query else None,
        )
        is_followed = _truth(request, "follow")
        if is_followed and self._followers >= FOLLOWERS:
            raise ServerError(f"{FOLLOWERS} logs are followed already; try again later", code="busy", status=503)
        data, state = await self._read(ask, ask.offset, ask.limit or PIECE_LIMIT_BYTES)
        headers: Headers = (
            *_DEFENCE,
            (b"x-log-size", str(state.size_bytes).encode()),
            (b"x-log-final", b"true" if state.is_final else b"false"),
        )
        if is_followed:
            return Answer(headers=headers, body=self._followed(ask, data, state))
        end = min(state.size_bytes, ask.offset + (ask.limit or state.size_bytes))
        if ask.offset + len(data) >= end:
            return Answer(headers=headers, body=data)
        size = str(end - ask.offset).encode()
        return Answer(headers=(*headers, (b"content-length", size)), body=self._pieces(ask, data, end))

    async def _pieces(self, ask: _Ask, data: bytes, end: int) -> AsyncIterator[bytes]:
        at = ask.offset
        while data:
            yield data
            at += len(data)
            data, _ = await self._read(ask, at, min(PIECE_LIMIT_BYTES, end - at))

    async def _followed(self, ask: _Ask, data: bytes, state: LogState) -> AsyncIterator[bytes]:
        """What is there and what comes, until the run has ended. An empty piece finds out whether anybody is there."""
        at, end_s, quiet_s, is_over = ask.offset, time.monotonic() + FOLLOW_S, 0.0, False
        self._followers += 1
        try:
            while True:
                yield data
                at += len(data)
                quiet_s = 0.0 if data else quiet_s + FOLLOW_EVERY_S
                if not data:
                    if state.is_final or is_over or self._threads.are_winding_up or time.monotonic() > end_s:
                        return
                    await asyncio.sleep(FOLLOW_EVERY_S)
                if quiet_s >= QUIET_S:
                    quiet_s, is_over = 0.0, await self._has_ended(ask)
                data, state = await self._read(ask, at, PIECE_LIMIT_BYTES)
        except DatlakeError:
            return  # whoever asks again, by offset, is told
        finally:
            self._followers -= 1

    async def _has_ended(self, ask: _Ask) -> bool:
        """True also for a run that is presumed lost, or whose log is still to be uploaded."""
        op = GetRun(namespace=ask.namespace, run_id=ask.run_id)
        return (await self._threads.run(partial(self._lake.dispatch, op))).state != "running"

    async def _read(self, ask: _Ask, offset: int, limit: int) -> tuple[bytes, LogState]:
        return await self._threads.run(partial(self._lake.read_log, ask.namespace, ask.run_id, offset, limit))


def _settle_query(request: Incoming, *known: str) -> None:
    take_names_from_query(request)
    if unknown := sorted(request.query.keys() - {*known}):
        raise InvalidRequest(
            f"unknown query parameter {unknown[0]!r}; this address takes: {', '.join(sorted(known))}",
            code="unknown_parameter",
        )


def _number(request: Incoming, name: str, least: int, most: int = _LARGEST) -> int:
    text = request.query.get(name, str(least))
    if _NUMBER.fullmatch(text) and least <= int(text) <= most:
        return int(text)
    raise InvalidRequest(f"{name}={text!r:.80} is no number from {least} to {most}", code="invalid")


def _truth(request: Incoming, name: str) -> bool:
    text = request.query.get(name, "false")
    if text not in {"true", "false"}:
        raise InvalidRequest(f"{name}={text!r:.80} is neither true nor false", code="invalid")
    return text == "true"
