"""The HTTP transport against real sockets: good servers, hostile ones, and none."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from datlake_sdk.errors import (
    AuthError,
    ConfigError,
    Conflict,
    DatlakeError,
    InvalidRequest,
    NotFound,
    ServerError,
    TransientNetworkError,
)
from datlake_sdk.transport.base import CallOptions
from datlake_sdk.transport.http import HttpTransport
from datlake_sdk.transport.retry import Policy
from datlake_sdk.wire.operations import CompleteRun, GetConfig, GetTable, LogEvent, StartRun
from tests.sdk.scripted import Make, answer, problem

RUN = "0193a5c0-0000-7000-8000-0000000000c1"
CONFIG = b'{"version":"1","api_version":"v1","capabilities":[],"limits":{}}'
OPTIONS = CallOptions(timeout_s=5.0)


def test_a_call_carries_all_that_it_promises(scripted: Make) -> None:
    """Key, request id, idempotency key and who is calling."""
    server, transport = scripted(answer(200, CONFIG))
    transport.call(GetConfig(), CallOptions(timeout_s=5.0, request_id="mine"))
    assert server.header("Authorization") == "Bearer s3cret"
    assert server.header("X-Request-Id") == "mine"
    assert (server.header("User-Agent") or "").startswith("datlake-sdk/")
    assert server.header("Idempotency-Key") is None
    transport.call(GetConfig(), CallOptions(timeout_s=5.0, api_key="other"))
    assert server.header("Authorization") == "Bearer other"


@pytest.mark.parametrize(
    ("op", "key"),
    [
        (StartRun(job_name="j", run_id=RUN), RUN),
        (CompleteRun(job_name="j", run_id=RUN, success=True), f"{RUN}:complete"),
        (LogEvent(event_type="e"), None),
    ],
)
def test_every_write_has_an_idempotency_key_that_survives_retries(
    scripted: Make, op: LogEvent, key: str | None
) -> None:
    """Without it, an answer lost on the way would make the effect happen twice."""
    server, transport = scripted(problem(503, "busy"), problem(429, "slow"), problem(422, "no"))
    with pytest.raises(InvalidRequest):
        transport.call(op, OPTIONS)
    keys = {server.header("Idempotency-Key", at) for at in range(3)}
    ids = {server.header("X-Request-Id", at) for at in range(3)}
    assert len(server.requests) == 3
    assert len(keys) == len(ids) == 1
    assert None not in keys
    assert key is None or keys == {key}


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (problem(404, "not_found"), NotFound, "not_found"),
        (problem(401, "unauthorized"), AuthError, "unauthorized"),
        (problem(409, "conflict", current_version=7), Conflict, "conflict"),
        (problem(422, "invalid"), InvalidRequest, "invalid"),
        (problem(501, "not_here"), ServerError, "not_here"),
        (answer(404, b"<h1>nginx</h1>", kind="text/html"), NotFound, "unexpected_answer"),
        (answer(413, b"", kind="text/html"), InvalidRequest, "unexpected_answer"),
        (answer(422, b"{]", kind="application/problem+json"), InvalidRequest, "unexpected_answer"),
        (answer(200, b"<h1>Welcome, log in</h1>", kind="text/html"), TransientNetworkError, "unexpected_answer"),
        (answer(200, b'{"other": 1}'), ServerError, "unexpected_answer"),
        (answer(200, b"{"), ServerError, "unexpected_answer"),
        (answer(200, b"", kind="application/json"), ServerError, "unexpected_answer"),
        (answer(302, b"", "Location: http://portal.example/login?token=1"), TransientNetworkError, "redirected"),
    ],
)
def test_every_refusal_is_an_exception_of_the_tree(
    scripted: Make, reply: bytes, kind: type[DatlakeError], code: str
) -> None:
    """At once, since asking again changes nothing; with the run and the request it belongs to."""
    server, transport = scripted(reply)
    with pytest.raises(kind) as raised:
        transport.call(StartRun(job_name="j", run_id=RUN), OPTIONS)
    error = raised.value
    assert type(error) is kind
    assert (error.code, error.run_id, error.request_id) == (code, RUN, server.header("X-Request-Id"))
    assert len(server.requests) == 1
    assert "s3cret" not in str(error)
    assert "token" not in str(error)


def test_a_conflict_carries_where_the_table_stands(scripted: Make) -> None:
    _, transport = scripted(problem(409, "conflict", current_version=7))
    with pytest.raises(Conflict) as raised:
        transport.call(GetConfig(), OPTIONS)
    assert raised.value.current_version == 7


def test_a_server_that_asks_to_slow_down_is_an_error_of_its_own(scripted: Make) -> None:
    """The server is well; the client asks too much."""
    server, transport = scripted(problem(429, "whatever"))
    with pytest.raises(ServerError) as raised:
        transport.call(GetConfig(), OPTIONS)
    assert (raised.value.code, raised.value.status, len(server.requests)) == ("rate_limited", 429, 5)


def test_retry_after_is_honoured(scripted: Make) -> None:
    """A second is waited, an hour is not."""
    _, transport = scripted(problem(503, "busy", "Retry-After: 1"), answer(200, CONFIG))
    began = time.monotonic()
    transport.call(GetConfig(), OPTIONS)
    assert time.monotonic() - began >= 1.0
    _, transport = scripted(problem(503, "busy", "Retry-After: 3600"))
    began = time.monotonic()
    with pytest.raises(ServerError):
        transport.call(GetConfig(), OPTIONS)
    assert time.monotonic() - began < 1.0


def test_a_server_in_trouble_is_not_asked_five_times_as_much(scripted: Make) -> None:
    """Retries are twenty for a transport as long as nothing succeeds: what is over is asked once."""
    server, _ = scripted(*[problem(503, "busy")] * 100)
    transport = HttpTransport(server.url, policy=Policy(base_s=0.001))
    for _ in range(40):
        with pytest.raises(ServerError):
            transport.call(GetConfig(), OPTIONS)
    transport.close()
    assert len(server.requests) == 40 + 20


def test_a_redirect_is_not_followed(scripted: Make) -> None:
    """It would carry the key to another host."""
    other, _ = scripted(answer(200, CONFIG))
    _, transport = scripted(answer(307, b"", f"Location: {other.url}/api/v1/config"))
    with pytest.raises(TransientNetworkError, match="redirects to"):
        transport.call(GetConfig(), OPTIONS)
    assert other.requests == []


def drip_head(sock: socket.socket) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 200:
        sock.sendall(bytes([byte]))
        time.sleep(0.05)


def drip_body(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(200):
        sock.sendall(b" ")
        time.sleep(0.05)


def silence(sock: socket.socket) -> None:
    time.sleep(3)
    sock.close()


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    sock.close()


def garbage(sock: socket.socket) -> None:
    sock.sendall(os.urandom(3000) + b"\r\n\r\n")


def cut(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")


def endless(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        sock.sendall(b" " * (1 << 20))


@pytest.mark.parametrize("behave", [drip_head, drip_body, silence])
def test_a_slow_server_cannot_outlast_the_deadline(scripted: Make, behave: Callable[[socket.socket], None]) -> None:
    """A socket's timeout begins anew with every byte; the deadline does not."""
    _, transport = scripted(behave)
    began = time.monotonic()
    with pytest.raises(TransientNetworkError) as raised:
        transport.call(GetConfig(), CallOptions(timeout_s=0.5))
    assert time.monotonic() - began < 1.0
    assert raised.value.code == "timeout"


