"""Operations over a real socket: names, bodies, headers and problems."""

from __future__ import annotations

import socket
import time

import pytest

from datlake_sdk.wire.ids import quoted
from tests.http.served import Server

RUN = "0193a5c0-0000-7000-8000-0000000000c1"


@pytest.mark.parametrize("name", ["a/b", "a%2Fb", "..", ".", "é {} #?", "../x", "latest", "null", "-"])
def test_any_name_is_written_and_read_back(server: Server, name: str) -> None:
    """What is registered under a name is found under it, by path and by query."""
    uri = f"file:///data/{quoted(name)}"
    body = {"table_name": name, "uri": uri, "format": "parquet", "job_name": name}
    assert server.ask("POST", "/api/v1/jobs/register-snapshot", body).status == 201
    by_path = server.ask("GET", f"/api/v1/tables/{quoted(name)}/snapshots/latest")
    by_query = server.ask("GET", f"/api/v1/tables/-/snapshots/latest?table_name={quoted(name)}")
    assert by_path.json["table_name"] == by_query.json["table_name"] == name
    assert by_path.json["uri"] == by_query.json["uri"] == uri
    assert server.ask("GET", f"/api/v1/tables/{quoted(name)}").json["table_name"] == name
    assert server.ask("GET", f"/api/v1/tables/{quoted(name)}/snapshots/1").json["table_name"] == name
    assert server.ask("POST", f"/api/v1/jobs/{quoted(name)}/runs", {}).json["job_name"] == name


def test_a_request_id_is_kept_or_made(server: Server) -> None:
    """It is what finds a call in two logs, so it comes back on every answer, errors included."""
    assert server.ask("GET", "/api/v1/jobs", headers={"X-Request-Id": "my id-7"}).headers["x-request-id"] == "my id-7"
    lost = server.ask("GET", "/nowhere", headers={"X-Request-Id": "my-8"})
    assert lost.headers["x-request-id"] == lost.json["request_id"] == "my-8"
    long = server.ask("GET", "/api/v1/jobs", headers={"X-Request-Id": "x" * 129})
    assert len(long.headers["x-request-id"]) == 36


def test_an_unknown_address_is_a_problem(server: Server) -> None:
    """Clients read one shape of error everywhere."""
    reply = server.ask("GET", "/api/v1/nowhere")
    assert (reply.status, reply.headers["content-type"]) == (404, "application/problem+json")
    assert reply.json["code"] == "no_such_address"


def test_a_wrong_method_is_told_the_right_ones(server: Server) -> None:
    reply = server.ask("DELETE", "/api/v1/jobs")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")


def test_a_mistyped_parameter_is_refused(server: Server) -> None:
    """A filter that is ignored answers another question than the one that was asked."""
    reply = server.ask("GET", "/api/v1/runs?sate=failed")
    assert (reply.status, reply.json["code"]) == (422, "unknown_parameter")
    assert all(word in str(reply.json["detail"]) for word in ("'sate'", "state"))


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/api/v1/runs?limit=0", 422),
        ("/api/v1/runs?limit=x", 422),
        ("/api/v1/runs?limit=1&limit=2", 422),
        ("/api/v1/runs?since=123", 422),
        ("/api/v1/runs?state=null", 422),
        ("/api/v1/tables/a%00b", 422),
        ("/api/v1/tables/%FF", 400),
        ("/api/v1/runs?state=%FF", 400),
    ],
)
def test_bad_questions_are_refused(server: Server, target: str, status: int) -> None:
    """With the reason, and never with a 5xx."""
    reply = server.ask("GET", target)
    assert reply.status == status
    assert reply.json["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff", 400),
        (b'{"metadata": "\xff"}', 400),
        (b"[]", 422),
        (b'{"metadata": []}', 422),
        (b'{"run_id": "7"}', 422),
        (b'{"metadata": {"a": ' + b"[" * 70 + b"]" * 70 + b"}}", 422),
        (b'{"metadata": ' + b"[" * 100_000 + b"}", 422),
        (b'{"job_name": "other"}', 400),
    ],
)
def test_bad_bodies_are_refused(server: Server, body: bytes, status: int) -> None:
    """Malformed is 400, wrong is 422; depth is bounded before anything is built."""
    reply = server.ask("POST", "/api/v1/jobs/j/runs", body, {"Content-Type": "application/json"})
    assert reply.status == status, reply.body


def test_a_body_that_says_it_is_something_else_is_refused(server: Server) -> None:
    """A form or a text sent by accident, or by a foreign page, is not read as JSON. No type is an older client."""
    assert server.ask("POST", "/api/v1/jobs/j/runs", b"{}", {"Content-Type": "text/plain"}).status == 415
    assert server.ask("POST", "/api/v1/jobs/j/runs", b"{}").status == 201
    assert (
        server.ask("POST", "/api/v1/jobs/j/runs", b"{}", {"Content-Type": "application/json; charset=utf-8"}).status
        == 201
    )
    assert server.ask("POST", "/api/v1/jobs/j/runs", b"").status == 201


