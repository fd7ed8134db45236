"""The two levels that lineage is walked on: tables via jobs, and snapshots via runs.

A place is a key of text: `TABLE` or `TABLE/SNAPSHOT` (numbers and ids as stored); a via is a job's number or a run's
id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol

from msgspec import Struct

from datlake_sdk.wire.ids import quoted
from datlake_sdk.wire.models import GraphNode
from datlake_sdk.wire.times import micros
from datlake_server.services.pages import END_OF_TIME
from datlake_server.services.pairs import NOTHING, RUN_HUB
from datlake_server.services.presence import state_of
from datlake_server.services.records import RunRow, SnapshotRow, json_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from datlake_sdk.wire.models import Direction
    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx

# One answer of the database holds no more than this; a graph that needed more says that it is truncated.
STEPS_AT_ONCE: Final = 50_000


class Step(Struct, frozen=True):
    """`source` fed `target` via a job or run; a place of nothing where there is none."""

    source: str
    via: str
    target: str


class Half(Struct, frozen=True):
    """One edge as it is drawn: `place` → `via` (role `in`) or `via` → `place` (role `out`)."""

    place: str
    via: str
    role: Literal["in", "out"]
    first_seen: int
    last_seen: int
    run_count: int
    last_run_id: str


class Level(Protocol):
    """What a walk asks of a level. `is_cut` says that it held back more than it answered."""

    is_cut: bool

    def steps(self, direction: Direction, ends: Iterable[str]) -> list[Step]:
        """The steps that lead to `ends` (upstream) or from them (downstream)."""
        ...

    def steps_of_via(self, via: str) -> list[Step]:
        """What the job or run reads and writes."""
        ...

    def halves(self, places: Iterable[str], vias: Iterable[str]) -> list[Half]:
        """Every drawn edge that touches these."""
        ...

    def places(self, keys: Iterable[str], hidden: Mapping[tuple[str, str], int]) -> list[GraphNode]:
        """The nodes of these places."""
        ...

    def vias(self, keys: Iterable[str], hidden: Mapping[tuple[str, str], int]) -> list[GraphNode]:
        """The nodes of these jobs or runs."""
        ...

    def place_id(self, place: str) -> str:
        """The node id of a place."""
        ...

    def via_id(self, via: str) -> str:
        """The node id of a job or run."""
        ...


def no_place(place: str) -> bool:
    """True for the place that stands for nothing."""
    return place.partition("/")[0] == str(NOTHING)


class _TableStep(Struct, frozen=True):
    source: int
    via: int
    target: int


class _TableHalf(Struct, frozen=True):
    source: int
    via: int
    target: int
    first_seen: int
    last_seen: int
    run_count: int
    last_run_id: str


class _RunStep(Struct, frozen=True):
    source: int
    source_snapshot: str
    via: str
    target: int
    target_snapshot: str
    at: int = 0


class _Named(Struct, frozen=True):
    namespace: str
    name: str
    table_id: int = 0
    job_id: int = 0


class TableLevel:
    """Tables via jobs, over all their runs."""

    def __init__(self, tx: Tx, as_of: datetime | None) -> None:
        """Walks what was known at `as_of`, or now."""
        self._tx = tx
        self.is_cut = False
        self._as_of = END_OF_TIME if as_of is None else micros(as_of)

    def steps(self, direction: Direction, ends: Iterable[str]) -> list[Step]:
        """The steps that lead to `ends` (upstream) or from them (downstream)."""
        name = "graph.table_steps_up" if direction == "upstream" else "graph.table_steps_down"
        numbers = json_text(sorted(int(end) for end in ends))
        rows = self._tx.all(_TableStep, name, ends=numbers, as_of=self._as_of, limit=STEPS_AT_ONCE)
        self.is_cut |= len(rows) == STEPS_AT_ONCE
        return [Step(str(row.source), str(row.via), str(row.target)) for row in rows]

    def steps_of_via(self, via: str) -> list[Step]:
        """What the job reads and writes."""
        rows = self._tx.all(_TableStep, "graph.job_steps", via=int(via), as_of=self._as_of, limit=STEPS_AT_ONCE)
        self.is_cut |= len(rows) == STEPS_AT_ONCE
        return [Step(str(row.source), str(row.via), str(row.target)) for row in rows]

    def halves(self, places: Iterable[str], vias: Iterable[str]) -> list[Half]:
        """Every edge that touches these tables and jobs."""
        ends = json_text([int(place) for place in places])
        jobs = json_text([int(via) for via in vias])
        rows = self._tx.all(
            _TableHalf, "graph.table_halves", ends=ends, vias=jobs, as_of=self._as_of, limit=STEPS_AT_ONCE
        )
        self.is_cut |= len(rows) == STEPS_AT_ONCE
        return [self._half(row) for row in rows]

    def places(self, keys: Iterable[str], hidden: Mapping[tuple[str, str], int]) -> list[GraphNode]:
        """The nodes of these tables."""
        rows = self._tx.all(_Named, "graph.tables", ids=json_text([int(key) for key in keys]))
        return [_table_node(row, self.place_id(str(row.table_id)), hidden) for row in rows]

    def vias(self, keys: Iterable[str], hidden: Mapping[tuple[str, str], int]) -> list[GraphNode]:
        """The nodes of these jobs."""
        rows = self._tx.all(_Named, "graph.jobs", ids=json_text([int(key) for key in keys]))
        return [
            GraphNode(
                id=(key := self.via_id(str(row.job_id))),
                kind="job",
                namespace=row.namespace,
                name=row.name,
                hidden_upstream=hidden.get((key, "up"), 0),
                hidden_downstream=hidden.get((key, "down"), 0),
            )
            for row in rows
        ]

    def place_id(self, place: str) -> str:
        """The node id of a table."""
        return f"table:{place}"

    def via_id(self, via: str) -> str:
        """The node id of a job."""
        return f"job:{via}"

    def _half(self, row: _TableHalf) -> Half:
        into = row.target == NOTHING
        return Half(
            place=str(row.source if into else row.target),
            via=str(row.via),
            role="in" if into else "out",
            first_seen=row.first_seen,
            last_seen=row.last_seen,
            run_count=row.run_count,
            last_run_id=row.last_run_id,
        )


class RunLevel:
    """Snapshots via runs; data without a snapshot is its table."""

    def __init__(self, tx: Tx, as_of: datetime | None, caller: Caller) -> None:
        """Walks what was known at `as_of`, or now."""
        self._tx = tx
        self._caller = caller
        self.is_cut = False
        self._as_of = END_OF_TIME if as_of is None else micros(as_of)

    def steps(self, direction: Direction, ends: Iterable[str]) -> list[Step]:
        """The steps that lead to `ends` (upstream) or from them (downstream)."""
        name = "graph.run_steps_up" if direction == "upstream" else "graph.run_steps_down"
        rows = self._tx.all(_RunStep, name, ends=_pairs(ends), as_of=self._as_of, limit=STEPS_AT_ONCE)
        self.is_cut |= len(rows) == STEPS_AT_ONCE
        return [_run_step(row) for row in rows]

    def steps_of_via(self, via: str) -> list[Step]:
        """What the run read and wrote."""
        rows = self._tx.all(_RunStep, "graph.steps_of_run", via=via, as_of=self._as_of, limit=STEPS_AT_ONCE)
        self.is_cut |= len(rows) == STEPS_AT_ONCE
        return [_run_step(row) for row in rows]

    def halves(self, places: Iterable[str], vias: Iterable[str]) -> list[Half]:
        """Every edge that touches these snapshots and runs."""
        rows = self._tx.all(
            _RunStep,
            "graph.run_halves",
            ends=_pairs(places),
            vias=json_text(list(vias)),
            as_of=self._as_of,
            limit=STEPS_AT_ONCE,
        )
        self.is_cut |= len(rows) == STEPS_AT_ONCE
        return [_run_half(row) for row in rows]

    def places(self, keys: Iterable[str], hidden: Mapping[tuple[str, str], int]) -> list[GraphNode]:
        """The nodes of these snapshots, and of tables where no snapshot is known."""
        parts = {key: key.partition("/") for key in keys}
        ids = json_text([snapshot for _, _, snapshot in parts.values() if snapshot])
        rows = self._tx.all(SnapshotRow, "snapshots.many", snapshot_ids=ids)
        known = {f"{row.table_id}/{row.snapshot_id}": row for row in rows}
        tables = json_text([int(table) for table, _, _ in parts.values()])
        named = {row.table_id: row for row in self._tx.all(_Named, "graph.tables", ids=tables)}
        return [
            _snapshot_node(known.get(key), named[int(table)], self.place_id(key), snapshot, hidden)
            for key, (table, _, snapshot) in parts.items()
        ]

    def vias(self, keys: Iterable[str], hidden: Mapping[tuple[str, str], int]) -> list[GraphNode]:
        """The nodes of these runs."""
        rows = self._tx.all(RunRow, "runs.many", run_ids=json_text(list(keys)))
        return [
            GraphNode(
                id=(key := self.via_id(row.run_id)),
                kind="run",
                namespace=row.namespace,
                name=row.job_name,
                run_id=row.run_id,
                state=state_of(self._tx, row, self._caller),
                hidden_upstream=hidden.get((key, "up"), 0),
                hidden_downstream=hidden.get((key, "down"), 0),
            )
            for row in rows
        ]

    def place_id(self, place: str) -> str:
        """The node id of a snapshot, or of a table without one."""
        table, _, snapshot = place.partition("/")
        # A run may name a snapshot as one of a table that it is not: that is another place.
        return f"snapshot:{place}" if snapshot else f"table:{table}"

    def via_id(self, via: str) -> str:
        """The node id of a run."""
        return f"run:{quoted(via)}"


def _pairs(places: Iterable[str]) -> str:
    split = [place.partition("/") for place in places]
    return json_text([[int(table), snapshot] for table, _, snapshot in split])


def _run_step(row: _RunStep) -> Step:
    return Step(f"{row.source}/{row.source_snapshot}", row.via, f"{row.target}/{row.target_snapshot}")


def _run_half(row: _RunStep) -> Half:
    into = row.target == NOTHING
    place = f"{row.source}/{row.source_snapshot}" if into else f"{row.target}/{row.target_snapshot}"
    return Half(place, row.via, "in" if into else "out", row.at, row.at, 1, row.via)


def _table_node(row: _Named, key: str, hidden: Mapping[tuple[str, str], int]) -> GraphNode:
    hub = row.namespace == RUN_HUB
    return GraphNode(
        id=key,
        kind="run" if hub else "table",
        namespace=row.namespace,
        name=row.name,
        run_id=row.name if hub else None,
        hidden_upstream=hidden.get((key, "up"), 0),
        hidden_downstream=hidden.get((key, "down"), 0),
    )


def _snapshot_node(
    row: SnapshotRow | None, table: _Named, key: str, snapshot_id: str, hidden: Mapping[tuple[str, str], int]
) -> GraphNode:
    return GraphNode(
        id=key,
        kind="snapshot" if snapshot_id else "table",
        namespace=table.namespace,
        name=table.name,
        version=row.version if row else None,
        run_id=row.run_id if row else None,
        snapshot_id=snapshot_id or None,
        hidden_upstream=hidden.get((key, "up"), 0),
        hidden_downstream=hidden.get((key, "down"), 0),
    )
