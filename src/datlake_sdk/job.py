"""A run as a `with` block. It owns the run's inputs, outputs, log and attachments, and nothing else.

Recording never changes the job: what cannot be recorded is told on the `datlake` logger and on the card. Only reads
that need an answer, and `register_snapshot` where it is refused, raise.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, cast, overload

from datlake_sdk._current import CURRENT, current_job
from datlake_sdk._lazy import LazyModule
from datlake_sdk._unfinished import abort_at_exit, completed
from datlake_sdk.client import DatlakeClient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextvars import Token
    from datetime import timedelta
    from types import TracebackType
    from typing import ParamSpec, Self, TypedDict, TypeVar, Unpack

    from datlake_sdk import _calls as calls
    from datlake_sdk import _identity as identity
    from datlake_sdk import _reads as reads
    from datlake_sdk import _run_state as state
    from datlake_sdk._async_job import AsyncJob
    from datlake_sdk._registered import RegisteredSnapshot
    from datlake_sdk.aio_client import AsyncDatlakeClient
    from datlake_sdk.client import When
    from datlake_sdk.wire import ids
    from datlake_sdk.wire import operations as ops
    from datlake_sdk.wire.models import DataRef, Run, Snapshot

    P = ParamSpec("P")
    R = TypeVar("R")

    class JobSettings(TypedDict, total=False):
        """The settings of a `JobContext`, by name."""

        ship_logs: bool | None
        log_path: str | os.PathLike[str] | None
        log_level: int | str | None
        capture_output: bool
        artifact_bucket: str | None
        heartbeat_interval_s: float | None
        parent: JobContext | str | None
        run_id: str | None
        namespace: str | None
else:
    calls = LazyModule("datlake_sdk._calls")
    ids = LazyModule("datlake_sdk.wire.ids")
    ops = LazyModule("datlake_sdk.wire.operations")
    identity = LazyModule("datlake_sdk._identity")
    reads = LazyModule("datlake_sdk._reads")
    state = LazyModule("datlake_sdk._run_state")

__all__ = ["JobContext"]


class _Start:
    """`JobContext.start("job")` on the class builds and opens; `job.start()` on an instance opens it."""

    def __init__(self, build: Callable[..., JobContext], begin: Callable[[JobContext], JobContext]) -> None:
        self._build = build
        self._begin = begin

    @overload
    def __get__(self, job: None, owner: type[JobContext]) -> Callable[..., JobContext]: ...
    @overload
    def __get__(self, job: JobContext, owner: type[JobContext]) -> Callable[[], JobContext]: ...
    def __get__(self, job: JobContext | None, owner: type[JobContext]) -> Callable[..., JobContext]:
        """The starter of the class or of the instance."""
        return partial(self._build, owner) if job is None else partial(self._begin, job)


class JobContext:
    """One run of a job, recorded from `with` to the end of the block.

    `JobContext("job")` takes its client from the environment, `JobContext(client, "job")` uses that one.
    `ship_logs` ships `log_path`, or else all that `logging` receives while the run is open (`log_level` lowers the bar
    for the run, `capture_output` adds stdout and stderr). `parent` is a run or its id; without it the run that is open
    around this one. Raises `ConfigError` for unusable settings and `InvalidRequest` for a name that cannot be one.
    """

    def __init__(
        self,
        client: DatlakeClient | AsyncDatlakeClient | str | None = None,
        job_name: str | Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        *,
        ship_logs: bool | None = None,
        log_path: str | os.PathLike[str] | None = None,
        log_level: int | str | None = None,
        capture_output: bool = False,
        artifact_bucket: str | None = None,
        heartbeat_interval_s: float | None = None,
        parent: JobContext | str | None = None,
        run_id: str | None = None,
        namespace: str | None = None,
    ) -> None:
        """Prepares the run; nothing is sent, opened or patched before it starts."""
        given, name, metadata = identity.who(client, job_name, metadata)
        made, trouble = (None, None) if given else identity.default_client(namespace, artifact_bucket)
        self._client = given or cast("DatlakeClient", made)
        settings = self._client.settings
        plan = state.Plan(
            metadata=dict(metadata or {}),
            ship_logs=settings.log_ship if ship_logs is None else ship_logs,
            bucket=artifact_bucket or settings.artifact_bucket,
            log_path=None if log_path is None else os.fspath(log_path),
            log_level=log_level,
            capture_output=capture_output,
            heartbeat_interval_s=heartbeat_interval_s,
        )
        self._run = state.RunState(self._client, name, run_id, namespace, plan)
        if trouble is not None:
            self._run.recorder.warn(f"nothing is recorded: {trouble}")
        self.pid = os.getpid()
        self._parent = parent
        self._is_bare = False
        self._token: Token[JobContext | None] | None = None

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def run_id(self) -> str:
        """The run's id, known before anything is sent."""
        return self._run.run_id

    @property
    def job_name(self) -> str:
        """The job's name."""
        return self._run.job_name

    @property
    def client(self) -> DatlakeClient:
        """The client this run is recorded through."""
        return self._client

    @property
    def parent_run_id(self) -> str | None:
        """The id of the run around this one, known once the run is open."""
        return self._run.parent_run_id

    @property
    def url(self) -> str | None:
        """The page of the run; null for an embedded lake (`datlake run show` shows it)."""
        base = self._client.base_url
        return None if base is None else ids.run_url(base, self.run_id, self._run.namespace)

    @property
    def warnings(self) -> list[str]:
        """What was told about recording this run so far; empty when all went well."""
        return list(self._run.recorder.warnings)

    # --- inputs and outputs -------------------------------------------------------------------------------------------

    def get_table_latest_uri(
        self,
        table_name: str,
        *,
        as_of: When | None = None,
        version: int | str | None = None,
        max_staleness: float | timedelta | None = None,
        fresh_for: float | timedelta | None = None,
    ) -> str:
        """The URI of the table's newest snapshot, or of an older one; the run has it as an input, pinned.

        While the lake is away, one that this host learned at most `max_staleness` seconds ago stands in; one learned at
        most `fresh_for` seconds ago is used without asking. Blocks for an answer. Raises `NotFound`, and
        `TransientNetworkError` when the lake is away.
        """
        return self.get_table_latest(
            table_name, as_of=as_of, version=version, max_staleness=max_staleness, fresh_for=fresh_for
        ).uri

    def get_table_latest(
        self,
        table_name: str,
        *,
        as_of: When | None = None,
        version: int | str | None = None,
        max_staleness: float | timedelta | None = None,
        fresh_for: float | timedelta | None = None,
    ) -> Snapshot:
        """The whole snapshot that `get_table_latest_uri` gives the URI of; recorded and raised the same way."""
        asked = reads.question(
            table_name, as_of=as_of, version=version, max_staleness=max_staleness, fresh_for=fresh_for
        )
        return reads.read(self._run, asked)

    def register_snapshot(
        self,
        table_name: str,
        uri: str | os.PathLike[str],
        format: str,  # noqa: A002 -- the plan's name, and what people expect
        schema: Mapping[str, object] | Sequence[object] | None = None,
        *,
        expected_version: int | None = None,
        row_count: int | None = None,
        size_bytes: int | None = None,
        inputs: Sequence[DataRef | str] | None = None,
        column_lineage: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> RegisteredSnapshot:
        """The snapshot, registered as an output of this run; a dict with `snapshot_id`, `version`, `uri` and more.

        `uri` is any URI, or a path object for a file. `inputs` names what it was made from, else all inputs of the run
        are. With `expected_version` the table must still be there, else `Conflict`. Raises what the lake refuses. When
        the lake is away a plain one waits for the end of the run (`version` is null, `deferred` true); with
        `expected_version` it raises.
        """
        op = calls.registration(
            table_name,
            uri,
            format,
            schema,
            job_name=self.job_name,
            run_id=self.run_id,
            snapshot_id=None,
            expected_version=expected_version,
            row_count=row_count,
            size_bytes=size_bytes,
            inputs=inputs,
            column_lineage=column_lineage,
            metadata=metadata,
            created_at=None,
            namespace=self._run.namespace,
        )
        return self._run.register(op)

    def add_input(self, *items: str | os.PathLike[str] | DataRef) -> None:
        """The run has these inputs: tables by name (newest snapshot), anything else by URI or path. Never raises."""
        self._run.add(ops.AddInputs, items)

    def add_output(self, *items: str | os.PathLike[str] | DataRef) -> None:
        """The run has these outputs, for data that is not registered as a snapshot. Never raises."""
        self._run.add(ops.AddOutputs, items)

    # --- telling ------------------------------------------------------------------------------------------------------

    def log_event(self, event_type: str, data: Mapping[str, object] | None = None) -> None:
        """Queues an event and returns at once; `complete` waits until it is sent. Never raises."""
        self._run.log_event(event_type, data)

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Queues how far the job is, as an event of type `progress`. Never raises, never waits."""
        self._run.log_event("progress", {"done": done, "total": total, "message": message})

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Queues measured values, as an event of type `metrics`. Never raises, never waits."""
        measured = calls.plain(metrics)
        self._run.log_event("metrics", measured if step is None else {**measured, "step": step})

    def attach_log(self, path: str | os.PathLike[str]) -> None:
        """Marks a log file; it is uploaded and linked as a `log` when the run completes."""
        self._run.attachments.add(path, None, "log")

    def attach(self, path: str | os.PathLike[str], name: str | None = None, type: str | None = None) -> None:  # noqa: A002
        """Marks a file; it is uploaded and linked when the run completes, under `name` and as `type` (its ending)."""
        self._run.attachments.add(path, name, type)

    def attach_json(self, name: str, obj: object) -> None:
        """Keeps `obj` as JSON, as it is now; uploaded and linked as `json` when the run completes."""
        self._run.attachments.add_json(name, obj)

    def attach_html(self, name: str, html: str) -> None:
        """Keeps a page, as it is now; uploaded and linked as `html` when the run completes."""
        self._run.attachments.add_bytes(name, str(html).encode("utf-8", "replace"), "html")

    def attach_figure(self, name: str, figure: object) -> None:
        """Keeps a figure (matplotlib's as PNG, anything with `to_html` as HTML); linked when the run completes."""
        self._run.attachments.add_figure(name, figure)

    # --- beginning and end --------------------------------------------------------------------------------------------

    def complete(self, success: bool = True, extra: Mapping[str, object] | None = None) -> Run | None:
        """The run, ended; null where it could not be recorded. `extra` is added to its metadata.

        Waits for queued events and uploads as long as they move. Again, nothing happens. Never raises, unless
        `on_unavailable` is `raise`.
        """
        try:
            return self._run.complete("completed" if success else "failed", extra, self.url)
        finally:
            if self._is_bare:
                self._leave()
                completed(self)

    def bind(self, function: Callable[P, R]) -> Callable[P, R]:
        """`function` with this run as the current one wherever it is called: in a thread, a pool or a callback."""

        def bound(*args: P.args, **kwargs: P.kwargs) -> R:
            token = CURRENT.set(self)
            try:
                return function(*args, **kwargs)
            finally:
                CURRENT.reset(token)

        return bound

    def __enter__(self) -> Self:
        """The job, its run started and current in this context."""
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the run as what left the block says; the exception goes on unchanged."""
        try:
            self._run.end(error, self.url)
        finally:
            self._leave()

    async def __aenter__(self) -> AsyncJob:
        """The job with awaitable network methods, its run started and current in this task."""
        from datlake_sdk._async_job import AsyncJob
        from datlake_sdk._offload import offload, offload_to_the_end

        self._enter()
        try:
            await offload(lambda: self._run.start(self.url))
        except BaseException as error:
            unwound = error
            await offload_to_the_end(lambda: self._run.unwind(unwound, self.url))
            self._leave()
            raise
        return AsyncJob(self)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the run as what left the block says; the exception goes on unchanged."""
        from datlake_sdk._offload import offload_to_the_end

        try:
            await offload_to_the_end(lambda: self._run.end(error, self.url))
        finally:
            self._leave()

    def __reduce__(self) -> tuple[object, ...]:
        """The run as it arrives in another process: it adds to the same run there, and never ends it."""
        from datlake_sdk._pickled import reduced

        return reduced(self, self._run.namespace)

    def __repr__(self) -> str:
        """The job, its run and how it stands."""
        return f"<JobContext {self.job_name!r} run {self.run_id} {self._run.state}>"

    def _open(self) -> None:
        if self._run.is_attached:
            self._token = CURRENT.set(self)
            return
        self._enter()
        try:
            self._run.start(self.url)
        except BaseException as error:  # Ctrl-C, or what `on_unavailable` raises: `__exit__` will not be called
            self._run.unwind(error, self.url)
            self._leave()
            raise

    def _enter(self) -> None:
        self._run.open(self, self._parent if self._parent is not None else current_job())
        self._token = CURRENT.set(self)

    def _leave(self) -> None:
        token, self._token = self._token, None
        if token is not None and CURRENT.get() is self:  # else a run that began inside this one is still open
            with suppress(ValueError):  # ended in another context than it began in, which still has its own
                CURRENT.reset(token)

    def _begin(self) -> JobContext:
        """Starts the run; `complete` ends it. What never completes ends as aborted with the process."""
        self._is_bare = True
        self._open()
        abort_at_exit(self)
        return self

    def abort(self, why: str) -> None:
        """The run is ended as aborted, and says why; nothing happens where it has ended."""
        self._run.complete("aborted", {"aborted_because": why}, self.url)

    def innermost_open(self) -> JobContext | None:
        """This job, or the nearest of those around it that has not ended."""
        job: JobContext | None = self
        while job is not None and job._run.has_ended:  # noqa: SLF001 -- its own class
            job = job._run.around  # noqa: SLF001 -- its own class
        return job

    def is_within(self, outer: JobContext) -> bool:
        """True where `outer` is this job or one of those around it."""
        job: JobContext | None = self
        while job is not None:
            if job is outer:
                return True
            job = job._run.around  # noqa: SLF001 -- its own class
        return False

    @staticmethod
    def _build(
        owner: type[JobContext],
        client: DatlakeClient | AsyncDatlakeClient | str | None = None,
        job_name: str | Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        **settings: Unpack[JobSettings],
    ) -> JobContext:
        """Builds the job and starts its run; `complete` ends it."""
        return owner(client, job_name, metadata, **settings)._begin()  # noqa: SLF001 -- its own class

    start = _Start(_build, _begin)
