"""The road of an operation has one name all the way, and the public names are the ones that are promised."""

from __future__ import annotations

import inspect
import re
import sys
from typing import get_type_hints

import pytest

import datlake_sdk
from datlake_sdk.aio import AsyncJob
from datlake_sdk.aio_client import AsyncDatlakeClient
from datlake_sdk.client import DatlakeClient
from datlake_sdk.job import JobContext
from datlake_sdk.wire import models
from datlake_sdk.wire.operations import OPERATIONS, Op, answer_type
from datlake_server.caller import Caller
from datlake_server.lake import SERVICES
from datlake_server.services.registry import ELSEWHERE, HANDLERS, service_of
from datlake_server.store.base import Tx

PUBLIC = {
    "Artifact",
    "AsyncDatlakeClient",
    "AuthError",
    "ConfigError",
    "Conflict",
    "DataRef",
    "DatlakeClient",
    "DatlakeError",
    "InvalidRequest",
    "JobContext",
    "NotFound",
    "ServerError",
    "TransientNetworkError",
    "__version__",
    "current_job",
    "tracked",
}
JOB_NETWORK = {"add_input", "add_output", "complete", "get_table_latest", "get_table_latest_uri", "register_snapshot"}
JOB_TELLING = {
    "attach",
    "attach_figure",
    "attach_html",
    "attach_json",
    "attach_log",
    "bind",
    "log_event",
    "log_metrics",
    "progress",
}
JOB_FACTS = {"job_name", "parent_run_id", "run_id", "url", "warnings"}
# A snapshot may be passed whole, so the parameter is not called as the id that travels.
SAID_OTHERWISE = {("Impact", "snapshot_id"): "snapshot", ("Trace", "snapshot_id"): "snapshot"}
CLIENT_ONLY = {  # methods that are no operation: the plan's thin helpers, bytes, and how a call goes
    "base_url",
    "call",
    "close",
    "download_object",
    "put_object",
    "read_log",
    "read_object",
    "resolve_table_uri",
    "settings",
    "upload_object",
}


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def public(kind: type[object]) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_every_operation_is_answered_by_one_service() -> None:
    """A wrong class in `@handles` is caught by no type checker."""
    services = {op_type: service_of(op_type) for op_type in OPERATIONS}
    assert set(HANDLERS) == set(OPERATIONS)
    assert len(set(services.values())) == len(OPERATIONS) == len(set(OPERATIONS))


@pytest.mark.parametrize("op_type", OPERATIONS, ids=lambda op: op.__name__)
def test_a_service_is_called_as_its_operation_and_answers_its_type(op_type: type[Op[object]]) -> None:
    service, elsewhere = service_of(op_type), ELSEWHERE.get(op_type)
    assert service.__name__ == snake(op_type.__name__)
    assert service.__module__ in {*(module.__name__ for module in SERVICES), f"datlake_server.services.{elsewhere}"}
    assert getattr(sys.modules[service.__module__], service.__name__) is service
    known = {**vars(models), **service.__globals__, "Tx": Tx, "Caller": Caller}
    hints = get_type_hints(service, localns=known)
    assert list(hints) == ["tx", "op", "caller", "return"]
    assert hints == {"tx": Tx, "op": op_type, "caller": Caller, "return": answer_type(op_type)}


@pytest.mark.parametrize("op_type", OPERATIONS, ids=lambda op: op.__name__)
def test_a_client_has_a_method_for_every_operation(op_type: type[Op[object]]) -> None:
    """Its required fields are the first arguments, and no field but the namespace is out of reach."""
    method = inspect.signature(getattr(DatlakeClient, snake(op_type.__name__)))
    names = set(method.parameters) - {"self", "call"}
    if "changes" in names:
        return
    fields = set(op_type.__struct_fields__) - {"namespace", "described_at", "added_at"}
    assert names == {SAID_OTHERWISE.get((op_type.__name__, name), name) for name in fields}


def test_a_client_has_no_other_methods() -> None:
    """What is not an operation is on a list that somebody has to change."""
    operations = {snake(op_type.__name__) for op_type in OPERATIONS}
    assert public(DatlakeClient) - operations == CLIENT_ONLY
    assert public(AsyncDatlakeClient) - operations == CLIENT_ONLY | ({"sync"} & public(AsyncDatlakeClient))


def same(sync: object, other: object) -> None:
    """Both take the same arguments, and answer the same but for the awaiting."""
    left, right = inspect.signature(sync), inspect.signature(other)  # type: ignore[arg-type]
    assert list(left.parameters.values()) == list(right.parameters.values())
    mine, theirs = str(left.return_annotation), str(right.return_annotation)
    assert theirs in {mine, mine.replace("Paged", "AsyncPaged"), mine.replace("Iterator", "AsyncIterator")}


@pytest.mark.parametrize("name", sorted(public(DatlakeClient)))
def test_the_async_client_has_the_same_signature(name: str) -> None:
    sync, other = getattr(DatlakeClient, name), getattr(AsyncDatlakeClient, name)
    if isinstance(sync, property):
        assert isinstance(other, property)
        return
    same(sync, other)
    if name in {"read_object", "read_log"}:  # async generators are iterated, not awaited
        assert inspect.isasyncgenfunction(other)
    else:
        assert inspect.iscoroutinefunction(other)


def test_the_async_client_is_made_like_the_other() -> None:
    same(DatlakeClient.__init__, AsyncDatlakeClient.__init__)


@pytest.mark.parametrize("name", sorted(JOB_NETWORK))
def test_an_async_job_has_the_same_network_methods(name: str) -> None:
    same(getattr(JobContext, name), getattr(AsyncJob, name))
    assert inspect.iscoroutinefunction(getattr(AsyncJob, name))


def test_a_job_has_these_names_and_no_others() -> None:
    inner = {"abort", "client", "innermost_open", "is_within", "pid"}
    job = JobContext("j")
    names = {name for name in dir(job) if not name.startswith("_")}
    assert names == JOB_NETWORK | JOB_TELLING | JOB_FACTS | {"start"} | inner
    wrapped = {name for name in dir(AsyncJob(job)) if not name.startswith("_")}
    assert wrapped == JOB_NETWORK | JOB_TELLING | JOB_FACTS | {"sync"}


def test_the_package_promises_these_names() -> None:
    assert set(datlake_sdk.__all__) == PUBLIC == set(dir(datlake_sdk))
    for name in PUBLIC:
        assert getattr(datlake_sdk, name) is not None
    with pytest.raises(AttributeError):
        datlake_sdk.nothing  # noqa: B018 -- the asking is the point


@pytest.mark.parametrize(
    "kind", [DatlakeClient, AsyncDatlakeClient, JobContext, AsyncJob], ids=lambda kind: kind.__name__
)
def test_every_public_method_says_what_comes_back(kind: type[object]) -> None:
    for name in public(kind):
        assert (inspect.getdoc(getattr(kind, name)) or "").strip(), f"{kind.__name__}.{name}"
