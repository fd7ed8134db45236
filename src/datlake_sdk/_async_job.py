"""A run in an `async with` block: network methods are awaitable, the telling ones never wait anyway."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from datlake_sdk._offload import offload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from datlake_sdk._registered import RegisteredSnapshot
    from datlake_sdk.client import When
    from datlake_sdk.job import JobContext
    from datlake_sdk.wire.models import DataRef, Run, Snapshot

__all__ = ["AsyncJob"]


class AsyncJob:
    """What `async with JobContext(...)` hands out: network methods are awaitable, those that never wait are not."""

    def __init__(self, job: JobContext) -> None:
        """Wraps `job`, which stays at hand as `sync`."""
        self.sync = job
        self.log_event = job.log_event
        self.progress = job.progress
        self.log_metrics = job.log_metrics
        self.attach_log = job.attach_log
        self.attach = job.attach
        self.attach_json = job.attach_json
        self.attach_html = job.attach_html
        self.attach_figure = job.attach_figure
        self.bind = job.bind

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.sync.run_id

    @property
    def job_name(self) -> str:
        """The job's name."""
        return self.sync.job_name

    @property
    def parent_run_id(self) -> str | None:
        """The id of the run around this one."""
        return self.sync.parent_run_id

    @property
    def url(self) -> str | None:
        """The page of the run; null for an embedded lake."""
        return self.sync.url

    @property
    def warnings(self) -> list[str]:
        """What was told about recording this run so far."""
        return self.sync.warnings

    async def get_table_latest_uri(
        self,
        table_name: str,
        *,
        as_of: When | None = None,
        version: int | str | None = None,
        max_staleness: float | timedelta | None = None,
        fresh_for: float | timedelta | None = None,
    ) -> str:
        """The URI of the table's newest snapshot, or of an older one; the run has it as an input, pinned."""
        snapshot = await self.get_table_latest(
            table_name, as_of=as_of, version=version, max_staleness=max_staleness, fresh_for=fresh_for
        )
        return snapshot.uri

    async def get_table_latest(
        self,
        table_name: str,
        *,
        as_of: When | None = None,
        version: int | str | None = None,
        max_staleness: float | timedelta | None = None,
        fresh_for: float | timedelta | None = None,
    ) -> Snapshot:
        """The whole snapshot that `get_table_latest_uri` gives the URI of; recorded and raised the same way."""
        return await offload(
            lambda: self.sync.get_table_latest(
                table_name, as_of=as_of, version=version, max_staleness=max_staleness, fresh_for=fresh_for
            )
        )

    async def register_snapshot(
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
        """The snapshot, registered as an output of this run; a dict with `snapshot_id`, `version`, `uri` and more."""
        return await offload(
            lambda: self.sync.register_snapshot(
                table_name,
                uri,
                format,
                schema,
                expected_version=expected_version,
                row_count=row_count,
                size_bytes=size_bytes,
                inputs=inputs,
                column_lineage=column_lineage,
                metadata=metadata,
            )
        )

    async def add_input(self, *items: str | os.PathLike[str] | DataRef) -> None:
        """The run has these inputs: tables by name (newest snapshot), anything else by URI or path. Never raises."""
        return await offload(lambda: self.sync.add_input(*items))

    async def add_output(self, *items: str | os.PathLike[str] | DataRef) -> None:
        """The run has these outputs, for data that is not registered as a snapshot. Never raises."""
        return await offload(lambda: self.sync.add_output(*items))

    async def complete(self, success: bool = True, extra: Mapping[str, object] | None = None) -> Run | None:
        """The run, ended; null where it could not be recorded. `extra` is added to its metadata."""
        return await offload(lambda: self.sync.complete(success, extra))
