"""`datlake serve` as a process: what it says, when it refuses, how it ends."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.http.served import Server

REFUSED = (
    "import sys; from datlake_sdk.cli.server import run_server; sys.exit(run_server(*sys.argv[1:3], int(sys.argv[3])))"
)


def test_it_says_where_it_is_and_what_to_type(tmp_path: Path) -> None:
    """Port 0 is any free one, so the line is how one learns which."""
    server = Server(tmp_path)
    assert f"serving {tmp_path} at {server.url}" in server.greeting[0]
    assert f"export DATLAKE_API_URL={server.url}" in server.greeting[1]
    assert server.ask("GET", "/health/ready").status == 200
    assert server.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_flight_is_finished_before_the_end(tmp_path: Path, number: signal.Signals) -> None:
    """A deployment must not cost an upload; the exit code says that all is well."""
    server = Server(tmp_path)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(b"PUT /api/v1/datasets/b/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello")
        time.sleep(0.3)
        server.process.send_signal(number)
        time.sleep(0.3)
        sock.sendall(b"world")
        assert sock.recv(100).startswith(b"HTTP/1.1 201")
    assert server.stop() == 0


def test_an_idle_connection_does_not_delay_the_end(tmp_path: Path) -> None:
    """Clients keep connections open for a minute; a stop does not wait for them."""
    server = Server(tmp_path)
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/health/live")
    connection.getresponse().read()
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 5
    connection.close()


def test_a_folder_has_one_server(tmp_path: Path) -> None:
    """The second one says who the first is; once that has ended, however, the folder is free."""
    server = Server(tmp_path)
    second = _refused(tmp_path, "127.0.0.1")
    assert second.returncode == 1
    assert f"process {server.process.pid}" in second.stderr
    server.process.kill()
    server.stop()
    assert Server(tmp_path).stop() == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104 -- what must be refused
def test_only_the_loopback_is_served_without_keys(tmp_path: Path, host: str) -> None:
    """An open lake on a network is everybody's."""
    refused = _refused(tmp_path, host)
    assert refused.returncode == 1
    assert "without keys" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    """In words, and not as a traceback."""
    (tmp_path / "file").write_text("x")
    refused = _refused(tmp_path / "file" / "lake", "127.0.0.1")
    assert refused.returncode == 1
    assert "--home" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = _refused(tmp_path, "127.0.0.1", taken.getsockname()[1])
    assert refused.returncode == 1
    assert "--port" in refused.stderr


def _refused(home: Path, host: str, port: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", REFUSED, str(home), host, str(port)]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
