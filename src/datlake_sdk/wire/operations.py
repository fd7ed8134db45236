"""Every operation of a lake as a value. `OPERATIONS` is the one table that client, routes and OpenAPI are made from.

A class says its HTTP method, path and status (`http`), whether it writes (`writes`) and, by `Op[...]`, what it
answers. The constructors validate nothing: `codec.checked` does, in the process as over HTTP.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, cast, get_args

from msgspec import UNSET, Meta, Struct, UnsetType

from datlake_sdk.wire.ids import Name, RunText, Text, Uri, Uuid
from datlake_sdk.wire.lineage_operations import (
    LINEAGE_OPERATIONS,
    ExportOpenLineage,
    Impact,
    Lineage,
    RecordLineage,
    RecordLineageBatch,
    RunOpenLineage,
    Search,
    Trace,
)
from datlake_sdk.wire.models import (
    Artifact,
    Count,
    DataRef,
    Event,
    EventResults,
    Job,
    LakeObject,
    Namespace,
    Page,
    ProcessIdentity,
    Run,
    RunDiff,
    RunError,
    RunState,
    Schema,
    ServerConfig,
    Snapshot,
    Table,
)
from datlake_sdk.wire.op import A, Cursor, Limit, Op, Prose, Route, digest_of
from datlake_sdk.wire.times import Time

__all__ = [
    "OPERATIONS",
    "ExportOpenLineage",
    "Impact",
    "Lineage",
    "Op",
    "RecordLineage",
    "RecordLineageBatch",
    "Route",
    "RunOpenLineage",
    "Search",
    "Trace",
    "answer_type",
]


class StartRun(Op[Run], frozen=True, kw_only=True):
    """Starts a run of a job. The same `run_id` again answers the same run."""

    http: ClassVar = Route("POST", "/jobs/{job_name}/runs", 201)
    writes: ClassVar = True

    job_name: Name
    run_id: Uuid | None = None
    metadata: dict[str, object] = {}
    parent_run_id: Uuid | None = None
    started_at: Time | None = None
    environment: dict[str, object] = {}
    heartbeat_interval_s: Annotated[float, Meta(ge=0, le=86_400)] | None = None
    process: ProcessIdentity | None = None

    @property
    def key(self) -> str | None:
        """The run's id."""
        return self.run_id


class DescribeRun(Op[Run], frozen=True, kw_only=True):
    """Adds keys to a run's environment and metadata; of two values for one key the later stays."""

    http: ClassVar = Route("PATCH", "/jobs/{job_name}/runs/{run_id}")
    writes: ClassVar = True

    job_name: Name
    run_id: Uuid
    metadata: dict[str, object] = {}
    environment: dict[str, object] = {}
    described_at: Time | None = None


class CompleteRun(Op[Run], frozen=True, kw_only=True):
    """Ends a run: completed, failed or aborted. Again with the same outcome answers the same run."""

    http: ClassVar = Route("PUT", "/jobs/{job_name}/runs/{run_id}/complete")
    writes: ClassVar = True

    job_name: Name
    run_id: Uuid
    success: bool
    aborted: bool = False
    error: RunError | None = None
    metadata: dict[str, object] = {}
    environment: dict[str, object] = {}
    artifacts: list[Artifact] = []
    ended_at: Time | None = None

    @property
    def key(self) -> str | None:
        """The run's id, marked as its end."""
        return f"{self.run_id}:complete"


class AddInputs(Op[Run], frozen=True, kw_only=True):
    """Records what a run reads."""

    http: ClassVar = Route("POST", "/jobs/{job_name}/runs/{run_id}/inputs")
    writes: ClassVar = True

    job_name: Name
    run_id: Uuid
    items: Annotated[list[DataRef], Meta(max_length=1000)]
    added_at: Time | None = None

    @property
    def key(self) -> str | None:
        """The run's id and what is added."""
        return f"{self.run_id}:inputs:{digest_of(self.items)}"


