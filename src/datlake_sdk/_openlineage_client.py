"""Sends events through openlineage-python, as its own configuration says. The one file that imports it.

That import takes 0.7 s and more, so it happens on the outbox's thread, with the first event. The library's retries and
its own threads are not used: what it cannot send waits in the outbox, on the disk.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import msgspec
from msgspec import Struct

from datlake_sdk.errors import (
    AuthError,
    ConfigError,
    DatlakeError,
    InvalidRequest,
    ServerError,
    TransientNetworkError,
)
from datlake_sdk.redaction import redact_text
from datlake_sdk.wire.models import LineageReceipt
from datlake_sdk.wire.operations import Op, RecordLineage

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import RunEvent
    from openlineage.client.transport import Transport

    from datlake_sdk.transport.base import CallOptions
    from datlake_sdk.wire.models import LakeObject

A = TypeVar("A")

INSTALL: Final = 'pip install "datlake-sdk[openlineage]"'
# A fork waits so long for what is being loaded; without that, a child would find modules locked for ever.
_FORK_WAIT_S: Final = 20.0
_SHOWN: Final = 300
_AT_FAULT: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_NOT_OF_THE_EVENT: Final = frozenset({402, 404, 405, 407, 410, 415, 421, 423, 425})
_ADDRESS: Final = "OPENLINEAGE_URL"
_CONFIG: Final = "OPENLINEAGE_CONFIG"
_SETTINGS: Final = "OPENLINEAGE__"


class _Dataset(Struct, frozen=True, rename="camel"):
    namespace: str
    name: str
    facets: dict[str, Any] = {}
    input_facets: dict[str, Any] = {}
    output_facets: dict[str, Any] = {}


class _Run(Struct, frozen=True, rename="camel"):
    run_id: str
    facets: dict[str, Any] = {}


class _Event(Struct, frozen=True, rename="camel"):
    event_type: str
    event_time: str
    producer: str
    run: _Run
    job: _Dataset
    inputs: list[_Dataset] = []
    outputs: list[_Dataset] = []


class Carrier:
    """Takes `RecordLineage` as a transport to a lake would; one per consumer. Used by one thread at a time."""

    def __init__(self, file: str | None) -> None:
        """Loads nothing. `file` is openlineage-python's, as it was found before the job may have gone elsewhere."""
        self._file = file
        self._clients: dict[int, OpenLineageClient] = {}
        self.is_loading = False

    def call(self, op: Op[A], options: CallOptions) -> A:
        """The receipt of an event, once the transport has taken it. Raises the errors of the public tree."""
        del options  # openlineage-python has timeouts of its own
        if not isinstance(op, RecordLineage):
            raise InvalidRequest(f"{type(op).__name__} is no OpenLineage event", code="openlineage_refused")
        try:
            self._client().emit(_event(bytes(op.event)))
        except DatlakeError:
            raise
        except Exception as error:  # transports may be anybody's, and raise what they like
            raise _told(error) from error
        return cast("A", LineageReceipt(event_id=""))

    def upload(self, namespace: str, bucket: str, object_name: str, path: str, options: CallOptions) -> LakeObject:
        """Raises: nothing but events goes this way."""
        del namespace, bucket, path, options
        raise InvalidRequest(f"{object_name} is no OpenLineage event", code="openlineage_refused")

    def _client(self) -> OpenLineageClient:
        # A forked child has its own: two processes on one connection would read each other's answers.
        pid = os.getpid()
        if pid not in self._clients:
            self.is_loading = True
            try:
                with _load_lock:
                    self._clients[pid] = _made(self._file)
            finally:
                self.is_loading = False
        return self._clients[pid]


# --- the client -------------------------------------------------------------------------------------------------------


def _made(file: str | None) -> OpenLineageClient:
    from importlib import import_module

    try:
        import_module("netrc")  # else requests loads it with the first request, which no fork waits for
        from openlineage.client import OpenLineageClient
        from openlineage.client.transport.noop import NoopConfig, NoopTransport
    except ImportError as error:
        raise ConfigError(f"openlineage-python cannot be loaded ({error}); {INSTALL}", code="extra_missing") from error
    try:
        with _same_environment(file):
            client = OpenLineageClient(transport=NoopTransport(NoopConfig()))
            client.transport = _transport(client.config.transport)
    except DatlakeError:
        raise
    except Exception as error:
        raise ConfigError(f"openlineage-python's configuration cannot be used: {_shown(error)}") from error
    return client


def _transport(told: Mapping[str, Any] | None) -> Transport:
    """The transport that openlineage-python would take, but that it sends at once and says whether that went well."""
    from openlineage.client.transport import get_default_factory

    found = dict(told or {})
    if not found.get("type"):
        found = _by_address()
    return get_default_factory().create(_direct(found))


def _by_address() -> dict[str, Any]:
    url = os.environ.get(_ADDRESS)
    if not url:
        message = f"openlineage-python is told of no transport: set {_ADDRESS}, or transport.type in its file"
        raise ConfigError(message)
    told: dict[str, Any] = {"type": "http", "url": url}
    if endpoint := os.environ.get("OPENLINEAGE_ENDPOINT"):
        told["endpoint"] = endpoint
    if key := os.environ.get("OPENLINEAGE_API_KEY"):
        told["auth"] = {"type": "api_key", "apiKey": key}
    return told


