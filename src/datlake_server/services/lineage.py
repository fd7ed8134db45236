"""Records what a run reads and writes, and so what feeds what.

A pair (source, target) of a run is named by `register_snapshot(inputs=…)`, else it is every input × every output of the
run. Past a bound the run itself stands between them, as a table of no namespace. 0 means nothing: a run that only reads
has a pair (source, 0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from datlake_sdk.errors import NotFound
from datlake_server.services.records import RunRow, SnapshotRow

if TYPE_CHECKING:
    from datlake_sdk.wire.models import DataRef
    from datlake_server.store.base import Tx, Value

Role = Literal["input", "output"]

NOTHING: Final = 0
RUN_HUB: Final = ""  # the namespace of the tables that stand for runs
PAIRS_PER_RUN: Final = 10_000


class Place(Struct, frozen=True):
    """A table, and its snapshot where one is known (else empty); as an input, how it was read."""

    table_id: int
    snapshot_id: str = ""
    uri: str | None = None
    stale: bool = False
    age_s: float | None = None
    deferred: bool = False


class TableRow(Struct, frozen=True):
    """A table as it is stored."""

    table_id: int
    namespace: str
    name: str
    created_at: int
    latest_id: str | None
    snapshot_count: int
    location: str | None
    owner: str | None
    description: str | None
    expected_freshness_s: int | None
    compatibility: str | None


class _Source(Struct, frozen=True):
    source: int


class _Id(Struct, frozen=True):
    snapshot_id: str


class _One(Struct, frozen=True):
    n: int


_NO_PLACE: Final = Place(NOTHING)


def table_row(tx: Tx, namespace: str, name: str, location: str | None = None) -> TableRow:
    """The table of that name, made if it is not known yet."""
    row = tx.one(TableRow, "tables.get", namespace=namespace, name=name)
    if row is None:
        tx.do("tables.insert", namespace=namespace, name=name, now=tx.now, location=location)
        row = tx.one(TableRow, "tables.get", namespace=namespace, name=name)
    assert row is not None  # inserted in this very transaction  # noqa: S101
    return row


def place_of(tx: Tx, item: DataRef, namespace: str, role: Role) -> Place:
    """Where `item` points: its snapshot, the newest of its table or its URI, else the table or the bare URI."""
    place = _pointed_at(tx, item, namespace, role)
    if role == "output" or not (item.stale or item.deferred or item.age_s is not None):
        return place
    return replace(place, stale=item.stale, age_s=item.age_s, deferred=item.deferred)


def _pointed_at(tx: Tx, item: DataRef, namespace: str, role: Role) -> Place:
    scope = item.namespace or namespace
    if item.snapshot_id is not None:
        return _pinned(tx, item, scope)
    if item.uri is not None and (known := tx.one(_Id, "snapshots.of_uri", uri=item.uri, namespace=scope)):
        snapshot = snapshot_row(tx, known.snapshot_id)
        if item.table_name in {None, snapshot.table_name}:
            return Place(snapshot.table_id, snapshot.snapshot_id, item.uri)
    if item.table_name is not None:
        table = table_row(tx, scope, item.table_name)
        newest = table.latest_id if role == "input" and item.uri is None else None
        return Place(table.table_id, newest or "", item.uri)
    if item.uri is None:
        raise NotFound("an input or output names no table, no snapshot and no URI; give one of them", status=422)
    where, name = dataset_name(item.uri)
    return Place(table_row(tx, where, name, item.uri).table_id, "", item.uri)


def dataset_name(uri: str) -> tuple[str, str]:
    """The (namespace, name) of a bare URI, as OpenLineage's naming has it: the store, and the path within it."""
    from urllib.parse import urlsplit  # a job's first run does not need it

    try:
        parts = urlsplit(uri)
    except ValueError:
        return "uri", uri
    if parts.scheme in {"", "file"}:
        return "file", parts.path or uri
    path = parts.path.lstrip("/") + (f"?{parts.query}" if parts.query else "")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", path or "/"


def record(tx: Tx, run: RunRow, role: Role, places: list[Place], at: int) -> None:
    """Puts `places` on the run and pairs them with what stands on the other side."""
    if new := [place for place in places if _put(tx, run, role, place, at, stated=False)]:
        _pair_with_others(tx, run, role, new, at)


def record_stated(tx: Tx, run: RunRow, output: Place, inputs: list[Place], at: int) -> None:
    """Puts an output on the run that was made from exactly `inputs`, whatever was paired with it before."""
    if not _put(tx, run, "output", output, at, stated=True):
        _unpair(tx, run, output)
    record(tx, run, "input", inputs, at)
    for place in inputs:
        _link(tx, run, place, output, at)


