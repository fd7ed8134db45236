"""A run's log over a real socket while the run goes: appended by offset, read from any byte, sealed at the end."""

from __future__ import annotations

import hashlib
import http.client
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datlake_sdk.wire.ids import object_uri, run_log_key
from tests.http.served import Reply, Server

SAID = b"loading\nloaded 12 rows\n"
BUCKET = "artifacts"


class Log:
    """The log of one run of the job `nightly`."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.run_id = str(uuid.uuid4())
        self.target = f"/api/v1/runs/{self.run_id}/log"
        self.file = server.home / "logs" / f"{self.run_id}.log"
        self.key = run_log_key("nightly", self.run_id)
        self.object = f"/api/v1/datasets/{BUCKET}/{self.key}"

    def append(self, offset: int, data: bytes, more: str = "&job_name=nightly") -> Reply:
        """The answer to `data` sent from `offset` on."""
        return self.server.ask("POST", f"{self.target}?offset={offset}{more}", data, {"Content-Type": "text/plain"})

    def read(self, query: str = "") -> Reply:
        """The log as it is now."""
        return self.server.ask("GET", self.target + query)

    def complete(self, named: bytes | None) -> None:
        """The run ends and names a log of these bytes."""
        body: dict[str, object] = {"success": True}
        if named is not None:
            digest = hashlib.sha256(named).hexdigest()
            uri = object_uri(BUCKET, self.key)
            body["artifacts"] = [
                {"type": "log", "uri": uri, "name": "run.log", "size_bytes": len(named), "sha256": digest}
            ]
        reply = self.server.ask("PUT", f"/api/v1/jobs/nightly/runs/{self.run_id}/complete", body)
        assert reply.status == 200, reply.body

    def upload(self, data: bytes) -> None:
        """The run's log arrives whole."""
        assert self.server.ask("PUT", self.object, data).status == 201

    def is_final(self) -> bool:
        """Whether the server says that nothing will be added."""
        return self.read().headers["x-log-final"] == "true"


@pytest.fixture
def log(server: Server) -> Log:
    return Log(server)


# --- growing ----------------------------------------------------------------------------------------------------------


def test_a_log_grows_by_what_is_sent_and_holds_each_byte_once(log: Log) -> None:
    """An answer that was lost is asked for again, with the bytes before or with more."""
    assert log.append(0, SAID[:8]).json == {"run_id": log.run_id, "size_bytes": 8, "is_final": False}
    assert log.append(0, SAID[:8]).json["size_bytes"] == 8
    assert log.append(3, SAID[3:15]).json["size_bytes"] == 15
    assert log.append(15, SAID[15:]).json["size_bytes"] == len(SAID)
    assert log.read().body == SAID


def test_bytes_beyond_the_end_are_refused_with_the_place_to_go_on_from(log: Log) -> None:
    """A log with a hole would tell less than one that ends."""
    log.append(0, SAID[:8])
    refusal = log.append(9, SAID[9:])
    assert (refusal.status, refusal.json["code"], refusal.json["current_version"]) == (409, "log_gap", 8)
    assert log.read().body == SAID[:8]


def test_other_bytes_never_replace_those_that_are_there(log: Log) -> None:
    """A run that is tried again under its id must not rewrite what the first try said, nor mix with it."""
    log.append(0, SAID)
    refusal = log.append(0, b"LOADING\nand more than there was before\n")
    assert (refusal.status, refusal.json["code"]) == (409, "log_differs")
    assert log.read().body == SAID


def test_a_log_of_a_run_nothing_is_known_of_makes_the_run_if_it_names_the_job(log: Log) -> None:
    """The start may still be in an outbox."""
    assert (log.append(0, SAID, "").status, log.file.exists()) == (404, False)
    assert log.append(0, SAID).status == 200
    assert log.server.ask("GET", f"/api/v1/runs/{log.run_id}").json["state"] == "running"
    assert log.append(len(SAID), b"more", "").status == 200
    assert log.append(len(SAID), b"more", "&job_name=another").json["code"] == "run_not_found"


def test_another_namespace_neither_reads_nor_writes_it(log: Log) -> None:
    log.append(0, SAID)
    elsewhere = "namespace=elsewhere"
    assert log.read(f"?{elsewhere}").status == 404
    assert log.append(len(SAID), b"more", f"&job_name=nightly&{elsewhere}").status == 404
    assert log.read().body == SAID


