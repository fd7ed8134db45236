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
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import apsw
import msgspec

from datlake_server.store import refusals
from datlake_server.store.filelock import FairLock
from datlake_server.store.forks import Gate, pause_at_forks
from datlake_server.store.statements import migrations, statements
from datlake_server.store.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from datlake_sdk.errors import DatlakeError
    from datlake_server.store.base import Tx, Value

R = TypeVar("R")

# A hundred operations a commit is where the curve flattens (2,400 commits/s alone, 24,000 operations/s in groups).
GROUP_SIZE: Final = 100
# Opening a lake waits this long for somebody else who makes or migrates it.
LOCK_WAIT_S: Final = 10.0
COMMIT_POLL_S: Final = 0.02
BUSY_MS: Final = 10_000
READERS_KEPT: Final = 8

# Connections that a forked child inherited: never used, never closed there, or the parent would lose its locks.
_INHERITED: list[object] = []
# Lakes that were in use at a fork. SQLite knows files, not stores, so here a new store of them would be no better.
_FORKED_IN_USE: set[str] = set()
# The columns of each named statement.
_COLUMNS: dict[str, tuple[str, ...]] = {}


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
        cursor = self._connection.execute(self._statements[name], values)
        columns = _COLUMNS.get(name) or _columns(name, cursor)
        rows: list[tuple[Value, ...]] = cursor.fetchall()
        return [msgspec.convert(dict(zip(columns, row, strict=True)), kind) for row in rows]

    def one(self, kind: type[R], name: str, /, **values: Value) -> R | None:
        """The first row of the named statement, or null."""
        rows = self.all(kind, name, **values)
        return rows[0] if rows else None

    def do(self, name: str, /, **values: Value) -> int:
        """Runs the named statement; answers how many rows it changed."""
        before = self._connection.total_changes()
        self._connection.execute(self._statements[name], values).fetchall()
        return self._connection.total_changes() - before


