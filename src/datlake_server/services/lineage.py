"""Records what a run reads and writes, and keeps what follows from it true when a snapshot arrives late.

Runs tell of data; where that points is `places`, what feeds what is `pairs`. Of the same thing told twice the earliest
moment stays, and the freshest way in which it was read.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct
from msgspec.structs import asdict, replace

from datlake_server.services.pairs import End, pair, pair_anew, pair_first, pair_stated
from datlake_server.services.places import Loose, Place, Role, Told, drop_unused, pointed_at, told
from datlake_server.services.records import RunRow, SnapshotRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datlake_sdk.wire.models import DataRef
    from datlake_server.store.base import Tx, Value


# Stands where no namespace does (a table is named): the same table may be told at the same moment without it, too.
OF_OTHERS: Final = "of others"


class Data(Struct, frozen=True):
    """An input or output as it stands on a run. `told_at` is null where no telling named its snapshot."""

    table_id: int
    snapshot_id: str
    uri: str | None
    stated: int
    at: int
    told_at: int | None
    stale: int
    age_s: float | None
    deferred: int

    @property
    def end(self) -> End:
        """What it is in a pair."""
        return End(self.table_id, self.snapshot_id, self.at)


class Telling(Struct, frozen=True):
    """How inputs or outputs are told: when, and whether they are, or feed, an output that states its inputs."""

    role: Role
    at: int
    stated: int = 0
    output: str = ""


class Change(Struct, frozen=True):
    """What a telling changed on its run: what is new, and whether something that was there is another now."""

    new: list[Data]
    is_other: bool = False


def record(tx: Tx, run: RunRow, role: Role, items: Iterable[DataRef], at: int) -> None:
    """The run has these inputs or outputs, paired with what stands on the other side."""
    record_told(tx, run, Telling(role, at), [told(tx, run, role, item, at) for item in items])


def record_told(tx: Tx, run: RunRow, telling: Telling, items: Sequence[Told]) -> None:
    """As `record`, of what is known to point somewhere already."""
    _pair(tx, run, telling.role, _put(tx, run, telling, items))


def record_first(tx: Tx, run: RunRow, at: int, inputs: Sequence[Told], outputs: Sequence[Told]) -> None:
    """The run, of which nothing was told before, has these inputs and outputs, each output from all inputs."""
    read = _put(tx, run, Telling("input", at), inputs)
    written = _put(tx, run, Telling("output", at), outputs)
    pair_first(tx, run, [row.end for row in read.new], [row.end for row in written.new])


def put_told(tx: Tx, run: RunRow, telling: Telling, items: Sequence[Told]) -> None:
    """As `record_told`, for who pairs the run anew afterwards."""
    _put(tx, run, telling, items)


def forget_of_others(tx: Tx, run: RunRow, table_id: int) -> None:
    """That the run read the table as others left it is not told any more."""
    tx.do("lineage.lift_loose", run_id=run.run_id)
    tx.do("lineage.forget_of_others", run_id=run.run_id, table_id=table_id)
    lay(tx, run.run_id)
    pair_anew(tx, run)


def record_snapshot(tx: Tx, run: RunRow, snapshot: SnapshotRow, inputs: Sequence[DataRef] | None) -> None:
    """The run has the snapshot as an output, made from `inputs` alone where they are stated."""
    at = snapshot.created_at
    output = Told(place=Place(snapshot.table_id, snapshot.snapshot_id), uri=snapshot.uri)
    if inputs is None:
        _pair(tx, run, "output", _put(tx, run, Telling("output", at), [output]))
        return
    # What an output was made from was there before it; as of its own moment a table would be made from itself.
    before = at - 1
    sources = [told(tx, run, "input", item, before) for item in inputs]
    read = _put(tx, run, Telling("input", before, output=snapshot.snapshot_id), sources)
    written = _put(tx, run, Telling("output", at, stated=1), [output])
    if read.is_other or not written.new:
        pair_anew(tx, run)
        return
    _pair(tx, run, "input", read)
    pair_stated(tx, run, written.new[0].end)


def unstate(tx: Tx, run: RunRow, snapshot: SnapshotRow) -> None:
    """What the snapshot was stated to be made from is forgotten, to be told anew."""
    tx.do("lineage.lift_loose", run_id=run.run_id)
    tx.do("lineage.forget_stated", run_id=run.run_id, output=snapshot.snapshot_id)
    lay(tx, run.run_id)
    pair_anew(tx, run)


def take_back(tx: Tx, run: RunRow, snapshot: SnapshotRow) -> None:
    """The snapshot is no output of the run any more."""
    tx.do("lineage.drop_output", run_id=run.run_id, table_id=snapshot.table_id, snapshot_id=snapshot.snapshot_id)
    pair_anew(tx, run)


class Arrival(Protocol):
    """A snapshot that has come, moved or gone."""

    @property
    def table_id(self) -> int:
        """Of which table it is."""
        ...

    @property
    def namespace(self) -> str:
        """The namespace of that table."""
        ...

    @property
    def uri(self) -> str:
        """Where its data is."""
        ...

    @property
    def run_id(self) -> str | None:
        """The run that made it."""
        ...


class Arrived(Struct, frozen=True):
    """As much of a snapshot as `point_anew` asks for."""

    table_id: int
    namespace: str
    uri: str
    run_id: str | None


def point_anew(tx: Tx, snapshot: Arrival, since: int, until: int) -> None:
    """What was told loosely points where it would if the snapshot, created between these moments, had come first."""
    near = tx.all(
        Loose,
        "lineage.loose_near",
        table_id=snapshot.table_id,
        namespace=snapshot.namespace,
        uri=snapshot.uri,
        run_id=snapshot.run_id,
        since=since,
        until=until,
    )
    places = ((loose, pointed_at(tx, loose)) for loose in sorted(near, key=lambda loose: loose.run_id))
    moved = [(loose, place) for loose, place in places if place != Place(loose.table_id, loose.snapshot_id)]
    for run_id, group in groupby(moved, key=lambda one: one[0].run_id):
        _move(tx, run_id, list(group))


def _put(tx: Tx, run: RunRow, telling: Telling, items: Sequence[Told]) -> Change:
    """Puts what was told on the run."""
    _keep_loose(tx, run, telling, [item for item in items if telling.output or not item.pinned])
    rows: dict[Place, Data] = {}
    for item in items:
        row = _data(item, telling)
        rows[item.place] = _joined(rows[item.place], row) if item.place in rows else row
    key: dict[str, Value] = {"run_id": run.run_id, "role": telling.role}
    new = {place: row for place, row in rows.items() if tx.do("lineage.add_data", **key, **asdict(row))}
    others = [_merge(tx, run, telling.role, row) for place, row in rows.items() if place not in new]
    return Change(list(new.values()), is_other=any(others))


def _merge(tx: Tx, run: RunRow, role: Role, row: Data) -> bool:
    """Joins what was told with what stands there; true where that changes since when it is paired."""
    key: dict[str, Value] = {"run_id": run.run_id, "role": role}
    known = tx.one(Data, "lineage.get_data", table_id=row.table_id, snapshot_id=row.snapshot_id, **key)
    if known is None or (joined := _joined(known, row)) == known:
        return False
    tx.do("lineage.put_data", **key, **asdict(joined))
    return joined.at != known.at


def _joined(one: Data, other: Data) -> Data:
    """Both tellings as one, the same whichever comes first. Only who names the snapshot knows how it was read."""
    named = [row for row in (one, other) if row.told_at is not None]
    best = named or [one, other]
    fresh = min(best, key=_freshness)
    return Data(
        table_id=one.table_id,
        snapshot_id=one.snapshot_id,
        uri=max((row.uri for row in best if row.uri), default=None),
        stated=max(one.stated, other.stated),
        at=min(one.at, other.at),
        told_at=min((row.told_at for row in named if row.told_at is not None), default=None),
        stale=fresh.stale,
        age_s=fresh.age_s,
        deferred=fresh.deferred,
    )


def _freshness(row: Data) -> tuple[int, int, float]:
    return row.stale, row.deferred, float("inf") if row.age_s is None else row.age_s


def _pair(tx: Tx, run: RunRow, role: Role, change: Change) -> None:
    if change.is_other:
        pair_anew(tx, run)
    elif change.new:
        pair(tx, run, role, [row.end for row in change.new])


def _keep_loose(tx: Tx, run: RunRow, telling: Telling, items: Sequence[Told]) -> None:
    for item in items:
        table_id, snapshot_id = item.place.table_id, item.place.snapshot_id
        tx.do(
            "lineage.add_loose",
            run_id=run.run_id,
            role=telling.role,
            uri="" if item.pinned else item.uri or "",
            named=table_id if item.pinned else item.named,
            namespace=OF_OTHERS if item.of_others else item.namespace,
            pinned=snapshot_id if item.pinned else "",
            output=telling.output,
            at=telling.at,
            table_id=table_id,
            snapshot_id=snapshot_id,
            of_others=int(item.of_others),
        )


def _move(tx: Tx, run_id: str, moved: Sequence[tuple[Loose, Place]]) -> None:
    run = tx.one(RunRow, "runs.get", run_id=run_id)
    tx.do("lineage.lift_loose", run_id=run_id)
    for loose, place in moved:
        tx.do("lineage.point", **asdict(replace(loose, table_id=place.table_id, snapshot_id=place.snapshot_id)))
    lay(tx, run_id)
    if run is not None:
        pair_anew(tx, run)
    for table_id in sorted({loose.table_id for loose, _ in moved if not loose.named and not loose.snapshot_id}):
        drop_unused(tx, table_id)


def lay(tx: Tx, run_id: str) -> None:
    """What was told loosely is on the run again, after it was lifted to be told another way."""
    tx.do("lineage.keep_told", run_id=run_id)
    tx.do("lineage.lay_loose", run_id=run_id)


def _data(item: Told, telling: Telling) -> Data:
    return Data(
        table_id=item.place.table_id,
        snapshot_id=item.place.snapshot_id,
        uri=item.uri,
        stated=telling.stated,
        at=telling.at,
        told_at=telling.at if item.pinned else None,
        stale=int(item.stale),
        age_s=item.age_s,
        deferred=int(item.deferred),
    )
