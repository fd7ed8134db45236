"""RFC 9457 problems: how an error travels, and which class it becomes again at the other end. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from datlake_sdk.errors import (
    AuthError,
    Conflict,
    DatlakeError,
    InvalidRequest,
    NotFound,
    ServerError,
)

CONTENT_TYPE: Final = "application/problem+json"

_TITLES: Final = {
    400: "The request cannot be read",
    401: "The key is missing or not valid",
    403: "The key may not do this",
    404: "Not found",
    405: "The method is not for this address",
    409: "Conflict",
    411: "The length is missing",
    413: "Too large",
    415: "The media type is not understood",
    416: "The range cannot be served",
    422: "The request is not valid",
    429: "Too many requests",
    500: "The server failed",
    503: "The server cannot do this now",
    507: "The disk is full",
}


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of an error answer (RFC 9457), with a stable `code` for programs."""

    status: int
    code: str
    detail: str
    title: str = ""
    type: str = "about:blank"
    request_id: str | None = None
    run_id: str | None = None
    current_version: int | None = None


def problem_from_error(error: DatlakeError, request_id: str | None = None) -> Problem:
    """The problem that carries `error`."""
    status = error.status or 500
    return Problem(
        type=f"urn:datlake:error:{error.code}",
        title=_TITLES.get(status, "Error"),
        status=status,
        code=error.code,
        detail=error.message,
        request_id=error.request_id or request_id,
        run_id=error.run_id,
        current_version=error.current_version if isinstance(error, Conflict) else None,
    )


def error_from_problem(problem: Problem) -> DatlakeError:
    """The exception that `problem` stands for: the class the embedded lake would have raised."""
    error = error_class(problem.status)(
        problem.detail,
        code=problem.code,
        status=problem.status,
        request_id=problem.request_id,
        run_id=problem.run_id,
        retryable=is_retryable(problem.status),
    )
    if isinstance(error, Conflict):
        error.current_version = problem.current_version
    return error


def error_class(status: int) -> type[DatlakeError]:
    """The exception class for an HTTP status of 400 or more."""
    if status in {401, 403}:
        return AuthError
    if status == 404:
        return NotFound
    if status == 409:
        return Conflict
    if status == 429 or status >= 500:
        return ServerError
    return InvalidRequest


def is_retryable(status: int) -> bool:
    """True for answers that may be different next time: 408, 425, 429, 500, 502, 503 and 504."""
    return status in {408, 425, 429, 500, 502, 503, 504}


def title_of(status: int) -> str:
    """The title of a problem with this status."""
    return _TITLES.get(status, "Error")
