"""The lake's file and its log: bounded, checked after a kill, and itself again once a full disk has room."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from msgspec import Struct

from datlake_sdk.errors import ConfigError, ServerError
from datlake_server.lake import Lake
from datlake_server.serverlock import is_served, served
from datlake_server.store.base import Tx
from datlake_server.store.connections import Reader
from datlake_server.store.filelock import FairLock, OpenMark
from datlake_server.store.folding import CUT_PAGES, FOLD_PAGES, Folding
from datlake_server.store.sqlite import WAITING_LIMIT, SqliteStore, now_us

PAGE_BYTES = 4096
ROW_BYTES = 100_000


class _Name(Struct):
    name: str


class Rows:
    """Writes rows of 25 pages each, as many as it is asked for."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._count = 0

    def write(self, pages: int) -> None:
        """At least so many pages more are in the lake, ten rows to a commit."""
        for _ in range(0, pages, 10 * ROW_BYTES // PAGE_BYTES):
            self._store.write(self._ten, 10)

    def _ten(self, tx: Tx) -> None:
        for _ in range(10):
            self._count += 1
            tx.do("tables.insert", namespace="n", name=f"t{self._count}", now=tx.now, location="x" * ROW_BYTES)


def log_bytes(path: Path) -> int:
    """How large the write-ahead log is; 0 where there is none."""
    log = path.with_name(f"{path.name}-wal")
    return log.stat().st_size if log.exists() else 0


def names(tx: Tx) -> int:
    """How many tables the lake knows."""
    return len(tx.all(_Name, "tables.get", namespace="n", name="t1"))


# --- the log ----------------------------------------------------------------------------------------------------------


def test_the_log_stays_bounded_however_closely_readers_follow_each_other(tmp_path: Path) -> None:
    """While one reader is always there the log never begins anew by itself, and grows with every commit."""
    store, over = SqliteStore(str(tmp_path / "lake.db"), now_us), threading.Event()

    def read(first: bool) -> None:
        over.wait(0.004 * first)
        while not over.is_set():
            store.read(lambda tx: (names(tx), over.wait(0.008)))  # each begins in the middle of the other

    readers = [threading.Thread(target=read, args=(first,)) for first in (False, True)]
    for reader in readers:
        reader.start()
    rows, largest = Rows(store), 0
    for _ in range(64):
        rows.write(FOLD_PAGES // 4)
        largest = max(largest, log_bytes(tmp_path / "lake.db"))
    over.set()
    for reader in readers:
        reader.join()
    # On a busy machine the readers of the moment may stay for longer than is waited for, once or twice.
    assert largest < 2.5 * CUT_PAGES * PAGE_BYTES
    store.close()
    assert log_bytes(tmp_path / "lake.db") == 0


def test_the_log_is_folded_each_thousand_pages_and_waits_for_readers_at_four_thousand() -> None:
    """The decision by itself, as the store asks for it: (pages in the log, what is done)."""
    done = list[tuple[int, int]]()

    class Log:
        log_pages = 0

        def fold(self, wait_ms: int = 0) -> None:
            done.append((self.log_pages, wait_ms))

    folding, log = Folding(lambda: False), Log()
    for log.log_pages in (10, 999, 1000, 1001, 1999, 2000, 3500, 4600, 5700, 6700, 3, 1003):
        folding.after_commit(log)
    assert done == [(1000, 0), (2000, 0), (3500, 0), (4600, 100), (5700, 0), (6700, 100), (1003, 0)]


def test_a_reader_that_leaves_last_leaves_the_log_as_it_is(tmp_path: Path) -> None:
    """Two that fold at once are what damaged databases in the field; only who has the turn to write does it."""
    path = tmp_path / "lake.db"
    SqliteStore(str(path), now_us).close()
    dies_with(path, "store.write(lambda tx: tx.do('tables.insert', namespace='n', name='t1', now=1, location=None), 1)")
    size = log_bytes(path)
    assert size > 0
    reader = Reader(str(path))
    assert reader.seen(names, 0) == 1
    reader.close()
    assert log_bytes(path) == size


def test_jobs_leave_the_folding_to_the_folders_server_unless_it_stands_still(tmp_path: Path) -> None:
    """A server folds for all who use its folder; one that gets no requests must not let the log grow for ever."""
    with served(str(tmp_path)):
        job = SqliteStore(str(tmp_path / "lake.db"), now_us, another_folds=lambda: is_served(str(tmp_path)))
        rows = Rows(job)
        rows.write(2 * FOLD_PAGES)
        assert (tmp_path / "lake.db").stat().st_size < FOLD_PAGES * PAGE_BYTES
        rows.write(CUT_PAGES)
        assert (tmp_path / "lake.db").stat().st_size > CUT_PAGES * PAGE_BYTES
        rows.write(FOLD_PAGES // 2)
        before = (tmp_path / "lake.db").stat().st_size
        server = Lake.open(str(tmp_path), serves=True)
        Rows(job).write(0)
        server.close()  # others are there still, so nothing but the server itself folds the log
        assert (tmp_path / "lake.db").stat().st_size > before
        job.close()


# --- one server, and what it finds ------------------------------------------------------------------------------------


def test_a_folder_that_is_served_is_refused_to_another_server_with_its_address(tmp_path: Path) -> None:
    """Whoever reads it needs to know which process to stop, on which machine."""
    with served(str(tmp_path)) as lock:
        lock.tell("http://127.0.0.1:8765")
        with pytest.raises(ConfigError, match=r"process \d+ on .+ at http://127.0.0.1:8765; stop") as refused:
            served(str(tmp_path)).__enter__()
        assert refused.value.code == "lake_served"
        assert is_served(str(tmp_path))
    assert not is_served(str(tmp_path))
    with served(str(tmp_path)) as lock:
        assert not lock.is_check_due


def test_a_check_that_did_not_come_to_its_end_is_due_again(tmp_path: Path) -> None:
    """Stopped in the middle of it, the server would call a lake well that nobody has looked at."""
    (tmp_path / "server.lock").write_text('{"pid": 7, "host": "there"}')
    with served(str(tmp_path)) as lock:
        assert str(lock.left_by) == "process 7 on there"
    with pytest.raises(ConfigError), served(str(tmp_path)) as lock:
        raise ConfigError("the port is taken")
    with served(str(tmp_path)) as lock:
        assert lock.is_check_due
        lock.is_check_due = False
    with served(str(tmp_path)) as lock:
        assert not lock.is_check_due


def test_a_lake_that_was_left_is_known_by_its_log_where_nobody_is_at_work(tmp_path: Path) -> None:
    """The log of a process that lives is no sign of anything."""
    path = tmp_path / "lake.db"
    first = SqliteStore(str(path), now_us)
    first.write(lambda tx: tx.now, 1)
    beside = SqliteStore(str(path), now_us)
    assert not first.is_left_over
    assert not beside.is_left_over
    for store in (first, beside):
        store.close()
    dies_with(path, "store.write(lambda tx: tx.do('tables.insert', namespace='n', name='t1', now=1, location=None), 1)")
    after = SqliteStore(str(path), now_us)
    assert after.is_left_over
    assert after.read(names) == 1
    after.close()


def test_damage_is_found_and_keeps_writes_out_while_reads_go_on(tmp_path: Path) -> None:
    """A write into a damaged database loses more than it keeps; what can still be read, somebody may need."""
    path = tmp_path / "lake.db"
    store = SqliteStore(str(path), now_us)
    Rows(store).write(500)
    store.close()
    with path.open("r+b") as file:
        file.seek(300 * PAGE_BYTES)
        file.write(b"\xff" * 100 * PAGE_BYTES)
    store = SqliteStore(str(path), now_us)
    assert store.damage is None
    assert store.quick_check(lambda: False)
    with pytest.raises(ServerError, match="is damaged") as refused:
        store.write(lambda tx: tx.now, 1)
    assert (refused.value.code, refused.value.status) == ("lake_damaged", 503)
    assert store.read(names) == 1
    store.close()
    for name in ("lake.db", "lake.db-wal", "lake.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    assert store.write(lambda tx: tx.now, 1) > 0  # another file, another lake
    assert store.damage is None
    store.close()


def test_a_check_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    """A server that stops waits for no look at a large lake, and does not take it for well."""
    store = SqliteStore(str(tmp_path / "lake.db"), now_us)
    many(store, 60_000)
    assert store.quick_check(lambda: False)
    assert not store.quick_check(lambda: True)
    store.close()


def many(store: SqliteStore, count: int) -> None:
    """So many small rows."""

    def write(tx: Tx) -> None:
        for number in range(count):
            tx.do("tables.insert", namespace="n", name=str(number), now=tx.now, location=None)

    store.write(write, 60)


# --- who has it open --------------------------------------------------------------------------------------------------


def test_a_lake_that_is_seized_is_told_as_busy_and_opens_once_it_is_not(tmp_path: Path) -> None:
    """Who restores a backup has the folder for itself; a job's call waits a moment, and is sent again later."""
    mark = OpenMark(str(tmp_path / "lake.db.open"))
    assert mark.seize()
    with pytest.raises(ServerError, match="is being restored") as refused:
        SqliteStore(str(tmp_path / "lake.db"), now_us)
    assert (refused.value.code, refused.value.retryable) == ("busy", True)
    mark.close()
    store = SqliteStore(str(tmp_path / "lake.db"), now_us)
    assert not mark.seize()
    store.close()
    assert mark.seize()
    mark.close()


def _is_open(file: Path) -> bool:
    return file.is_symlink()  # the folder's own is closed by now


def test_a_lake_that_is_dropped_without_being_closed_is_not_in_use_any_more(tmp_path: Path) -> None:
    """A notebook makes clients by the hundred and closes none; nobody could restore a backup beside it."""
    for _ in range(3):
        store = SqliteStore(str(tmp_path / "lake.db"), now_us)
        store.write(lambda tx: tx.now, 1)
        store.read(names)
        del store
        gc.collect()
    opened = [str(file.readlink()) for file in Path("/proc/self/fd").iterdir() if _is_open(file)]
    assert [path for path in opened if path.startswith(str(tmp_path))] == []
    mark = OpenMark(str(tmp_path / "lake.db.open"))
    assert mark.seize()
    mark.close()


# --- too much, and too little room ------------------------------------------------------------------------------------


def test_more_than_a_thousand_waiting_writes_are_refused_at_once(tmp_path: Path) -> None:
    """A queue without a bound turns a slow disk into no memory, and every caller's patience into a timeout."""
    store, found = SqliteStore(str(tmp_path / "lake.db"), now_us), list[int]()
    holder = FairLock(str(tmp_path / "lake.db.lock"))
    assert holder.acquire(1.0)
    before = threading.stack_size(65_536 * 4)
    waiting = [
        threading.Thread(target=lambda: found.append(store.write(lambda tx: tx.now, 60))) for _ in range(WAITING_LIMIT)
    ]
    for thread in waiting:
        thread.start()
    threading.stack_size(before)
    while len(store._queue) < WAITING_LIMIT:
        threading.Event().wait(0.01)
    with pytest.raises(ServerError, match="too many operations wait") as refused:
        store.write(lambda tx: tx.now, 60)
    assert (refused.value.code, refused.value.status, refused.value.retryable) == ("overloaded", 503, True)
    holder.release()
    for thread in waiting:
        thread.join()
    assert len(found) == WAITING_LIMIT
    holder.close()
    store.close()


FULL = """
import sys, threading
from datlake_sdk.errors import ServerError
from datlake_server.lake import Lake
from datlake_server.store.base import Tx

home, path = sys.argv[1], sys.argv[1] + "/lake.db"
lake = Lake.open(home)
lake._store.write(lambda tx: tx.do("tables.insert", namespace="n", name="first", now=tx.now, location=None), 5)

def fill(number, size=50_000):
    def work(tx):
        for part in range(4):
            tx.do("tables.insert", namespace="n", name=f"{number}-{part}", now=tx.now, location="x" * size)
    lake._store.write(work, 20)

kept = []  # an id is one error's alone only while that lives

def told(work):
    try:
        work()
    except ServerError as error:
        kept.append(error)
        return error.code, error.status, id(error)
    return "passed", 0, 0

def upload(size):
    upload = lake.begin_upload("n", "b", "o")
    try:
        upload.write(b"x" * size)
        return upload.commit()
    finally:
        upload.abort()

def reads():
    return len(lake._store.read(lambda tx: tx.all(Row, "tables.get", namespace="n", name="first")))

from msgspec import Struct
class Row(Struct):
    name: str

make_small()
answers = [told(lambda: fill(number)) for number in range(60)]
print({answer[:2] for answer in answers})
print("reads", reads(), told(lambda: upload(20_000_000))[:2])
answers = []
threads = [threading.Thread(target=lambda n=n: answers.append(told(lambda: fill(f"group-{n}")))) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print({answer[:2] for answer in answers}, len({answer[2] for answer in answers}))
make_room()
print(told(lambda: fill("after"))[:2], told(lambda: upload(200_000))[:2], reads())
import os
print(os.listdir(home + "/objects/tmp"), lake.quick_check(lambda: False), lake.damage)
lake.close()
print(os.path.exists(path + "-wal"))
"""
LIMITED = """
import resource
def make_small(): resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, -1))
def make_room(): resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
"""
MOUNTED = """
import os, sys
def make_small():
    with open(sys.argv[1] + "/../ballast", "wb") as file:
        file.write(bytes(3_000_000))
def make_room(): os.unlink(sys.argv[1] + "/../ballast")
"""
RECOVERED = [
    "{('passed', 0), ('disk_full', 507)}",
    "reads 1 ('disk_full', 507)",
    "{('disk_full', 507)} 8",
    "('passed', 0) ('passed', 0) 1",
    "[] True None",
    "False",
]


def test_writes_that_find_no_room_say_so_and_pass_once_there_is_some(tmp_path: Path) -> None:
    """Here a limit on the size of files stands for the full disk: no restart, no repair, and reads go on meanwhile."""
    done = run([sys.executable, "-c", LIMITED + FULL, str(tmp_path / "lake")])
    assert same(done.stdout.splitlines(), RECOVERED), done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_passes_by_itself(tmp_path: Path) -> None:
    """A real one, in memory, that this test alone sees."""
    (tmp_path / "disk").mkdir()
    mount = 'mount -t tmpfs -o size=9m none "$0" && exec "$@"'
    command = [sys.executable, "-c", MOUNTED + FULL, str(tmp_path / "disk" / "lake")]
    done = run(["unshare", "--mount", "sh", "-c", mount, str(tmp_path / "disk"), *command])
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"NO FULL DISK WAS TRIED: nothing can be mounted here ({done.stderr.strip()})")
    assert same(done.stdout.splitlines(), RECOVERED), done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def same(told: list[str], wanted: list[str]) -> bool:
    """Whether these are the lines, however Python orders a set."""
    return [sorted(line) for line in told] == [sorted(line) for line in wanted]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """A program that has ended."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError as error:
        pytest.skip(f"NO FULL DISK WAS TRIED: {error.filename} is not installed")


def dies_with(path: Path, work: str) -> None:
    """A process has opened the lake, done `work` and died without closing anything."""
    source = (
        "import os, sys\nfrom datlake_server.store.sqlite import SqliteStore, now_us\n"
        f"store = SqliteStore(sys.argv[1], now_us)\n{work}\nos._exit(0)"
    )
    subprocess.run([sys.executable, "-c", source, str(path)], check=True, timeout=30)