class AddOutputs(Op[Run], frozen=True, kw_only=True):
    """Records what a run writes, for data that is not registered as a snapshot."""

    http: ClassVar = Route("POST", "/jobs/{job_name}/runs/{run_id}/outputs")
    writes: ClassVar = True

    job_name: Name
    run_id: Uuid
    items: Annotated[list[DataRef], Meta(max_length=1000)]
    added_at: Time | None = None

    @property
    def key(self) -> str | None:
        """The run's id and what is added."""
        return f"{self.run_id}:outputs:{digest_of(self.items)}"


class RegisterSnapshot(Op[Snapshot], frozen=True, kw_only=True):
    """Registers the next version of a table as an output of a run.

    `expected_version` must be the version of the table's latest snapshot (0: none yet), else `Conflict`. `inputs` names
    what this output was made from; without it every input of the run feeds it.
    """

    http: ClassVar = Route("POST", "/jobs/register-snapshot", 201)
    writes: ClassVar = True

    table_name: Name
    uri: Uri
    format: Text
    schema: Schema | None = None
    job_name: Name | None = None
    run_id: Uuid | None = None
    snapshot_id: Uuid | None = None
    expected_version: Count | None = None
    row_count: Count | None = None
    size_bytes: Count | None = None
    inputs: Annotated[list[DataRef], Meta(max_length=1000)] | None = None
    column_lineage: dict[str, object] | None = None
    metadata: dict[str, object] = {}
    created_at: Time | None = None

    @property
    def key(self) -> str | None:
        """The snapshot's id."""
        return self.snapshot_id


class LogEvent(Op[Event], frozen=True, kw_only=True):
    """Records an event. One of type `heartbeat` is not kept: it only moves the run's `last_seen_at`."""

    http: ClassVar = Route("POST", "/events/broadcast", 201)
    writes: ClassVar = True

    event_type: Text
    data: dict[str, object] = {}
    job_name: Name | None = None
    run_id: Uuid | None = None
    event_id: Uuid | None = None
    created_at: Time | None = None

    @property
    def key(self) -> str | None:
        """The event's id."""
        return self.event_id


