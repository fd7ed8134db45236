"""What an exception that leaves a job says about how the run ended. Pure but for reading the exception."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datlake_sdk.wire.models import RunError

Outcome = Literal["completed", "failed", "aborted"]

# A traceback of deep recursion is thousands of lines; the ends tell the story.
TRACEBACK_CHARACTERS = 64 * 1024
MESSAGE_CHARACTERS = 8 * 1024


def outcome_of(error: BaseException | None) -> Outcome:
    """How a run ends that `error` leaves, null for a clean end."""
    if error is None:
        return "completed"
    if isinstance(error, SystemExit):
        return "completed" if _is_success(error.code) else "failed"
    if isinstance(error, (KeyboardInterrupt, GeneratorExit)) or _is_cancellation(error):
        return "aborted"
    return "failed"


def error_of(error: BaseException) -> RunError:
    """The error as the run shows it: type, message and traceback, secrets left out."""
    from traceback import format_exception

    from datlake_sdk.redaction import redact_text
    from datlake_sdk.wire.models import RunError

    return RunError(
        type=_type_name(type(error)),
        message=_cut(redact_text(_clean(_message(error))), MESSAGE_CHARACTERS),
        traceback=_cut(redact_text(_clean("".join(format_exception(error)))), TRACEBACK_CHARACTERS),
    )


def _is_success(code: object) -> bool:
    # As the interpreter has it: any other object, `[]` and `0.0` too, is printed and ends the process with 1.
    return code is None or (isinstance(code, int) and code == 0)


def _is_cancellation(error: BaseException) -> bool:
    # asyncio is not imported for this: without it nobody can have raised its exception.
    exceptions = sys.modules.get("asyncio.exceptions")
    return exceptions is not None and isinstance(error, exceptions.CancelledError)


def _type_name(kind: type[BaseException]) -> str:
    return (
        kind.__qualname__ if kind.__module__ in {"builtins", "__main__"} else f"{kind.__module__}.{kind.__qualname__}"
    )


def _message(error: BaseException) -> str:
    try:
        return f"exit code {error.code}" if isinstance(error, SystemExit) else str(error)
    except Exception as broken:  # noqa: BLE001 -- a user's __str__ may raise anything, and the run still has ended
        return f"<its message cannot be shown: {type(broken).__name__}>"


def _clean(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… {len(text) - limit} characters left out …\n{text[-half:]}"
