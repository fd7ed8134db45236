"""What is known after operations, as values: runs, events, snapshots, and what fed what."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

import msgspec

from datlake_sdk.wire.models import DataRef, Event, Run

NEVER = datetime.max.replace(tzinfo=UTC)


class Node(NamedTuple):
    """A table, snapshot, job or run in a graph."""

    kind: str
    namespace: str
    name: str
    key: str = ""


NOTHING = Node("", "", "")


class Place(NamedTuple):
    """A table, and its snapshot where one is known (else empty)."""

    namespace: str
    table: str
    snapshot_id: str = ""

    @property
    def node(self) -> Node:
        """The node between runs."""
        return Node("snapshot" if self.snapshot_id else "table", *self)


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot: what its operation said, at the earliest moment it was said."""

    snapshot_id: str
    namespace: str
    table: str
    uri: str
    format: str
    schema: object
    created_at: datetime
    run_id: str | None
    job_name: str | None
    row_count: int | None = None
    size_bytes: int | None = None
    inputs: list[DataRef] | None = None

    @property
    def order(self) -> tuple[datetime, str]:
        """Of two snapshots of a table the greater one is the latest."""
        return self.created_at, self.snapshot_id


class Edge(NamedTuple):
    """When and in which runs a step was taken."""

    first_seen: datetime
    last_seen: datetime
    run_count: int
    last_run_id: str


class Step(NamedTuple):
    """One step of a graph: the source fed the target by way of a job or a run."""

    source: Node
    via: Node
    target: Node


class World(msgspec.Struct, frozen=True):
    """All that is known."""

    runs: dict[str, Run]
    events: dict[str, Event]
    snapshots: dict[str, Made]
    tables: set[tuple[str, str]]
    of_runs: dict[Step, Edge]  # what fed what, between snapshots by way of runs
    of_jobs: dict[Step, Edge]  # the same over all runs of a job, between tables

    def latest(self, namespace: str, table: str, as_of: datetime = NEVER) -> Made | None:
        """The snapshot that a reader of the table gets at that moment."""
        of_table = [one for one in self.snapshots.values() if (one.namespace, one.table) == (namespace, table)]
        return max((one for one in of_table if one.created_at <= as_of), key=lambda one: one.order, default=None)

    def graph(self, root: Node, direction: str, as_of: datetime) -> dict[tuple[Node, Node], Edge]:
        """The edges around a job or run, or those that lead to or from a table or snapshot over one job or run."""
        every = self.of_jobs if root.kind in {"job", "table"} else self.of_runs
        steps = {step: edge for step, edge in every.items() if edge.first_seen <= as_of}
        near = (
            {"upstream": "target", "downstream": "source"}[direction] if root.kind in {"table", "snapshot"} else "via"
        )
        found = [ends for step in steps if getattr(step, near) == root for ends in pairwise(step)]
        halves = {ends: edge for step, edge in steps.items() if NOTHING in step for ends in pairwise(step)}
        return {ends: halves[ends] for ends in found if NOTHING not in ends}
