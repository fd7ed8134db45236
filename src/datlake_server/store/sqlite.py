"""The lake's records in SQLite, shared by the threads of a process and the processes of a host.

One writer per process with group commit: whoever holds the commit lock commits for all who wait. Between processes a
fair file lock stands in front of SQLite's own. Readers take a connection from a small pool and wait for nobody.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from datlake_server.store import refusals
from datlake_server.store.connections import Failure, Reader, Writer, told
from datlake_server.store.filelock import FairLock, OpenMark
from datlake_server.store.folding import Folding
from datlake_server.store.forks import Gate, pause_at_forks
from datlake_server.store.statements import migrations
from datlake_server.store.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datlake_sdk.errors import DatlakeError
    from datlake_server.store.base import Tx

R = TypeVar("R")

# A hundred operations a commit is where the curve flattens (2,400 commits/s alone, 24,000 operations/s in groups).
GROUP_SIZE: Final = 100
# Half a second of commits. Who comes later would wait longer than anybody is willing to.
WAITING_LIMIT: Final = 1_000
# Opening a lake waits this long for somebody else who makes or migrates it.
LOCK_WAIT_S: Final = 10.0
COMMIT_POLL_S: Final = 0.02
READERS_KEPT: Final = 8
# SQLite tells of each page; the first lines of it are enough for a message.
DAMAGE_CHARACTERS: Final = 300

# Connections that a forked child inherited: never used, never closed there, or the parent would lose its locks.
_INHERITED: list[object] = []
# Lakes that were in use at a fork. SQLite knows files, not stores, so here a new store of them would be no better.
_FORKED_IN_USE: set[str] = set()


class SqliteStore:
    """Records in one SQLite file. Once damage was seen it takes no writes until the file is another one."""

    _pid: int
    _queue: deque[Waiting[Any]]
    _writer: Writer | None
    _readers: list[Reader]
    _file: tuple[int, int] | None

    def __init__(self, path: str, clock: Callable[[], int], *, another_folds: Callable[[], bool] | None = None) -> None:
        """Opens `path`, creating or migrating it under the lock; `clock` tells microseconds since 1970.

        `another_folds` tells whether a server in another process folds the log; without it this store does so alone.
        """
        self._path = path
        self._clock = clock
        self._another_folds = another_folds
        self._file = None
        self._damage: str | None = None
        self._is_left_over = False
        self._begin()
        self._refuse_if_forked_in_use()
        pause_at_forks(self)
        self._migrate()

    def write(self, work: Callable[[Tx], R], patience_s: float) -> R:
        """What `work` answers, once its changes are synced to the disk; nothing of them stays when it raises."""
        [done] = self.write_all((work,), patience_s)
        if done.error is not None:
            raise done.error
        return cast("R", done.answer)

    def write_all(self, works: Sequence[Callable[[Tx], R]], patience_s: float) -> Sequence[Waiting[R]]:
        """The works as they ended; the changes of those without an error are synced to the disk."""
        self._still_ours()
        if self._damage is not None:
            raise refusals.damaged(self._path, self._damage)
        if len(self._queue) >= WAITING_LIMIT:
            raise refusals.overloaded(self._path)
        mine = [Waiting(work) for work in works]
        self._queue.extend(mine)
        deadline = time.monotonic() + patience_s
        try:
            for waiting in mine:
                while not waiting.done:
                    self._wait_or_commit(waiting, deadline)
        finally:
            for waiting in mine:
                if not waiting.done:  # Ctrl-C: what nobody waits for any more is not done later
                    self._withdraw(waiting)
        return mine

    def read(self, work: Callable[[Tx], R]) -> R:
        """What `work` answers, from one consistent state; waits for no writer."""
        self._still_ours()
        with self._gate:
            return self._read(work)

    @property
    def damage(self) -> DatlakeError | None:
        """What writes are refused with, null for a lake that is well as far as this store has seen."""
        return None if self._damage is None else refusals.damaged(self._path, self._damage)

    @property
    def is_left_over(self) -> bool:
        """True where this store found the log of a process that did not close the lake, and nobody at work in it."""
        return self._is_left_over

    def quick_check(self, stop: Callable[[], bool]) -> bool:
        """True once the whole file was looked at; `damage` tells what was found. False where `stop` became true."""
        self._still_ours()
        with self._gate:
            self._sign_in()
            found = self._looked_through(stop)
        if found:
            self._damage = found[0][:DAMAGE_CHARACTERS]
        return found is not None

    def pause(self, patience_s: float) -> None:
        """Nothing is under way in SQLite and no connection is open, until `resume`. Who waits for a turn goes on."""
        if self._pid != os.getpid():
            return
        if self._gate.shut(patience_s):
            self._close_connections()
        self._turn.hold()
        self._mark.hold()

    def resume(self) -> None:
        """Work goes on; connections are opened as they are needed."""
        self._mark.go_on()
        self._turn.go_on()
        self._gate.open()

    def begin_anew(self) -> None:
        """In a forked child: the lake is opened anew, or refused where SQLite was at work in it."""
        if self._writer is not None or self._readers or not self._gate.is_empty:
            _INHERITED.append((self._writer, self._readers))
            _FORKED_IN_USE.add(self._path)
        self._turn.leave()
        self._mark.leave()
        self._begin()

    def close(self) -> None:
        """Closes the connections; the last one to leave folds the write-ahead log into the file."""
        if self._pid != os.getpid():
            return
        with self._commit_lock:
            if self._another_folds is None:
                self._fold_at_the_end()
            self._let_go()

    def _read(self, work: Callable[[Tx], R]) -> R:
        pool = self._readers
        try:
            reader = self._reader(pool)
            try:
                return reader.seen(work, self._clock())
            finally:
                self._keep(reader, pool)
        except Failure as error:
            raise self._noted(error) from error

    def _looked_through(self, stop: Callable[[], bool]) -> list[str] | None:
        try:
            reader = Reader(self._path)
            try:
                return reader.problems("quick_check", stop)
            finally:
                reader.close()
        except Failure as error:
            heard = self._noted(error)
            if heard.code == refusals.DAMAGED:  # so badly that SQLite gave up looking
                return [str(error)]
            raise heard from error

    def _fold_at_the_end(self) -> None:
        # Only where others stay: the last one's log is folded and removed by SQLite itself.
        with suppress(OSError):
            try:
                if self._writer is not None and self._turn.acquire(0):
                    with self._gate:
                        self._writer.fold()
            finally:
                self._turn.release()

    def _let_go(self) -> None:
        with self._gate:
            self._close_connections()
        self._file = None
        self._turn.close()
        self._mark.close()

    def _close_connections(self) -> None:
        old, self._readers = (*self._readers, self._writer), []
        self._writer = None
        for connection in old:
            if connection is not None:
                connection.close()

    def _begin(self) -> None:
        self._queue = deque()
        self._commit_lock = threading.Lock()
        self._gate = Gate()
        self._turn = FairLock(f"{self._path}.lock")
        self._mark = OpenMark(f"{self._path}.open")
        self._folding = Folding(self._another_folds or _nobody)
        self._writer = None
        self._readers = []
        self._pid = os.getpid()

    def _still_ours(self) -> None:
        self._refuse_if_forked_in_use()
        try:
            if self._file is None or self._file != _file_of(self._path):
                self._reopen()
        except OSError as error:
            raise told(error, self._path) from error

    def _refuse_if_forked_in_use(self) -> None:
        # SQLite's handles must not cross a fork: a child could write through them without an error. Another id than
        # that of `_begin` is a child of a fork that Python was not told of.
        if self._path in _FORKED_IN_USE or self._pid != os.getpid():
            raise refusals.forked_in_use(self._path)

    def _reopen(self) -> None:
        # Somebody removed or replaced the lake's file; what went on in the old one would be lost without a word.
        with self._commit_lock:
            if self._file is None or self._file != _file_of(self._path):
                os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
                self._let_go()
                self._migrate()

    def _wait_or_commit(self, waiting: Waiting[Any], deadline: float) -> None:
        if self._commit_lock.acquire(timeout=max(deadline - time.monotonic(), COMMIT_POLL_S)):
            try:
                if not waiting.done:
                    self._commit_waiting(waiting, max(deadline - time.monotonic(), COMMIT_POLL_S))
            finally:
                self._commit_lock.release()
        elif self._withdraw(waiting):
            waiting.settle(refusals.busy(self._path))

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
                    self._fold_if_due()
            elif self._withdraw(own):
                own.settle(refusals.busy(self._path))
        except OSError as error:
            if self._withdraw(own):
                own.settle(told(error, self._path))
        finally:
            self._turn.release()

    def _commit_group(self, deadline: float) -> None:
        group = [self._queue.popleft() for _ in range(min(len(self._queue), GROUP_SIZE))]
        failure: BaseException | None = None
        try:
            left_ms = int((deadline - time.monotonic()) * 1000)
            self._open_writer().commit(group, self._clock(), max(left_ms, 1))
        except Exception as error:  # noqa: BLE001 -- the group's callers each raise it
            failure = error
            if not (isinstance(error, Failure) and told(error, self._path).code == refusals.BUSY):
                self._drop_writer()
        except BaseException:
            # Ctrl-C belongs to this thread alone; the others of the group may try again.
            failure = refusals.interrupted(self._path)
            raise
        finally:
            for waiting in group:
                waiting.settle(self._noted(failure) if isinstance(failure, (Failure, OSError)) else failure)

    def _fold_if_due(self) -> None:
        if self._writer is not None:
            self._folding.after_commit(self._writer)

    def _drop_writer(self) -> None:
        # After a full or broken disk the next commit begins with a connection that remembers nothing of it.
        old, self._writer = self._writer, None
        if old is not None:
            with suppress(Failure):
                old.close()

    def _noted(self, error: Failure | OSError) -> DatlakeError:
        """The error as callers hear it, a new one for each; damage is remembered."""
        heard = told(error, self._path)
        if heard.code == refusals.DAMAGED:
            self._damage = str(error)
        return heard

    def _sign_in(self) -> None:
        if not self._mark.sign_in(self._look_for_leftovers):
            raise refusals.seized(self._path)

    def _look_for_leftovers(self) -> None:
        with suppress(FileNotFoundError):
            self._is_left_over = os.stat(f"{self._path}-wal").st_size > 0

    def _open_writer(self) -> Writer:
        if self._writer is None:
            self._sign_in()
            self._writer = Writer(self._path)
        return self._writer

    def _reader(self, pool: list[Reader]) -> Reader:
        try:
            return pool.pop()
        except IndexError:
            self._sign_in()
            return Reader(self._path)

    def _keep(self, reader: Reader, pool: list[Reader]) -> None:
        # Another pool by now means that the lake's file is another one, too.
        if pool is self._readers and len(pool) < READERS_KEPT and reader.is_idle:
            pool.append(reader)
        else:
            reader.close()

    def _migrate(self) -> None:
        self._damage = None
        try:
            _make_private(self._path)
            with self._gate:
                is_ready = self._open_writer().version() >= len(migrations())
            if not is_ready:
                self._upgrade_in_turn()
            self._file = _file_of(self._path)
        except (Failure, OSError) as error:
            raise told(error, self._path) from error

    def _upgrade_in_turn(self) -> None:
        if not self._turn.acquire(LOCK_WAIT_S):
            raise refusals.busy(self._path)
        try:
            with self._gate:
                self._open_writer().upgrade()
        finally:
            self._turn.release()


def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def _nobody() -> bool:
    return False


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