@pytest.mark.parametrize("behave", [reset, garbage, cut])
def test_a_broken_answer_is_no_answer(scripted: Make, behave: Callable[[socket.socket], None]) -> None:
    """And is asked for again, within the attempts there are."""
    server, transport = scripted(behave)
    with pytest.raises(TransientNetworkError) as raised:
        transport.call(GetConfig(), OPTIONS)
    assert raised.value.code == "disconnected"
    assert len(server.requests) == 5


def test_one_broken_answer_is_not_noticed(scripted: Make) -> None:
    _, transport = scripted(reset, cut, answer(200, CONFIG))
    assert transport.call(GetConfig(), OPTIONS).version == "1"


def test_an_endless_answer_ends(scripted: Make) -> None:
    """Memory is the user's."""
    _, transport = scripted(endless)
    with pytest.raises(TransientNetworkError, match="64 MiB"):
        transport.call(GetConfig(), CallOptions(timeout_s=20.0))


def test_a_connection_that_was_closed_meanwhile_is_not_noticed(scripted: Make) -> None:
    """Servers close what idles; a call that may not retry must not suffer for it."""

    def answer_once(sock: socket.socket) -> None:
        sock.sendall(answer(200, CONFIG))

    _, transport = scripted(answer_once)
    for _ in range(5):
        transport.call(GetConfig(), CallOptions(timeout_s=5.0, retries=False))


