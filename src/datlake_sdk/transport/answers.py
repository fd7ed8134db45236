"""What a server's answer means: the value that was asked for, or the exception. Pure; knows no HTTP library."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar, cast

from msgspec import Struct

from datlake_sdk.errors import DatlakeError, InvalidRequest, ServerError, TransientNetworkError
from datlake_sdk.transport.retry import FailedAttempt, is_retried, retry_after_s
from datlake_sdk.wire import codec
from datlake_sdk.wire.models import BatchSummary, LineageResults
from datlake_sdk.wire.operations import RecordLineageBatch, answer_type
from datlake_sdk.wire.problems import CONTENT_TYPE, Problem, error_class, error_from_problem, is_retryable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datlake_sdk.wire.operations import Op

T = TypeVar("T")

ANSWER_LIMIT_BYTES: Final = 64 << 20
_EXCERPT_CHARS: Final = 200


class Received(Struct, frozen=True):
    """An answer, whole: `headers` have lower-case names, `url` is what was asked."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def request_id(self) -> str | None:
        """The id under which the server's log has this call."""
        return self.headers.get("x-request-id")


def answer_from(received: Received, op: Op[T]) -> T:
    """What `op` was answered. Raises `FailedAttempt` with the error that it stands for."""
    if received.status == 204 and isinstance(op, RecordLineageBatch):
        # The specification's way to say that all events were accepted.
        summary = BatchSummary(received=len(op.events), successful=len(op.events))
        return cast("T", LineageResults(status="success", summary=summary))
    return value_from(received, answer_type(type(op)))


def value_from(received: Received, kind: type[T]) -> T:
    """The answer as a `kind`. Raises `FailedAttempt` with the error that it stands for."""
    if not 200 <= received.status < 300:
        refuse(received)
    if not _media_type(received) == "application/json":
        raise FailedAttempt(_stranger(received), is_final=True)
    try:
        return codec.decode(received.body, kind)
    except InvalidRequest as error:
        raise FailedAttempt(_unread(received, error), is_final=True) from error


def refuse(received: Received) -> NoReturn:
    """Raises `FailedAttempt` with the error that an answer other than 2xx stands for."""
    error = _redirect(received) if 300 <= received.status < 400 else _error_from(received)
    error.request_id = error.request_id or received.request_id
    asked_s = retry_after_s(received.headers.get("retry-after"), time.time())
    error.retry_after_s = asked_s
    raise FailedAttempt(error, is_final=not is_retried(error), retry_after_s=asked_s)


def _error_from(received: Received) -> DatlakeError:
    if _media_type(received) == CONTENT_TYPE:
        try:
            return _told(error_from_problem(codec.decode(received.body, Problem)), received)
        except InvalidRequest:
            pass  # says it is a problem and is none: shown as what it is, below
    return _told(
        error_class(received.status)(
            f"{received.url} answered {received.status}, and not in Datlake's words: {_excerpt(received.body)}; "
            "check DATLAKE_API_URL and any proxy on the way",
            code="unexpected_answer",
            status=received.status,
            retryable=is_retryable(received.status),
        ),
        received,
    )


def _told(error: DatlakeError, received: Received) -> DatlakeError:
    """429 is an error of its own kind: the server is well, and wants to be asked less."""
    if received.status == 429:
        return ServerError(
            f"{received.url} asks to slow down: {error.message}",
            code="rate_limited",
            status=429,
            request_id=error.request_id,
        )
    return error


def _stranger(received: Received) -> TransientNetworkError:
    return TransientNetworkError(
        f"{received.url} answered {received.status} with {_media_type(received) or 'no content type'} instead of JSON: "
        f"{_excerpt(received.body)}; a login page or a proxy may answer for it; or DATLAKE_API_URL is not the server",
        code="unexpected_answer",
        status=received.status,
        request_id=received.request_id,
    )


def _unread(received: Received, error: InvalidRequest) -> ServerError:
    return ServerError(
        f"{received.url} answered {received.status} with JSON that is not the expected answer ({error.message}); "
        "check that DATLAKE_API_URL names a Datlake server and that its version is not older than this SDK",
        code="unexpected_answer",
        status=received.status,
        request_id=received.request_id,
        retryable=False,
    )


def _redirect(received: Received) -> TransientNetworkError:
    target = received.headers.get("location", "nowhere")[:_EXCERPT_CHARS].partition("?")[0]
    return TransientNetworkError(
        f"{received.url} redirects to {target}; redirects are not followed, because they would carry the key along. If "
        "that is the server, set DATLAKE_API_URL to it; if it is a login page, log in to that network first",
        code="redirected",
        status=received.status,
        retryable=False,
    )


def _media_type(received: Received) -> str:
    return received.headers.get("content-type", "").partition(";")[0].strip().lower()


def _excerpt(body: bytes) -> str:
    text = " ".join(body[: 4 * _EXCERPT_CHARS].decode("utf-8", "replace").split())
    shown = "".join(char for char in text if char.isprintable())
    if not shown:
        return "an empty body"
    return repr(shown if len(shown) <= _EXCERPT_CHARS else shown[:_EXCERPT_CHARS] + "…")
