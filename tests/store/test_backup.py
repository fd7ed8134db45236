"""Backups: made while others write, whole or not there, and put back only where every byte of them proves true."""

from __future__ import annotations

import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from datlake_sdk.errors import ConfigError, Conflict, DatlakeError, NotFound, ServerError
from datlake_sdk.wire.operations import GetRun, ListObjects, ListRuns, StartRun
from datlake_server.backup import back_up
from datlake_server.lake import Lake
from datlake_server.restore import restore
from datlake_server.serverlock import served
from tests.places import serve, stop
from tests.store.backups import everything, lake_in, made, restored, store

# Uploads an object and then starts the run of its number, for as long as it lives; says of each when it is answered.
WRITER = """
import sys
from datlake_sdk.client import DatlakeClient
import tempfile, os
address, first = sys.argv[1], int(sys.argv[2])
file = tempfile.NamedTemporaryFile("w+b")
with DatlakeClient(address, timeout=30) as client:
    for number in range(first, first + 100_000):
        file.seek(0)
        file.truncate()
        file.write(str(number).encode() * 20_000)
        file.flush()
        client.put_object("b", f"o{number}", file.name)
        client.start_run("j", run_id=f"00000000-0000-4000-8000-{number:012}")
        print(number, flush=True)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A lake."""
    return lake_in(tmp_path / "lake")


def contents(home: Path) -> tuple[list[str], dict[str, bytes], list[bytes]]:
    """The runs, the bytes of the objects and the logs of the lake in `home`."""
    lake = Lake.open(str(home))
    runs = [run.run_id for run in lake.dispatch(ListRuns(limit=1000)).items]
    found = lake.dispatch(ListObjects(bucket="b", limit=1000)).items
    objects = {each.object: Path(lake.find_object("default", "b", each.object)[1]).read_bytes() for each in found}
    logs = [path.read_bytes() for path in (home / "logs").glob("*.log")]
    lake.close()
    return runs, objects, logs


# --- while everybody works --------------------------------------------------------------------------------------------


def test_a_backup_under_load_is_the_lake_as_it_was_at_one_moment(tmp_path: Path) -> None:
    """A server and an embedded job write on: each run is there with its object, and none without the ones before it."""
    home = tmp_path / "lake"
    server, url = serve(home)
    writers = [writer(url, 0), writer(str(home), 500_000)]
    for each in writers:
        more(each, 1)
    backups = list[tuple[Path, list[int]]]()
    for number in range(3):
        before = [more(each, 5) for each in writers]
        file = tmp_path / f"{number}.tar"
        made(home, file)
        backups.append((file, before))
    for each in writers:
        assert each.poll() is None
        each.kill()
        each.communicate()
    stop(server)
    for file, before in backups:
        into = tmp_path / f"restored-{file.stem}"
        restored(into, file)
        runs, objects = numbers_of(into)
        for start, least in zip((0, 500_000), before, strict=True):
            mine = sorted(number for number in runs if start <= number < start + 500_000)
            assert mine == list(range(start, start + len(mine)))
            assert len(mine) > least - start  # what was answered before the backup began is in it
            assert all(objects[f"o{number}"] == sha256(str(number).encode() * 20_000).hexdigest() for number in mine)


def numbers_of(home: Path) -> tuple[set[int], dict[str, str]]:
    """The numbers of the runs, without gaps but for where a writer began, and the digests of their objects."""
    lake = Lake.open(str(home))
    numbers, objects = set[int](), dict[str, str]()
    for start in (0, 500_000):
        number = start
        while is_there(lake, number):
            numbers.add(number)
            _, path = lake.find_object("default", "b", f"o{number}")
            objects[f"o{number}"] = sha256(Path(path).read_bytes()).hexdigest()
            number += 1
    page = lake.dispatch(ListRuns(limit=1000))
    total = len(page.items)
    while page.next_cursor is not None:
        page = lake.dispatch(ListRuns(limit=1000, cursor=page.next_cursor))
        total += len(page.items)
    assert total == len(numbers)
    lake.close()
    return numbers, objects


def is_there(lake: Lake, number: int) -> bool:
    """Whether the run of this number is known."""
    try:
        lake.dispatch(GetRun(run_id=f"00000000-0000-4000-8000-{number:012}"))
    except NotFound:
        return False
    return True


