"""What a host knows of a lake that is away: real files, whatever happens to them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from datlake_sdk._outbox.known import Known, LastKnown
from datlake_sdk._outbox.places import destination_of, folder_of
from datlake_sdk.settings import load_settings
from datlake_sdk.wire.models import Snapshot

BEGIN = datetime(2026, 11, 23, 3, tzinfo=UTC)


def snapshot(
    number: int, *, table: str = "t", namespace: str = "default", version: int | None = None, late: bool = False
) -> Snapshot:
    """The table's snapshot of the `number`-th minute."""
    return Snapshot(
        snapshot_id=f"0193a5c0-0000-7000-8000-{number:012x}",
        table_name=table,
        namespace=namespace,
        version=number if version is None else version,
        uri=f"s3://lake/{table}/{number}",
        format="parquet",
        schema={"a": "int"},
        created_at=BEGIN + timedelta(minutes=number),
        late=late,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "outbox" / "known"


@pytest.fixture
def known(folder: Path) -> LastKnown:
    return LastKnown(str(folder))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_the_last_answer_is_known_with_its_time(folder: Path) -> None:
    """How old it is decides whether it may be used, also in another process."""
    LastKnown(str(folder), clock=lambda: 1_000.5).remember_latest(snapshot(1))
    assert LastKnown(str(folder)).latest("default", "t") == Known(snapshot=snapshot(1), learned_at=1_000.5)


def test_nothing_is_made_before_there_is_something_to_remember(known: LastKnown, folder: Path) -> None:
    """A job that reads nothing leaves nothing."""
    assert known.latest("default", "t") is None
    assert known.deferred("default", "t") is None
    assert known.snapshot("default", "t", "1") is None
    known.settle(snapshot(1))
    known.forget_deferred(snapshot(1))
    assert not folder.parent.exists()


def test_tables_of_the_same_name_are_kept_apart(known: LastKnown) -> None:
    """And so are names that would be one when put together."""
    known.remember_latest(snapshot(1, table="b", namespace="a"))
    known.remember_latest(snapshot(2, table="ab", namespace=""))
    assert known.latest("a", "b") is not None
    assert known.latest("", "b") is None
    assert known.latest("ab", "") is None


def test_a_shorter_answer_over_a_longer_one_is_read_whole(known: LastKnown) -> None:
    """Files are written over, not replaced."""
    known.remember_latest(snapshot(100_000_000))
    known.remember_latest(snapshot(1))
    found = known.latest("default", "t")
    assert found is not None
    assert found.snapshot == snapshot(1)


def test_what_a_lake_says_is_believed_also_when_it_is_older(known: LastKnown) -> None:
    """It may have been restored from a backup; but what arrived late was never its newest."""
    known.remember_latest(snapshot(5))
    known.remember_latest(snapshot(3))
    known.remember_latest(snapshot(2, late=True))
    found = known.latest("default", "t")
    assert found is not None
    assert found.snapshot == snapshot(3)


def test_what_this_host_registered_is_known_before_its_lake_knows_it(known: LastKnown) -> None:
    """The next job of a chain reads it, whether the lake is there or not."""
    known.remember_latest(snapshot(3))
    known.remember_deferred(snapshot(4, version=0))
    found = known.latest("default", "t")
    assert found is not None
    assert found.deferred
    assert found.snapshot == snapshot(4, version=0)


def test_of_several_deferred_registrations_the_newest_is_known(known: LastKnown) -> None:
    """They may be told in any order."""
    known.remember_deferred(snapshot(4, version=0))
    known.remember_deferred(snapshot(3, version=0))
    found = known.deferred("default", "t")
    assert found is not None
    assert found.snapshot == snapshot(4, version=0)


def test_a_registration_older_than_what_its_lake_said_is_no_news(known: LastKnown) -> None:
    """It will not be the table's newest once it is delivered either."""
    known.remember_latest(snapshot(5))
    known.remember_deferred(snapshot(4, version=0))
    assert known.deferred("default", "t") is None


@pytest.mark.parametrize("answered", [snapshot(4), snapshot(5)], ids=["itself", "newer"])
def test_a_deferred_registration_is_forgotten_once_its_lake_has_it_or_newer(
    known: LastKnown, folder: Path, answered: Snapshot
) -> None:
    known.remember_deferred(snapshot(4, version=0))
    known.remember_latest(answered)
    assert known.deferred("default", "t") is None
    assert known.latest("default", "t") == known.answered("default", "t")
    assert len(files(folder)) == 1


def test_a_deferred_registration_outlives_older_answers(known: LastKnown) -> None:
    """The lake still has to get it."""
    known.remember_deferred(snapshot(4, version=0))
    known.remember_latest(snapshot(3))
    found = known.latest("default", "t")
    assert found is not None
    assert found.deferred


def test_a_fast_clock_does_not_keep_a_registration_deferred(known: LastKnown) -> None:
    """The lake caps the time it was given, so that it answers the same snapshot with an earlier one."""
    known.remember_deferred(snapshot(900, version=0))
    known.remember_latest(structs.replace(snapshot(900), created_at=BEGIN))
    assert known.deferred("default", "t") is None


def test_a_registration_that_was_late_is_deferred_no_longer_and_not_the_latest(known: LastKnown) -> None:
    known.remember_deferred(snapshot(4, version=0))
    known.remember_latest(snapshot(4, late=True))
    assert known.latest("default", "t") is None


def test_a_refused_registration_is_forgotten_and_no_other(known: LastKnown) -> None:
    """Nobody may read what the lake will never have."""
    known.remember_deferred(snapshot(4, version=0))
    known.forget_deferred(snapshot(3))
    assert known.deferred("default", "t") is not None
    known.forget_deferred(snapshot(4))
    assert known.deferred("default", "t") is None


def test_pinned_snapshots_are_known_under_what_was_asked_for(known: LastKnown) -> None:
    """What `latest` names moves, and is therefore no pin."""
    known.remember_snapshot("7", snapshot(7))
    known.remember_snapshot("latest", snapshot(7))
    assert known.snapshot("default", "t", "7") == snapshot(7)
    assert known.snapshot("default", "t", snapshot(7).snapshot_id) is None
    assert known.snapshot("default", "t", "latest") is None
    assert known.snapshot("default", "u", "7") is None
    assert known.latest("default", "t") is None


def test_the_oldest_go_where_there_are_too_many(known: LastKnown, folder: Path) -> None:
    """Ten thousand of each kind: a host that reads tables for years does not fill its disk."""
    known.remember_snapshot("1", snapshot(1))
    (first,) = files(folder)
    for number in range(39):
        other = first.with_name(f"{number:030x}")
        other.write_bytes(b"")
        os.utime(other, (number, number))
    os.utime(first, (50, 50))
    first.rename(first.with_name("aside"))
    known.remember_snapshot("1", snapshot(1))
    names = {path.name for path in files(folder)}
    assert len(names) == 39
    assert {first.name, "aside"} < names
    assert f"{0:030x}" not in names


def test_files_are_for_their_owner_alone_and_tell_nothing_by_their_names(known: LastKnown, folder: Path) -> None:
    """Names of tables may be confidential."""
    known.remember_latest(snapshot(1, table="salaries", namespace="board"))
    known.remember_deferred(snapshot(2, table="salaries", namespace="board"))
    known.remember_snapshot("1", snapshot(1, table="salaries", namespace="board"))
    made = [folder.parent, *folder.parent.rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in made if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in made if path.is_file()} == {0o600}
    assert not [path for path in made if "salaries" in str(path) or "board" in path.name]


FLIPPED = st.tuples(st.integers(0, 349), st.integers(1, 255)).map(
    lambda flip: lambda data: data[: flip[0]] + bytes([data[flip[0]] ^ flip[1]]) + data[flip[0] + 1 :]
)
CUT = st.tuples(st.integers(0, 349), st.binary()).map(lambda cut: lambda data: data[: cut[0]] + cut[1])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(damage=FLIPPED | CUT)
def test_a_damaged_file_is_not_known(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    """Half of an answer, or one bit of a URI, would be worse than none; the next answer mends it."""
    known = LastKnown(str(folder), clock=lambda: 1.0)
    known.remember_latest(snapshot(1))
    (path,) = files(folder)
    whole = path.read_bytes()
    assert len(whole) > 349
    path.write_bytes(damage(whole))
    assert known.latest("default", "t") is None or path.read_bytes()[: len(whole)] == whole
    known.remember_latest(snapshot(1))
    assert known.latest("default", "t") is not None


def test_a_file_in_the_wrong_place_is_not_known(known: LastKnown, folder: Path) -> None:
    """An answer of another table, or a deferred one, stays what it is."""
    known.remember_latest(snapshot(1))
    (path,) = files(folder)
    content = path.read_bytes()
    known.remember_latest(snapshot(1, table="u"))
    known.remember_deferred(snapshot(1, table="u"))
    known.remember_deferred(snapshot(1))
    for other in files(folder):
        other.write_bytes(content)
    assert known.deferred("default", "t") is None
    assert known.latest("default", "u") is None
    assert known.deferred("default", "u") is None
    assert known.latest("default", "t") is not None


def test_a_link_is_not_followed(known: LastKnown, folder: Path, tmp_path: Path) -> None:
    """What others put into the folder must not make a job write elsewhere."""
    known.remember_latest(snapshot(1))
    (path,) = files(folder)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    before = (tmp_path / "elsewhere").read_bytes()
    known.remember_latest(snapshot(2))
    assert known.latest("default", "t") is None
    assert (tmp_path / "elsewhere").read_bytes() == before


@pytest.mark.parametrize("trouble", ["a file in its way", "folders for files", "a pipe"])
def test_nothing_is_raised_where_nothing_can_be_kept(folder: Path, trouble: str) -> None:
    """A cache is no reason for a job to fail."""
    known = LastKnown(str(folder))
    if trouble == "a file in its way":
        folder.parent.mkdir()
        folder.write_text("")
    else:
        known.remember_latest(snapshot(1))
        (path,) = files(folder)
        path.unlink()
        path.mkdir() if trouble == "folders for files" else os.mkfifo(path)
    known.remember_latest(snapshot(1))
    assert known.latest("default", "t") is None


def test_a_full_disk_is_no_trouble(tmp_path: Path) -> None:
    """Then nothing is known, and the job goes on."""
    program = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from tests.sdk.test_known import LastKnown, snapshot\n"
        "known = LastKnown(sys.argv[1])\n"
        "known.remember_latest(snapshot(1))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "known.remember_latest(snapshot(2))\n"
        "known.remember_snapshot('2', snapshot(2))\n"
        "print(known.latest('default', 't'), known.snapshot('default', 't', '2'))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "known")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "None None\n"), done.stderr


WRITER = """
import sys
from tests.sdk.test_known import LastKnown, snapshot
known = LastKnown(sys.argv[1])
for number in range(1_000):
    known.remember_latest(snapshot(number * int(sys.argv[2])))
"""


def test_readers_beside_writers_see_whole_answers(known: LastKnown, folder: Path) -> None:
    """Each of them true at some moment, never a mixture of two."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(step)]) for step in (1, 100_003)]
    seen = set[int]()
    while any(writer.poll() is None for writer in writers):
        if found := known.latest("default", "t"):
            assert found.snapshot == snapshot(found.snapshot.version)
            seen.add(found.snapshot.version)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(seen) > 1
    assert known.latest("default", "t") is not None


# --- places -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["http://lake.example", "http://LAKE.example/", "http://lake.example:80", "http://lake.example:80/api/v1/"],
)
def test_a_server_is_one_destination_however_its_address_is_written(address: str) -> None:
    """Else what one job left would wait for another that spells it alike."""
    assert destination_of(load_settings({"api_url": address}).settings) == "http://lake.example"


@pytest.mark.parametrize(
    "address",
    ["https://lake.example", "http://lake.example:443", "http://lake.example/team", "http://other.example"],
)
def test_other_servers_are_other_destinations(address: str) -> None:
    mine, other = load_settings({"api_url": "http://lake.example"}), load_settings({"api_url": address})
    assert destination_of(mine.settings) != destination_of(other.settings)
    assert folder_of(mine.settings) != folder_of(other.settings)


def test_an_embedded_lake_is_one_destination_by_whatever_name(tmp_path: Path) -> None:
    """A relative path, a link and the setting of the home lead to the same folder."""
    (tmp_path / "a lake").mkdir()
    (tmp_path / "link").symlink_to("a lake")
    ways = [{"api_url": str(tmp_path / "a lake")}, {"home": str(tmp_path / "link")}, {"home": f"{tmp_path}/x/../link"}]
    found = {destination_of(load_settings(way).settings) for way in ways}
    assert found == {f"file://{tmp_path}/a%20lake"}
