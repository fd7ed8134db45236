"""The log of one run from its beginning to the file that is shipped: what a user named, or what the process logs."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from datlake_sdk.logs.capture import RunLog
from datlake_sdk.logs.tee import tee_streams

if TYPE_CHECKING:
    from collections.abc import Callable


class ProcessLog:
    """Captures what the process logs while a run is open, in a file that only this user can read."""

    def __init__(self, log: RunLog, stack: ExitStack) -> None:
        """Holds an open log; `begin` makes one."""
        self._log = log
        self._stack = stack

    @classmethod
    def begin(
        cls, run_id: str, job_name: str, accepts: Callable[[], bool], level: int | str | None, *, capture_output: bool
    ) -> ProcessLog:
        """A log that receives records from now on. Raises `OSError` where no file can be made."""
        log = RunLog.open(run_id=run_id, job_name=job_name, accepts=accepts)
        log.attach(level)
        stack = ExitStack()
        if capture_output:
            stack.enter_context(tee_streams(log.write_text, accepts))
        return cls(log, stack)

    def end(self, error: BaseException | None) -> str:
        """The path of the finished file, the traceback of `error` at its end; streams and loggers are as before."""
        self._stack.close()
        self._log.detach()
        if error is not None:
            self._log.write_traceback(error)
        return self._log.close()

    @property
    def path(self) -> str:
        """The file that it is written to, from the beginning on."""
        return self._log.path

    @property
    def lines_lost(self) -> int:
        """Lines that could not be kept."""
        return self._log.lines_lost