def writer(address: str, start: int) -> subprocess.Popen[str]:
    """A process that writes until it is killed."""
    return subprocess.Popen([sys.executable, "-c", WRITER, address, str(start)], stdout=subprocess.PIPE, text=True)


def more(process: subprocess.Popen[str], count: int) -> int:
    """The last of `count` more numbers that were answered."""
    assert process.stdout is not None
    return int([process.stdout.readline() for _ in range(count)][-1])


def test_a_backup_holds_the_whole_lake_and_is_for_its_owner_alone(home: Path, tmp_path: Path) -> None:
    """Records, bytes and growing logs; put into an empty folder it is the same lake."""
    file = tmp_path / "backup.tar"
    file.write_bytes(b"the one before")
    summary = made(home, file)
    assert (summary.counts.runs, summary.counts.objects, summary.missing, summary.damaged) == (1, 2, [], [])
    assert file.stat().st_mode & 0o777 == 0o600
    assert summary.size_bytes == file.stat().st_size
    assert [path.name for path in tmp_path.glob("backup*")] == ["backup.tar"]
    back = restored(tmp_path / "new", file)
    assert (back.counts, back.moved_to) == (summary.counts, None)
    assert contents(tmp_path / "new") == contents(home)
    assert contents(home)[2] == [b"it began\n"]


def test_what_the_lake_had_lost_before_is_told_and_the_rest_is_kept(home: Path, tmp_path: Path) -> None:
    """A backup that failed for one object would be no backup of all the others."""
    lost, changed = (home / "objects" / "sha256" / digest[:2] / digest for digest in map(digest_of, (b"1", b"2")))
    lost.unlink()
    changed.write_bytes(b"2" * 2999 + b"3")
    for summary in (made(home, tmp_path / "b.tar"), restored(tmp_path / "new", tmp_path / "b.tar")):
        assert summary.missing == [digest_of(b"1")]
        assert summary.damaged == [f"objects/sha256/{digest_of(b'2')[:2]}/{digest_of(b'2')}"]
    for part in ("objects", "logs"):
        assert everything(tmp_path / "new" / part) == everything(home / part)


def digest_of(byte: bytes) -> str:
    """The sha256 of one of the lake's objects."""
    return sha256(byte * 3000).hexdigest()


def test_a_backup_that_cannot_be_made_leaves_the_one_before(home: Path, tmp_path: Path) -> None:
    """The last good one is worth most on the day on which the lake is damaged."""
    file = tmp_path / "b.tar"
    file.write_bytes(b"good")
    with (home / "lake.db").open("r+b") as records:
        records.seek(8 * 4096)
        records.write(b"\xff" * 8 * 4096)
    with pytest.raises(ServerError, match="is damaged") as refused:
        made(home, file)
    assert refused.value.code == "lake_damaged"
    with pytest.raises(NotFound) as nothing:
        made(tmp_path / "none", file)
    assert nothing.value.code == "lake_not_found"
    assert not (tmp_path / "none").exists()
    assert (file.read_bytes(), [path.name for path in tmp_path.glob("b.tar*")]) == (b"good", ["b.tar"])
    with pytest.raises(DatlakeError) as unwritable:
        made(home, tmp_path / "no" / "such" / "folder")
    assert unwritable.value.code == "backup_unwritable"


def test_two_backups_into_one_file_do_not_mix(home: Path, tmp_path: Path) -> None:
    """A nightly backup that took a day meets the next one."""
    file = tmp_path / "b.tar"

    def again(what: str, *_: int) -> None:
        if what == "records":
            with pytest.raises(DatlakeError, match="another backup writes") as refused:
                made(home, file)
            assert refused.value.code == "backup_unwritable"

    back_up(str(home), str(file), again)
    restored(tmp_path / "new", file)


# --- back in place ----------------------------------------------------------------------------------------------------


def test_a_lake_that_is_there_is_moved_aside_when_told_so_and_never_deleted(home: Path, tmp_path: Path) -> None:
    """Whoever restores the wrong file wants back what was there."""
    file = tmp_path / "b.tar"
    made(home, file)
    then = contents(home)
    lake = Lake.open(str(home))
    lake.dispatch(StartRun(job_name="later"))
    store(lake, "later", b"later")
    lake.close()
    (home / "outbox").mkdir()
    now = contents(home)
    with pytest.raises(Conflict, match="--force") as refused:
        restored(home, file)
    assert refused.value.code == "lake_exists"
    assert contents(home) == now
    summary = restored(home, file, force=True)
    assert contents(home) == then
    assert (home / "outbox").is_dir()
    assert summary.moved_to is not None
    moved = Path(summary.moved_to)
    assert moved.parent == home
    assert contents(moved) == now
    assert [path.name for path in home.iterdir() if path.name.startswith("restore-")] == []


