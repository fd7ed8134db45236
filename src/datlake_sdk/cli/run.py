"""`datlake run -- PROGRAM`: any program as a tracked job. Tracking never changes what the program does or returns."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from datlake_sdk.cli.child import forwarded_signals, spawn
from datlake_sdk.cli.connection import child_environment, connect
from datlake_sdk.cli.exits import BY_SIGNAL, COMMAND_NOT_FOUND, NOT_EXECUTABLE, OK
from datlake_sdk.cli.program import Program, program_of
from datlake_sdk.cli.spool import Spool
from datlake_sdk.cli.text import shown
from datlake_sdk.errors import DatlakeError
from datlake_sdk.job import JobContext

if TYPE_CHECKING:
    from datlake_sdk.cli.arguments import Arguments
    from datlake_sdk.client import DatlakeClient

# Who sends these wants the job to stop; a death by any other signal is a failure.
STOPPING: Final = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))


class Ended(NamedTuple):
    """How the program ended: our exit code, and what went wrong or who stopped it, where that is so."""

    exit_code: int
    error: Exception | None = None
    stopped: str | None = None


def track(arguments: Arguments) -> int:
    """Runs the program as a job; its exit code, or 128 + n, 126 or 127 as shells have it."""
    program = program_of(arguments)
    _speak_for_the_sdk()
    # Before any thread is made: from here on signals wait until there is a child to hand them to.
    mask = {signal.Signals(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, forwarded_signals())}
    with Spool() as spool:
        job = JobContext(
            _client(arguments),
            program.job_name,
            program.metadata,
            ship_logs=spool.path is not None,
            log_path=spool.path,
            namespace=arguments.namespace,
        )
        job.__enter__()
        job.add_input(*program.inputs)
        ended = _carried_out(program, job, spool, mask)
        spool.close()
        _record(job, program, ended)
    return ended.exit_code


def _client(arguments: Arguments) -> DatlakeClient | None:
    """The client of the lake that the command line names; null where the job is to find its own."""
    return connect(arguments) if arguments.url is not None or arguments.home is not None else None


def _carried_out(program: Program, job: JobContext, spool: Spool, mask: set[signal.Signals]) -> Ended:
    if early := signal.sigpending() & set(forwarded_signals()):
        name = signal.Signals(min(early)).name
        return Ended(BY_SIGNAL + min(early), stopped=f"{name} before the program was started")
    try:
        child = spawn(program.argv, {**os.environ, **child_environment(job)}, mask)
    except OSError as error:
        return _not_started(program.argv[0], error)
    return _ended(child.exit_code(spool.write), STOPPING.intersection(child.received))


def _not_started(name: str, error: OSError) -> Ended:
    is_missing = isinstance(error, FileNotFoundError)
    why = "no such program; is it on the PATH?" if is_missing else f"it cannot be executed ({error.strerror})"
    print(f"datlake: {shown(name)}: {why}", file=sys.stderr)
    return Ended(COMMAND_NOT_FOUND if is_missing else NOT_EXECUTABLE, NotStarted(f"{name}: {why}"))


def _ended(status: int, asked_to_stop: frozenset[signal.Signals]) -> Ended:
    """What the status means: negative for death by signal. A program that was asked to stop and did is no failure."""
    if status == OK:
        return Ended(OK)
    names = " and ".join(sorted(each.name for each in asked_to_stop))
    if status > 0:
        told = f"exit code {status}"
        return Ended(status, stopped=f"{names}, then {told}") if names else Ended(status, ExitCode(told))
    number = -status
    told = f"killed by {_signal_name(number)}"
    if number in STOPPING or names:
        return Ended(BY_SIGNAL + number, stopped=told)
    return Ended(BY_SIGNAL + number, KilledBySignal(told))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names
        return f"signal {number}"


def _record(job: JobContext, program: Program, ended: Ended) -> None:
    """Ends the run as the program ended. What cannot be recorded is told; the exit code stays the program's."""
    try:
        if ended.stopped is not None:
            job.abort(ended.stopped)
            return
        if ended.error is None:
            program.register_outputs(job, _warn)
        # The error was never raised: there is no traceback of the program's, and ours would tell nothing.
        job.__exit__(type(ended.error) if ended.error else None, ended.error, None)
    except DatlakeError as error:
        _warn(f"the end of run {job.run_id} was not recorded: {error.message}")


def _warn(text: str) -> None:
    print(f"datlake: {shown(text)}", file=sys.stderr)


def _speak_for_the_sdk() -> None:
    """Warnings about recording come as our own lines: this process has no logging of its own."""
    import logging

    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("datlake: %(message)s"))
    logger = logging.getLogger("datlake")
    logger.addHandler(handler)
    logger.propagate = False


# --- what the run shows -----------------------------------------------------------------------------------------------


class ExitCode(Exception):
    """The program ended with an exit code other than 0."""

    __module__ = "builtins"  # so that the run shows the bare word


class KilledBySignal(Exception):
    """The program was killed."""

    __module__ = "builtins"


class NotStarted(Exception):
    """The program could not be started."""

    __module__ = "builtins"
