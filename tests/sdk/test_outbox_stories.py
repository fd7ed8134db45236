"""Single stories of the outbox that were once told wrong; `test_outbox_machine.py` looks for the next ones."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from datlake_sdk._outbox import dead, overview
from datlake_sdk._outbox.claims import claim_writer
from datlake_sdk._outbox.parcels import UploadParcel
from datlake_sdk._outbox.recovery import Progress
from datlake_sdk.errors import TransientNetworkError
from datlake_sdk.transport.base import CallOptions
from datlake_sdk.wire.operations import LogEvents, Op
from tests.properties.outbox_host import Host, Process, frames_of
from tests.properties.outbox_lake import Lake
from tests.properties.outbox_ledger import event, registration

A = TypeVar("A")
ONE, TWO, THREE = (f"0190c6a0-0000-7000-8000-00000000000{number}" for number in (1, 2, 3))


@pytest.fixture
def host() -> Iterator[Host]:
    """A host whose lake is in memory."""
    made = Host(Lake())
    yield made
    made.close()


@pytest.fixture
def process(host: Host) -> Iterator[Process]:
    """A process of the host."""
    made = Process(host)
    yield made
    made.die()


def flush(host: Host) -> Progress:
    """`datlake outbox flush`."""
    with host.disk():
        return overview.flush(host.settings, lambda: host.lake, 60)


def rounds(process: Process, count: int) -> None:
    """The courier goes so many rounds."""
    for _ in range(count):
        process.depot.round()


def events_in(op: Op[object]) -> int:
    """How many frames the call is of."""
    return len(op.events) if isinstance(op, LogEvents) else 1


class SlowLine(Lake):
    """A line over which so many events at once do not arrive in time; it counts what was tried."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.tried: list[int] = []

    def call(self, op: Op[A], options: CallOptions) -> A:
        """The lake's answer, where it comes in time."""
        count = events_in(op)
        self.tried.append(count)
        if count > self.most:
            raise TransientNetworkError("no answer in time", code="timeout")
        return super().call(op, options)


def put_aside(host: Host, process: Process) -> None:
    """An operation at which the lake fails is kept, and put aside."""
    host.lake.failing.add(ONE)
    assert process.keep(registration(ONE, "")) == "disk"
    rounds(process, 2)


def test_what_was_put_aside_outlives_its_process(host: Host, process: Process) -> None:
    """Closing took it for delivered, and removed its file."""
    put_aside(host, process)
    process.close()
    host.lake.failing.clear()
    assert flush(host).operations == 1
    assert host.lake.order == [ONE]


def test_an_outage_makes_no_dead_letter_of_what_was_put_aside(host: Host, process: Process) -> None:
    """Only the lake's failures at this very operation count."""
    put_aside(host, process)
    host.lake.failing.clear()
    host.lake.weather = "away"
    for _ in range(20):
        host.now += 100
        rounds(process, 1)
    assert (host.letters(), process.is_empty) == ({}, False)
    host.lake.weather = "fine"
    host.now += 100
    rounds(process, 1)
    assert (host.lake.order, process.is_empty) == ([ONE], True)


def test_what_fits_into_no_file_is_kept_in_memory(host: Host, process: Process) -> None:
    """Under a limit on the size of files it was tried in new ones for ever."""
    host.room = 2_000
    with host.disk():
        assert process.keep(registration(ONE, "x" * 4_000)) == "memory"
        assert process.keep(registration(TWO, "")) == "memory"
    assert len(host.segments()) == 2
    host.room = None
    host.now += 10
    assert process.keep(registration(THREE, "")) == "disk"
    assert process.flush(5)
    assert host.lake.order == [ONE, TWO, THREE]


def test_a_file_delivered_by_one_that_died_then_is_no_dead_letter(host: Host, process: Process, tmp_path: Path) -> None:
    """Its bytes had left the spool before its frame had left the journal."""
    (tmp_path / "report").write_text("bytes")
    parcel = UploadParcel(
        namespace="default", bucket="b", object_name="report", spool="", size_bytes=0, sha256="", run_id=ONE
    )
    assert process.keep_file(parcel, str(tmp_path / "report"))
    assert process.keep(registration(TWO, "")) == "disk"
    rounds(process, 1)
    assert host.lake.order == ["report", TWO]
    process.die()
    assert flush(host).refused == 0
    assert (host.letters(), host.left()) == ({}, [])


