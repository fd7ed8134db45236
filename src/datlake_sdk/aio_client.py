"""The client, awaitable: each method runs the sync one on a thread. A test holds the two signatures equal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from datlake_sdk._aio_lineage import AsyncLineageMethods
from datlake_sdk._offload import offload
from datlake_sdk.aio_paging import AsyncPaged
from datlake_sdk.client import DatlakeClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from types import TracebackType
    from typing import Literal, Self, Unpack

    from datlake_sdk._connection import Call
    from datlake_sdk.client import When
    from datlake_sdk.settings import Settings
    from datlake_sdk.transport.base import Transport
    from datlake_sdk.wire import operations as ops
    from datlake_sdk.wire.models import (
        Artifact,
        DataRef,
        Event,
        EventResults,
        Job,
        LakeObject,
        Namespace,
        ProcessIdentity,
        Run,
        RunDiff,
        RunError,
        RunState,
        ServerConfig,
        Snapshot,
        Table,
    )

    A = TypeVar("A")


__all__ = ["AsyncDatlakeClient"]


class AsyncDatlakeClient(AsyncLineageMethods):
    """A `DatlakeClient` whose methods are awaitable; the same arguments, answers and errors."""

    def __init__(
        self,
        base_url: str | os.PathLike[str] | None = None,
        api_key: str | None = None,
        *,
        namespace: str | None = None,
        timeout: float | None = None,
        home: str | os.PathLike[str] | None = None,
        outbox_dir: str | os.PathLike[str] | None = None,
        artifact_bucket: str | None = None,
        on_unavailable: Literal["defer", "raise"] | None = None,
        disabled: bool | None = None,
        transport: Transport | None = None,
    ) -> None:
        """Reads the settings once; opens nothing. Raises `ConfigError` for unusable settings."""
        self.sync = DatlakeClient(
            base_url,
            api_key,
            namespace=namespace,
            timeout=timeout,
            home=home,
            outbox_dir=outbox_dir,
            artifact_bucket=artifact_bucket,
            on_unavailable=on_unavailable,
            disabled=disabled,
            transport=transport,
        )

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.sync.settings

    @property
    def base_url(self) -> str | None:
        """The server's address; null for an embedded lake."""
        return self.sync.base_url

    async def close(self) -> None:
        """Closes connections and files that this client opened."""
        await offload(self.sync.close)

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the client."""
        await self.close()

    async def start_run(
        self,
        job_name: str,
        *,
        run_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        parent_run_id: str | None = None,
        started_at: When | None = None,
        environment: Mapping[str, object] | None = None,
        heartbeat_interval_s: float | None = None,
        process: ProcessIdentity | None = None,
        **call: Unpack[Call],
    ) -> Run:
        """The run, started; the same `run_id` again gives the same run."""
        return await offload(
            lambda: self.sync.start_run(
                job_name,
                run_id=run_id,
                metadata=metadata,
                parent_run_id=parent_run_id,
                started_at=started_at,
                environment=environment,
                heartbeat_interval_s=heartbeat_interval_s,
                process=process,
                **call,
            )
        )

    async def describe_run(
        self,
        job_name: str,
        run_id: str,
        *,
        metadata: Mapping[str, object] | None = None,
        environment: Mapping[str, object] | None = None,
        **call: Unpack[Call],
    ) -> Run:
        """The run with these keys added to its metadata and environment."""
        return await offload(
            lambda: self.sync.describe_run(job_name, run_id, metadata=metadata, environment=environment, **call)
        )

    async def complete_run(
        self,
        job_name: str,
        run_id: str,
        success: bool = True,
        *,
        aborted: bool = False,
        error: RunError | None = None,
        metadata: Mapping[str, object] | None = None,
        environment: Mapping[str, object] | None = None,
        artifacts: Sequence[Artifact] = (),
        ended_at: When | None = None,
        **call: Unpack[Call],
    ) -> Run:
        """The run, ended. Raises `Conflict` (`run_already_ended`) if it shows another outcome; this one is kept too."""
        return await offload(
            lambda: self.sync.complete_run(
                job_name,
                run_id,
                success,
                aborted=aborted,
                error=error,
                metadata=metadata,
                environment=environment,
                artifacts=artifacts,
                ended_at=ended_at,
                **call,
            )
        )

    async def add_inputs(self, job_name: str, run_id: str, items: Sequence[DataRef | str], **call: Unpack[Call]) -> Run:
        """The run with these inputs: tables by name, anything else by URI (text with `://`)."""
        return await offload(lambda: self.sync.add_inputs(job_name, run_id, items, **call))

    async def add_outputs(
        self, job_name: str, run_id: str, items: Sequence[DataRef | str], **call: Unpack[Call]
    ) -> Run:
        """The run with these outputs, for data that is not registered as a snapshot."""
        return await offload(lambda: self.sync.add_outputs(job_name, run_id, items, **call))

    async def get_run(self, run_id: str, *, job_name: str | None = None, **call: Unpack[Call]) -> Run:
        """The run of that id."""
        return await offload(lambda: self.sync.get_run(run_id, job_name=job_name, **call))

    async def list_runs(
        self,
        job_name: str | None = None,
        *,
        state: RunState | None = None,
        since: When | None = None,
        until: When | None = None,
        parent_run_id: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
        **call: Unpack[Call],
    ) -> AsyncPaged[Run]:
        """Runs of a job, or of the namespace; the latest start first."""
        return AsyncPaged(
            await offload(
                lambda: self.sync.list_runs(
                    job_name,
                    state=state,
                    since=since,
                    until=until,
                    parent_run_id=parent_run_id,
                    limit=limit,
                    cursor=cursor,
                    **call,
                )
            )
        )

    async def diff_runs(self, run_id: str, other: str, **call: Unpack[Call]) -> RunDiff:
        """In what the two runs differ."""
        return await offload(lambda: self.sync.diff_runs(run_id, other, **call))

    async def log_event(
        self,
        event_type: str,
        data: Mapping[str, object] | None = None,
        *,
        job_name: str | None = None,
        run_id: str | None = None,
        event_id: str | None = None,
        created_at: When | None = None,
        **call: Unpack[Call],
    ) -> Event:
        """The event, kept; the same `event_id` again gives the event that is kept."""
        return await offload(
            lambda: self.sync.log_event(
                event_type, data, job_name=job_name, run_id=run_id, event_id=event_id, created_at=created_at, **call
            )
        )

    async def log_events(self, events: Sequence[ops.EventItem], **call: Unpack[Call]) -> EventResults:
        """What became of each of up to 1,000 events."""
        return await offload(lambda: self.sync.log_events(events, **call))

    async def events(
        self,
        run_id: str,
        *,
        event_type: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
        **call: Unpack[Call],
    ) -> AsyncPaged[Event]:
        """The run's events in the order they were accepted."""
        return AsyncPaged(
            await offload(lambda: self.sync.events(run_id, event_type=event_type, limit=limit, cursor=cursor, **call))
        )

    async def register_snapshot(
        self,
        table_name: str,
        uri: str | os.PathLike[str],
        format: str,  # noqa: A002 -- the plan's name, and what people expect
        schema: Mapping[str, object] | Sequence[object] | None = None,
        *,
        job_name: str | None = None,
        run_id: str | None = None,
        snapshot_id: str | None = None,
        expected_version: int | None = None,
        row_count: int | None = None,
        size_bytes: int | None = None,
        inputs: Sequence[DataRef | str] | None = None,
        column_lineage: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        created_at: When | None = None,
        **call: Unpack[Call],
    ) -> Snapshot:
        """The next version of the table. Raises `Conflict` if the table is not at `expected_version` (0: empty)."""
        return await offload(
            lambda: self.sync.register_snapshot(
                table_name,
                uri,
                format,
                schema,
                job_name=job_name,
                run_id=run_id,
                snapshot_id=snapshot_id,
                expected_version=expected_version,
                row_count=row_count,
                size_bytes=size_bytes,
                inputs=inputs,
                column_lineage=column_lineage,
                metadata=metadata,
                created_at=created_at,
                **call,
            )
        )

    async def latest_snapshot(self, table_name: str, *, as_of: When | None = None, **call: Unpack[Call]) -> Snapshot:
        """The snapshot that readers of the table get, now or as of a moment."""
        return await offload(lambda: self.sync.latest_snapshot(table_name, as_of=as_of, **call))

    async def get_table_snapshot(self, table_name: str, version: int | str, **call: Unpack[Call]) -> Snapshot:
        """The table's snapshot of that version, or of that id."""
        return await offload(lambda: self.sync.get_table_snapshot(table_name, version, **call))

    async def get_snapshot(self, snapshot_id: str, **call: Unpack[Call]) -> Snapshot:
        """The snapshot of that id."""
        return await offload(lambda: self.sync.get_snapshot(snapshot_id, **call))

    async def list_snapshots(
        self, table_name: str, *, limit: int = 100, cursor: str | None = None, **call: Unpack[Call]
    ) -> AsyncPaged[Snapshot]:
        """The table's history, the highest version first."""
        return AsyncPaged(
            await offload(lambda: self.sync.list_snapshots(table_name, limit=limit, cursor=cursor, **call))
        )

    async def get_table(self, table_name: str, **call: Unpack[Call]) -> Table:
        """The table of that name."""
        return await offload(lambda: self.sync.get_table(table_name, **call))

    async def list_tables(
        self, *, limit: int = 100, cursor: str | None = None, **call: Unpack[Call]
    ) -> AsyncPaged[Table]:
        """The tables of the namespace, by name."""
        return AsyncPaged(await offload(lambda: self.sync.list_tables(limit=limit, cursor=cursor, **call)))

    async def update_table(self, table_name: str, changes: Mapping[str, object], **call: Unpack[Call]) -> Table:
        """The table with `owner`, `description`, `location`, `expected_freshness_s` or `compatibility` changed."""
        return await offload(lambda: self.sync.update_table(table_name, changes, **call))

    async def resolve_table_uri(self, table_name: str, **call: Unpack[Call]) -> str:
        """The URI of the table's newest snapshot."""
        return await offload(lambda: self.sync.resolve_table_uri(table_name, **call))

    async def list_namespaces(
        self, *, limit: int = 100, cursor: str | None = None, **call: Unpack[Call]
    ) -> AsyncPaged[Namespace]:
        """The namespaces that hold something, by name."""
        return AsyncPaged(await offload(lambda: self.sync.list_namespaces(limit=limit, cursor=cursor, **call)))

    async def list_jobs(self, *, limit: int = 100, cursor: str | None = None, **call: Unpack[Call]) -> AsyncPaged[Job]:
        """The jobs of the namespace, by name."""
        return AsyncPaged(await offload(lambda: self.sync.list_jobs(limit=limit, cursor=cursor, **call)))

    async def get_job(self, job_name: str, **call: Unpack[Call]) -> Job:
        """The job of that name."""
        return await offload(lambda: self.sync.get_job(job_name, **call))

    async def update_job(self, job_name: str, changes: Mapping[str, object], **call: Unpack[Call]) -> Job:
        """The job with `owner` or `description` changed; null clears."""
        return await offload(lambda: self.sync.update_job(job_name, changes, **call))

    async def get_config(self, **call: Unpack[Call]) -> ServerConfig:
        """What the lake is and takes."""
        return await offload(lambda: self.sync.get_config(**call))

    async def upload_object(
        self, bucket: str, object_name: str, file_path: str | os.PathLike[str], **call: Unpack[Call]
    ) -> str:
        """The URI of the object that now holds the file's bytes, streamed; visible only once it is whole."""
        return await offload(lambda: self.sync.upload_object(bucket, object_name, file_path, **call))

    async def put_object(
        self, bucket: str, object_name: str, file_path: str | os.PathLike[str], **call: Unpack[Call]
    ) -> LakeObject:
        """The object that now holds the file's bytes, with its size and sha256."""
        return await offload(lambda: self.sync.put_object(bucket, object_name, file_path, **call))

    async def download_object(self, uri: str, path: str | os.PathLike[str], **call: Unpack[Call]) -> str:
        """The path of the file that now holds the object's bytes; nothing is left there if it fails half-way."""
        return await offload(lambda: self.sync.download_object(uri, path, **call))

    async def read_object(self, uri: str, **call: Unpack[Call]) -> AsyncIterator[bytes]:
        """The object's bytes, a chunk at a time. `uri` is `datlake://bucket/object`."""
        chunks = await offload(lambda: self.sync.read_object(uri, **call))
        while (chunk := await offload(lambda: next(chunks, None))) is not None:
            yield chunk

    async def read_log(
        self, run_id: str, *, offset: int = 0, follow: bool = False, **call: Unpack[Call]
    ) -> AsyncIterator[bytes]:
        """What the run said from byte `offset` on, a piece at a time; with `follow` until it has ended."""
        chunks = self.sync.read_log(run_id, offset=offset, follow=follow, **call)
        while (chunk := await offload(lambda: next(chunks, None))) is not None:
            yield chunk

    async def list_objects(
        self, bucket: str, *, prefix: str = "", limit: int = 100, cursor: str | None = None, **call: Unpack[Call]
    ) -> AsyncPaged[LakeObject]:
        """The bucket's objects whose names begin with `prefix`, by name."""
        return AsyncPaged(
            await offload(lambda: self.sync.list_objects(bucket, prefix=prefix, limit=limit, cursor=cursor, **call))
        )

    async def call(self, op: ops.Op[A], **call: Unpack[Call]) -> A:
        """What any operation answers, as it stands."""
        return await offload(lambda: self.sync.call(op, **call))
