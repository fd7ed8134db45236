"""Objects over the HTTP transport, against servers that misbehave."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from pathlib import Path

import msgspec
import pytest

from datlake_sdk.errors import InvalidRequest, NotFound, ServerError, TransientNetworkError
from datlake_sdk.transport.base import CallOptions
from datlake_sdk.transport.http import HttpTransport
from tests.sdk.scripted import Make, answer, problem

OPTIONS = CallOptions(timeout_s=5.0)
STORED = {
    "bucket": "b",
    "object": "o",
    "namespace": "default",
    "uri": "datlake://b/o",
    "created_at": "2026-01-01T00:00:00Z",
}


def stored_answer(content: bytes) -> bytes:
    fields = {**STORED, "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return answer(201, msgspec.json.encode(fields))


def test_an_upload_states_its_length_and_digest_and_is_retried_from_the_start(scripted: Make, tmp_path: Path) -> None:
    content = os.urandom(600_000)
    (tmp_path / "f").write_bytes(content)
    server, transport = scripted(problem(503, "busy"), stored_answer(content))
    stored = transport.upload("default", "b", "x/../y z", str(tmp_path / "f"), OPTIONS)
    assert stored.size_bytes == 600_000
    for request in server.requests:
        assert request.startswith(b"PUT /api/v1/datasets/b/x/%2E%2E/y%20z HTTP/1.1")
        assert request.partition(b"\r\n\r\n")[2] == content
    assert server.header("Content-Length") == "600000"
    assert (server.header("Content-Digest") or "").startswith("sha-256=:")
    assert server.header("Idempotency-Key", 0) == server.header("Idempotency-Key", 1)


def test_an_upload_that_arrives_changed_is_an_error(scripted: Make, tmp_path: Path) -> None:
    """Large files are checked after the fact; this is that check."""
    (tmp_path / "f").write_bytes(b"good")
    server, transport = scripted(stored_answer(b"evil"))
    with pytest.raises(ServerError) as raised:
        transport.upload("default", "b", "o", str(tmp_path / "f"), OPTIONS)
    assert (raised.value.code, len(server.requests)) == ("digest_mismatch", 5)


def test_a_growing_file_is_sent_as_long_as_it_was(scripted: Make, tmp_path: Path) -> None:
    """A log is shipped while it is still written to."""
    path = tmp_path / "log"
    path.write_bytes(b"first")
    with path.open("ab") as log:
        server, transport = scripted(stored_answer(b"first"))

        def grow() -> None:
            while not server.requests:
                log.write(b"more")
                log.flush()

        transport.upload("default", "b", "o", str(path), OPTIONS)
        assert server.requests[0].endswith(b"\r\n\r\nfirst")
        grow()


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="No such file"):
        HttpTransport("http://127.0.0.1:9").upload("default", "b", "o", str(tmp_path / "none"), OPTIONS)


def test_an_upload_that_does_not_move_ends(tmp_path: Path) -> None:
    """The limit is on standing still, not on the whole."""
    path = tmp_path / "large"
    path.write_bytes(b"x" * 30_000_000)
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        transport = HttpTransport(f"http://127.0.0.1:{listener.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(TransientNetworkError):
            transport.upload("default", "b", "o", str(path), CallOptions(timeout_s=0.5, retries=False))
        assert time.monotonic() - began < 3


def test_a_download_goes_on_where_it_was_cut(scripted: Make) -> None:
    """A 50 GB artifact is not begun anew for one lost connection."""
    content = os.urandom(300_000)
    etag = f'ETag: "{hashlib.sha256(content).hexdigest()}"'

    def first_third(sock: socket.socket) -> None:
        sock.sendall(answer(200, content, etag)[:100_000])

    head = len(answer(200, content, etag)) - len(content)
    at = 100_000 - head
    rest = answer(206, content[at:], etag, f"Content-Range: bytes {at}-299999/300000")
    server, transport = scripted(first_third, rest)
    assert b"".join(transport.download("default", "b", "o", OPTIONS)) == content
    assert server.header("Range") == f"bytes={at}-"
    assert server.header("If-Range") == etag.partition(": ")[2]


def test_a_download_of_something_that_changed_meanwhile_is_an_error(scripted: Make) -> None:
    """Half of one version and half of another is worse than nothing."""
    etag = f'ETag: "{hashlib.sha256(b"whole").hexdigest()}"'

    def first(sock: socket.socket) -> None:
        sock.sendall(answer(200, b"whole", etag)[:-2])

    _, transport = scripted(first, answer(200, b"other", f'ETag: "{"0" * 64}"'))
    with pytest.raises(ServerError, match="replaced"):
        list(transport.download("default", "b", "o", OPTIONS))


@pytest.mark.parametrize("etag", ['"' + "0" * 64 + '"', '"x"'])
def test_a_download_that_is_not_what_it_claims_is_an_error(scripted: Make, etag: str) -> None:
    """Damage on the way, or a login page in place of the object."""
    _, transport = scripted(answer(200, b"content", f"ETag: {etag}"))
    with pytest.raises((ServerError, TransientNetworkError)):
        list(transport.download("default", "b", "o", OPTIONS))


def test_a_download_that_does_not_exist_is_not_found(scripted: Make) -> None:
    _, transport = scripted(problem(404, "not_found"))
    with pytest.raises(NotFound):
        list(transport.download("default", "b", "o", OPTIONS))
