"""Bytes on their way into the lake, and what becomes of them when somebody else gives them up."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from datlake_sdk.errors import ServerError
from datlake_sdk.wire.models import LakeObject
from datlake_server.lake import Lake
from datlake_server.objects.files import Upload

PIECE = b"x" * 65_536


def test_an_upload_that_is_given_up_while_it_is_committed_is_whole_or_nothing(tmp_path: Path) -> None:
    """A server that is stopped at once gives up from one thread what another one still writes."""
    lake, ends = Lake.open(str(tmp_path / "lake")), list[LakeObject | ServerError]()
    for number in range(40):
        upload, gate = lake.begin_upload("n", "b", f"o{number}"), threading.Barrier(2)
        upload.write(PIECE)

        def commit(upload: Upload = upload, gate: threading.Barrier = gate) -> None:
            gate.wait()
            try:
                ends.append(upload.commit())
            except ServerError as error:
                ends.append(error)

        other = threading.Thread(target=commit)
        other.start()
        gate.wait()
        if number % 2:
            time.sleep(number % 4 * 0.0005)
        upload.abort()
        other.join()
    assert len(ends) == 40
    for end in ends:
        if isinstance(end, ServerError):
            assert (end.code, end.retryable) == ("interrupted", True)
        else:
            found, path = lake.find_object("n", "b", end.object)
            assert (found.size_bytes, Path(path).read_bytes()) == (len(PIECE), PIECE)
    assert list((tmp_path / "lake" / "objects" / "tmp").iterdir()) == []
    lake.close()


def test_what_was_given_up_takes_no_more_and_closes_nothing_twice(tmp_path: Path) -> None:
    """The number of its file may be another file's by then."""
    lake = Lake.open(str(tmp_path / "lake"))
    upload = lake.begin_upload("n", "b", "o")
    upload.abort()
    with (tmp_path / "other").open("w") as other:  # takes the number that has become free
        upload.abort()
        with pytest.raises(ServerError, match="given up"):
            upload.write(PIECE)
        with pytest.raises(ServerError, match="given up"):
            upload.commit()
        os.fsync(other.fileno())
    assert (tmp_path / "other").read_bytes() == b""
    lake.close()
