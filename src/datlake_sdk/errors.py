"""The public error tree; everything Datlake raises derives from `DatlakeError`.

    DatlakeError
    ├── ConfigError              settings that cannot be used
    ├── AuthError                401, 403
    ├── NotFound                 404
    ├── Conflict                 409 (carries the current version)
    ├── InvalidRequest           400, 413, 422
    ├── TransientNetworkError    no answer: DNS, refused, reset, timeout
    └── ServerError              5xx after the retries

The embedded lake and a server raise the same class for the same cause. A message says what happened, to what, and what
to do next.
"""

from __future__ import annotations

__all__ = [
    "AuthError",
    "ConfigError",
    "Conflict",
    "DatlakeError",
    "InvalidRequest",
    "NotFound",
    "ServerError",
    "TransientNetworkError",
]


class DatlakeError(Exception):
    """Something Datlake could not do.

    `code` is stable and meant for programs, `status` is the HTTP status (`None` when no answer came), `request_id`
    finds the call in the server's log, `run_id` names the run it belonged to, `retryable` tells whether the same call
    may pass later unchanged, `retry_after_s` after how many seconds, where the server said so.
    """

    default_code = "error"
    default_status: int | None = None
    default_retryable = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        run_id: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code if code is not None else self.default_code
        self.status = status if status is not None else self.default_status
        self.request_id = request_id
        self.run_id = run_id
        self.retryable = retryable if retryable is not None else self.default_retryable
        self.retry_after_s: float | None = None

    def __str__(self) -> str:
        """The message, then the run and the request it belongs to where they are known."""
        marks = [f"run {self.run_id}" if self.run_id else "", f"request {self.request_id}" if self.request_id else ""]
        told = ", ".join(mark for mark in marks if mark)
        return f"{self.message} ({told})" if told else self.message


class ConfigError(DatlakeError):
    """A setting cannot be used; the message names the variable, the value and what was expected."""

    default_code = "config"


class AuthError(DatlakeError):
    """The backend refused the key (401), or the key may not do this (403)."""

    default_code = "unauthorized"
    default_status = 401


class NotFound(DatlakeError):
    """The named job, run, table, snapshot or object does not exist."""

    default_code = "not_found"
    default_status = 404


class Conflict(DatlakeError):
    """The thing moved on since it was read; `current_version` is where a table stands now."""

    default_code = "conflict"
    default_status = 409

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        run_id: str | None = None,
        retryable: bool | None = None,
        current_version: int | None = None,
    ) -> None:
        super().__init__(message, code=code, status=status, request_id=request_id, run_id=run_id, retryable=retryable)
        self.current_version = current_version


class InvalidRequest(DatlakeError):
    """The call itself is wrong; the message holds the path of the field and the reason."""

    default_code = "invalid"
    default_status = 422


class TransientNetworkError(DatlakeError):
    """No answer came: the name did not resolve, the port refused, the connection broke or the time ran out."""

    default_code = "unreachable"
    default_retryable = True


class ServerError(DatlakeError):
    """The backend failed (5xx) or asked to slow down (429), and went on doing so through the retries."""

    default_code = "server_error"
    default_status = 500
    default_retryable = True
