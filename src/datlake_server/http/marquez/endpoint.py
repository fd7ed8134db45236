"""One of Marquez's addresses over HTTP: reads the request, asks the lake on a thread, answers JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from datlake_server.http.endpoint import BODY_LIMIT_BYTES, require_json, require_shallow
from datlake_server.http.exchange import Answer, Incoming, json_answer, take_names_from_query
from datlake_server.http.marquez.asking import Ask, Reply

if TYPE_CHECKING:
    from datlake_server.http.threads import Threads
    from datlake_server.lake import Lake
    from datlake_server.store.base import Tx

Endpoint: TypeAlias = Callable[[Incoming], Awaitable[Answer]]
Work: TypeAlias = Callable[["Lake", Ask], Reply]

_BODIES: Final = frozenset({"POST", "PUT"})


class MarquezEndpoint:
    """Answers one address; parameters that it does not know are ignored, as Marquez ignores them."""

    def __init__(self, work: Work, prefix: str, lake: Lake, threads: Threads) -> None:
        self._work = work
        self._prefix = prefix
        self._lake = lake
        self._threads = threads

    async def __call__(self, request: Incoming) -> Answer:
        """The answer of the lake in Marquez's shape."""
        take_names_from_query(request)
        body = await request.body(BODY_LIMIT_BYTES) if request.method in _BODIES else b""
        require_json(request.header(b"content-type"), body)
        ask = Ask(request.names, request.query, body, self._prefix)
        return await self._threads.run(partial(self._answer, ask))

    def _answer(self, ask: Ask) -> Answer:
        require_shallow(ask.body)
        reply = self._work(self._lake, ask)
        return json_answer(reply.value, reply.status, reply.headers)


class Forwarded:
    """Answers as another endpoint does, whatever the query says that it would not take."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, request: Incoming) -> Answer:
        """The other endpoint's answer."""
        request.query.clear()
        return await self._endpoint(request)


class ByNodeId:
    """Answers in Marquez's shape where a node is named in its way, else as the lake's own endpoint does."""

    def __init__(self, endpoint: Endpoint, own: Endpoint) -> None:
        self._endpoint = endpoint
        self._own = own

    async def __call__(self, request: Incoming) -> Answer:
        """The answer in one of both shapes."""
        return await (self._endpoint if "nodeId" in request.query else self._own)(request)


def looked(work: Callable[[Tx, Ask], object]) -> Work:
    """What `work` finds in one consistent state."""

    def answer(lake: Lake, ask: Ask) -> Reply:
        return Reply(lake.look(lambda tx: work(tx, ask)))

    answer.__doc__ = work.__doc__
    return answer


def changed(work: Callable[[Tx, Ask], object]) -> Work:
    """What `work` answers, once its changes are on the disk."""

    def answer(lake: Lake, ask: Ask) -> Reply:
        return Reply(lake.change(lambda tx: work(tx, ask)))

    answer.__doc__ = work.__doc__
    return answer
