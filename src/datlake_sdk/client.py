"""The explicit client: one method per operation. It owns the transport it made; calls always raise their errors."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from datlake_sdk._client_lineage import LineageMethods
from datlake_sdk._lazy import LazyModule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from typing import Unpack

    from datlake_sdk import _calls as calls
    from datlake_sdk._connection import Call
    from datlake_sdk.paging import Paged
    from datlake_sdk.wire import operations as ops
    from datlake_sdk.wire.models import (
        Artifact,
        DataRef,
        Event,
        EventResults,
        Job,
        LakeObject,
        LogState,
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

    When = datetime | str
else:
    ops = LazyModule("datlake_sdk.wire.operations")
    calls = LazyModule("datlake_sdk._calls")

__all__ = ["DatlakeClient"]


class DatlakeClient(LineageMethods):
    """Talks to a lake: a server's (`http(s)://…`) or the embedded one in a folder (a path, or nothing at all).

    Safe to share between threads and to use after a fork. Every method also takes `namespace=`, `api_key=` (a token for
    this call), `request_id=` (sent as `X-Request-Id`), `timeout=` (seconds in all, retries included) and `retries=`
    (false: one attempt). Every method blocks, and raises the errors of `datlake_sdk.errors`.
    """

    # --- runs ---------------------------------------------------------------------------------------------------------

    def start_run(
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
        """The run, started; the same `run_id` again gives the same run.

        With `process` a lake on the same host sees when that process is gone.
        """
        op = ops.StartRun(
            job_name=job_name,
            run_id=run_id or calls.new_id(),
            metadata=calls.plain(metadata),
            parent_run_id=parent_run_id,
            started_at=calls.time_of(started_at) or calls.utc_now(),
            environment=calls.plain(environment),
            heartbeat_interval_s=heartbeat_interval_s,
            process=process,
            namespace=self._scope(call),
        )
        return self._call(op, call)

    def describe_run(
        self,
        job_name: str,
        run_id: str,
        *,
        metadata: Mapping[str, object] | None = None,
        environment: Mapping[str, object] | None = None,
        **call: Unpack[Call],
    ) -> Run:
        """The run with these keys added to its metadata and environment."""
        op = ops.DescribeRun(
            job_name=job_name,
            run_id=run_id,
            metadata=calls.plain(metadata),
            environment=calls.plain(environment),
            described_at=calls.utc_now(),
            namespace=self._scope(call),
        )
        return self._call(op, call)

    def complete_run(
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
        op = ops.CompleteRun(
            job_name=job_name,
            run_id=run_id,
            success=success,
            aborted=aborted,
            error=error,
            metadata=calls.plain(metadata),
            environment=calls.plain(environment),
            artifacts=list(artifacts),
            ended_at=calls.time_of(ended_at) or calls.utc_now(),
            namespace=self._scope(call),
        )
        return self._call(op, call)

    def add_inputs(self, job_name: str, run_id: str, items: Sequence[DataRef | str], **call: Unpack[Call]) -> Run:
        """The run with these inputs: tables by name, anything else by URI (text with `://`)."""
        refs = [calls.data_ref(item) for item in items]
        op = ops.AddInputs(
            job_name=job_name, run_id=run_id, items=refs, added_at=calls.utc_now(), namespace=self._scope(call)
        )
        return self._call(op, call)

    def add_outputs(self, job_name: str, run_id: str, items: Sequence[DataRef | str], **call: Unpack[Call]) -> Run:
        """The run with these outputs, for data that is not registered as a snapshot."""
        refs = [calls.data_ref(item) for item in items]
        op = ops.AddOutputs(
            job_name=job_name, run_id=run_id, items=refs, added_at=calls.utc_now(), namespace=self._scope(call)
        )
        return self._call(op, call)

    def get_run(self, run_id: str, *, job_name: str | None = None, **call: Unpack[Call]) -> Run:
        """The run of that id."""
        return self._call(ops.GetRun(run_id=run_id, job_name=job_name, namespace=self._scope(call)), call)

    def list_runs(
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
    ) -> Paged[Run]:
        """Runs of a job, or of the namespace; the latest start first."""
        op = ops.ListRuns(
            job_name=job_name,
            state=state,
            since=calls.time_of(since),
            until=calls.time_of(until),
            parent_run_id=parent_run_id,
            limit=limit,
            cursor=cursor,
            namespace=self._scope(call),
        )
        return self._pages(op, call)

    def diff_runs(self, run_id: str, other: str, **call: Unpack[Call]) -> RunDiff:
        """In what the two runs differ."""
        return self._call(ops.DiffRuns(run_id=run_id, other=other, namespace=self._scope(call)), call)

    # --- events -------------------------------------------------------------------------------------------------------

    def log_event(
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
        op = ops.LogEvent(
            event_type=event_type,
            data=calls.plain(data),
            job_name=job_name,
            run_id=run_id,
            event_id=event_id or calls.new_id(),
            created_at=calls.time_of(created_at) or calls.utc_now(),
            namespace=self._scope(call),
        )
        return self._call(op, call)

    def log_events(self, events: Sequence[ops.EventItem], **call: Unpack[Call]) -> EventResults:
        """What became of each of up to 1,000 events."""
        return self._call(ops.LogEvents(events=list(events), namespace=self._scope(call)), call)

    def events(
        self,
        run_id: str,
        *,
        event_type: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
        **call: Unpack[Call],
    ) -> Paged[Event]:
        """The run's events in the order they were accepted."""
        op = ops.Events(run_id=run_id, event_type=event_type, limit=limit, cursor=cursor, namespace=self._scope(call))
        return self._pages(op, call)

    # --- tables and snapshots -----------------------------------------------------------------------------------------

    def register_snapshot(
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
        op = calls.registration(
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
            namespace=self._scope(call),
        )
        return self._call(op, call)

    def latest_snapshot(self, table_name: str, *, as_of: When | None = None, **call: Unpack[Call]) -> Snapshot:
        """The snapshot that readers of the table get, now or as of a moment."""
        op = ops.LatestSnapshot(table_name=table_name, as_of=calls.time_of(as_of), namespace=self._scope(call))
        return self._call(op, call)

    def get_table_snapshot(self, table_name: str, version: int | str, **call: Unpack[Call]) -> Snapshot:
        """The table's snapshot of that version, or of that id."""
        op = ops.GetTableSnapshot(table_name=table_name, version=str(version), namespace=self._scope(call))
        return self._call(op, call)

    def get_snapshot(self, snapshot_id: str, **call: Unpack[Call]) -> Snapshot:
        """The snapshot of that id."""
        return self._call(ops.GetSnapshot(snapshot_id=snapshot_id, namespace=self._scope(call)), call)

    def list_snapshots(
        self, table_name: str, *, limit: int = 100, cursor: str | None = None, **call: Unpack[Call]
    ) -> Paged[Snapshot]:
        """The table's history, the highest version first."""
        op = ops.ListSnapshots(table_name=table_name, limit=limit, cursor=cursor, namespace=self._scope(call))
        return self._pages(op, call)

    def get_table(self, table_name: str, **call: Unpack[Call]) -> Table:
        """The table of that name."""
        return self._call(ops.GetTable(table_name=table_name, namespace=self._scope(call)), call)

    def list_tables(self, *, limit: int = 100, cursor: str | None = None, **call: Unpack[Call]) -> Paged[Table]:
        """The tables of the namespace, by name."""
        return self._pages(ops.ListTables(limit=limit, cursor=cursor, namespace=self._scope(call)), call)

    def update_table(self, table_name: str, changes: Mapping[str, object], **call: Unpack[Call]) -> Table:
        """The table with `owner`, `description`, `location`, `expected_freshness_s` or `compatibility` changed.

        Null clears. `location` is the storage where its data is: what others tell of that storage is of this table.
        """
        return self._call(calls.update(ops.UpdateTable, changes, self._scope(call), table_name=table_name), call)

    def resolve_table_uri(self, table_name: str, **call: Unpack[Call]) -> str:
        """The URI of the table's newest snapshot."""
        return self.latest_snapshot(table_name, **call).uri

    # --- catalog ------------------------------------------------------------------------------------------------------

    def list_namespaces(self, *, limit: int = 100, cursor: str | None = None, **call: Unpack[Call]) -> Paged[Namespace]:
        """The namespaces that hold something, by name."""
        return self._pages(ops.ListNamespaces(limit=limit, cursor=cursor), call)

    def list_jobs(self, *, limit: int = 100, cursor: str | None = None, **call: Unpack[Call]) -> Paged[Job]:
        """The jobs of the namespace, by name."""
        return self._pages(ops.ListJobs(limit=limit, cursor=cursor, namespace=self._scope(call)), call)

    def get_job(self, job_name: str, **call: Unpack[Call]) -> Job:
        """The job of that name."""
        return self._call(ops.GetJob(job_name=job_name, namespace=self._scope(call)), call)

    def update_job(self, job_name: str, changes: Mapping[str, object], **call: Unpack[Call]) -> Job:
        """The job with `owner` or `description` changed; null clears."""
        return self._call(calls.update(ops.UpdateJob, changes, self._scope(call), job_name=job_name), call)

    def get_config(self, **call: Unpack[Call]) -> ServerConfig:
        """What the lake is and takes."""
        return self._call(ops.GetConfig(), call)

    # --- objects ------------------------------------------------------------------------------------------------------

    def upload_object(
        self, bucket: str, object_name: str, file_path: str | os.PathLike[str], **call: Unpack[Call]
    ) -> str:
        """The URI of the object that now holds the file's bytes, streamed; visible only once it is whole."""
        return self.put_object(bucket, object_name, file_path, **call).uri

    def put_object(
        self, bucket: str, object_name: str, file_path: str | os.PathLike[str], **call: Unpack[Call]
    ) -> LakeObject:
        """The object that now holds the file's bytes, with its size and sha256."""
        calls.refuse_if_disabled(self._settings)
        options = calls.options(self._settings, call)
        return self._transport().upload(self._scope(call), bucket, object_name, os.fspath(file_path), options)

    def download_object(self, uri: str, path: str | os.PathLike[str], **call: Unpack[Call]) -> str:
        """The path of the file that now holds the object's bytes; nothing is left there if it fails half-way."""
        return calls.save(self.read_object(uri, **call), os.fspath(path))

    def read_object(self, uri: str, **call: Unpack[Call]) -> Iterator[bytes]:
        """The object's bytes, a chunk at a time. `uri` is `datlake://bucket/object`."""
        bucket, name = calls.object_of(uri)
        return self._transport().download(self._scope(call), bucket, name, calls.options(self._settings, call))

    def read_log(self, run_id: str, *, offset: int = 0, follow: bool = False, **call: Unpack[Call]) -> Iterator[bytes]:
        """What the run said from byte `offset` on, a piece at a time; with `follow` until it has ended.

        Nothing is asked before the first `next`. A lake that is away while it is followed is asked again for two
        minutes.
        """
        from datlake_sdk.logs.following import PIECE_BYTES, followed, present

        options, scope = calls.options(self._settings, call), self._scope(call)

        def read(at: int) -> tuple[bytes, LogState]:
            return self._transport().read_log(scope, run_id, at, PIECE_BYTES, options)

        def is_running() -> bool:
            return self.get_run(run_id, **call).state == "running"

        return followed(read, is_running, offset) if follow else present(read, offset)

    def list_objects(
        self, bucket: str, *, prefix: str = "", limit: int = 100, cursor: str | None = None, **call: Unpack[Call]
    ) -> Paged[LakeObject]:
        """The bucket's objects whose names begin with `prefix`, by name."""
        op = ops.ListObjects(bucket=bucket, prefix=prefix, limit=limit, cursor=cursor, namespace=self._scope(call))
        return self._pages(op, call)