class EventItem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of a batch."""

    event_type: Text
    data: dict[str, object] = {}
    job_name: Name | None = None
    run_id: Uuid | None = None
    event_id: Uuid | None = None
    created_at: Time | None = None


class LogEvents(Op[EventResults], frozen=True, kw_only=True):
    """Records up to 1,000 events; each is accepted or refused by itself."""

    http: ClassVar = Route("POST", "/events/batch")
    writes: ClassVar = True

    events: Annotated[list[EventItem], Meta(max_length=1000)]

    @property
    def key(self) -> str | None:
        """A digest of the batch."""
        return f"events:{digest_of(self.events)}"


class UpdateTable(Op[Table], frozen=True, kw_only=True):
    """Changes what people say about a table; an absent field stays, null clears.

    `location` is the storage where its data is (`s3://bucket/path`): what others tell of that storage is of this table.
    """

    http: ClassVar = Route("PATCH", "/tables/{table_name}")
    writes: ClassVar = True

    table_name: Name
    owner: Prose | None | UnsetType = UNSET
    description: Prose | None | UnsetType = UNSET
    location: Uri | None | UnsetType = UNSET
    expected_freshness_s: Count | None | UnsetType = UNSET
    compatibility: Literal["none", "backward", "forward", "full"] | None | UnsetType = UNSET


class UpdateJob(Op[Job], frozen=True, kw_only=True):
    """Changes what people say about a job; an absent field stays, null clears."""

    http: ClassVar = Route("PATCH", "/jobs/{job_name}")
    writes: ClassVar = True

    job_name: Name
    owner: Prose | None | UnsetType = UNSET
    description: Prose | None | UnsetType = UNSET


class ListNamespaces(Op[Page[Namespace]], frozen=True, kw_only=True):
    """The namespaces by name."""

    http: ClassVar = Route("GET", "/namespaces")
    limit: Limit = 100
    cursor: Cursor | None = None


class ListJobs(Op[Page[Job]], frozen=True, kw_only=True):
    """The jobs of a namespace by name."""

    http: ClassVar = Route("GET", "/jobs")
    limit: Limit = 100
    cursor: Cursor | None = None


class GetJob(Op[Job], frozen=True, kw_only=True):
    """One job."""

    http: ClassVar = Route("GET", "/jobs/{job_name}")
    job_name: Name


class ListRuns(Op[Page[Run]], frozen=True, kw_only=True):
    """Runs, the latest start first: of one job, or of the namespace."""

    http: ClassVar = Route("GET", "/jobs/{job_name}/runs", shorter="/runs")
    job_name: Name | None = None
    state: RunState | None = None
    since: Time | None = None
    until: Time | None = None
    parent_run_id: Uuid | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


class GetRun(Op[Run], frozen=True, kw_only=True):
    """One run, whole."""

    http: ClassVar = Route("GET", "/jobs/{job_name}/runs/{run_id}", shorter="/runs/{run_id}")
    run_id: RunText
    job_name: Name | None = None


class Events(Op[Page[Event]], frozen=True, kw_only=True):
    """The events of a run in the order they were accepted."""

    http: ClassVar = Route("GET", "/runs/{run_id}/events")
    run_id: RunText
    event_type: Text | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


class DiffRuns(Op[RunDiff], frozen=True, kw_only=True):
    """In what two runs differ; `other` is the one compared with (`with` in the query)."""

    http: ClassVar = Route("GET", "/runs/{run_id}/diff")
    run_id: RunText
    other: RunText


class ListTables(Op[Page[Table]], frozen=True, kw_only=True):
    """The tables of a namespace by name."""

    http: ClassVar = Route("GET", "/tables")
    limit: Limit = 100
    cursor: Cursor | None = None


class GetTable(Op[Table], frozen=True, kw_only=True):
    """One table."""

    http: ClassVar = Route("GET", "/tables/{table_name}")
    table_name: Name


class ListSnapshots(Op[Page[Snapshot]], frozen=True, kw_only=True):
    """The history of a table, the highest version first."""

    http: ClassVar = Route("GET", "/tables/{table_name}/snapshots")
    table_name: Name
    limit: Limit = 100
    cursor: Cursor | None = None


class LatestSnapshot(Op[Snapshot], frozen=True, kw_only=True):
    """The snapshot that readers of a table get, now or as of a moment."""

    http: ClassVar = Route("GET", "/tables/{table_name}/snapshots/latest")
    table_name: Name
    as_of: Time | None = None


class GetTableSnapshot(Op[Snapshot], frozen=True, kw_only=True):
    """A snapshot of a table by its version or its id."""

    http: ClassVar = Route("GET", "/tables/{table_name}/snapshots/{version}")
    table_name: Name
    version: Text


class GetSnapshot(Op[Snapshot], frozen=True, kw_only=True):
    """A snapshot by its id."""

    http: ClassVar = Route("GET", "/snapshots/{snapshot_id}")
    snapshot_id: Text


class ListObjects(Op[Page[LakeObject]], frozen=True, kw_only=True):
    """The objects of a bucket by name, all or those that begin with `prefix`."""

    http: ClassVar = Route("GET", "/datasets/{bucket}")
    bucket: Name
    prefix: Annotated[str, Meta(max_length=2048)] = ""
    limit: Limit = 100
    cursor: Cursor | None = None


class GetConfig(Op[ServerConfig], frozen=True, kw_only=True):
    """What this lake is and takes."""

    http: ClassVar = Route("GET", "/config")


OPERATIONS: Final[tuple[type[Op[object]], ...]] = (
    StartRun,
    DescribeRun,
    CompleteRun,
    AddInputs,
    AddOutputs,
    RegisterSnapshot,
    LogEvent,
    LogEvents,
    UpdateTable,
    UpdateJob,
    ListNamespaces,
    ListJobs,
    GetJob,
    ListRuns,
    GetRun,
    Events,
    DiffRuns,
    ListTables,
    GetTable,
    ListSnapshots,
    LatestSnapshot,
    GetTableSnapshot,
    GetSnapshot,
    ListObjects,
    *LINEAGE_OPERATIONS,
    GetConfig,
)


def answer_type(op_type: type[Op[A]]) -> type[A]:
    """The type that an operation answers with, as its class declares it."""
    bases = cast("tuple[object, ...]", op_type.__dict__["__orig_bases__"])
    return cast("type[A]", get_args(bases[0])[0])
