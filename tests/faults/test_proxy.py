"""The fault proxy does what it is told and nothing else; the fault tests stand on it."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.faults.proxy import CLEAR, Fault, FaultProxy

BODY = bytes(range(256)) * 4


class Echo(BaseHTTPRequestHandler):
    """Answers what it was sent, and counts."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_POST(self) -> None:
        """The body back."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).asked += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the standard library's name
        """Nothing is told."""


class Quiet(ThreadingHTTPServer):
    """Does not tell of connections that broke: that is what they are for here."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing is told."""


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    """A proxy before an echo."""
    Echo.asked = 0
    server = Quiet(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    with FaultProxy(server.server_port) as opened:
        yield opened
    server.shutdown()
    thread.join()
    server.server_close()


def ask(proxy: FaultProxy, timeout: float = 5, times: int = 1) -> list[bytes]:
    """What comes back on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=timeout)
    try:
        answers = []
        for _ in range(times):
            connection.request("POST", "/", BODY)
            answers.append(connection.getresponse().read())
        return answers
    finally:
        connection.close()


def test_without_a_fault_everything_passes_unchanged(proxy: FaultProxy) -> None:
    assert ask(proxy, times=3) == [BODY] * 3
    assert (proxy.counts.connections, proxy.counts.requests, proxy.counts.answers, Echo.asked) == (1, 3, 3, 3)


@pytest.mark.parametrize(
    "fault",
    [Fault(latency_s=0.01), Fault(piece_bytes=1), Fault(bytes_per_s=60_000)],
    ids=["late", "in pieces", "narrow"],
)
def test_a_slow_way_changes_nothing_but_the_time(proxy: FaultProxy, fault: Fault) -> None:
    proxy.switch(fault)
    assert ask(proxy) == [BODY]


def test_a_refused_port_is_refused_and_open_again_after(proxy: FaultProxy) -> None:
    for _ in range(3):
        proxy.switch(Fault(refuses=True))
        with pytest.raises(ConnectionRefusedError):
            ask(proxy)
        proxy.switch(CLEAR)
        assert ask(proxy) == [BODY]


def test_a_black_hole_takes_everything_and_says_nothing(proxy: FaultProxy) -> None:
    proxy.switch(Fault(holds=True))
    with pytest.raises(TimeoutError):
        ask(proxy, timeout=0.2)
    assert Echo.asked == 0


def test_a_request_that_is_reset_never_reaches_the_server(proxy: FaultProxy) -> None:
    proxy.switch(Fault(resets_request=True))
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        ask(proxy)
    assert Echo.asked == 0


@pytest.mark.parametrize("size", [0, 10, 600])
def test_an_answer_breaks_off_where_it_was_told_to(proxy: FaultProxy, size: int) -> None:
    """Before its first byte, within its head and within its body."""
    proxy.switch(Fault(answer_bytes=size))
    with pytest.raises((ConnectionResetError, http.client.HTTPException)):
        ask(proxy)
    assert Echo.asked == 1


def test_a_swallowed_answer_is_one_that_the_server_gave(proxy: FaultProxy) -> None:
    """That the effect took place and nobody was told is the whole point."""
    proxy.switch(Fault(swallows=2))
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        ask(proxy, times=2)
    assert (Echo.asked, proxy.counts.swallowed) == (2, 1)


def test_one_bit_is_flipped_each_way_and_no_more(proxy: FaultProxy) -> None:
    proxy.switch(Fault(flips_answer_at=500))
    [answer] = ask(proxy)
    assert sum(one != other for one, other in zip(answer, BODY, strict=True)) == 1
    proxy.switch(Fault(flips_request_at=500))
    [answer] = ask(proxy)
    assert sum(one != other for one, other in zip(answer, BODY, strict=True)) == 1
    assert proxy.counts.flipped == 2


def test_it_can_speak_for_itself(proxy: FaultProxy) -> None:
    proxy.switch(Fault(says=b"HTTP/1.1 503 Away\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"))
    assert ask(proxy) == [b"no"]
    assert Echo.asked == 0


def test_a_switch_reaches_connections_that_are_open(proxy: FaultProxy) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=0.3)
    connection.request("POST", "/", BODY)
    assert connection.getresponse().read() == BODY
    proxy.switch(Fault(holds=True))
    connection.request("POST", "/", BODY)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    began = time.monotonic()
    proxy.switch(Fault(refuses=True))
    assert time.monotonic() - began < 5
