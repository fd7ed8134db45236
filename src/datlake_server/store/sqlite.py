# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# apsw's stubs leave the type of a blob open, and with it that of every row.
"""The lake's records in SQLite; the only file that imports apsw.

One writer per process with group commit: whoever holds the commit lock commits for all who wait. Between processes a
fair file lock stands in front of SQLite's own. Readers take a connection from a small pool and wait for nobody.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from contextlib import suppress
from errno import EDQUOT, ENOSPC
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import apsw
import msgspec

from datlake_server.store import refusals
from datlake_server.store.base import Recorded, Tx, Value
from datlake_server.store.filelock import FairLock
from datlake_server.store.forks import pause_at_forks
from datlake_server.store.statements import migrations, statements

if TYPE_CHECKING:
    from collections.abc import Callable

    from datlake_sdk.errors import DatlakeError

R = TypeVar("R")

# A hundred operations a commit is where the curve flattens (2,400 commits/s alone, 24,000 operations/s in groups).
GROUP_SIZE: Final = 100
# Opening a lake waits this long for somebody else who makes or migrates it.
LOCK_WAIT_S: Final = 10.0
COMMIT_POLL_S: Final = 0.02
BUSY_MS: Final = 10_000
READERS_KEPT: Final = 8
# A transaction is over in milliseconds; a fork is not held up for ever by one that is not.
FORK_WAIT_S: Final = 5.0

# Connections that a forked child inherited: never used, never closed there, or the parent would lose its locks.
_INHERITED: list[object] = []


class SqliteTx:
    """A transaction on one connection."""

    def __init__(self, connection: apsw.Connection, now: int) -> None:
        """Wraps `connection`, whose transaction is open; `now` is microseconds since 1970."""
        self._connection = connection
        self._now = now
        self._statements = statements()

    @property
    def now(self) -> int:
        """The moment of this transaction."""
        return self._now

    def all(self, kind: type[R], name: str, /, **values: Value) -> list[R]:
        """The rows of the named statement, each as a `kind`."""
        rows = self._connection.execute(self._statements[name], values).fetchall()
        return [msgspec.convert(row, kind) for row in rows] if rows else []

    def one(self, kind: type[R], name: str, /, **values: Value) -> R | None:
        """The first row of the named statement, or null."""
        rows = self.all(kind, name, **values)
        return rows[0] if rows else None

    def do(self, name: str, /, **values: Value) -> int:
        """Runs the named statement; answers how many rows it changed."""
        before = self._connection.total_changes()
        self._connection.execute(self._statements[name], values).fetchall()
        return self._connection.total_changes() - before


class _Waiting(Generic[R]):
    """Work that waits for a commit, and later what became of it."""

    __slots__ = ("answer", "done", "error", "work")

    def __init__(self, work: Callable[[Tx], R]) -> None:
        self.work = work
        self.done = False
        self.answer: R | None = None
        self.error: BaseException | None = None

    def attempt(self, tx: SqliteTx) -> bool:
        """Runs the work; true where its changes stay."""
        try:
            self.answer = self.work(tx)
        except Recorded as recorded:
            self.error = recorded.error
        except Exception as error:  # noqa: BLE001 -- belongs to one caller of the group and is raised there
            self.error = error
            return False
        return True

    def settle(self, error: BaseException | None) -> None:
        """Marks the work as done; a group that failed as a whole gives every member its `error`."""
        if error is not None:
            self.answer, self.error = None, error
        self.done = True


class SqliteStore:
    """Records in one SQLite file, shared by the threads of a process and the processes of a host."""

    _pid: int
    _reading: int
    _queue: deque[_Waiting[Any]]
    _writer: apsw.Connection | None
    _readers: list[apsw.Connection]
    _file: tuple[int, int] | None

    def __init__(self, path: str, clock: Callable[[], int]) -> None:
        """Opens `path`, creating or migrating it under the lock; `clock` tells microseconds since 1970."""
        self._path = path
        self._clock = clock
        self._begin()
        self._migrate()
        pause_at_forks(self)

    def write(self, work: Callable[[Tx], R], patience_s: float) -> R:
        """What `work` answers, once its changes are synced to the disk; nothing of them stays when it raises."""
        self._still_ours()
        waiting = _Waiting(work)
        self._queue.append(waiting)
        deadline = time.monotonic() + patience_s
        try:
            while not waiting.done:
                if self._commit_lock.acquire(timeout=max(deadline - time.monotonic(), COMMIT_POLL_S)):
                    try:
                        if not waiting.done:
                            self._commit_waiting(waiting, max(deadline - time.monotonic(), COMMIT_POLL_S))
                    finally:
                        self._commit_lock.release()
                elif self._withdraw(waiting):
                    raise refusals.busy(self._path)
        finally:
            if not waiting.done:  # Ctrl-C: what nobody waits for any more is not done later
                self._withdraw(waiting)
        if waiting.error is not None:
            raise waiting.error
        return cast("R", waiting.answer)

    def read(self, work: Callable[[Tx], R]) -> R:
        """What `work` answers, from one consistent state; waits for no writer."""
        self._still_ours()
        with self._idle:
            self._idle.wait_for(lambda: not self._is_paused, FORK_WAIT_S)
            self._reading += 1
        try:
            return self._read(work)
        finally:
            with self._idle:
                self._reading -= 1
                self._idle.notify_all()

    def pause(self) -> None:
        """Nothing is under way and no connection is open, until `resume`."""
        if self._pid != os.getpid() or not self._commit_lock.acquire(timeout=FORK_WAIT_S):
            return
        self._is_paused = True
        with self._idle:
            if self._idle.wait_for(lambda: not self._reading, FORK_WAIT_S):
                file = self._file
                self._let_go()
                self._file = file

    def resume(self) -> None:
        """Work goes on; connections are opened as they are needed."""
        if not self._is_paused:
            return
        with self._idle:
            self._is_paused = False
            self._idle.notify_all()
        self._commit_lock.release()

    def _read(self, work: Callable[[Tx], R]) -> R:
        connection = self._reader()
        try:
            connection.execute("BEGIN")
            try:
                return work(SqliteTx(connection, self._clock()))
            finally:
                connection.execute("ROLLBACK")
        except apsw.Error as error:
            raise _told(error, self._path) from error
        finally:
            self._keep(connection)

    def close(self) -> None:
        """Closes the connections; the last one to leave folds the write-ahead log into the file."""
        if self._pid != os.getpid():
            return
        with self._commit_lock:
            self._let_go()

    def _let_go(self) -> None:
        for connection in (*self._readers, self._writer):
            if connection is not None:
                connection.close()
        self._readers, self._writer, self._file = [], None, None
        self._turn.close()

    def _begin(self) -> None:
        self._queue = deque()
        self._commit_lock = threading.Lock()
        self._idle = threading.Condition(threading.Lock())
        self._is_paused = False
        self._reading = 0
        self._turn = FairLock(f"{self._path}.lock")
        self._writer = None
        self._readers = []
        self._file = _file_of(self._path)
        self._pid = os.getpid()  # last: a thread of a forked child that sees it finds all of this anew

    def _still_ours(self) -> None:
        # SQLite's handles must not cross a fork: a child could write through them without an error.
        if self._pid != os.getpid():
            _INHERITED.append((self._writer, self._readers, self._turn, self._commit_lock))
            self._begin()
        elif self._file != _file_of(self._path):
            self._reopen()

    def _reopen(self) -> None:
        # Somebody removed or replaced the lake's file; what went on in the old one would be lost without a word.
        with self._commit_lock:
            if self._file != _file_of(self._path):
                os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
                self._let_go()
                self._migrate()

    def _withdraw(self, waiting: _Waiting[Any]) -> bool:
        """True if the work will not be done; false if a commit has it in hand already."""
        try:
            self._queue.remove(waiting)
        except ValueError:
            return False
        return True

    def _commit_waiting(self, own: _Waiting[Any], patience_s: float) -> None:
        """Commits for all who wait. Only `own` is refused where the turn does not come: others may wait longer."""
        deadline = time.monotonic() + patience_s
        try:
            if self._turn.acquire(patience_s):
                self._commit_group(deadline)
            elif self._withdraw(own):
                own.settle(refusals.busy(self._path))
        except OSError as error:
            if self._withdraw(own):
                own.settle(_told(error, self._path))
        finally:
            self._turn.release()

    def _commit_group(self, deadline: float) -> None:
        group = [self._queue.popleft() for _ in range(min(len(self._queue), GROUP_SIZE))]
        failure: BaseException | None = None
        try:
            self._commit(group, deadline)
        except Exception as error:  # noqa: BLE001 -- the group's callers each raise it
            failure = _told(error, self._path) if isinstance(error, (apsw.Error, OSError)) else error
        except BaseException:
            # Ctrl-C belongs to this thread alone; the others of the group may try again.
            failure = refusals.interrupted(self._path)
            raise
        finally:
            for waiting in group:
                waiting.settle(failure)

    def _commit(self, group: list[_Waiting[Any]], deadline: float) -> None:
        connection = self._open_writer()
        # Others may write without the file lock: another tool, or a system that has no `flock`.
        connection.set_busy_timeout(max(int((deadline - time.monotonic()) * 1000), 1))
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._run(connection, group)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _run(self, connection: apsw.Connection, group: list[_Waiting[Any]]) -> None:
        tx = SqliteTx(connection, self._clock())
        alone = len(group) == 1  # then the transaction itself is what rolls back
        for waiting in group:
            if not alone:
                connection.execute("SAVEPOINT work")
            stays = waiting.attempt(tx)
            if isinstance(waiting.error, apsw.Error):
                raise waiting.error
            if alone and not stays:
                connection.execute("ROLLBACK; BEGIN")
            elif not alone:
                connection.execute("RELEASE work" if stays else "ROLLBACK TO work; RELEASE work")

    def _open_writer(self) -> apsw.Connection:
        if self._writer is None:
            self._writer = _connect(self._path)
        return self._writer

    def _reader(self) -> apsw.Connection:
        try:
            return self._readers.pop()
        except IndexError:
            connection = _connect(self._path)
            connection.execute("PRAGMA query_only = ON")
            return connection

    def _keep(self, connection: apsw.Connection) -> None:
        if len(self._readers) < READERS_KEPT and not connection.in_transaction:
            self._readers.append(connection)
        else:
            connection.close()

    def _migrate(self) -> None:
        try:
            _make_private(self._path)
            if self._version() >= len(migrations()):
                self._file = _file_of(self._path)
                return
            if not self._turn.acquire(LOCK_WAIT_S):
                raise refusals.busy(self._path)
            try:
                self._upgrade()
            finally:
                self._turn.release()
            self._file = _file_of(self._path)
        except (apsw.Error, OSError) as error:
            raise _told(error, self._path) from error

    def _upgrade(self) -> None:
        connection = self._open_writer()
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("BEGIN IMMEDIATE")
        try:
            have = self._version()
            for number, script in migrations():
                if number > have:
                    connection.execute(script)
                    connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    def _version(self) -> int:
        """How many migrations the lake has seen. Raises `ServerError` where it has become too new to be read."""
        have, known = _number(self._open_writer(), "PRAGMA user_version"), len(migrations())
        if have > known:
            needed = _number(self._open_writer(), "SELECT value FROM facts WHERE name = 'min_reader'")
            if needed > known:
                raise refusals.too_new(self._path, have, known)
        return have


def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def _number(connection: apsw.Connection, question: str) -> int:
    row = connection.execute(question).fetchall()[0]
    return int(next(iter(cast("dict[str, int]", row).values())))


def _make_private(path: str) -> None:
    """Makes the file if there is none: SQLite would make it for all to read. Its other files take this one's mode."""
    with suppress(FileExistsError):
        # O_EXCL: closing a file that this process has open elsewhere would drop SQLite's locks on it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _file_of(path: str) -> tuple[int, int] | None:
    """Which file `path` is now, null where there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _connect(path: str) -> apsw.Connection:
    connection = apsw.Connection(path)
    connection.set_busy_timeout(BUSY_MS)
    connection.row_trace = _as_dict
    # Else SQLite plans every join anew for every value that is bound: 8.2 µs to look a run up, with this 1.7.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    # NORMAL lost 4.3 % of acknowledged writes in simulated power cuts, FULL lost none.
    connection.execute("PRAGMA synchronous = FULL")
    # A statement that may be undone alone keeps a journal; as a file in the host's /var/tmp it cost 30 µs instead of 8.
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _as_dict(cursor: apsw.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip([column[0] for column in cursor.get_description()], row, strict=True))


def _told(error: BaseException, path: str) -> DatlakeError:
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return refusals.busy(path)
    if isinstance(error, apsw.FullError) or (isinstance(error, OSError) and error.errno in {ENOSPC, EDQUOT}):
        return refusals.disk_full(path)
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return refusals.damaged(path, error)
    if isinstance(error, (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError, OSError)):
        return refusals.unwritable(path, error)
    return refusals.failed(path, error)
