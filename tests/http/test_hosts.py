"""Who calls the server by a name that is not its own is a page that had its own name pointed here."""

from __future__ import annotations

from pathlib import Path

import pytest

from datlake_server.http.app import create_app
from datlake_server.lake import Lake
from tests.http.served import Server

RUNS = "/api/v1/jobs/j/runs"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "localhost.", "127.0.0.1:8765", "127.8.9.1", "[::1]:1"])
def test_a_loopback_name_is_answered_with_any_port(server: Server, host: str) -> None:
    """A tunnel and a forwarded port have other numbers than the server knows."""
    assert server.ask("GET", "/health/live", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::2]", ""],
)
def test_a_page_whose_name_was_pointed_here_neither_reads_nor_writes(server: Server, host: str) -> None:
    """To the browser it is of the server's own origin, so nothing else would stop it."""
    for method, body in (("GET", None), ("POST", b"{}")):
        refused = server.ask(method, RUNS, body, {"Host": host, "Origin": f"http://{host}"})
        assert (refused.status, refused.json["code"]) == (403, "foreign_host")
        assert "DATLAKE_ALLOWED_HOSTS" in str(refused.json["detail"])


def test_a_proxys_name_is_answered_where_it_was_given(tmp_path: Path) -> None:
    """A proxy may pass on the name by which its users call it."""
    server = Server(tmp_path, DATLAKE_ALLOWED_HOSTS="lake.example.org, Other.example:8443")
    asked = ["lake.example.org", "LAKE.example.org:443", "other.example:8443", "other.example", "127.0.0.1"]
    found = [server.ask("GET", "/health/live", headers={"Host": host}).status for host in asked]
    assert server.stop() == 0
    assert found == [200, 200, 200, 403, 200]


async def _status(lake: Lake, host: bytes) -> int:
    """The status of a request that no server stands in front of."""
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        sent.append(message)

    path = b"/health/live"
    scope = {"type": "http", "method": "GET", "raw_path": path, "query_string": b"", "headers": [(b"host", host)]}
    await create_app(lake)(scope, receive, send)
    status = sent[0]["status"]
    assert isinstance(status, int)
    return status


def test_an_application_that_is_called_directly_answers_to_any_name(tmp_path: Path) -> None:
    """Only who binds an address knows who can reach it."""
    import asyncio

    lake = Lake.open(str(tmp_path))
    assert asyncio.run(_status(lake, b"testserver")) == 200
    lake.close()
