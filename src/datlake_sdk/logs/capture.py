"""The file a run's log is written to while the run goes, and the logging handler that fills it.

A run's context opens one `RunLog`, attaches it and ships the file that `close` names. Nothing is held in memory; what
cannot be written is counted and told once, never raised. Imported only when a log is wanted: it needs `logging`.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
import traceback
from _thread import get_ident
from collections.abc import Callable

from datlake_sdk.logs._handlers import UncountedHandler, as_without_ours, install, remove
from datlake_sdk.logs._levels import lowered_root

__all__ = ["MAX_BYTES", "RunLog"]

# A log beyond this is a mistake in a loop; its head says which one.
MAX_BYTES = 256 * 1024 * 1024
# Every thread of the SDK is named so.
OWN_THREADS = "datlake-"
# A record whose own text logs is let in; one that logs itself for ever is not.
_NESTING = 4


def _always() -> bool:
    return True


class RunLog:
    """One run's log in a spool file that only this user can read. Safe from several threads.

    `accepts` says for each record, on the thread that logs it, whether it belongs to the run.
    """

    def __init__(self, file: int, path: str, title: str, accepts: Callable[[], bool], max_bytes: int) -> None:
        self._file: int | None = file
        self._title = title
        self._max_bytes = max_bytes
        self._size = 0
        self._cut = _Loss()
        self._failed = _Loss()
        self._torn = False
        self._has_header = False
        self._restore: Callable[[], None] | None = None
        self.path = path
        self.handler = _Handler(self, accepts)

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike[str] | None = None,
        *,
        run_id: str,
        job_name: str,
        accepts: Callable[[], bool] = _always,
        max_bytes: int = MAX_BYTES,
    ) -> RunLog:
        """A log with a new file (0600) in `directory`, or among the temporary files.

        Raises:
            OSError: no file can be made there.
        """
        safe = "".join(char if char.isalnum() and char.isascii() else "-" for char in run_id)[:64]
        file, path = tempfile.mkstemp(prefix=f"run-{safe}-", suffix=".log", dir=directory)
        return cls(file, path, f"Run {run_id} of job {job_name}", accepts, max_bytes)

    @property
    def lines_lost(self) -> int:
        """Lines that are not in the file: beyond the size limit, or impossible to write."""
        return self._cut.lines + self._failed.lines

    def attach(self, level: int | str | None = None) -> None:
        """Records of every logger that propagates go to the file until `detach`.

        Without `level` no logger is changed. With it, records below it are kept out, and the root logger is opened
        down to it for as long as this log is attached.
        """
        root = logging.getLogger()
        if self.handler in root.handlers:
            return
        if level is not None:
            self.handler.floor = _level_number(level)
            self._restore = lowered_root(self.handler.floor)
        self._write_header(root.getEffectiveLevel(), asked=level is not None)
        install(self.handler)

    def detach(self) -> None:
        """No further records come in, and the root logger's level is what it was."""
        remove(self.handler)
        restore, self._restore = self._restore, None
        if restore is not None:
            restore()

    def write_text(self, text: str) -> None:
        """The text stands in the file, ended by a newline."""
        if text:
            self._write_header(None, asked=False)
            self._append(text)

    def write_traceback(self, error: BaseException) -> None:
        """The exception stands in the file as Python would print it."""
        try:
            told = "".join(traceback.format_exception(error))
        except Exception as trouble:  # noqa: BLE001 - an exception's own __str__ may raise; its type is told
            told = f"{type(error).__name__}: its text could not be made ({type(trouble).__name__})"
        self.write_text(told)

    def close(self) -> str:
        """The path of the finished file, which the caller removes once it is shipped; closes once, answers always."""
        self.detach()
        for note in self._notes():
            self._append(note, within=None)
        self.handler.acquire()
        try:
            file, self._file = self._file, None
        finally:
            self.handler.release()
        if file is not None:
            try:
                os.close(file)
            except OSError:  # a full network disk may say so only here
                self._failed.count("\n")
        return self.path

    def note_endless_record(self) -> None:
        """One more line is lost: a record whose own text goes on logging."""
        self._failed.reason = self._failed.reason or "a record logs itself whenever it is printed"
        self._failed.count("\n")

    # --- writing ------------------------------------------------------------------------------------------------------

    def _write_header(self, level: int | None, *, asked: bool) -> None:
        if self._has_header:
            return
        self._has_header = True
        hint = ""
        if level is not None and level > logging.INFO and not asked:
            name = logging.getLevelName(level)
            hint = f"; records below {name} are not shipped: the root logger hides them, log_level= changes it"
        self._append(f"{_utc(time.time())} {self._title}{hint}")

    def _notes(self) -> list[str]:
        now, notes = _utc(time.time()), list[str]()
        if self._cut.lines:
            limit = f"the first {self._max_bytes} bytes"
            notes.append(f"{now} {self._cut.lines} lines ({self._cut.size_bytes} bytes) beyond {limit} are left out")
        if self._failed.lines:
            notes.append(f"{now} {self._failed.lines} lines could not be written: {self._failed.reason}")
        return notes

    def _append(self, text: str, *, within: int | None = -1) -> None:
        """Writes whole lines, or counts them; `within` is the size limit, `None` for the notes that tell of it."""
        data = (text if text.endswith("\n") else text + "\n").encode("utf-8", "backslashreplace")
        limit = self._max_bytes if within == -1 else within
        # The handler's lock: logging makes it anew after a fork, as no lock of our own would be.
        self.handler.acquire()
        try:
            if self._file is None:
                return
            if limit is not None and (self._cut.lines or self._size + len(data) > limit):
                self._cut.count(text, len(data))
                return
            told = self._write(self._file, b"\n" + data if self._torn else data, text)
        finally:
            self.handler.release()
        if told is not None:
            logging.getLogger("datlake").warning("The run's log cannot be written (%s); the job goes on.", told)

    def _write(self, file: int, data: bytes, text: str) -> str | None:
        """Writes all of it; at the first failure, the reason to tell."""
        written = 0
        try:
            while written < len(data):
                written += os.write(file, data[written:])
        except OSError as error:
            self._torn = self._torn or written > 0
            first = not self._failed.lines
            self._failed.reason = error.strerror or str(error)
            self._failed.count(text)
            return self._failed.reason if first else None
        finally:
            self._size += written
        self._torn = False
        return None


