"""A run's log on its way to and from a server: which address, and what an answer says. Pure; knows no HTTP library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datlake_sdk.errors import InvalidRequest, TransientNetworkError
from datlake_sdk.transport.answers import refuse
from datlake_sdk.transport.retry import FailedAttempt
from datlake_sdk.wire.http import API_PREFIX, query_string
from datlake_sdk.wire.ids import DEFAULT_NAMESPACE, quoted
from datlake_sdk.wire.models import LogState

if TYPE_CHECKING:
    from datlake_sdk.transport.answers import Received


def log_target(run_id: str, namespace: str, **query: str | int | None) -> str:
    """The path and query of a run's log. Raises `InvalidRequest` for an empty name, which no path can hold."""
    if not (run_id and namespace):
        raise InvalidRequest("runs have an id and namespaces a name; give them")
    scope = {} if namespace == DEFAULT_NAMESPACE else {"namespace": namespace}
    stated = {name: value for name, value in query.items() if value is not None}
    return f"{API_PREFIX}/runs/{quoted(run_id)}/log{query_string({**scope, **stated})}"


def part_from(received: Received, run_id: str) -> tuple[bytes, LogState]:
    """The bytes of the answer, and how far the log has grown. Raises `FailedAttempt`."""
    if received.status != 200:
        refuse(received)
    size, is_final = received.headers.get("x-log-size", ""), received.headers.get("x-log-final") == "true"
    if not size.isdigit():
        message = (
            f"{received.url} answered without the log's size; a login page or a proxy may answer for it, or "
            "DATLAKE_API_URL names another server"
        )
        raise FailedAttempt(TransientNetworkError(message, code="unexpected_answer"), is_final=True)
    return received.body, LogState(run_id=run_id, size_bytes=int(size), is_final=is_final)