def test_only_its_owner_can_look_into_the_files(log: Log) -> None:
    log.append(0, SAID)
    assert (log.file.stat().st_mode & 0o777, log.file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 422, "invalid"),
        ("?offset=-1", 422, "invalid"),
        ("?offset=x", 422, "invalid"),
        ("?offset=0&to=9", 422, "unknown_parameter"),
        ("?offset=0&job_name=", 422, "invalid"),
    ],
)
def test_a_mistaken_append_is_refused(log: Log, query: str, status: int, code: str) -> None:
    reply = log.server.ask("POST", log.target + query, SAID)
    assert (reply.status, reply.json["code"]) == (status, code)


def test_a_run_id_that_is_none_names_no_file(server: Server) -> None:
    """Ids become file names."""
    for name in ("..%2F..%2Fevil", "x", "%00"):
        assert server.ask("POST", f"/api/v1/runs/{name}/log?offset=0&job_name=j", SAID).status == 422
        assert server.ask("GET", f"/api/v1/runs/{name}/log").status in {404, 422}


def test_a_piece_and_a_log_have_a_limit(log: Log) -> None:
    """A job that logs in a loop fills no disk."""
    assert log.append(0, b"x" * (1024 * 1024 + 1)).json["code"] == "too_large"
    log.append(0, SAID)
    os.truncate(log.file, 257 << 20)
    refusal = log.append(257 << 20, b"x")
    assert (refusal.status, refusal.json["code"]) == (413, "log_full")
    log.file.unlink()


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("?offset=8", SAID[8:]),
        ("?offset=8&limit=6", SAID[8:14]),
        ("?limit=1", SAID[:1]),
        ("?offset=23", b""),
        ("?offset=999", b""),
    ],
    ids=["from", "part", "first", "end", "beyond"],
)
def test_a_log_is_read_from_any_byte(log: Log, query: str, body: bytes) -> None:
    log.append(0, SAID)
    reply = log.read(query)
    assert (reply.status, reply.body, reply.headers["x-log-size"]) == (200, body, "23")


@pytest.mark.parametrize("query", ["?limit=0", "?limit=1048577", "?offset=", "?follow=yes", "?tail=1"])
def test_a_mistaken_question_is_refused(log: Log, query: str) -> None:
    log.append(0, SAID)
    assert log.read(query).status == 422


def test_a_log_larger_than_a_piece_is_read_whole(log: Log) -> None:
    data = os.urandom(2_500_001)
    for at in range(0, len(data), 1 << 20):
        assert log.append(at, data[at : at + (1 << 20)]).status == 200
    assert log.read().body == data
    assert log.read("?offset=17").body == data[17:]


def test_a_run_that_said_nothing_has_an_empty_log(log: Log) -> None:
    log.complete(None)
    reply = log.read()
    assert (reply.status, reply.body, reply.headers["x-log-final"]) == (200, b"", "true")


def test_what_a_job_printed_cannot_run_in_a_browser(log: Log) -> None:
    """A log is text from anywhere, shown from the page's own origin."""
    log.append(0, b"<script>alert(1)</script>\n")
    headers = log.server.ask("HEAD", log.target).headers
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert (headers["x-content-type-options"], headers["content-security-policy"]) == ("nosniff", "sandbox")


def test_the_page_of_a_run_shows_what_it_said(log: Log) -> None:
    """Whoever wonders whether a job hangs looks there first."""
    log.append(0, SAID)
    page = f"/runs/{log.run_id}"
    assert f'href="{log.target}">run.log</a> (23 B, so far)'.encode() in log.server.ask("GET", page).body
    log.complete(SAID)
    assert b"run.log</a> (23 B)" in log.server.ask("GET", page).body


# --- following --------------------------------------------------------------------------------------------------------


@pytest.fixture
def following(log: Log) -> Iterator[http.client.HTTPResponse]:
    """An answer that goes on, of a log with its first line."""
    log.append(0, SAID[:8])
    connection = http.client.HTTPConnection("127.0.0.1", log.server.port, timeout=20)
    connection.request("GET", f"{log.target}?follow=true&offset=2")
    response = connection.getresponse()
    yield response
    response.close()
    connection.close()