@pytest.mark.parametrize("way", [overview.retry, overview.drop], ids=["retry", "drop"])
def test_a_full_disk_takes_no_dead_letter_away(host: Host, process: Process, way: object) -> None:
    """All were taken out, and those that stay could not be put back."""
    host.lake.refused |= {ONE, TWO}
    for key in (ONE, TWO):
        process.keep(registration(key, ""))
    rounds(process, 2)
    letters = host.letters()
    assert set(letters) == {ONE, TWO}
    host.room = 0
    assert callable(way)
    with host.disk(), pytest.raises(OSError, match="File too large"):
        way(host.settings, [letters[ONE].id])
    assert host.letters() == letters
    host.room = None
    assert way(host.settings, [letters[ONE].id]) == 1
    assert set(host.letters()) == {TWO}


def test_a_full_disk_leaves_a_file_of_dead_letters_that_can_be_read(host: Host, process: Process) -> None:
    """The file that the first letter would have begun was empty, and no journal."""
    host.lake.refused.add(ONE)
    process.keep(registration(ONE, ""))
    host.room = 0
    with host.disk():
        rounds(process, 1)
    assert (host.folder / dead.DEAD_FILE).exists()
    assert host.letters() == {}


def test_damage_in_the_journal_of_a_living_process_is_told(host: Host, process: Process) -> None:
    """Those of the dead were counted alone."""
    for key in (ONE, TWO):
        process.keep(registration(key, ""))
    [path] = host.segments()
    first = frames_of(path)[0]
    content = bytearray(path.read_bytes())
    content[first.start + 20] ^= 1
    path.write_bytes(content)
    process.close()
    flush(host)
    assert host.lake.order == [TWO]
    [loss] = dead.losses(str(host.folder))
    assert (loss.what, loss.count) == ("bytes", first.end - first.start)


def test_bytes_that_nothing_speaks_of_are_cleared_after_an_hour(host: Host, process: Process, tmp_path: Path) -> None:
    """Those of a dead letter stay, for it may be sent again."""
    for name in ("dropped", "kept"):
        (tmp_path / name).write_text(name)
        parcel = UploadParcel(
            namespace="default", bucket="b", object_name=name, spool="", size_bytes=0, sha256="", run_id=ONE
        )
        assert process.keep_file(parcel, str(tmp_path / name))
    host.lake.refused |= {"dropped", "kept"}
    process.flush(5)
    process.close()
    assert overview.drop(host.settings, [host.letters()["dropped"].id]) == 1
    flush(host)
    assert len(list((host.folder / "spool").iterdir())) == 2
    host.hours_pass()
    flush(host)
    [left] = (host.folder / "spool").iterdir()
    assert left.read_text() == "kept"


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_holds_nothing_that_its_parent_was_delivering(host: Host, process: Process) -> None:
    """A parent killed while it delivers leaves that to others, however long its children live."""
    dead_one = Process(host)
    for key in (ONE, TWO):
        dead_one.keep(registration(key, ""))
    writer = dead_one.writer or ""
    dead_one.die()
    process.adopt_soon()
    rounds(process, 1)
    assert claim_writer(str(host.folder), writer) is None
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    try:
        process.die()
        claim = claim_writer(str(host.folder), writer)
        assert claim is not None
        claim.release()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert flush(host).operations == 2


def test_a_journal_that_a_power_cut_left_the_beginning_of_is_cleared(host: Host, process: Process) -> None:
    """Half its first line was taken for that of a newer version, and left alone for ever."""
    process.keep(registration(ONE, ""))
    process.die()
    [path] = host.segments()
    os.truncate(path, 16)
    assert flush(host).left == []
    assert (host.left(), len(dead.losses(str(host.folder)))) == ([], 1)


def test_what_a_line_is_too_slow_for_at_once_arrives_in_less_at_once(process: Process, host: Host) -> None:
    """A batch that takes longer than a call may was sent again and again, as large as it was, for ever."""
    host.lake = line = SlowLine(8)
    for number in range(90):
        process.keep(event(f"0190c6a0-0000-7000-8000-{number:012}", ""))
    process.die()
    assert (flush(host).operations, len(line.kept), host.left()) == (90, 90, [])
    whole, *less = line.tried
    assert less[:2] == [1, whole // 2]
    assert max(less[4:]) <= line.most < whole


def test_a_line_that_carries_nothing_is_told_by_one_more_attempt(process: Process, host: Host) -> None:
    """Each of them costs as long as a call may take."""
    host.lake = line = SlowLine(0)
    for number in range(90):
        process.keep(event(f"0190c6a0-0000-7000-8000-{number:012}", ""))
    process.die()
    assert flush(host).stopped_by is not None
    assert line.tried[1:] == [1]
