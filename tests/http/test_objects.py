"""Bytes over a real socket: whole, in ranges, checked, and never half."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import time
from pathlib import Path

import pytest

from tests.http.served import Server

CONTENT = bytes(range(256)) * 20
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def stored(server: Server) -> str:
    """An object's address."""
    assert server.ask("PUT", "/api/v1/datasets/b/ranges.bin", CONTENT).status == 201
    return "/api/v1/datasets/b/ranges.bin"


@pytest.mark.parametrize(
    "name", ["x/y.bin", "a%2Fb", "jobs/..%2Fx/run.log", "%2E%2E/%2E%2E/etc", "%C3%A9%20%7B%7D", "%252F"]
)
def test_an_object_is_read_back_under_its_name(server: Server, name: str) -> None:
    """No name leads out of the lake or to another object."""
    content = os.urandom(1000)
    reply = server.ask("PUT", f"/api/v1/datasets/b/{name}", content)
    assert (reply.status, reply.json["sha256"]) == (201, hashlib.sha256(content).hexdigest())
    assert server.ask("GET", f"/api/v1/datasets/b/{name}").body == content
    outside = [path for path in server.home.parent.rglob("*") if server.home not in (path, *path.parents)]
    assert not [path for path in outside if path.is_file() and path.read_bytes() == content]


def test_a_large_object_survives_the_way(server: Server) -> None:
    """Larger than any buffer on the road."""
    content = os.urandom(5_000_011)
    assert server.ask("PUT", "/api/v1/datasets/b/large", content).status == 201
    assert server.ask("GET", "/api/v1/datasets/b/large").body == content


def test_an_empty_object_is_an_object(server: Server) -> None:
    assert server.ask("PUT", "/api/v1/datasets/b/empty", b"").json["size_bytes"] == 0
    reply = server.ask("GET", "/api/v1/datasets/b/empty")
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize(
    ("asked", "status", "body", "shown"),
    [
        ("bytes=0-9", 206, CONTENT[:10], "bytes 0-9/5120"),
        ("bytes=5000-", 206, CONTENT[5000:], "bytes 5000-5119/5120"),
        ("bytes=-7", 206, CONTENT[-7:], "bytes 5113-5119/5120"),
        ("bytes=0-999999", 206, CONTENT, "bytes 0-5119/5120"),
        ("bytes=0-1,5-6", 200, CONTENT, None),
        ("lines=0-1", 200, CONTENT, None),
        ("bytes=9-1", 200, CONTENT, None),
        ("bytes=-", 200, CONTENT, None),
        ("bytes=5120-", 416, None, "bytes */5120"),
        ("bytes=-0", 416, None, "bytes */5120"),
    ],
)
def test_one_range_is_served(server: Server, asked: str, status: int, body: bytes | None, shown: str | None) -> None:
    """As RFC 9110 has it: what is not understood gets the whole."""
    server.ask("PUT", "/api/v1/datasets/b/ranges.bin", CONTENT)
    reply = server.ask("GET", "/api/v1/datasets/b/ranges.bin", headers={"Range": asked})
    assert (reply.status, reply.headers.get("content-range")) == (status, shown)
    assert body is None or reply.body == body


def test_a_range_of_another_version_gets_the_whole(server: Server, stored: str) -> None:
    """A resumed download must not be patched together from two versions."""
    etag = server.ask("HEAD", stored).headers["etag"]
    assert etag == f'"{SHA256}"'
    assert server.ask("GET", stored, headers={"Range": "bytes=0-9", "If-Range": etag}).status == 206
    assert server.ask("GET", stored, headers={"Range": "bytes=0-9", "If-Range": '"old"'}).status == 200
    assert server.ask("GET", stored, headers={"If-None-Match": etag}).status == 304


def test_what_users_stored_cannot_run_in_a_browser(server: Server, stored: str) -> None:
    """An HTML artifact comes from the page's own origin."""
    headers = server.ask("HEAD", stored).headers
    assert headers["content-disposition"] == "attachment"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "sandbox"
    assert headers["content-length"] == "5120"


def test_bytes_that_changed_on_the_way_are_refused(server: Server) -> None:
    """With the digest sent along, damage is never visible."""
    good = base64.b64encode(hashlib.sha256(b"good").digest()).decode()
    wrong = server.ask("PUT", "/api/v1/datasets/b/digest", b"evil", {"Content-Digest": f"sha-256=:{good}:"})
    assert (wrong.status, wrong.json["code"]) == (400, "digest_mismatch")
    assert server.ask("GET", "/api/v1/datasets/b/digest").status == 404
    assert (
        server.ask("PUT", "/api/v1/datasets/b/digest", b"good", {"Content-Digest": f"sha-256=:{good}:"}).status == 201
    )
    assert server.ask("PUT", "/api/v1/datasets/b/digest", b"good", {"Content-Digest": "sha-256=:x:"}).status == 400


def test_an_upload_that_breaks_off_leaves_nothing(server: Server) -> None:
    """Neither an object, nor a temporary file."""
    before = _files(server.home)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        sock.sendall(b"PUT /api/v1/datasets/b/half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n")
        sock.sendall(b"x" * 3_000_000)
        time.sleep(0.2)
    end = time.monotonic() + 5
    while _files(server.home) != before and time.monotonic() < end:
        time.sleep(0.05)
    assert _files(server.home) == before
    assert server.ask("GET", "/api/v1/datasets/b/half").status == 404


def test_a_bucket_is_listed(server: Server) -> None:
    """The listing is an operation like any other."""
    server.ask("PUT", "/api/v1/datasets/listed/a/1", b"1")
    server.ask("PUT", "/api/v1/datasets/listed/b/1", b"1")
    items = server.ask("GET", "/api/v1/datasets/listed?prefix=a/").json["items"]
    assert isinstance(items, list)
    assert [item["object"] for item in items] == ["a/1"]


def test_an_object_may_be_named_in_the_query(server: Server) -> None:
    """Browsers collapse `..` in a path, even encoded."""
    assert server.ask("PUT", "/api/v1/datasets/-/-?bucket=b&object=..", b"dots").status == 201
    assert server.ask("GET", "/api/v1/datasets/b/%2E%2E").body == b"dots"


def _files(home: Path) -> set[str]:
    return {str(path) for path in (home / "objects").rglob("*") if path.is_file()}
