"""What a client hears when the server itself fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, MutableMapping
from pathlib import Path

import msgspec
import pytest

from datlake_server.http.app import App, ASGIApp, create_app
from datlake_server.http.exchange import Answer, Incoming
from datlake_server.http.health import Health
from datlake_server.http.router import Router
from datlake_server.http.routes import Target
from datlake_server.http.threads import Threads
from datlake_server.lake import Lake

Message = MutableMapping[str, object]


def asked(app: ASGIApp, path: str) -> tuple[int, dict[str, object]]:
    """The answer of `app`, asked as an ASGI server asks."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "raw_path": path.encode(), "query_string": b"", "headers": []}
    asyncio.run(_done(app(scope, receive, send)))
    status, body = sent[0]["status"], sent[1]["body"]
    assert isinstance(status, int)
    assert isinstance(body, bytes)
    return status, msgspec.json.decode(body, type=dict[str, object])


async def _done(answering: Awaitable[None]) -> None:
    await answering


def test_a_failure_nobody_thought_of_is_told_without_its_insides(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets a number to quote; what went wrong stays in the log, under that number."""

    async def broken(_: Incoming) -> Answer:
        raise LookupError("secret_column of /srv/secret")

    router: Router[Target] = Router()
    router.add("GET", "/broken", Target(broken))
    lake, threads = Lake.open(str(tmp_path / "lake")), Threads()
    status, told = asked(App(router, threads, Health(lake, threads)), "/broken")
    lake.close()
    assert (status, told["code"]) == (500, "server_error")
    assert "secret" not in str(told)
    assert str(told["request_id"]) in caplog.text
    assert "secret_column" in caplog.text


def test_a_damaged_lake_is_not_ready_but_alive(tmp_path: Path) -> None:
    """An orchestrator takes it out of service, and does not restart it for ever."""
    lake = Lake.open(str(tmp_path / "lake"))
    lake.close()
    (tmp_path / "lake" / "lake.db").write_bytes(b"this is no database " * 1000)
    app = create_app(lake)
    assert asked(app, "/api/v1/health/ready")[0] >= 500
    assert asked(app, "/api/v1/health/live")[0] == 200