def test_a_lake_in_use_is_not_replaced(home: Path, tmp_path: Path) -> None:
    """What a server or a job wrote into the old files would be lost without a word."""
    file = tmp_path / "b.tar"
    made(home, file)
    before = everything(home)
    with served(str(home)), pytest.raises(ConfigError, match="served already") as refused:
        restored(home, file, force=True)
    assert refused.value.code == "lake_served"
    lake = Lake.open(str(home))
    with pytest.raises(Conflict, match="open") as used:
        restored(home, file, force=True)
    assert used.value.code == "lake_in_use"
    lake.close()
    assert everything(home) == before
    restored(home, file, force=True)


def test_nobody_opens_a_lake_while_it_is_restored(home: Path, tmp_path: Path) -> None:
    """Between the old one and the new one there is a moment without any, in which a job would make a third."""
    file = tmp_path / "b.tar"
    made(home, file)
    seen = list[str]()

    def opens(what: str, *_: int) -> None:
        if what not in seen:
            with pytest.raises(ServerError, match="being restored"):
                Lake.open(str(home))
        seen.append(what)

    restore(str(home), str(file), opens, force=True)
    assert set(seen) == {"unpacking", "checking the records", "moving it into place"}


@pytest.mark.parametrize("stage", ["unpacking", "checking the records", "moving it into place"])
def test_a_restore_that_is_killed_leaves_the_old_lake_and_the_next_one_sweeps(
    home: Path, tmp_path: Path, stage: str
) -> None:
    """What it leaves is a copy of what the backup holds, and may be large."""
    made(home, tmp_path / "b.tar")
    then = contents(home)
    killed_at(stage, "restore", home, tmp_path / "b.tar")
    assert contents(home) == then
    assert len(list(home.glob("restore-*"))) == 1
    restored(home, tmp_path / "b.tar", force=True)
    assert list(home.glob("restore-*")) == []
    assert contents(home) == then


@pytest.mark.parametrize("stage", ["records", "checking the records", "objects"])
def test_a_backup_that_is_killed_leaves_the_one_before_and_the_next_one_passes(
    home: Path, tmp_path: Path, stage: str
) -> None:
    """A machine that goes down in the night must not take the good backup with it, or the next one's chance."""
    file = tmp_path / "b.tar"
    file.write_bytes(b"good")
    killed_at(stage, "backup", home, file)
    assert file.read_bytes() == b"good"
    made(home, file)
    assert [path.name for path in tmp_path.glob("b.tar*")] == ["b.tar"]
    restored(tmp_path / "new", file)


def killed_at(stage: str, what: str, home: Path, file: Path) -> None:
    """A process has died in the middle of a backup or a restore."""
    call = "restore(*sys.argv[2:], dies, force=True)" if what == "restore" else "back_up(*sys.argv[2:], dies)"
    source = (
        "import os, signal, sys\n"
        "from datlake_server.backup import back_up\nfrom datlake_server.restore import restore\n"
        "def dies(what, *_):\n    if what == sys.argv[1]:\n        os.kill(os.getpid(), signal.SIGKILL)\n" + call
    )
    command = [sys.executable, "-c", source, stage, str(home), str(file)]
    assert subprocess.run(command, timeout=60, check=False).returncode == -signal.SIGKILL


def test_a_full_disk_changes_nothing(home: Path, tmp_path: Path) -> None:
    """Restoring needs room for a second lake; here a limit on the size of files stands for too little of it."""
    made(home, tmp_path / "b.tar")
    before = everything(home)
    source = (
        "import resource, sys\nfrom datlake_server.restore import restore\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, -1))\n"
        "try:\n    restore(sys.argv[1], sys.argv[2], lambda *_: None, force=True)\n"
        "except Exception as error:\n    print(error.code)"
    )
    command = [sys.executable, "-c", source, str(home), str(tmp_path / "b.tar")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("disk_full\n", "")
    assert everything(home) == before
