"""Who gets what a process has left when it is gone: one at a time, and never while it lives; each a real lock."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from datlake_sdk._outbox.claims import Abandoned, claim, claim_writer
from datlake_sdk._outbox.presence import Line, Presence
from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.processes import own_identity
from tests.sdk.presences import RUN, the_presence, told

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no locks of this kind there")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "outbox" / "0123456789abcdef"


def abandoned(folder: Path) -> str:
    """The presence that a process which is gone has left."""
    Presence.create(str(folder), new_id()).close(remove=False)
    return the_presence(folder)


def test_only_the_owner_may_read_what_a_process_leaves(folder: Path) -> None:
    abandoned(folder)
    assert (folder.stat().st_mode & 0o777, Path(the_presence(folder)).stat().st_mode & 0o777) == (0o700, 0o600)


def test_a_claim_is_one_processs_until_it_is_released(folder: Path) -> None:
    path = abandoned(folder)
    first = claim(path)
    assert first is not None
    assert claim(path) is None
    first.release()
    second = claim(path)
    assert second is not None
    second.remove()
    assert claim(path) is None
    assert list(folder.iterdir()) == []


def test_what_a_writer_left_can_be_claimed_though_its_presence_is_missing(folder: Path) -> None:
    """A full disk, or somebody who tidied up, took the one and not the other."""
    folder.mkdir(parents=True)
    writer = new_id()
    found = claim_writer(str(folder), writer)
    assert found is not None
    assert claim_writer(str(folder), writer) is None
    assert found.told == Abandoned(path=str(folder / f"{writer}.presence"), writer=writer)
    found.remove()
    assert list(folder.iterdir()) == []


CLAIM = """
import os, sys, time
from datlake_sdk._outbox.claims import claim_writer
folder, writer, at = sys.argv[1:]
mine = os.path.join(folder, "mine")
time.sleep(max(float(at) - time.time(), 0))
for _ in range(1500):
    found = claim_writer(folder, writer)
    if found is not None:
        os.close(os.open(mine, os.O_CREAT | os.O_EXCL))
        os.unlink(mine)
        found.remove()
"""


def test_of_many_that_claim_at_once_one_has_it(folder: Path) -> None:
    """Each removes what it got: the others come upon a file that has lost its name, or the next of that name."""
    folder.mkdir(parents=True)
    arguments = [sys.executable, "-c", CLAIM, str(folder), new_id(), str(time.time() + 0.5)]
    claimers = [subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [claimer.communicate(timeout=60)[1] for claimer in claimers] == [""] * 3
    assert list(folder.iterdir()) == []


def test_a_line_that_death_cut_short_hides_no_other(folder: Path) -> None:
    path = abandoned(folder)
    with Path(path).open("ab") as file:
        file.write(b'{"began":{"job_na\n\xff\xfe\n' + msgspec.json.encode(Line(began=RUN)) + b'\n{"ended":"run-')
    assert told(folder).runs == [RUN]


# --- where there are no locks -----------------------------------------------------------------------------------------


OWN = own_identity()
ALIVE = Line(identity=OWN, is_locked=False)
GONE = Line(identity=replace(OWN, pid=2**31 - 1), is_locked=False)
ELSEWHERE = Line(identity=replace(OWN, host="elsewhere"), is_locked=False)


@pytest.mark.parametrize(
    ("lines", "age_s", "is_claimed"),
    [
        ([ALIVE], 7200, False),
        ([ALIVE, Line(is_closed=True)], 0, True),
        ([GONE], 0, True),
        ([ELSEWHERE], 1800, False),
        ([ELSEWHERE], 7200, True),
    ],
    ids=["alive", "closed", "gone", "elsewhere", "elsewhere and silent"],
)
def test_without_locks_the_living_are_let_be_and_the_dead_claimed(
    folder: Path, lines: list[Line], age_s: float, *, is_claimed: bool
) -> None:
    """Some network file systems know no locks: the process is asked for, or else its silence decides."""
    folder.mkdir(parents=True)
    path = folder / f"{new_id()}.presence"
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    os.utime(path, (time.time() - age_s, time.time() - age_s))
    found = claim(str(path))
    assert (found is not None) == is_claimed
    if found is not None:
        found.release()


def test_a_writer_without_locks_that_refreshes_is_not_taken_for_dead(folder: Path) -> None:
    presence = Presence.create(str(folder), new_id())
    os.utime(presence.path, (0, 0))
    presence.refresh()
    assert time.time() - Path(presence.path).stat().st_mtime < 60
    presence.close(remove=True)
