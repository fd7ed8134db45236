"""Who changes a log's file holds its lock: what became an object meanwhile is written to by nobody."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from datlake_sdk import Artifact, Conflict
from datlake_sdk.errors import DatlakeError
from datlake_sdk.wire.ids import new_id, object_uri, run_log_key
from datlake_sdk.wire.models import LogState
from datlake_sdk.wire.operations import CompleteRun, ListObjects
from datlake_server.lake import Lake
from datlake_server.run_logs import LogPlace

SAID = b"loading\n"


class Log:
    """The log of a run in a lake of its own."""

    def __init__(self, home: Path) -> None:
        self.lake = Lake.open(str(home))
        self.home = home
        self.objects = home / "objects" / "sha256"
        self.begin()

    def begin(self) -> None:
        """A new run says its first line."""
        self.run_id = new_id()
        self.key = run_log_key("j", self.run_id)
        self.file = self.home / "logs" / f"{self.run_id}.log"
        self.append(0, SAID)

    def append(self, offset: int, data: bytes) -> LogState:
        """As a sender does it."""
        return self.lake.append_log(LogPlace("default", self.run_id, offset, "j"), data)

    def complete(self) -> None:
        """The run ends and names what it said."""
        log = Artifact(
            type="log",
            uri=object_uri("b", self.key),
            size_bytes=len(SAID),
            sha256=hashlib.sha256(SAID).hexdigest(),
        )
        self.lake.dispatch(CompleteRun(job_name="j", run_id=self.run_id, success=True, artifacts=[log]))

    def upload(self) -> None:
        """What it said arrives as an object."""
        upload = self.lake.begin_upload("default", "b", self.key)
        upload.write(SAID)
        upload.commit()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The file is in another's hands."""
        file = os.open(self.file, os.O_RDWR)
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            os.close(file)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path / "lake")
    yield made
    made.lake.close()


class Meanwhile:
    """Work on a thread, and what came of it."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.result: object = None
        self._work = work
        self._thread = threading.Thread(target=self._do)
        self._thread.start()

    def done(self) -> object:
        """What it returned or raised, once it has."""
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.result

    def _do(self) -> None:
        try:
            self.result = self._work()
        except DatlakeError as error:
            self.result = error


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 4
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has_open(path: Path, times: int) -> bool:
    """Whether this process has the file open so often."""
    return sum(os.path.realpath(link) == str(path) for link in Path("/proc/self/fd").iterdir()) >= times


def test_a_file_that_was_moved_while_an_append_waited_is_not_written_to(log: Log, tmp_path: Path) -> None:
    """It is an object by then, and objects hold just the bytes of their name."""
    with log.locked():
        append = Meanwhile(lambda: log.append(len(SAID), b"late\n"))
        until(lambda: has_open(log.file, 2))
        log.file.rename(tmp_path / "moved")
    refusal = append.done()
    assert isinstance(refusal, Conflict)
    assert (refusal.code, refusal.current_version) == ("log_gap", 0)
    assert (tmp_path / "moved").read_bytes() == SAID
    assert not log.file.exists()


def test_an_append_that_waited_for_the_sealing_finds_the_log_sealed(log: Log) -> None:
    """Else it would begin a second log beside the object."""
    with log.locked():
        append = Meanwhile(lambda: log.append(0, SAID))
        until(lambda: has_open(log.file, 2))
        others = [Meanwhile(log.complete), Meanwhile(log.upload)]
        until(lambda: has_open(log.file, 4))
        assert log.lake.dispatch(ListObjects(bucket="b")).items
        log.file.unlink()
    assert append.done() == LogState(run_id=log.run_id, size_bytes=len(SAID), is_final=True)
    assert [other.done() for other in others] == [None, None]
    assert not log.file.exists()
    assert log.lake.read_log("default", log.run_id)[0] == SAID


def test_a_sealing_and_a_late_line_leave_one_of_two_states(log: Log) -> None:
    """Sealed without the line, or growing with it; never an object that is not what its name says."""
    for _ in range(60):
        log.begin()
        both = [Meanwhile(log.complete), Meanwhile(lambda: log.append(len(SAID), b"late\n"))]
        assert not any(isinstance(each.done(), Exception) for each in both)
        said, state = log.lake.read_log("default", log.run_id)
        assert (said, state.is_final) in {(SAID, True), (SAID + b"late\n", False)}
        for path in log.objects.rglob("*"):
            assert path.is_dir() or hashlib.sha256(path.read_bytes()).hexdigest() == path.name


def test_a_lock_that_another_keeps_is_waited_for_and_no_longer(log: Log) -> None:
    """A process that hangs must not hang the server."""
    place = LogPlace("default", log.run_id, len(SAID), "j")
    with log.locked(), pytest.raises(DatlakeError) as refused:
        log.lake.append_log(place, b"late\n", patience_s=0.1)
    assert (refused.value.code, refused.value.status) == ("busy", 503)
    assert log.append(len(SAID), b"late\n").size_bytes == len(SAID) + 5
