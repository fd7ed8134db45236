"""The ASGI application over one lake: finds the endpoint, guards it, and turns every error into a problem."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

from datlake_sdk import __version__
from datlake_sdk.errors import AuthError, DatlakeError, ServerError
from datlake_sdk.wire.ids import new_id
from datlake_server.http.exchange import (
    Answer,
    Disconnected,
    Headers,
    Incoming,
    Receive,
    Scope,
    Send,
    problem_answer,
    query_from,
    send_answer,
)
from datlake_server.http.health import Health
from datlake_server.http.hosts import Hosts
from datlake_server.http.ranges import RangeRefused
from datlake_server.http.routes import Target, build_router
from datlake_server.http.threads import Threads

if TYPE_CHECKING:
    from datlake_server.http.router import Router
    from datlake_server.lake import Lake

_REQUEST_ID: Final = re.compile(r"[ -~]{1,128}")
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_log = logging.getLogger("datlake.server")

ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def create_app(lake: Lake, *, version: str = __version__, allowed_hosts: Iterable[str] | None = None) -> App:
    """The application that serves `lake`. It does not own the lake: who opened it closes it.

    It answers to loopback names and `allowed_hosts`; to any name without a list, as where it is called directly.
    """
    threads = Threads()
    hosts = None if allowed_hosts is None else Hosts(allowed_hosts)
    health = Health(lake, threads)
    return App(build_router(lake, threads, health, version), threads, health, hosts)


class App:
    """Answers HTTP; `lifespan` ends its threads; websockets are refused."""

    def __init__(self, router: Router[Target], threads: Threads, health: Health, hosts: Hosts | None = None) -> None:
        self.health = health
        self._router = router
        self._threads = threads
        self._hosts = hosts

    def wind_up(self) -> None:
        """Not ready any more; answers that would go on for long come to their end, so that the server can stop."""
        self._threads.wind_up()
        self.health.stop()

    def close(self) -> None:
        """Nothing of this application uses the lake any more."""
        self.wind_up()
        self._threads.join()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection's event, as ASGI has it."""
        if scope["type"] == "http":
            await self._respond(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Incoming(scope, receive, _request_id(scope))
        extra: Headers = ((b"x-request-id", request.request_id.encode()),)
        try:
            answer = await self._answer(request, scope)
        except (Disconnected, asyncio.CancelledError):
            return  # nobody is there to read an answer
        if request.is_alias:
            extra = (*extra, (b"deprecation", b"true"))
        await send_answer(answer, extra, request, send)

    async def _answer(self, request: Incoming, scope: Scope) -> Answer:
        try:
            self._refuse_foreign_hosts(scope)
            _refuse_foreign_pages(request)
            target, request.names = self._router.match(request.method, request.path)
            request.is_alias = target.is_alias
            request.query = query_from(scope)
            return await target.endpoint(request)
        except RangeRefused as error:
            answer = problem_answer(error, request.request_id)
            whole = (b"content-range", f"bytes */{error.size_bytes}".encode())
            return Answer(status=answer.status, headers=(*answer.headers, whole), body=answer.body)
        except DatlakeError as error:
            return problem_answer(error, request.request_id)
        except Disconnected:
            raise
        except Exception as error:  # noqa: BLE001 -- the last guard, see below
            # Whatever went wrong inside, the client gets an answer that it can quote, and no internals.
            _log.exception("request %s failed: %s %s", request.request_id, request.method, request.path[:200])
            failure = ServerError(f"the server failed; its log has the details under request {request.request_id}")
            failure.__cause__ = error
            return problem_answer(failure, request.request_id)

    def _refuse_foreign_hosts(self, scope: Scope) -> None:
        # Every one that was sent. None at all is no browser's request, and browsers are what this is about.
        for name, value in scope["headers"] if self._hosts else ():
            if name == b"host" and self._hosts:
                self._hosts.refuse_foreign(value.decode("latin-1"))

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                self._threads.close()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text = value.decode("latin-1").strip()
            return text if _REQUEST_ID.fullmatch(text) else new_id()
    return new_id()


def _refuse_foreign_pages(request: Incoming) -> None:
    """A page of another origin cannot write here with the reader's browser: browsers say where a request comes from."""
    if request.method in _SAFE_METHODS:
        return
    site, origin = request.header(b"sec-fetch-site"), request.header(b"origin")
    is_foreign = site is not None and site not in {"same-origin", "none"}
    if site is None and origin is not None:
        is_foreign = origin.partition("://")[2] != request.header(b"host")
    if is_foreign:
        raise AuthError(
            "a page of another origin may not write to this lake; call it from a program or from its own pages",
            code="foreign_origin",
            status=403,
        )
