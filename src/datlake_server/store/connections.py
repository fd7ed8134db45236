# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# apsw's stubs leave the type of a blob open, and with it that of every row.
"""One connection to SQLite: how it is opened, committed, checkpointed and closed; the only file that imports apsw.

`SqliteStore` decides when. Here is no lock and no queue; errors of SQLite leave as those of the public tree by `told`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from errno import EDQUOT, EFBIG, ENOSPC
from itertools import starmap
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

import apsw
import msgspec

from datlake_server.store import refusals
from datlake_server.store.statements import migrations, statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from datlake_sdk.errors import DatlakeError
    from datlake_server.store.base import Tx, Value
    from datlake_server.store.waiting import Waiting

R = TypeVar("R")
Check = Literal["quick_check", "integrity_check"]
Failure = apsw.Error
"""Whatever SQLite raises; `told` says it in our words."""

BUSY_MS: Final = 10_000
# A log that grew in front of a long reader is cut to this when it begins anew; what a usual one takes stays allocated.
LOG_KEPT_BYTES: Final = 16 << 20
_FULL: Final = frozenset({ENOSPC, EDQUOT, EFBIG})
_PAGES_A_STEP: Final = 256
_PROBLEMS_TOLD: Final = 100
_OPS_BETWEEN_LOOKS: Final = 100_000

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

    def rows(self, kind: Callable[..., R], name: str, /, **values: Value) -> list[R]:
        """The rows of the named statement, each a `kind` made of the columns in their order, unchecked."""
        return list(starmap(kind, self._connection.execute(self._statements[name], values)))

    def do(self, name: str, /, **values: Value) -> int:
        """Runs the named statement; answers how many rows it changed."""
        before = self._connection.total_changes()
        self._connection.execute(self._statements[name], values).fetchall()
        return self._connection.total_changes() - before

    def do_each(self, name: str, rows: Iterable[Sequence[Value]]) -> None:
        """Runs the named statement once for each row of values."""
        self._connection.executemany(self._statements[name], rows).fetchall()

    def nested(self, work: Callable[[], R]) -> R:
        """What `work` answers; nothing of what it changed stays when it raises, and the transaction goes on."""
        self._connection.execute("SAVEPOINT nested")
        try:
            answer = work()
        except BaseException:
            self._connection.execute("ROLLBACK TO nested; RELEASE nested")
            raise
        self._connection.execute("RELEASE nested")
        return answer


class Reader:
    """A connection that changes nothing, the write-ahead log included: that is the writer's."""

    def __init__(self, path: str, *, alone: bool = False) -> None:
        """Opens the database at `path`; `alone` takes no locks, for a copy that nobody else has open."""
        self._path = path
        self._connection = _unlocked(path) if alone else _opened(path)
        self._connection.execute("PRAGMA query_only = ON")
        self._connection.wal_autocheckpoint(0)
        self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)

    @property
    def is_idle(self) -> bool:
        """True where no transaction is left open."""
        return not self._connection.in_transaction

    def seen(self, work: Callable[[Tx], R], now: int) -> R:
        """What `work` answers, from one consistent state."""
        self._connection.execute("BEGIN")
        try:
            return work(SqliteTx(self._connection, now))
        finally:
            self._connection.execute("ROLLBACK")

    def version(self) -> int:
        """As the writer's."""
        return _version(self._connection, self._path)

    def problems(self, check: Check, stop: Callable[[], bool]) -> list[str] | None:
        """What SQLite finds wrong with the file, a hundred lines at most; null where `stop` became true before."""
        self._connection.set_progress_handler(stop, _OPS_BETWEEN_LOOKS)
        try:
            rows: Sequence[tuple[Value, ...]] = self._connection.execute(f"PRAGMA {check}({_PROBLEMS_TOLD})").fetchall()
        except apsw.InterruptError:
            return None
        return [cast("str", row[0]) for row in rows if row != ("ok",)]

    def copy_to(self, path: str, moved: Callable[[int, int], None]) -> None:
        """`path` holds one committed state; writers go on meanwhile. `moved` hears of (pages done, pages in all)."""
        target = apsw.Connection(path)
        try:
            # The copy is worth nothing before it is whole, so nothing of it is synced on the way.
            target.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF").fetchall()
            # An open transaction keeps the state: else the copying would begin anew with every commit of others.
            self._connection.execute("BEGIN; SELECT count(*) FROM sqlite_schema").fetchall()
            with target.backup("main", self._connection, "main") as copying:
                while not copying.done:
                    copying.step(_PAGES_A_STEP)
                    moved(copying.page_count - copying.remaining, copying.page_count)
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            target.close()

    def close(self) -> None:
        """Lets go of the file."""
        self._connection.close()