def test_a_body_has_a_bound(server: Server) -> None:
    """One request can never fill the memory; a batch of events may be larger than the rest."""
    large = b'{"metadata": {"a": "' + b"x" * (1 << 20) + b'"}}'
    assert server.ask("POST", "/api/v1/jobs/j/runs", large).status == 413
    events = b'{"events": [{"event_type": "e", "data": {"a": "' + b"x" * (1 << 20) + b'"}}]}'
    assert server.ask("POST", "/api/v1/events/batch", events).status == 200


def test_a_claimed_length_is_refused_before_it_is_sent(server: Server) -> None:
    """Who asks first is told at once."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        sock.sendall(
            b"POST /api/v1/jobs/j/runs HTTP/1.1\r\nHost: localhost\r\n"
            b"Expect: 100-continue\r\nContent-Length: 999999999\r\n\r\n"
        )
        assert sock.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("key", ["abc", '"abc"', '"a\\"b"'])
def test_an_idempotency_key_is_taken_bare_or_quoted(server: Server, key: str) -> None:
    """The draft standard quotes it, nearly everybody sends it bare."""
    first = server.ask("POST", "/api/v1/jobs/keyed/runs", {}, {"Idempotency-Key": key + "-1" if key == "abc" else key})
    again = server.ask("POST", "/api/v1/jobs/keyed/runs", {}, {"Idempotency-Key": key + "-1" if key == "abc" else key})
    assert first.status == again.status == 201
    assert first.json["run_id"] == again.json["run_id"]


@pytest.mark.parametrize("key", ["", "a b", '"a', "x" * 256, "é"])
def test_a_broken_idempotency_key_is_refused(server: Server, key: str) -> None:
    """A key that is dropped in silence would let a retry count twice."""
    reply = server.ask("POST", "/api/v1/jobs/keyed/runs", {}, {"Idempotency-Key": key})
    assert (reply.status, reply.json["code"]) == (400, "bad_idempotency_key")


def test_snapshots_and_graphs_are_not_sent_twice(server: Server) -> None:
    """A page that polls costs a header, not a body."""
    server.ask("POST", "/api/v1/jobs/register-snapshot", {"table_name": "tagged", "uri": "file:///t", "format": "csv"})
    for target in ("/api/v1/tables/tagged/snapshots/latest", "/api/v1/lineage?name=tagged"):
        first = server.ask("GET", target)
        again = server.ask("GET", target, headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
        assert (first.status, again.status, again.body) == (200, 304, b"")
        assert again.headers["etag"] == first.headers["etag"]


def test_head_answers_as_get_without_the_body(server: Server) -> None:
    get, head = server.ask("GET", "/api/v1/config"), server.ask("HEAD", "/api/v1/config")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


def test_a_foreign_page_cannot_write(server: Server) -> None:
    """A browser on the same machine reaches a loopback server from any page; it says which page asks."""
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        reply = server.ask("POST", "/api/v1/jobs/j/runs", b"{}", headers)
        assert (reply.status, reply.json["code"]) == (403, "foreign_origin")
    own = {"Origin": server.url, "Host": f"127.0.0.1:{server.port}"}
    assert server.ask("POST", "/api/v1/jobs/j/runs", b"{}", {"Origin": own["Origin"]}).status == 201


def test_a_small_answer_does_not_wait(server: Server) -> None:
    """Without TCP_NODELAY each small request on a kept connection costs 40 ms; the best of many tells."""
    request = b"GET /api/v1/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    took = []
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        for _ in range(20):
            began = time.perf_counter()
            sock.sendall(request)
            received = b""
            while b'"live"' not in received:
                received += sock.recv(4096)
            took.append(time.perf_counter() - began)
    assert min(took) < 0.03


def test_a_slow_head_is_hung_up_on_only_after_its_time(server: Server) -> None:
    """The limit exists (it is ten seconds), and a client that pauses for a moment is served."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        sock.sendall(b"GET /api/v1/health/live HTT")
        time.sleep(0.2)
        sock.sendall(b"P/1.1\r\nHost: localhost\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 200")


def test_an_endless_head_is_hung_up_on(server: Server) -> None:
    """Headers are kept in memory until they end, so they must."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises(OSError, match=r"reset|pipe"):
            _send_for_ever(sock)


def _send_for_ever(sock: socket.socket) -> None:
    for number in range(5000):
        sock.sendall(f"X-{number}: {'y' * 1000}\r\n".encode())
        time.sleep(0.001)