def _direct(told: dict[str, Any]) -> dict[str, Any]:
    """The transport's settings without queue and retries of its own: what it held would die with the process."""
    told = dict(told)
    if told.get("type") in {"http", "async_http"}:
        told["type"] = "http"
        told.setdefault("retry", {"total": 0, "connect": 0, "read": 0, "status_forcelist": []})
    inner = told.get("transports")
    if isinstance(inner, dict):
        by_name = cast("dict[str, dict[str, Any]]", inner)
        told["transports"] = {name: _direct(each) for name, each in by_name.items() if each}
    elif isinstance(inner, list):
        told["transports"] = [_direct(each) for each in cast("list[dict[str, Any]]", inner)]
    if isinstance(told.get("transport"), dict):
        told["transport"] = _direct(told["transport"])
    return told


@contextmanager
def _same_environment(file: str | None) -> Generator[None]:
    """The library finds its file here, and the job's environment is as it was in the end.

    It writes its address and its key there once more, under other names.
    """
    before = {name for name in os.environ if name.startswith(_SETTINGS)}
    named = os.environ.get(_CONFIG)
    if file is not None:
        os.environ[_CONFIG] = file
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith(_SETTINGS) and name not in before]:
            del os.environ[name]
        if file is not None:
            os.environ.pop(_CONFIG) if named is None else os.environ.update({_CONFIG: named})


# --- an event ---------------------------------------------------------------------------------------------------------


def _event(body: bytes) -> RunEvent:
    """The event as openlineage-python has it. It knows labels only as its own classes; other facets go as they are."""
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import tags_job, tags_run

    told = msgspec.json.decode(body, type=_Event)
    run_facets, job_facets = dict(told.run.facets), dict(told.job.facets)
    if "tags" in run_facets:
        labels = [tags_run.TagsRunFacetFields(**label) for label in run_facets["tags"]["tags"]]
        run_facets["tags"] = tags_run.TagsRunFacet(tags=labels)
    if "tags" in job_facets:
        labels_of_job = [tags_job.TagsJobFacetFields(**label) for label in job_facets["tags"]["tags"]]
        job_facets["tags"] = tags_job.TagsJobFacet(tags=labels_of_job)
    return RunEvent(
        eventType=RunState(told.event_type),
        eventTime=told.event_time,
        producer=told.producer,
        run=Run(runId=told.run.run_id, facets=run_facets),
        job=Job(namespace=told.job.namespace, name=told.job.name, facets=job_facets),
        inputs=[
            InputDataset(namespace=one.namespace, name=one.name, facets=one.facets, inputFacets=one.input_facets)
            for one in told.inputs
        ],
        outputs=[
            OutputDataset(namespace=one.namespace, name=one.name, facets=one.facets, outputFacets=one.output_facets)
            for one in told.outputs
        ],
    )


# --- what went wrong --------------------------------------------------------------------------------------------------


def _told(error: Exception) -> DatlakeError:
    """What an error of a transport means: of the event, of who sends, or that it is to be tried again."""
    status, text = _status_of(error), _shown(error)
    if status in {401, 403}:
        return AuthError(f"the OpenLineage consumer refuses the key: {text}", status=status)
    if status is None:
        if isinstance(error, _AT_FAULT) and not isinstance(error, OSError):
            return InvalidRequest(f"openlineage-python cannot send the event: {text}", code="openlineage_refused")
        return TransientNetworkError(f"the OpenLineage consumer cannot be reached: {text}")
    if status < 400 or status in _NOT_OF_THE_EVENT:
        return ConfigError(f"the OpenLineage consumer takes no events there: {text}")
    if status < 500 and status not in {408, 429}:
        return InvalidRequest(f"the OpenLineage consumer refuses: {text}", code="openlineage_refused", status=status)
    return ServerError(f"the OpenLineage consumer fails: {text}", status=status)


def _status_of(error: BaseException | None) -> int | None:
    """The status of the answer behind an error, whichever HTTP library it is of."""
    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
        error = error.__cause__
    return None


def _shown(error: Exception) -> str:
    return redact_text(" ".join(f"{type(error).__name__}: {error}".split()))[:_SHOWN]


# --- loading, and forks -----------------------------------------------------------------------------------------------

# Not `_lazy.loading`: the job itself waits for that one when it first uses a part of ours, and this takes a second.
_load_lock = threading.RLock()
_waited: list[bool] = []


def is_installed() -> bool:
    """True where openlineage-python is there; loads nothing of it."""
    from importlib.util import find_spec

    try:
        with _load_lock:
            return find_spec("openlineage.client") is not None
    except ImportError:
        return False


def _before_fork() -> None:
    _waited.append(_load_lock.acquire(timeout=_FORK_WAIT_S))


def _after_fork_in_parent() -> None:
    if _waited and _waited.pop():
        _load_lock.release()


def _after_fork_in_child() -> None:
    global _load_lock  # noqa: PLW0603 -- the parent's may belong to a thread that is not here
    _waited.clear()
    _load_lock = threading.RLock()


def _guard_forks() -> None:
    """A fork waits until nothing is being loaded, and before it takes any lock that loading needs.

    Hooks run in the reverse of their order. Those of these modules take their locks, and whatever is loaded asks for a
    logger: were they loaded after this, each would wait for the other.
    """
    from importlib import import_module

    for name in ("logging", "concurrent.futures.thread", "importlib.util"):
        import_module(name)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
        )


_guard_forks()
