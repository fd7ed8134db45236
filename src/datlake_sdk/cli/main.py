"""The command `datlake`: parses, loads the one command that was asked for, and turns errors into a line and a code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from datlake_sdk.cli.arguments import Arguments
from datlake_sdk.cli.commands import parsed, print_help
from datlake_sdk.cli.exits import BY_SIGNAL, ERROR, OK, USAGE, UsageError, exit_code_of
from datlake_sdk.errors import DatlakeError, ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]

LAST_STANDARD_STREAM: Final = 2


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command line `argv`, the process's own without it. Ends the process for `--help`."""
    _open_missing_streams()
    arguments = parsed(sys.argv[1:] if argv is None else argv)
    if not arguments.command:
        print_help(sys.stderr)
        return USAGE
    try:
        code = _handler(arguments.handler)(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        return _silenced()
    except KeyboardInterrupt:
        return BY_SIGNAL + signal.SIGINT
    except Exception as error:
        # The last resort of a program that people read: a traceback only for those who ask Python for it.
        if sys.flags.dev_mode:
            raise
        return _told(error)
    return code


def _open_missing_streams() -> None:
    """0, 1 and 2 are open: one that is closed (`>&-`) would be given to the next file, which then took our output."""
    spare = os.open(os.devnull, os.O_RDWR)
    while spare <= LAST_STANDARD_STREAM:
        spare = os.open(os.devnull, os.O_RDWR)
    os.close(spare)
    if cast("object", sys.stdout) is None:  # that is what Python makes of a closed one
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 -- for as long as the process lives


def _handler(name: str) -> Callable[[Arguments], int]:
    """The function that carries out a command, named `module:function`."""
    module, _, function = name.partition(":")
    return cast("Callable[[Arguments], int]", getattr(import_module(f"datlake_sdk.cli.{module}"), function))


def _silenced() -> int:
    """0: the reader has seen enough (`datlake runs | head -1`). Nothing more is written, not even at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return OK


def _told(error: Exception) -> int:
    """The exit code for `error`, after one line about it on stderr."""
    from datlake_sdk.cli.text import shown

    line, code = _line_and_code(error)
    print(f"datlake: {shown(line)}", file=sys.stderr)
    return code


def _line_and_code(error: Exception) -> tuple[str, int]:
    if isinstance(error, UsageError):
        return str(error), USAGE
    if isinstance(error, DatlakeError):
        request = f" (request {error.request_id})" if isinstance(error, ServerError) and error.request_id else ""
        return f"{error.message}{request}", exit_code_of(error)
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", ERROR
    told = f"{type(error).__name__}: {error}"
    return f"this should not have happened: {told}; `python -X dev -m datlake_sdk …` shows where", ERROR
