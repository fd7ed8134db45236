"""What a lake answers with: frozen values, the same in the process, over HTTP and in the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from msgspec import Meta, Struct

from datlake_sdk.wire.ids import Name, Text, Uri, Uuid
from datlake_sdk.wire.times import Time

T = TypeVar("T")

RunState = Literal["running", "completed", "failed", "aborted", "lost"]
Direction = Literal["upstream", "downstream", "both"]
NodeKind = Literal["table", "job", "run", "snapshot", "column"]
GraphLevel = Literal["table", "run", "column"]
HitKind = Literal["job", "table", "column", "run", "tag"]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Schema = dict[str, object] | list[object]


class RunError(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a run failed: the exception's type, its message and, where there is one, the traceback's text."""

    type: str
    message: str
    traceback: str | None = None


class Artifact(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file linked to a run; `type` is `log`, `json`, `html` or what the job says. `sha256` is lower-case hex."""

    type: Text
    uri: Uri
    name: Name | None = None
    size_bytes: Count | None = None
    sha256: str | None = None


class DataRef(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a caller names as an input or output: a table (newest snapshot unless pinned), or any URI."""

    table_name: Name | None = None
    namespace: Name | None = None
    snapshot_id: Uuid | None = None
    uri: Uri | None = None
    # How it was read while the lake was away: the last answer known, so old; or this host's own, not delivered yet.
    stale: bool = False
    age_s: Annotated[float, Meta(ge=0)] | None = None
    deferred: bool = False


class ProcessIdentity(Struct, frozen=True, kw_only=True):
    """Which process a run lives in, so that another on its host can tell whether it is still there.

    `started` is the process's start in clock ticks since boot, `pid_namespace` the kernel's number of its container's
    process table (0 and empty: not known). A process id alone says nothing: they are given out again.
    """

    host: Annotated[str, Meta(max_length=256)]
    boot_id: Annotated[str, Meta(max_length=64)]
    pid: Annotated[int, Meta(ge=0, le=2**31)]
    started: Annotated[int, Meta(ge=0, le=2**62)] = 0
    pid_namespace: Annotated[int, Meta(ge=0, le=2**62)] = 0


class RunData(Struct, frozen=True, kw_only=True):
    """An input or output as a run shows it; `version` is null for data that has no registered snapshot."""

    table_name: str
    namespace: str
    snapshot_id: str | None = None
    version: int | None = None
    uri: str | None = None
    format: str | None = None
    row_count: int | None = None
    size_bytes: int | None = None
    stale: bool = False
    age_s: float | None = None
    deferred: bool = False


class LogState(Struct, frozen=True, kw_only=True):
    """How far a run's log has grown; `is_final` once nothing will be added."""

    run_id: str
    size_bytes: int
    is_final: bool = False


class Tag(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A label that people or producers put on a job, run or table, or on the column `field` of a table."""

    key: str
    value: str | None = None
    source: str | None = None
    field: str | None = None


class DatasetName(Struct, frozen=True, kw_only=True):
    """What a dataset is called elsewhere: a namespace, which is a store, and a name within it."""

    namespace: str
    name: str


class Ending(Struct, frozen=True, kw_only=True):
    """One end that somebody reported for a run. The run shows the earliest."""

    state: RunState
    ended_at: Time
    received_at: Time
    error: RunError | None = None


class Run(Struct, frozen=True, kw_only=True):
    """One execution of a job, with what it read, wrote and left behind."""

    run_id: str
    job_name: str
    namespace: str
    state: RunState
    started_at: Time
    ended_at: Time | None = None
    last_seen_at: Time | None = None
    parent_run_id: str | None = None
    metadata: dict[str, object] = {}
    environment: dict[str, object] = {}
    error: RunError | None = None
    inputs: list[RunData] = []
    outputs: list[RunData] = []
    artifacts: list[Artifact] = []
    endings: list[Ending] = []
    # The id that the producer gave, where it was no UUID; and what it told of the run, by facet. In `GetRun` alone.
    external_id: str | None = None
    tags: list[Tag] = []
    facets: dict[str, object] = {}


class Field(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One column of a table, read from whatever shape the schema was given in."""

    name: str
    type: str
    nullable: bool | None = None
    fields: list[Field] = []


class Snapshot(Struct, frozen=True, kw_only=True):
    """One immutable state of a table. `version` counts up by one per table in the order of acceptance.

    `schema`, `column_lineage` and `metadata` come back as they were given; `fields` is what Datlake read from it.
    `late` says that a newer snapshot had already been accepted when this one arrived. `store_version` is what the
    store itself calls this state (an Iceberg snapshot's id, say).
    """

    snapshot_id: str
    table_name: str
    namespace: str
    version: int
    uri: str
    format: str
    schema: Schema | None
    created_at: Time
    run_id: str | None = None
    job_name: str | None = None
    row_count: int | None = None
    size_bytes: int | None = None
    fields: list[Field] = []
    metadata: dict[str, object] = {}
    column_lineage: dict[str, object] | None = None
    late: bool = False
    store_version: str | None = None


class Table(Struct, frozen=True, kw_only=True):
    """A named table; `latest` is the snapshot that readers get, null while none is registered."""

    table_name: str
    namespace: str
    created_at: Time
    latest: Snapshot | None = None
    snapshot_count: int = 0
    location: str | None = None
    owner: str | None = None
    description: str | None = None
    expected_freshness_s: int | None = None
    compatibility: str | None = None
    # What it is also called, its labels, its last change of state (`DROP`, say) and what was told of it. In `GetTable`
    # alone.
    aliases: list[DatasetName] = []
    tags: list[Tag] = []
    lifecycle: str | None = None
    facets: dict[str, object] = {}


class Job(Struct, frozen=True, kw_only=True):
    """A named unit of work; `latest_run` is the run that started last."""

    job_name: str
    namespace: str
    created_at: Time
    run_count: int = 0
    latest_run: Run | None = None
    owner: str | None = None
    description: str | None = None
    # Its labels, and what was told of it, by facet. In `GetJob` alone.
    tags: list[Tag] = []
    facets: dict[str, object] = {}


class Namespace(Struct, frozen=True, kw_only=True):
    """A namespace that holds at least one job or table."""

    namespace: str
    job_count: int
    table_count: int


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened, as a job told it. `created_at` is the sender's time, `received_at` the lake's."""

    event_id: str
    event_type: str
    data: dict[str, object]
    namespace: str
    created_at: Time
    received_at: Time
    job_name: str | None = None
    run_id: str | None = None


class EventResult(Struct, frozen=True, kw_only=True):
    """What became of one event of a batch; `error` says why it was refused."""

    index: int
    event_id: str | None = None
    error: str | None = None


class EventResults(Struct, frozen=True, kw_only=True):
    """What became of each event of a batch, in the order they were sent."""

    accepted: int
    items: list[EventResult]


class LakeObject(Struct, frozen=True, kw_only=True):
    """Stored bytes: where they are, how many, and their sha256 in lower-case hex."""

    bucket: str
    object: str
    namespace: str
    uri: str
    size_bytes: int
    sha256: str
    created_at: Time


class Transformation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a column feeds another: `DIRECT` gives its value, `INDIRECT` decides about it (a filter, a join)."""

    type: str
    subtype: str | None = None
    description: str | None = None
    masking: bool | None = None


class GraphNode(Struct, frozen=True, kw_only=True, gc=False):
    """A table, job, run, snapshot or column (`field` of a table) in a lineage graph.

    `id` is unique within the answer and opaque. `hidden_upstream` and `hidden_downstream` count neighbours that this
    answer does not show.
    """

    id: str
    kind: NodeKind
    namespace: str
    name: str
    version: int | None = None
    run_id: str | None = None
    snapshot_id: str | None = None
    state: RunState | None = None
    field: str | None = None
    hidden_upstream: int = 0
    hidden_downstream: int = 0


class GraphEdge(Struct, frozen=True, kw_only=True, gc=False):
    """A step of data from `source` to `target` (ids of nodes); `count` is the number of runs that took it.

    0 runs: it was declared for a job or dataset, and no run has told of it yet. `transformations` is known of columns.
    """

    source: str
    target: str
    first_seen: Time
    last_seen: Time
    count: int
    last_run_id: str | None = None
    transformations: list[Transformation] = []


class Graph(Struct, frozen=True, kw_only=True):
    """Lineage around `root` (the id of a node). `truncated` is true where the node limit cut it."""

    root: str
    nodes: list[GraphNode]
    edges: list[GraphEdge]
    truncated: bool = False
    next_cursor: str | None = None


class Related(Struct, frozen=True, kw_only=True):
    """A run or snapshot on the road from or to another. `distance` counts edges; `name` is the job's or the table's.

    Of a run: its commit and the URI of its log, where they are known. Of a snapshot: its version and URI. `at` is when
    the run started or the snapshot was created; null for what is known by its id alone.
    """

    kind: Literal["run", "snapshot"]
    distance: int
    namespace: str
    name: str
    at: Time | None = None
    run_id: str | None = None
    state: RunState | None = None
    commit: str | None = None
    log_uri: str | None = None
    snapshot_id: str | None = None
    version: int | None = None
    uri: str | None = None


class SearchHit(Struct, frozen=True, kw_only=True):
    """Something that a search found. `name` is the job's or table's; `field` the column's; `tag` the label's key."""

    kind: HitKind
    namespace: str
    name: str
    field: str | None = None
    run_id: str | None = None
    tag: str | None = None
    description: str | None = None


class LineageReceipt(Struct, frozen=True, kw_only=True):
    """What became of an OpenLineage event: its id (the sha256 of what it says), and the run it is about.

    `is_repeat`: the lake had it already.
    """

    event_id: str
    run_id: str | None = None
    is_repeat: bool = False


class BatchSummary(Struct, frozen=True, kw_only=True):
    """How many events of a batch were received, and what became of them."""

    received: int
    successful: int
    failed: int = 0
    retriable: int = 0
    non_retriable: int = 0


class FailedEvent(Struct, frozen=True, kw_only=True):
    """An event of a batch that was refused: its place in the batch, and why."""

    index: int
    reason: str
    retriable: bool = False


class LineageResults(Struct, frozen=True, kw_only=True):
    """What became of a batch of OpenLineage events: `success`, `partial_success` or `failure`."""

    status: Literal["success", "partial_success", "failure"]
    summary: BatchSummary
    failed_events: list[FailedEvent] = []


class Difference(Struct, frozen=True, kw_only=True):
    """One fact in which two runs differ; null where a side has none."""

    path: str
    left: object = None
    right: object = None


class RunDiff(Struct, frozen=True, kw_only=True):
    """All in which two runs differ: inputs, outputs, schemas, rows, duration, environment, metadata, outcome."""

    left: str
    right: str
    differences: list[Difference]


class Forwarding(Struct, frozen=True, kw_only=True):
    """A target that this lake's events are forwarded to as OpenLineage; `waiting` events are `lag_s` behind at most.

    `is_catching_up` until it has what was there before. `trouble` says why it gets none now, and `failing_since` when
    that began.
    """

    target: str
    sent: int = 0
    waiting: int = 0
    lag_s: float = 0.0
    is_catching_up: bool = False
    refused: int = 0
    failing_since: Time | None = None
    trouble: str | None = None


class ServerConfig(Struct, frozen=True, kw_only=True):
    """What this lake is and takes: its version, its capabilities and its limits (bytes, counts)."""

    version: str
    api_version: str
    capabilities: list[str]
    limits: dict[str, int]
    forwarding: list[Forwarding] = []


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list; `next_cursor` is null on the last."""

    items: list[T]
    next_cursor: str | None = None
