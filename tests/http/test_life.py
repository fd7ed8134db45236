"""A server from its start to its end: what it finds where the one before was killed, what it refuses, how it stops."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from pathlib import Path

import pytest

from datlake_sdk.errors import ServerError
from datlake_server.http.app import create_app
from datlake_server.http.exchange import problem_answer
from datlake_server.http.threads import Threads
from datlake_server.lake import Lake
from tests.http.served import Reply, Server
from tests.http.test_failures import asked

READY = "/api/v1/health/ready"
PAGE_BYTES = 4096


def told(server: Server, number: int) -> Reply:
    """The answer to the start of a run that takes two pages."""
    return server.ask("POST", "/api/v1/jobs/j/runs", {"run_id": run_id(number), "metadata": {"text": "y" * 6000}})


def run_id(number: int) -> str:
    """The id of the run of this number."""
    return f"00000000-0000-4000-8000-{number:012}"


def ready_until(server: Server, wanted: str) -> Reply:
    """What readiness says, once the check is no more under way."""
    reply = server.ask("GET", READY)
    while reply.json.get("quick_check") == "running":
        threading.Event().wait(0.01)
        reply = server.ask("GET", READY)
    assert wanted in reply.body.decode(), reply.body
    return reply


def log_of(server: Server) -> str:
    """What it wrote to stderr, once it has ended."""
    server.process.terminate()
    return server.process.communicate(timeout=20)[1]


def test_a_server_after_one_that_was_killed_looks_the_lake_through_and_answers_meanwhile(tmp_path: Path) -> None:
    """A power cut may damage what SQLite cannot see at once; nobody should learn of it from a wrong answer."""
    first = Server(tmp_path)
    assert told(first, 1).status == 201
    first.process.kill()
    first.stop()
    second = Server(tmp_path)
    assert ready_until(second, '"passed"').status == 200
    log = log_of(second)
    assert f"not closed by process {first.process.pid}" in log
    assert "no damage" in log
    third = Server(tmp_path)
    assert third.ask("GET", READY).json == {"status": "ready"}
    assert log_of(third) == ""


def test_a_server_that_finds_damage_takes_no_writes_and_says_so(tmp_path: Path) -> None:
    """503: what jobs have to tell stays with them until the lake is restored; reads are answered as far as they can."""
    server = Server(tmp_path)
    for number in range(200):
        assert told(server, number).status == 201
    assert server.stop() == 0
    with (tmp_path / "lake.db").open("r+b") as file:
        file.seek(-40 * PAGE_BYTES, 2)
        file.write(b"\xff" * 20 * PAGE_BYTES)
    (tmp_path / "server.lock").write_text('{"pid": 1, "host": "here"}')
    server = Server(tmp_path)
    reply = ready_until(server, "lake_damaged")
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    refused = told(server, 1000)
    assert (refused.status, refused.json["code"]) == (503, "lake_damaged")
    assert server.ask("GET", "/api/v1/tables").status == 200
    assert server.ask("GET", "/api/v1/health/live").status == 200
    assert "read only" in log_of(server)
    server = Server(tmp_path)
    ready_until(server, "lake_damaged")  # until somebody restores it
    server.stop()


def test_a_stop_under_load_loses_nothing_that_was_answered_and_leaves_one_file(tmp_path: Path) -> None:
    """Whoever copies or looks at the folder afterwards finds the whole lake in `lake.db`."""
    server, kept = Server(tmp_path), list[int]()

    def load(thread: int) -> None:
        for number in range(thread * 10_000, (thread + 1) * 10_000):
            try:
                if told(server, number).status == 201:
                    kept.append(number)
            except OSError:
                return

    threads = [threading.Thread(target=load, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    while len(kept) < 40:
        threading.Event().wait(0.01)
    assert server.stop() == 0
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in tmp_path.glob("lake.db*")) == [
        *("lake.db", "lake.db.lock", "lake.db.lock.gate", "lake.db.open"),
    ]
    assert (tmp_path / "server.lock").read_bytes() == b""
    server = Server(tmp_path)
    assert {server.ask("GET", f"/api/v1/runs/{run_id(number)}").status for number in kept} == {200}
    server.stop()


def test_a_server_that_was_asked_to_stop_is_not_ready(tmp_path: Path) -> None:
    """What spreads requests over servers sends the next one elsewhere."""
    lake = Lake.open(str(tmp_path / "lake"))
    app = create_app(lake)
    assert asked(app, READY) == (200, {"status": "ready"})
    app.wind_up()
    status, said = asked(app, READY)
    assert (status, said["code"]) == (503, "stopping")
    lake.close()


def test_requests_that_find_no_place_to_wait_are_refused_and_those_under_way_go_on() -> None:
    """An upload is refused at its beginning or not at all; and a stop to send is told, with when to come back."""
    go = threading.Event()

    async def crowd() -> list[object]:
        threads = Threads(1, waiting_limit=2)
        taken = [asyncio.create_task(threads.run(partial(go.wait, 20))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(ServerError, match="too many requests") as refused:
            await threads.run(partial(go.wait, 20))
        piece = asyncio.create_task(threads.go_on(lambda: "a piece"))
        go.set()
        done: list[object] = [*await asyncio.gather(*taken), await piece, await threads.run(lambda: "free again")]
        threads.join()
        return [*done, refused.value]

    *done, refused = asyncio.run(crowd())
    assert done == [True, True, True, "a piece", "free again"]
    assert isinstance(refused, ServerError)
    answer = problem_answer(refused, "r")
    assert (refused.code, answer.status, dict(answer.headers)[b"retry-after"]) == ("overloaded", 503, b"1")
