"""What a lake shows, and what it is to show by the fold: the same values from both, so that they can be held equal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from datlake_sdk.errors import NotFound
from datlake_sdk.wire.models import Event, GraphNode, Run, RunData, Snapshot
from datlake_sdk.wire.operations import (
    Events,
    GetRun,
    LatestSnapshot,
    Lineage,
    ListJobs,
    ListNamespaces,
    ListRuns,
    ListSnapshots,
    ListTables,
)
from datlake_server.lake import Lake
from tests.properties.streams import START
from tests.properties.world import NEVER, Edge, Made, Node, World

# All that a stream tells is older; what is younger is a time of arrival.
ARRIVALS = datetime(2025, 1, 1, tzinfo=UTC)
MOMENTS = (NEVER, START + timedelta(minutes=3))
MOST = 1000


class Asked(NamedTuple):
    """A graph: what it is around, in which direction, as of when."""

    root: Node
    direction: str
    as_of: datetime


class Shown(msgspec.Struct, frozen=True):
    """All that a lake shows, but for what depends on the arrival."""

    runs: dict[str, Run]
    jobs: set[tuple[str, str]]
    events: dict[str, Event]
    tables: set[tuple[str, str]]
    snapshots: dict[str, Made]
    latest: dict[tuple[str, str, datetime], str | None]
    graphs: dict[Asked, dict[tuple[Node, Node], Edge]]


def by_fold(world: World) -> Shown:
    """What is to be shown."""
    return Shown(
        runs=world.runs,
        jobs={(run.namespace, run.job_name) for run in world.runs.values()},
        events={key: event for key, event in world.events.items() if event.run_id in world.runs},
        tables=world.tables,
        snapshots={key: replace(made, inputs=None) for key, made in world.snapshots.items()},
        latest={(*table, at): _id(world.latest(*table, at)) for table in world.tables for at in MOMENTS},
        graphs={one: world.graph(*one) for one in _asked(world.tables, world.runs.values(), world.snapshots.values())},
    )


def by_lake(lake: Lake) -> Shown:
    """What is shown."""
    spaces = [item.namespace for item in lake.dispatch(ListNamespaces(limit=MOST)).items]
    runs = [run for space in spaces for run in lake.dispatch(ListRuns(namespace=space, limit=MOST)).items]
    for run in runs:
        assert lake.dispatch(GetRun(namespace=run.namespace, run_id=run.run_id)) == run
    tables = {(t.namespace, t.table_name) for space in spaces for t in lake.dispatch(ListTables(namespace=space)).items}
    snapshots = {one.snapshot_id: one for table in tables for one in _snapshots(lake, *table)}
    return Shown(
        runs={run.run_id: _without_arrival(run) for run in runs},
        jobs={
            (job.namespace, job.job_name) for space in spaces for job in lake.dispatch(ListJobs(namespace=space)).items
        },
        events={event.event_id: event for run in runs for event in _events(lake, run)},
        tables=tables,
        snapshots=snapshots,
        latest={(*table, at): _latest(lake, *table, at) for table in tables for at in MOMENTS},
        graphs={one: _graph(lake, one) for one in _asked(tables, runs, snapshots.values())},
    )


def _asked(tables: Iterable[tuple[str, str]], runs: Iterable[Run], snapshots: Iterable[Made]) -> Iterator[Asked]:
    """Every graph of one step there is."""
    places = [Node("table", *table) for table in tables]
    places += [Node("snapshot", made.namespace, made.table, made.snapshot_id) for made in snapshots]
    vias = [Node("run", run.namespace, run.job_name, run.run_id) for run in runs]
    vias += [Node("job", *via[1:3]) for via in vias]
    for as_of in MOMENTS:
        yield from (Asked(root, "both", as_of) for root in vias)
        yield from (Asked(root, direction, as_of) for root in places for direction in ("upstream", "downstream"))


def _graph(lake: Lake, asked: Asked) -> dict[tuple[Node, Node], Edge]:
    kind, namespace, name, key = asked.root
    graph = lake.dispatch(
        msgspec.convert(
            {
                "namespace": namespace,
                "kind": kind,
                "name": name if kind in {"table", "job"} else None,
                "run_id": key if kind == "run" else None,
                "snapshot_id": key if kind == "snapshot" else None,
                "direction": asked.direction,
                "depth": 1 if asked.direction == "both" else 2,
                "as_of": asked.as_of,
                "max_nodes": MOST,
            },
            Lineage,
        )
    )
    assert not graph.truncated
    nodes = {node.id: _node(node) for node in graph.nodes}
    drawn = {
        (nodes[e.source], nodes[e.target]): Edge(e.first_seen, e.last_seen, e.count, e.last_run_id or "")
        for e in graph.edges
    }
    assert len(drawn) == len(graph.edges)
    return drawn


def _node(node: GraphNode) -> Node:
    key = {"run": node.run_id, "snapshot": node.snapshot_id}.get(node.kind)
    return Node(node.kind, node.namespace, node.name, key or "")


def _without_arrival(run: Run) -> Run:
    """The run without what depends on when and in which order it was told of."""
    return replace(
        run,
        started_at=run.started_at if run.started_at < ARRIVALS else NEVER,
        last_seen_at=None,
        endings=[replace(ending, received_at=NEVER) for ending in run.endings],
        inputs=[_without_version(data) for data in run.inputs],
        outputs=[_without_version(data) for data in run.outputs],
    )


def _without_version(data: RunData) -> RunData:
    return replace(data, version=None)


def _events(lake: Lake, run: Run) -> list[Event]:
    page = lake.dispatch(Events(namespace=run.namespace, run_id=run.run_id, limit=MOST))
    return [replace(event, received_at=NEVER) for event in page.items]


def _snapshots(lake: Lake, namespace: str, table: str) -> Iterator[Made]:
    for one in lake.dispatch(ListSnapshots(namespace=namespace, table_name=table, limit=MOST)).items:
        yield _made(one)


def _made(one: Snapshot) -> Made:
    return Made(
        snapshot_id=one.snapshot_id,
        namespace=one.namespace,
        table=one.table_name,
        uri=one.uri,
        format=one.format,
        schema=one.schema,
        created_at=one.created_at,
        run_id=one.run_id,
        job_name=one.job_name,
        row_count=one.row_count,
        size_bytes=one.size_bytes,
    )


def _latest(lake: Lake, namespace: str, table: str, at: datetime) -> str | None:
    as_of = None if at == NEVER else at
    try:
        return lake.dispatch(LatestSnapshot(namespace=namespace, table_name=table, as_of=as_of)).snapshot_id
    except NotFound:
        return None


def _id(made: Made | None) -> str | None:
    return None if made is None else made.snapshot_id
