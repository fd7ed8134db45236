"""The SDK's transport and the server, together: what goes up comes down."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from datlake_sdk.errors import InvalidRequest, NotFound
from datlake_sdk.transport.base import CallOptions
from datlake_sdk.transport.http import HttpTransport
from datlake_sdk.wire.operations import GetRun, GetTable, ListObjects, StartRun
from tests.http.served import Server

OPTIONS = CallOptions(timeout_s=10.0)


@pytest.fixture
def transport(server: Server) -> HttpTransport:
    return HttpTransport(server.url)


@pytest.mark.parametrize("name", ["a/b", "a%2Fb", "..", "é {} #?", "../x", "-x"])
def test_a_run_of_any_job_is_found_again(transport: HttpTransport, name: str) -> None:
    """By the value that was sent, through every layer between."""
    run = transport.call(StartRun(job_name=name, namespace=name), OPTIONS)
    assert transport.call(GetRun(run_id=run.run_id, job_name=name, namespace=name), OPTIONS) == run


def test_an_error_crosses_the_wire_whole(transport: HttpTransport) -> None:
    with pytest.raises(NotFound) as raised:
        transport.call(GetTable(table_name="none"), CallOptions(timeout_s=5.0, request_id="mine"))
    assert (raised.value.status, raised.value.request_id) == (404, "mine")
    assert "none" in raised.value.message


@pytest.mark.parametrize("size_bytes", [0, 1, 262_144, 3_000_001, 70_000_000])
def test_a_file_goes_up_and_comes_down(transport: HttpTransport, tmp_path: Path, size_bytes: int) -> None:
    """The last one is beyond the size up to which the digest is sent ahead."""
    content = os.urandom(1 << 20) * (size_bytes >> 20) + os.urandom(size_bytes & ((1 << 20) - 1))
    path = tmp_path / "file"
    path.write_bytes(content)
    stored = transport.upload("default", "up", f"{size_bytes}/file", str(path), OPTIONS)
    assert stored.size_bytes == size_bytes
    assert b"".join(transport.download("default", "up", f"{size_bytes}/file", OPTIONS)) == content
    listed = transport.call(ListObjects(bucket="up", prefix=f"{size_bytes}/"), OPTIONS)
    assert [one.object for one in listed.items] == [f"{size_bytes}/file"]


def test_a_download_that_is_given_up_leaves_the_transport_well(transport: HttpTransport, tmp_path: Path) -> None:
    """A reader may want only the beginning."""
    path = tmp_path / "file"
    path.write_bytes(os.urandom(8_000_000))
    transport.upload("default", "up", "part", str(path), OPTIONS)
    for _ in range(3):
        pieces = transport.download("default", "up", "part", OPTIONS)
        assert next(pieces)
        pieces.close()  # type: ignore[attr-defined] # an iterator that is a generator
    assert transport.call(ListObjects(bucket="up", prefix="part"), OPTIONS).items


def test_a_name_that_cannot_be_is_refused(transport: HttpTransport, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with pytest.raises(InvalidRequest):
        transport.upload("default", "up", "a\x00b", str(path), OPTIONS)