def snapshot_row(tx: Tx, snapshot_id: str) -> SnapshotRow:
    """The snapshot of that id. Raises `NotFound`."""
    row = tx.one(SnapshotRow, "snapshots.get", snapshot_id=snapshot_id.lower())
    if row is None:
        message = f"there is no snapshot {snapshot_id}; `datlake table NAME` lists a table's snapshots"
        raise NotFound(message, code="snapshot_not_found")
    return row


def _pinned(tx: Tx, item: DataRef, namespace: str) -> Place:
    snapshot_id = (item.snapshot_id or "").lower()
    known = tx.one(SnapshotRow, "snapshots.get", snapshot_id=snapshot_id)
    if known is not None and known.namespace == namespace:
        return Place(known.table_id, snapshot_id, item.uri)
    if item.table_name is None:
        message = (
            f"there is no snapshot {snapshot_id} in namespace {namespace!r}; name its table as well, or register it"
        )
        raise NotFound(message, code="snapshot_not_found")
    # The snapshot may arrive later than the run that read it: the table is known, the id waits for it.
    return Place(table_row(tx, namespace, item.table_name).table_id, snapshot_id, item.uri)


def _put(tx: Tx, run: RunRow, role: Role, place: Place, at: int, *, stated: bool) -> bool:
    new = tx.do(
        "lineage.add_data",
        run_id=run.run_id,
        role=role,
        table_id=place.table_id,
        snapshot_id=place.snapshot_id,
        uri=place.uri,
        stated=int(stated),
        at=at,
        stale=int(place.stale),
        age_s=place.age_s,
        deferred=int(place.deferred),
    )
    if new:
        _link(tx, run, *((place, _NO_PLACE) if role == "input" else (_NO_PLACE, place)), at)
    return bool(new)


def _unpair(tx: Tx, run: RunRow, output: Place) -> None:
    # The output was told of before it was registered, so it was paired with every input of the run.
    target: dict[str, Value] = {"run_id": run.run_id, "target": output.table_id, "target_snapshot": output.snapshot_id}
    tx.do("lineage.state_data", uri=output.uri, **target)
    sources = tx.all(_Source, "lineage.sources_of", **target)
    tx.do("lineage.unpair", **target)
    for row in sources:
        edge: dict[str, Value] = {"source": row.source, "job_id": run.job_id, "target": output.table_id}
        tx.do("lineage.drop_edge", **edge)
        tx.do("lineage.count_edge_anew", **edge)


def _pair_with_others(tx: Tx, run: RunRow, role: Role, new: list[Place], at: int) -> None:
    # What is on the new ones' own side is not read: a run with thousands of outputs would read them all for each.
    is_through_run = tx.one(TableRow, "tables.get", namespace=RUN_HUB, name=run.run_id) is not None
    others = [] if is_through_run else _data(tx, run, "output" if role == "input" else "input")
    if not is_through_run and others and not _is_few(tx, run, role, len(others)):
        is_through_run, new = True, _data(tx, run, role)
    sources, targets = (new, others) if role == "input" else (others, new)
    if is_through_run:
        _pair_through_run(tx, run, sources, targets, at)
        return
    for source in sources:
        for target in targets:
            _link(tx, run, source, target, at)


def _data(tx: Tx, run: RunRow, role: Role) -> list[Place]:
    return tx.all(Place, "lineage.unstated_data", run_id=run.run_id, role=role)


def _is_few(tx: Tx, run: RunRow, role: Role, others: int) -> bool:
    """True where what is on the side of `role`, times `others`, keeps to the bound of pairs."""
    most = PAIRS_PER_RUN // others
    found = tx.one(_One, "lineage.count_data", run_id=run.run_id, role=role, most=most + 1)
    return found is None or found.n <= most


def _pair_through_run(tx: Tx, run: RunRow, inputs: list[Place], outputs: list[Place], at: int) -> None:
    hub = Place(table_row(tx, RUN_HUB, run.run_id).table_id)
    for source in inputs:
        _link(tx, run, source, hub, at)
    for target in outputs:
        _link(tx, run, hub, target, at)


def _link(tx: Tx, run: RunRow, source: Place, target: Place, at: int) -> None:
    ends: dict[str, Value] = {"run_id": run.run_id, "source": source.table_id, "target": target.table_id}
    new_run = tx.one(_One, "lineage.knows_pair", **ends) is None
    if tx.do("lineage.add_pair", **ends, source_snapshot=source.snapshot_id, target_snapshot=target.snapshot_id, at=at):
        tx.do("lineage.count_edge", **ends, job_id=run.job_id, at=at, new_run=int(new_run))
