"""Walks from a snapshot, and tells of the runs and snapshots on the way. Called by `roads`.

A page is of the nearest that are not told yet: by distance, then by time, then by id.
"""

from __future__ import annotations

from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import astuple, replace

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire.models import Page, Related, RunState
from datlake_sdk.wire.operations import GetSnapshot
from datlake_sdk.wire.times import moment
from datlake_server.services.graph_levels import Name
from datlake_server.services.graph_roots import stands_for
from datlake_server.services.graph_runs import RunLevel, place_node
from datlake_server.services.graph_walk import Node, Seen, Start, Walk, Way
from datlake_server.services.pages import END_OF_TIME, cursor_from, place_of
from datlake_server.services.places import snapshot_row
from datlake_server.services.presence import Life, state_of
from datlake_server.services.records import json_text
from datlake_server.services.snapshots import get_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from datlake_sdk.wire.operations import Impact, Trace
    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx

NODES_MOST: Final = 100_000


class Position(Struct, frozen=True, array_like=True):
    """Where something stands in the list; of what is known by its id alone the moment is the end of time."""

    distance: Annotated[int, Meta(ge=0, le=NODES_MOST)]
    at: Annotated[int, Meta(ge=-(2**63), le=END_OF_TIME)]
    id: str


_BEGIN: Final = Position(0, END_OF_TIME, "")


class _Moment(Struct, frozen=True):
    id: str
    at: int


class _Run(Struct, frozen=True):
    run_id: str
    namespace: str
    job_name: str
    started_at: int
    state: RunState
    last_seen_at: int
    lost_after_us: int | None
    process: str | None
    commit: object  # what the SDK found, or what the run's events say of the code; any JSON, as nobody checked it
    log_uri: str | None


class _Snapshot(Struct, frozen=True):
    snapshot_id: str
    namespace: str
    name: str
    version: int
    uri: str
    created_at: int
    run_id: str | None


class _Found(Struct, frozen=True):
    position: Position
    node: Node


def related(tx: Tx, op: Impact | Trace, caller: Caller, way: Way) -> Page[Related]:
    """The page of what is on the road from the snapshot (downstream) or to it. Raises `NotFound`.

    Raises `InvalidRequest` (`too_many_related`) where what follows is too far to be told.
    """
    asked = GetSnapshot(namespace=op.namespace, snapshot_id=op.snapshot_id)
    root = snapshot_row(tx, get_snapshot(tx, asked, caller).snapshot_id)
    after = place_of(op.cursor, Position) if op.cursor is not None else _BEGIN
    road = _Road(tx, caller, way, place_node(stands_for(tx, root.table_id), root.snapshot_id))
    found = list(islice(road.behind(after, op.limit + 1), op.limit + 1))
    if not found and road.is_cut:
        message = (
            f"more than {NODES_MOST:,} runs and places are on the road {'to' if way == 'upstream' else 'from'} "
            f"snapshot {op.snapshot_id}; those told so far are the nearest, ask from one of the last for what is beyond"
        )
        raise InvalidRequest(message, code="too_many_related")
    page = found[: op.limit]
    goes_on = len(found) > op.limit or (road.is_cut and bool(page))
    return Page(
        items=_told(tx, caller, page), next_cursor=cursor_from(*astuple(page[-1].position)) if goes_on else None
    )


class _Road:
    """What a walk from one snapshot finds."""

    def __init__(self, tx: Tx, caller: Caller, way: Way, root: Node) -> None:
        self._tx = tx
        self._level = RunLevel(tx, None, caller)
        self._walk = Walk(self._level, Start([root]), (way,), NODES_MOST, Seen(NODES_MOST))
        self._told = {root[2]}  # a run may name a snapshot as one of another table as well: it is told once

    @property
    def is_cut(self) -> bool:
        """True where the walk has come as far as it may, and there is more."""
        return self._walk.seen.is_cut or self._level.is_cut

    def behind(self, after: Position, most: int) -> Iterator[_Found]:
        """What comes behind that position, in order, `most` of each distance; it walks no further than is asked."""
        seen = self._walk.seen.nodes
        done = len(seen)
        while self._walk.advance():
            new = {
                node[2]: node for node in islice(seen, done, None) if node[0] != "table" and node[2] not in self._told
            }
            done = len(seen)
            self._told |= new.keys()
            distance = self._walk.distance
            begin = (after.at, after.id) if distance == after.distance else (-1, "")
            if distance >= after.distance:
                for moment_of, key in nsmallest(most, (one for one in self._placed(new) if one > begin)):
                    yield _Found(Position(distance, moment_of, key), new[key])

    def _placed(self, nodes: Mapping[str, Node]) -> Iterator[tuple[int, str]]:
        """When each of the nodes was, and its id. All are of one distance and so of one kind."""
        name = "roads.run_moments" if self._walk.distance % 2 else "roads.snapshot_moments"
        at = {row.id: row.at for row in self._tx.rows(_Moment, name, ids=json_text(list(nodes)))}
        return ((at.get(key, END_OF_TIME), key) for key in nodes)


def _told(tx: Tx, caller: Caller, page: list[_Found]) -> list[Related]:
    runs = json_text([one.node[2] for one in page if one.node[0] == "run"])
    snapshots = [one.node for one in page if one.node[0] == "snapshot"]
    told = {("run", row.run_id): _run(tx, caller, row) for row in tx.rows(_Run, "roads.runs", ids=runs)}
    for row in tx.rows(_Snapshot, "roads.snapshots", ids=json_text([node[2] for node in snapshots])):
        told["snapshot", row.snapshot_id] = _snapshot(row)
    for node, named in _named(tx, [node for node in snapshots if ("snapshot", node[2]) not in told]):
        told["snapshot", node[2]] = Related(
            kind="snapshot", distance=0, namespace=named.namespace, name=named.name, snapshot_id=node[2]
        )
    items = ((one.position.distance, told.get((one.node[0], one.node[2]))) for one in page)
    return [replace(item, distance=distance) for distance, item in items if item is not None]


def _named(tx: Tx, nodes: list[Node]) -> Iterator[tuple[Node, Name]]:
    """Snapshots that nobody has registered yet, by the tables that they are said to be of."""
    rows = tx.rows(Name, "graph.tables", ids=json_text([node[1] for node in nodes]))
    tables = {row.number: row for row in rows}
    return ((node, tables[node[1]]) for node in nodes if node[1] in tables)


def _run(tx: Tx, caller: Caller, row: _Run) -> Related:
    life = Life(state=row.state, last_seen_at=row.last_seen_at, lost_after_us=row.lost_after_us, process=row.process)
    return Related(
        kind="run",
        distance=0,
        namespace=row.namespace,
        name=row.job_name,
        at=moment(row.started_at),
        run_id=row.run_id,
        state=state_of(tx, life, caller),
        commit=row.commit if isinstance(row.commit, str) else None,
        log_uri=row.log_uri,
    )


def _snapshot(row: _Snapshot) -> Related:
    return Related(
        kind="snapshot",
        distance=0,
        namespace=row.namespace,
        name=row.name,
        at=moment(row.created_at),
        run_id=row.run_id,
        snapshot_id=row.snapshot_id,
        version=row.version,
        uri=row.uri,
    )