class _Loss:
    """What did not reach the file, and why."""

    def __init__(self) -> None:
        self.lines = 0
        self.size_bytes = 0
        self.reason = ""

    def count(self, text: str, size_bytes: int = 0) -> None:
        self.lines += max(1, text.rstrip("\n").count("\n") + 1)
        self.size_bytes += size_bytes


class _Handler(UncountedHandler):
    """Formats on the logging thread without holding the lock, so that a record's own text may log."""

    def __init__(self, log: RunLog, accepts: Callable[[], bool]) -> None:
        super().__init__()
        self._log = log
        self._accepts = accepts
        # Not the handler's own level: a record below it would not come by, and might have to go to stderr.
        self.floor = logging.NOTSET
        self._depth: dict[int, int] = {}
        self._formatter = logging.Formatter()

    def handle(self, record: logging.LogRecord) -> bool:
        """Whether the record passed the filters; the base class would format under the lock."""
        passed = bool(self.filter(record))
        if passed:
            self.emit(record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """The record stands in the file if it belongs to the run; never raises."""
        thread = get_ident()
        depth = self._depth.get(thread, 0)
        if depth >= _NESTING:
            self._log.note_endless_record()
            return
        self._depth[thread] = depth + 1
        try:
            as_without_ours(self, record)
            # What our own threads provoke, an HTTP library's debug lines above all, is not what the job said.
            own = (record.threadName or "").startswith(OWN_THREADS)
            if record.levelno >= self.floor and self._accepts() and not own:
                self._log.write_text(self._told(record))
        except Exception:  # noqa: BLE001 - one of the places that guard a host: logging must not fail the job
            self._log.write_text(f"{_utc(record.created)} {record.levelname} {record.name}: <record could not be read>")
        finally:
            if depth:
                self._depth[thread] = depth
            else:
                self._depth.pop(thread, None)

    def _told(self, record: logging.LogRecord) -> str:
        lines = [f"{_utc(record.created)} {record.levelname} {record.name}: {_message(record)}"]
        if record.exc_text:
            lines.append(record.exc_text)
        elif record.exc_info and record.exc_info[0] is not None:
            lines.append(self._formatter.formatException(record.exc_info))
        if record.stack_info:
            lines.append(record.stack_info)
        return "\n".join(lines)


def _level_number(level: int | str) -> int:
    """The number of a level. Raises `ValueError` for a name that is none."""
    known = logging.getLevelNamesMapping()
    if isinstance(level, str) and level.upper() not in known:
        message = f"log_level={level!r} is no level; take one of {', '.join(known)}"
        raise ValueError(message)
    return level if isinstance(level, int) else known[level.upper()]


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit the message are common; the words still help
        return f"{record.msg} {record.args!r}"


def _utc(at: float) -> str:
    # Whole milliseconds first: rounding the fraction alone could show .1000.
    seconds, ms = divmod(int(at * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{ms:03d}Z"