def test_a_refused_port_says_what_to_do() -> None:
    """Without retries it fails at once: a job that defers must not wait."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    transport = HttpTransport(f"http://127.0.0.1:{port}")
    began = time.monotonic()
    with pytest.raises(TransientNetworkError, match=r"refused.*datlake serve"):
        transport.call(GetConfig(), CallOptions(timeout_s=5.0, retries=False))
    assert time.monotonic() - began < 0.5


def test_a_name_that_does_not_resolve_is_said() -> None:
    transport = HttpTransport("http://nowhere.invalid")
    with pytest.raises(TransientNetworkError, match=r"nowhere\.invalid"):
        transport.call(GetConfig(), CallOptions(timeout_s=5.0, retries=False))


def test_a_server_without_tls_is_a_matter_of_settings() -> None:
    """Retrying does not help; the address is wrong."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def live() -> None:
            sock, _ = listener.accept()
            with sock, suppress(OSError):
                sock.recv(1000)
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                sock.recv(1000)

        threading.Thread(target=live, daemon=True).start()
        transport = HttpTransport(f"https://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(ConfigError, match="does not speak TLS"):
            transport.call(GetConfig(), OPTIONS)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="a certificate is made with openssl")
def test_a_certificate_that_is_not_trusted_is_a_matter_of_settings(tmp_path: Path) -> None:
    """It never goes away by itself, and must never be overlooked."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
    subprocess.run([*make.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def live() -> None:
            sock, _ = listener.accept()
            with sock, suppress(OSError):
                context.wrap_socket(sock, server_side=True)

        threading.Thread(target=live, daemon=True).start()
        transport = HttpTransport(f"https://localhost:{listener.getsockname()[1]}")
        with pytest.raises(ConfigError, match="SSL_CERT_FILE") as raised:
            transport.call(GetConfig(), OPTIONS)
        assert raised.value.code == "bad_certificate"


@pytest.mark.parametrize(
    "url", ["ftp://x", "http://", "https://user:pw@host", "http://h?x=1", "http://h:99999", "http://[::1"]
)
def test_an_address_that_cannot_be_used_is_refused_without_its_secrets(url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigError) as raised:
        HttpTransport(url)
    assert "pw" not in str(raised.value)


def test_a_path_before_the_api_is_honoured(scripted: Make) -> None:
    """Behind a reverse proxy the server is rarely at the root."""
    server, _ = scripted(answer(200, CONFIG))
    for suffix in ("/lake", "/lake/", "/lake/api/v1"):
        HttpTransport(server.url + suffix).call(GetConfig(), OPTIONS)
        assert server.requests[-1].startswith(b"GET /lake/api/v1/config HTTP/1.1")


def test_names_reach_the_socket_encoded(scripted: Make) -> None:
    """No layer on the way may collapse `..` or decode `%2F`."""
    server, transport = scripted(problem(404, "not_found"))
    for name, sent in (
        ("a/b", b"a%2Fb"),
        ("a%2Fb", b"a%252Fb"),
        ("..", b"%2E%2E"),
        ("é {} #?", b"%C3%A9%20%7B%7D%20%23%3F"),
    ):
        with pytest.raises(NotFound):
            transport.call(GetTable(table_name=name), OPTIONS)
        assert server.requests[-1].startswith(b"GET /api/v1/tables/" + sent + b" HTTP/1.1")


# Python 3.12 and later warn of exactly what this test proves to be safe here.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_has_its_own_connections(scripted: Make) -> None:
    """Two processes on one socket read each other's answers; jobs fork after the first call."""
    _, transport = scripted(answer(200, CONFIG))
    transport.call(GetConfig(), OPTIONS)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()

    def child() -> None:
        results.put(transport.call(GetConfig(), OPTIONS).version)

    process = context.Process(target=child)
    process.start()
    assert results.get() == "1"
    process.join(5)
    assert process.exitcode == 0
    assert transport.call(GetConfig(), OPTIONS).version == "1"


def test_many_threads_share_one_transport(scripted: Make) -> None:
    _, transport = scripted(answer(200, CONFIG))
    found: list[str] = []

    def work() -> None:
        found.extend(transport.call(GetConfig(), OPTIONS).version for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["1"] * 320


def test_importing_the_transport_loads_no_http_library() -> None:
    """It costs more than all the rest of the SDK, and most of it on a thread that nobody waits for."""
    code = "import sys, datlake_sdk.transport.http; sys.exit('urllib3' in sys.modules or 'http.client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=20).returncode == 0
