"""The segment that processes share: appended to under a lock, and read as a sealed one."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from datlake_sdk._outbox.journal import (
    DEAD,
    Header,
    NewerFormatError,
    SegmentReader,
    SegmentWriter,
    append_frame,
    shared_lock,
)

HEADER = Header(destination="http://lake", writer="w", number=3, created_at="2026-01-02T03:04:05Z", sdk="1.2.3")

SHARE = """
import sys
from datlake_sdk._outbox.journal import DEAD, Header, append_frame

header = Header(destination="d", writer="w", number=1, created_at="2026-01-02T03:04:05Z", sdk="1")
for number in range(25):
    append_frame(sys.argv[1], header, DEAD, f"{sys.argv[2]} {number}".encode() * 100)
"""

WITHOUT_ROOM = """
import os, resource, sys
from datlake_sdk._outbox.journal import DEAD, Header, append_frame

header = Header(destination="d", writer="w", number=1, created_at="2026-01-02T03:04:05Z", sdk="1")
resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(sys.argv[1]) + 50, 9_999))
append_frame(sys.argv[1], header, DEAD, b"x" * 100)
"""

FORK_WHILE_LOCKED = """
import os, signal, sys
from datlake_sdk._outbox.journal import DEAD, Header, append_frame, shared_lock

header = Header(destination="d", writer="w", number=1, created_at="2026-01-02T03:04:05Z", sdk="1")
with shared_lock(sys.argv[1]):
    child = os.fork()
    if child == 0:
        signal.pause()
try:
    append_frame(sys.argv[1], header, DEAD, b"x", patience_s=0.2)
finally:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def segment(path: Path, *payloads: bytes) -> bytes:
    """The bytes of a segment that holds these."""
    writer = SegmentWriter.create(str(path), HEADER)
    for payload in payloads:
        writer.append(DEAD, payload)
    writer.close()
    return path.read_bytes()


def payloads_in(path: Path) -> list[bytes]:
    """What the file holds."""
    return [frame.payload for frame in SegmentReader.open(str(path)).read(0, is_sealed=True).frames]


def test_processes_append_to_one_shared_file(tmp_path: Path) -> None:
    path = tmp_path / "dead.seg"
    children = [subprocess.Popen([sys.executable, "-c", SHARE, path, name]) for name in "abcd"]
    assert [child.wait(60) for child in children] == [0] * 4
    assert sorted(payloads_in(path)) == sorted(f"{n} {i}".encode() * 100 for n in "abcd" for i in range(25))


@pytest.mark.parametrize("size", [0, 1, 30, 150], ids=["empty", "byte", "line", "header"])
def test_a_shared_file_whose_maker_died_gets_its_header(tmp_path: Path, size: int) -> None:
    path = tmp_path / "dead.seg"
    path.write_bytes(segment(path)[:size])
    append_frame(str(path), HEADER, DEAD, b"one")
    append_frame(str(path), HEADER, DEAD, b"two")
    assert payloads_in(path) == [b"one", b"two"]


def test_a_shared_file_with_a_torn_tail_takes_more_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "dead.seg"
    path.write_bytes(segment(path, b"one", b"two")[:-3])
    append_frame(str(path), HEADER, DEAD, b"more")
    assert payloads_in(path) == [b"one", b"more"]


def test_whoever_holds_a_shared_file_is_not_waited_for_without_end(tmp_path: Path) -> None:
    path = tmp_path / "dead.seg"
    append_frame(str(path), HEADER, DEAD, b"one")
    with path.open("rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match="another process holds it"):
            append_frame(str(path), HEADER, DEAD, b"two", patience_s=0.05)
    assert payloads_in(path) == [b"one"]


def test_what_is_taken_out_of_a_shared_file_is_all_that_it_had(tmp_path: Path) -> None:
    """Taken by one process while others append: each frame is taken once, or still there."""
    path, taken = tmp_path / "dead.seg", list[bytes]()
    children = [subprocess.Popen([sys.executable, "-c", SHARE, path, name]) for name in "abcd"]
    while any(child.poll() is None for child in children):
        with shared_lock(str(path)) as descriptor:
            if os.fstat(descriptor).st_size:
                taken += payloads_in(path)
            path.unlink()
    if path.exists():
        taken += payloads_in(path)
    assert sorted(taken) == sorted(f"{n} {i}".encode() * 100 for n in "abcd" for i in range(25))


def test_a_frame_goes_to_the_file_that_has_the_name_now(tmp_path: Path) -> None:
    """Whoever takes frames out of a shared file writes another one and gives it the name, under the lock."""
    path, other = tmp_path / "dead.seg", tmp_path / "other"
    segment(path, b"old")
    segment(other, b"kept")
    with path.open("rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        thread = threading.Thread(target=append_frame, args=(str(path), HEADER, DEAD, b"new"))
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
        other.rename(path)
    thread.join()
    assert payloads_in(path) == [b"kept", b"new"]


def test_a_shared_file_is_as_it_was_where_a_frame_has_no_room(tmp_path: Path) -> None:
    path = tmp_path / "dead.seg"
    data = segment(path, b"one")
    done = subprocess.run([sys.executable, "-c", WITHOUT_ROOM, path], capture_output=True, text=True, check=False)
    assert "bytes were taken" in done.stderr
    assert path.read_bytes() == data


def test_a_forked_child_holds_no_lock_of_its_parent(tmp_path: Path) -> None:
    """It has a copy of every open file, and a lock lasts until the last copy is closed or one of them gives it back."""
    subprocess.run([sys.executable, "-c", FORK_WHILE_LOCKED, tmp_path / "dead.seg"], check=True)
    assert payloads_in(tmp_path / "dead.seg") == [b"x"]


def test_a_newer_shared_file_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "dead.seg"
    path.write_bytes(b"datlake-journal 2\nand more")
    with pytest.raises(NewerFormatError, match="upgrade datlake-sdk"):
        append_frame(str(path), HEADER, DEAD, b"x")
    assert path.read_bytes() == b"datlake-journal 2\nand more"
