"""Writes that arrive while the lake is taken are committed together, and each hears its own answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from datlake_sdk.errors import Conflict, DatlakeError
from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.operations import LogEvent
from datlake_server.http.exchange import Answer
from datlake_server.http.threads import Threads
from datlake_server.http.writes import Work, Write, Writes
from datlake_server.lake import Lake
from tests.http.served import Server
from tests.places import eventually


@contextmanager
def taken(home: Path) -> Iterator[None]:
    """Somebody else writes to the lake and takes their time."""
    connection = apsw.Connection(str(home / "lake.db"))
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("COMMIT")
    connection.close()


def snapshot(number: int) -> dict[str, object]:
    """The body of a registration."""
    return {"table_name": f"t{number}", "uri": f"s3://lake/{number}", "format": "parquet", "schema": None}


def event() -> dict[str, object]:
    """The body of a broadcast."""
    return {"event_type": "tick", "data": {}}


def test_one_that_is_refused_does_not_touch_the_others_of_its_group(server: Server) -> None:
    bodies: list[object] = [snapshot(number) for number in range(20)]
    bodies[3] = {"table_name": 7}
    bodies[7] = b"{"
    bodies[11] = snapshot(11) | {"expected_version": 5}
    with ThreadPoolExecutor(20) as pool:
        with taken(server.home):
            replies = [pool.submit(server.ask, "POST", "/api/v1/jobs/register-snapshot", body) for body in bodies]
            eventually(lambda: all(reply.running() for reply in replies), 10)
        statuses = [reply.result().status for reply in replies]
    assert (statuses.pop(11), statuses.pop(7), statuses.pop(3)) == (409, 400, 422)
    assert statuses == [201] * 17


def test_what_was_sent_is_recorded_though_its_sender_has_left(server: Server) -> None:
    """They are told nothing, and the others of the group all the same."""
    run_id = new_id()
    with ThreadPoolExecutor(1) as pool, taken(server.home):
        body = b'{"run_id": "%s"}' % run_id.encode()
        gone = socket.create_connection(("127.0.0.1", server.port))
        head = b"POST /api/v1/jobs/j/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        gone.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        stays = pool.submit(server.ask, "POST", "/api/v1/events/broadcast", event())
        gone.close()
    assert stays.result().status == 201
    eventually(lambda: server.ask("GET", f"/api/v1/runs/{run_id}").status == 200, 10)


def test_a_request_hears_of_what_happens_to_it_alone(tmp_path: Path) -> None:
    """Its own reading and answering may fail; a lake that takes nothing at all refuses each of them."""
    lake, threads = Lake.open(str(tmp_path / "lake")), Threads()
    writes = Writes(lake, threads)
    broken = Conflict("this one is refused", code="conflict")

    def begin(fails: str) -> Write:
        def read() -> Work:
            if fails == "read":
                raise broken
            return lake.prepared(LogEvent(event_type="tick", data={}))

        def told(_: object) -> Answer:
            if fails == "told":
                raise broken
            return Answer(status=201)

        return Write(read, told)

    async def asked(*fails: str) -> list[object]:
        return await asyncio.gather(*(writes.run(begin(one)) for one in fails), return_exceptions=True)

    good = Answer(status=201)
    assert asyncio.run(asked("", "read", "told", "")) == [good, broken, broken, good]
    lake.close()
    (tmp_path / "lake" / "lake.db").write_bytes(b"this is no database " * 1000)
    refused = asyncio.run(asked("", "read"))
    assert refused[1] is broken
    assert isinstance(refused[0], DatlakeError)
    threads.join()
    lake.close()


@pytest.mark.parametrize("count", [1, 350])
def test_more_than_one_group_is_answered_whole(server: Server, count: int) -> None:
    with ThreadPoolExecutor(40) as pool:
        replies = list(pool.map(lambda _: server.ask("POST", "/api/v1/events/broadcast", event()), range(count)))
    assert {reply.status for reply in replies} == {201}
    assert len({reply.json["event_id"] for reply in replies}) == count