class Writer:
    """The connection that commits and, when it is told to, folds the write-ahead log into the file."""

    def __init__(self, path: str) -> None:
        """Opens the database at `path`, which becomes one where it is an empty file."""
        self._path = path
        self._connection = _opened(path)
        self._connection.execute(f"PRAGMA journal_size_limit = {LOG_KEPT_BYTES}").fetchall()
        self._pages = _count_pages(self._connection)

    @property
    def log_pages(self) -> int:
        """How many pages the write-ahead log held after the last commit here, whoever wrote them."""
        return self._pages[0]

    def commit(self, group: Sequence[Waiting[Any]], now: int, busy_ms: int) -> None:
        """The changes of all works that did not raise are on the disk. Raises where none of them is."""
        connection = self._connection
        # Others may write without the file lock: another tool, or a system that has no `flock`.
        connection.set_busy_timeout(busy_ms)
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._run(group, now)
            connection.execute("COMMIT")
        except BaseException as error:
            cause = _of_the_system(error, connection)  # asked before another call changes it
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if cause is error:
                raise
            raise cause from error

    def fold(self, wait_ms: int = 0) -> None:
        """The write-ahead log moves into the file, as far as readers let it; it loses nothing where they do not.

        With `wait_ms` they are waited for, so that the log begins anew.
        """
        mode = apsw.SQLITE_CHECKPOINT_RESTART if wait_ms else apsw.SQLITE_CHECKPOINT_PASSIVE
        self._connection.set_busy_timeout(wait_ms)
        with suppress(apsw.Error):  # readers, or a full disk: the next write is told of it
            self._connection.wal_checkpoint("main", mode)

    def version(self) -> int:
        """How many migrations the lake has seen. Raises `ServerError` where it has become too new to be read."""
        return _version(self._connection, self._path)

    def upgrade(self) -> None:
        """The lake has seen every migration."""
        connection = self._connection
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("BEGIN IMMEDIATE")
        try:
            have = self.version()
            for number, script in migrations():
                if number > have:
                    connection.execute(script)
                    connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Lets go of the file; the last one to leave folds the write-ahead log into it, and removes the log."""
        self._connection.close()

    def _run(self, group: Sequence[Waiting[Any]], now: int) -> None:
        connection = self._connection
        tx = SqliteTx(connection, now)
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


def told(error: BaseException, path: str) -> DatlakeError:
    """The error of the public tree for what SQLite or the system said about `path`."""
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return refusals.busy(path)
    if isinstance(error, apsw.FullError) or (isinstance(error, OSError) and error.errno in _FULL):
        return refusals.disk_full(path)
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return refusals.damaged(path, error)
    if isinstance(error, (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError, OSError)):
        return refusals.unwritable(path, error)
    return refusals.failed(path, error)


def _opened(path: str, flags: int = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE) -> apsw.Connection:
    connection = apsw.Connection(path, flags)
    connection.set_busy_timeout(BUSY_MS)
    # Else SQLite plans every join anew for every value that is bound: 8.2 µs to look a run up, with this 1.7.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    # NORMAL lost 4.3 % of acknowledged writes in simulated power cuts, FULL lost none.
    connection.execute("PRAGMA synchronous = FULL")
    # A statement that may be undone alone keeps a journal; as a file in the host's /var/tmp it cost 30 µs instead of 8.
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _unlocked(path: str) -> apsw.Connection:
    from urllib.parse import quote

    return _opened(f"file:{quote(path)}?immutable=1", apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)


def _count_pages(connection: apsw.Connection) -> list[int]:
    """One number, kept up to date: the pages of the log. SQLite's own checkpoints, which hang here, are off by this."""
    pages = [0]

    def count(_: apsw.Connection, __: str, now: int) -> int:
        pages[0] = now
        return apsw.SQLITE_OK

    connection.set_wal_hook(count)
    return pages


def _version(connection: apsw.Connection, path: str) -> int:
    have, known = _number(connection, "PRAGMA user_version"), len(migrations())
    if have > known:
        needed = _number(connection, "SELECT value FROM facts WHERE name = 'min_reader'")
        if needed > known:
            raise refusals.too_new(path, have, known)
    return have


def _number(connection: apsw.Connection, question: str) -> int:
    [row] = connection.execute(question).fetchall()
    return int(cast("int", row[0]))


def _columns(name: str, cursor: apsw.Cursor) -> tuple[str, ...]:
    """The columns of a named statement; known once it has given a row, and kept: asking costs as much as the row."""
    try:
        found = tuple(column[0] for column in cursor.get_description())
    except apsw.ExecutionCompleteError:  # no rows, so nobody needs their names
        return ()
    return _COLUMNS.setdefault(name, found)


def _of_the_system(error: BaseException, connection: apsw.Connection) -> BaseException:
    """The system's own error behind an I/O error of SQLite, which tells a full quota from a broken disk."""
    number = connection.system_errno if isinstance(error, apsw.IOError) else 0
    return OSError(number, os.strerror(number)) if number else error