class SqliteStore:
    """Records in one SQLite file, shared by the threads of a process and the processes of a host."""

    _pid: int
    _queue: deque[Waiting[Any]]
    _writer: apsw.Connection | None
    _readers: list[apsw.Connection]
    _file: tuple[int, int] | None

    def __init__(self, path: str, clock: Callable[[], int]) -> None:
        """Opens `path`, creating or migrating it under the lock; `clock` tells microseconds since 1970."""
        self._path = path
        self._clock = clock
        self._file = None
        self._begin()
        self._refuse_if_forked_in_use()
        pause_at_forks(self)
        self._migrate()

    def write(self, work: Callable[[Tx], R], patience_s: float) -> R:
        """What `work` answers, once its changes are synced to the disk; nothing of them stays when it raises."""
        self._still_ours()
        waiting = Waiting(work)
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
        with self._gate:
            return self._read(work)

    def pause(self, patience_s: float) -> None:
        """Nothing is under way in SQLite and no connection is open, until `resume`. Who waits for a turn goes on."""
        if self._pid != os.getpid():
            return
        if self._gate.shut(patience_s):
            self._close_connections()
        self._turn.hold()

    def resume(self) -> None:
        """Work goes on; connections are opened as they are needed."""
        self._turn.go_on()
        self._gate.open()

    def begin_anew(self) -> None:
        """In a forked child: the lake is opened anew, or refused where SQLite was at work in it."""
        if self._writer is not None or self._readers or not self._gate.is_empty:
            _INHERITED.append((self._writer, self._readers))
            _FORKED_IN_USE.add(self._path)
        self._turn.leave()
        self._begin()

    def _read(self, work: Callable[[Tx], R]) -> R:
        pool = self._readers
        try:
            connection = self._reader(pool)
            try:
                return _seen(connection, work, self._clock())
            finally:
                self._keep(connection, pool)
        except apsw.Error as error:
            raise _told(error, self._path) from error

    def close(self) -> None:
        """Closes the connections; the last one to leave folds the write-ahead log into the file."""
        if self._pid != os.getpid():
            return
        with self._commit_lock:
            self._let_go()

    def _let_go(self) -> None:
        with self._gate:
            self._close_connections()
        self._file = None
        self._turn.close()

    def _close_connections(self) -> None:
        old, self._readers = (*self._readers, self._writer), []
        for connection in old:
            if connection is not None:
                connection.close()
        self._writer = None

    def _begin(self) -> None:
        self._queue = deque()
        self._commit_lock = threading.Lock()
        self._gate = Gate()
        self._turn = FairLock(f"{self._path}.lock")
        self._writer = None
        self._readers = []
        self._pid = os.getpid()

    def _still_ours(self) -> None:
        self._refuse_if_forked_in_use()
        try:
            if self._file != _file_of(self._path):
                self._reopen()
        except OSError as error:
            raise _told(error, self._path) from error

    def _refuse_if_forked_in_use(self) -> None:
        # SQLite's handles must not cross a fork: a child could write through them without an error. Another id than
        # that of `_begin` is a child of a fork that Python was not told of.
        if self._path in _FORKED_IN_USE or self._pid != os.getpid():
            raise refusals.forked_in_use(self._path)

    def _reopen(self) -> None:
        # Somebody removed or replaced the lake's file; what went on in the old one would be lost without a word.
        with self._commit_lock:
            if self._file != _file_of(self._path):
                os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
                self._let_go()
                self._migrate()

    def _withdraw(self, waiting: Waiting[Any]) -> bool:
        """True if the work will not be done; false if a commit has it in hand already."""
        try:
            self._queue.remove(waiting)
        except ValueError:
            return False
        return True

    def _commit_waiting(self, own: Waiting[Any], patience_s: float) -> None:
        """Commits for all who wait. Only `own` is refused where the turn does not come: others may wait longer."""
        deadline = time.monotonic() + patience_s
        try:
            if self._turn.acquire(patience_s):
                with self._gate:
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

    def _commit(self, group: list[Waiting[Any]], deadline: float) -> None:
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

    def _run(self, connection: apsw.Connection, group: list[Waiting[Any]]) -> None:
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

    def _reader(self, pool: list[apsw.Connection]) -> apsw.Connection:
        try:
            return pool.pop()
        except IndexError:
            connection = _connect(self._path)
            connection.execute("PRAGMA query_only = ON")
            return connection

    def _keep(self, connection: apsw.Connection, pool: list[apsw.Connection]) -> None:
        # Another pool by now means that the lake's file is another one, too.
        if pool is self._readers and len(pool) < READERS_KEPT and not connection.in_transaction:
            pool.append(connection)
        else:
            connection.close()

    def _migrate(self) -> None:
        try:
            _make_private(self._path)
            with self._gate:
                is_ready = self._version() >= len(migrations())
            if not is_ready:
                self._upgrade_in_turn()
            self._file = _file_of(self._path)
        except (apsw.Error, OSError) as error:
            raise _told(error, self._path) from error

    def _upgrade_in_turn(self) -> None:
        if not self._turn.acquire(LOCK_WAIT_S):
            raise refusals.busy(self._path)
        try:
            with self._gate:
                self._upgrade()
        finally:
            self._turn.release()

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


def _seen(connection: apsw.Connection, work: Callable[[Tx], R], now: int) -> R:
    connection.execute("BEGIN")
    try:
        return work(SqliteTx(connection, now))
    finally:
        connection.execute("ROLLBACK")


def _number(connection: apsw.Connection, question: str) -> int:
    [row] = connection.execute(question).fetchall()
    return int(cast("int", row[0]))


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
    # Else SQLite plans every join anew for every value that is bound: 8.2 µs to look a run up, with this 1.7.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    # NORMAL lost 4.3 % of acknowledged writes in simulated power cuts, FULL lost none.
    connection.execute("PRAGMA synchronous = FULL")
    # A statement that may be undone alone keeps a journal; as a file in the host's /var/tmp it cost 30 µs instead of 8.
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _columns(name: str, cursor: apsw.Cursor) -> tuple[str, ...]:
    """The columns of a named statement; known once it has given a row, and kept: asking costs as much as the row."""
    try:
        found = tuple(column[0] for column in cursor.get_description())
    except apsw.ExecutionCompleteError:  # no rows, so nobody needs their names
        return ()
    return _COLUMNS.setdefault(name, found)


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