def test_a_follower_gets_what_comes_until_the_run_ends(log: Log, following: http.client.HTTPResponse) -> None:
    assert following.read1() == SAID[2:8]
    log.append(8, SAID[8:])
    assert following.read1() == SAID[8:]
    log.complete(SAID)
    assert following.read() == b""


def test_a_stopping_server_ends_what_is_followed(tmp_path: Path) -> None:
    """It would wait ten seconds for each of them, and then break them off in the middle."""
    log = Log(Server(tmp_path / "lake"))
    log.append(0, SAID)
    connection = http.client.HTTPConnection("127.0.0.1", log.server.port, timeout=20)
    connection.request("GET", f"{log.target}?follow=true")
    response = connection.getresponse()
    assert response.read1() == SAID
    os.kill(log.server.process.pid, signal.SIGTERM)
    assert response.read() == b""  # an answer that is broken off raises IncompleteRead
    connection.close()
    assert log.server.stop() == 0


# --- sealing ----------------------------------------------------------------------------------------------------------


def test_an_ending_that_names_just_this_log_makes_it_the_object(log: Log) -> None:
    """Nothing is uploaded twice, and the file that grew is not kept beside it."""
    log.append(0, SAID)
    log.complete(SAID)
    stored = log.server.ask("GET", log.object)
    assert (stored.body, stored.headers["etag"]) == (SAID, f'"{hashlib.sha256(SAID).hexdigest()}"')
    assert (log.read().body, log.is_final(), log.file.exists()) == (SAID, True, False)


def test_a_sealed_log_changes_no_more(log: Log) -> None:
    log.append(0, SAID)
    log.complete(SAID)
    assert log.append(len(SAID), b"late\n").json == {"run_id": log.run_id, "size_bytes": len(SAID), "is_final": True}
    assert (log.read().body, log.file.exists()) == (SAID, False)


def test_a_log_whose_end_comes_after_the_runs_is_sealed_then(log: Log) -> None:
    """Operations arrive in any order."""
    log.append(0, SAID[:8])
    log.complete(SAID)
    assert (log.read().body, log.is_final()) == (SAID[:8], False)
    assert log.append(8, SAID[8:]).json["is_final"] is True
    assert log.server.ask("GET", log.object).body == SAID


@pytest.mark.parametrize("first", ["upload", "ending"])
def test_an_uploaded_log_takes_the_place_of_the_one_that_grew(log: Log, first: str) -> None:
    """What grew was only a part, or of another try."""
    log.append(0, SAID)
    whole = b"the whole log\n"
    steps: list[Callable[[bytes], None]] = [log.upload, log.complete]
    for step in steps if first == "upload" else reversed(steps):
        assert log.read().body == SAID
        step(whole)
    assert (log.read().body, log.is_final(), log.file.exists()) == (whole, True, False)


def test_a_killed_run_leaves_what_it_said(log: Log) -> None:
    """Nobody ends it, so nothing is sealed."""
    log.append(0, SAID)
    assert (log.read().body, log.is_final(), log.file.exists()) == (SAID, False, True)


def test_a_run_that_ended_without_naming_its_log_shows_what_came_of_it(log: Log) -> None:
    """The host died, and the next process on it ended the run."""
    log.append(0, SAID)
    log.complete(None)
    assert (log.read().body, log.is_final()) == (SAID, True)


@pytest.mark.parametrize("question", ["log", "object", "append"])
def test_a_sealing_that_was_cut_short_is_finished_by_whoever_comes_next(log: Log, question: str) -> None:
    """The record is committed, the process dies, and the file has not moved yet."""
    log.append(0, SAID)
    log.complete(SAID)
    digest = hashlib.sha256(SAID).hexdigest()
    (log.server.home / "objects" / "sha256" / digest[:2] / digest).rename(log.file)
    if question == "log":
        assert log.read().body == SAID
    elif question == "object":
        assert log.server.ask("GET", log.object).body == SAID
    else:
        assert log.append(len(SAID), b"late").json["size_bytes"] == len(SAID)
    assert not log.file.exists()
    assert log.server.ask("GET", log.object).body == SAID


def test_a_file_that_was_left_beside_its_object_goes(log: Log) -> None:
    """The process died between the two steps of an upload that replaced it."""
    log.append(0, SAID)
    log.complete(SAID)
    log.file.write_bytes(SAID[:8])
    assert log.read().body == SAID
    assert not log.file.exists()
