"""What the exit codes of `datlake` mean, and which error ends in which. `datlake run` returns its program's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datlake_sdk.errors import DatlakeError

OK: Final = 0
ERROR: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
UNREACHABLE: Final = 4
REFUSED: Final = 5
NOT_EXECUTABLE: Final = 126
COMMAND_NOT_FOUND: Final = 127
BY_SIGNAL: Final = 128
"""Plus the signal's number: how shells tell of a death by signal."""

# `datlake --help` prints this table; docs and scripts may rely on it.
EXIT_CODES: Final[dict[int, str]] = {
    OK: "done",
    ERROR: "something went wrong; for doctor: a check failed",
    USAGE: "the command line or a setting cannot be used",
    NOT_FOUND: "no such job, run, table, snapshot or log",
    UNREACHABLE: "the lake cannot be reached or cannot answer",
    REFUSED: "the lake refused: key, conflict or bad request",
}


def exit_code_of(error: DatlakeError) -> int:
    """The exit code that tells of `error`."""
    from datlake_sdk import errors

    table: tuple[tuple[type[DatlakeError], int], ...] = (
        (errors.ConfigError, USAGE),
        (errors.NotFound, NOT_FOUND),
        (errors.TransientNetworkError, UNREACHABLE),
        (errors.ServerError, UNREACHABLE),
        (errors.AuthError, REFUSED),
        (errors.Conflict, REFUSED),
        (errors.InvalidRequest, REFUSED),
    )
    return next((code for kind, code in table if isinstance(error, kind)), ERROR)


class UsageError(Exception):
    """An argument cannot be used; the message says which, why, and what would do."""
