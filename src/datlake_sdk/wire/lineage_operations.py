"""The operations on lineage: what feeds what, what used it, what is found by name, and OpenLineage's events."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, Raw

from datlake_sdk.wire.ids import Name, RunText, Text
from datlake_sdk.wire.models import (
    Direction,
    Graph,
    GraphLevel,
    HitKind,
    LineageReceipt,
    LineageResults,
    NodeKind,
    Page,
    Related,
    SearchHit,
)
from datlake_sdk.wire.op import Cursor, Depth, Limit, MaxNodes, Op, Route, digest_of
from datlake_sdk.wire.times import Time

ANY_NAMESPACE = ""


class Lineage(Op[Graph], frozen=True, kw_only=True):
    """What feeds a thing and what it feeds. The root is named by its parts; `depth` counts edges.

    `level` says what is drawn: tables and jobs, snapshots and runs, or columns. A graph that was cut at `max_nodes`
    goes on at its `next_cursor`.
    """

    http: ClassVar = Route("GET", "/lineage")
    kind: NodeKind = "table"
    name: Name | None = None
    version: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None
    run_id: RunText | None = None
    snapshot_id: Text | None = None
    field: Name | None = None
    direction: Direction = "both"
    depth: Depth = 4
    level: GraphLevel | None = None
    as_of: Time | None = None
    max_nodes: MaxNodes = 250
    cursor: Cursor | None = None


class Impact(Op[Page[Related]], frozen=True, kw_only=True):
    """All runs and snapshots that consumed a snapshot, by whatever road, the nearest first."""

    http: ClassVar = Route("GET", "/lineage/impact")
    snapshot_id: Text
    limit: Limit = 100
    cursor: Cursor | None = None


class Trace(Op[Page[Related]], frozen=True, kw_only=True):
    """All runs and snapshots that led to a snapshot, the nearest first; runs with their commit and their log."""

    http: ClassVar = Route("GET", "/lineage/trace")
    snapshot_id: Text
    limit: Limit = 100
    cursor: Cursor | None = None


class Search(Op[Page[SearchHit]], frozen=True, kw_only=True):
    """Jobs, tables, columns, runs and tags whose names hold the words, best first; of every namespace unless told."""

    http: ClassVar = Route("GET", "/search")
    namespace: Annotated[str, Meta(max_length=2048)] = ANY_NAMESPACE
    q: Annotated[str, Meta(min_length=1, max_length=1024)]
    kind: HitKind | None = None
    limit: Limit = 20
    cursor: Cursor | None = None


class RecordLineage(Op[LineageReceipt], frozen=True, kw_only=True):
    """Takes one OpenLineage event: of a run, a job or a dataset, of any version. Told again, it changes nothing.

    With `strict` what the specification does not allow is refused, with the path of what is wrong.
    """

    http: ClassVar = Route("POST", "/lineage", 201)
    writes: ClassVar = True
    body_field: ClassVar = "event"

    event: Raw
    strict: bool = False

    @property
    def key(self) -> str | None:
        """A digest of the event."""
        return f"openlineage:{digest_of(self.event)}"


class RecordLineageBatch(Op[LineageResults], frozen=True, kw_only=True):
    """Takes up to 1,000 OpenLineage events; each is accepted or refused by itself. 204 where all were accepted."""

    http: ClassVar = Route("POST", "/lineage/batch")
    writes: ClassVar = True
    body_field: ClassVar = "events"

    events: Annotated[list[Raw], Meta(max_length=1000)]
    strict: bool = False

    @property
    def key(self) -> str | None:
        """A digest of the batch."""
        return f"openlineage:{digest_of(self.events)}"


class RunOpenLineage(Op[Page[dict[str, object]]], frozen=True, kw_only=True):
    """A run as OpenLineage events: those it was told with, and what else Datlake knows of it."""

    http: ClassVar = Route("GET", "/runs/{run_id}/openlineage")
    run_id: RunText
    limit: Limit = 100
    cursor: Cursor | None = None


class ExportOpenLineage(Op[Page[dict[str, object]]], frozen=True, kw_only=True):
    """Everything as OpenLineage events that another lake can take, of runs that started at or after `since`."""

    http: ClassVar = Route("GET", "/lineage/events")
    namespace: Annotated[str, Meta(max_length=2048)] = ANY_NAMESPACE
    since: Time | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


LINEAGE_OPERATIONS = (
    Lineage,
    Impact,
    Trace,
    Search,
    RecordLineage,
    RecordLineageBatch,
    RunOpenLineage,
    ExportOpenLineage,
)
