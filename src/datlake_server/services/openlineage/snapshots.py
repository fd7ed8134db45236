"""Snapshots that events imply: what a run made of a dataset, and what a dataset's store itself calls a version."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

from msgspec import Struct, json

from datlake_sdk.lineage.ids import version_id
from datlake_sdk.lineage.naming import uri_of
from datlake_server.services import lineage
from datlake_server.services.openlineage.facets import Owner
from datlake_server.services.pages import END_OF_TIME
from datlake_server.services.records import RunRow, SnapshotRow, json_text
from datlake_server.services.registering import UNWRITTEN
from datlake_server.services.remembered import remembered
from datlake_server.services.schemas import fields_of

if TYPE_CHECKING:
    from datlake_sdk.lineage.events import Dataset
    from datlake_sdk.wire.models import Schema
    from datlake_server.services.openlineage.batch import Batch
    from datlake_server.store.base import Tx, Value

BY_EVENTS: Final = 2
UNKNOWN_FORMAT: Final = "unknown"
# Facets of an output that say what its snapshot is.
DESCRIBING: Final = frozenset({"schema", "columnLineage", "storage", "outputStatistics"})


_SCHEMAS_KEPT: Final = 1_000
_NO_CONTENT: Final[dict[str, str | int | None]] = {
    "schema": "null",
    "fields": "[]",
    "format": UNKNOWN_FORMAT,
    "row_count": None,
    "size_bytes": None,
    "column_lineage": "null",
}


class _Number(Struct, frozen=True):
    n: int | None


class _Writer(Struct, frozen=True):
    run_id: str
    last_at: int
    job_id: int
    job_name: str


class Told(Struct, frozen=True):
    """A dataset that an event tells of, and the table that it is."""

    batch: Batch
    dataset: Dataset
    table_id: int


def write(told: Told, run: RunRow, snapshot_id: str, at: int, *, is_new: bool) -> None:
    """The run has made this snapshot of the dataset, as its next version; `is_new` where the run is."""
    tx = told.batch.tx
    if is_new or tx.one(SnapshotRow, "snapshots.get", snapshot_id=snapshot_id) is None:
        _insert(told, snapshot_id, at, run)


def advance(told: Told, run: RunRow, snapshot_id: str, before: int, at: int) -> None:
    """What the run made of the dataset is as of the later moment `at`."""
    tx = told.batch.tx
    changed: dict[str, Value] = {"run_id": run.run_id, "job_name": run.job_name, "created_at": at}
    tx.do("openlineage.move_snapshot", snapshot_id=snapshot_id, **changed)
    tx.do("tables.find_latest", table_id=told.table_id)
    lineage.point_anew(tx, _arrived(told, run), before, at)


def move(tx: Tx, snapshot_id: str, run_id: str | None, job_name: str | None, at: int) -> bool:
    """The snapshot is of that run and moment; true where it was another run's, or nobody's."""
    known = tx.one(SnapshotRow, "snapshots.get", snapshot_id=snapshot_id)
    if known is None or (known.run_id, known.created_at) == (run_id, at):
        return False
    tx.do("openlineage.move_snapshot", snapshot_id=snapshot_id, run_id=run_id, job_name=job_name, created_at=at)
    tx.do("tables.find_latest", table_id=known.table_id)
    lineage.point_anew(tx, known, min(known.created_at, at), max(known.created_at, at))
    return known.run_id != run_id


def displace(tx: Tx, run: RunRow, snapshot_id: str) -> SnapshotRow | None:
    """The snapshot that was implied before its version was told, gone by now; null where there was none."""
    known = tx.one(SnapshotRow, "snapshots.get", snapshot_id=snapshot_id)
    if known is None:
        return None
    tx.do("snapshots.drop", snapshot_id=snapshot_id)
    lineage.take_back(tx, run, known)
    tx.do("tables.find_latest", table_id=known.table_id)
    tx.do("tables.take_back", table_id=known.table_id, version=known.version)
    return known


def write_version(told: Told, run: RunRow, version: str, displaced: SnapshotRow | None) -> None:
    """The run has made what the store calls `version`, in the place of what was implied before that was known."""
    tx = told.batch.tx
    snapshot_id = version_id(told.dataset.namespace, told.dataset.name, version)
    if tx.one(SnapshotRow, "snapshots.get", snapshot_id=snapshot_id) is None:
        number = None if displaced is None else displaced.version
        at = _last_written(tx, told.table_id, version)
        _insert(told, snapshot_id, at, run, version=version, number=number)
    settle_version(told, snapshot_id, version)
    if displaced is not None:
        lineage.point_anew(tx, displaced, displaced.created_at, END_OF_TIME)


def known_version(told: Told, version: str) -> str:
    """The id of what the store calls `version`, known from now on, if by its readers alone."""
    tx = told.batch.tx
    snapshot_id = version_id(told.dataset.namespace, told.dataset.name, version)
    if tx.one(SnapshotRow, "snapshots.get", snapshot_id=snapshot_id) is None:
        _insert(told, snapshot_id, _first_read(tx, told.table_id, version), None, version=version)
    settle_version(told, snapshot_id, version)
    return snapshot_id


def settle_version(told: Told, snapshot_id: str, version: str) -> None:
    """It is of the run that wrote it first, as of when that run told it last; else it was there before it was read."""
    tx, table_id = told.batch.tx, told.table_id
    writer = tx.one(_Writer, "openlineage.writer_of", table_id=table_id, version=version)
    if writer is None:
        move(tx, snapshot_id, None, None, _first_read(tx, table_id, version))
    elif move(tx, snapshot_id, writer.run_id, writer.job_name, writer.last_at):
        describe(told.batch, writer.run_id, table_id, snapshot_id)


def settle_outcome(tx: Tx, run: RunRow) -> None:
    """What the run announced to write is there, unless the run failed."""
    implied = UNWRITTEN if _failed(run) else BY_EVENTS
    for one in tx.all(SnapshotRow, "openlineage.announced", run_id=run.run_id, implied=implied):
        tx.do("openlineage.set_implied", snapshot_id=one.snapshot_id, implied=implied)
        tx.do("tables.find_latest", table_id=one.table_id)
        lineage.point_anew(tx, one, one.created_at, END_OF_TIME if _failed(run) else one.created_at)


def _failed(run: RunRow) -> bool:
    return run.state in {"failed", "aborted"}


def describe(batch: Batch, run_id: str, table_id: int, snapshot_id: str) -> None:
    """The snapshot is what the facets of the output say, if it is of this run."""
    content = _content(batch, Owner("output", run_id, table_id))
    batch.tx.do("openlineage.describe_snapshot", snapshot_id=snapshot_id, run_id=run_id, **content)


def _insert(
    told: Told, snapshot_id: str, at: int, run: RunRow | None, *, version: str | None = None, number: int | None = None
) -> None:
    tx = told.batch.tx
    # What a store calls a version is there, however the run ended.
    implied = UNWRITTEN if run is not None and version is None and _failed(run) else BY_EVENTS
    tx.do(
        "openlineage.add_snapshot",
        snapshot_id=snapshot_id,
        table_id=told.table_id,
        number=number,
        uri=_uri(told.dataset),
        created_at=at,
        now=tx.now,
        run_id=None if run is None else run.run_id,
        job_name=None if run is None else run.job_name,
        store_version=version,
        implied=implied,
        **(_NO_CONTENT if run is None else _content(told.batch, Owner("output", run.run_id, told.table_id))),
    )
    tx.do("openlineage.count_snapshot", table_id=told.table_id, snapshot_id=snapshot_id, implied=implied)
    lineage.point_anew(tx, _arrived(told, run), at, at)


def _arrived(told: Told, run: RunRow | None) -> lineage.Arrived:
    run_id = None if run is None else run.run_id
    return lineage.Arrived(told.table_id, told.dataset.namespace, _uri(told.dataset), run_id)


@lru_cache(maxsize=_SCHEMAS_KEPT)
def _uri_of(namespace: str, name: str) -> str:
    return uri_of(namespace, name) or f"{namespace}/{name}"


def _uri(dataset: Dataset) -> str:
    return _uri_of(dataset.namespace, dataset.name)


def _content(batch: Batch, owner: Owner) -> dict[str, str | int | None]:
    facets = batch.facets
    facets.watch(owner)
    schema, fed = facets.facet(owner, "schema"), facets.facet(owner, "columnLineage")
    statistics = facets.said(owner, "outputStatistics") or {}
    storage = facets.said(owner, "storage") or {}
    form = storage.get("fileFormat") or storage.get("storageLayer")
    told, fields = ("null", "[]") if schema is None else _schema_of(schema.value)
    return {
        "schema": told,
        "fields": fields,
        "format": form[:256] if isinstance(form, str) and form else UNKNOWN_FORMAT,
        "row_count": _count(statistics.get("rowCount")),
        "size_bytes": _count(statistics.get("size")),
        "column_lineage": "null" if fed is None else _column_lineage_of(fed.value),
    }


@remembered(_SCHEMAS_KEPT)
def _schema_of(facet: str) -> tuple[str, str]:
    """The schema that the facet tells and its fields, as they are stored. The same one comes with every run."""
    schema = cast("Schema", _without_marks(json.decode(facet, type=dict[str, object])))
    return json_text(schema), json_text(fields_of(schema))


@remembered(_SCHEMAS_KEPT)
def _column_lineage_of(facet: str) -> str:
    return json_text(_without_marks(json.decode(facet, type=dict[str, object])))


def _without_marks(facet: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in facet.items() if not name.startswith("_")}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def _last_written(tx: Tx, table_id: int, version: str) -> int:
    writer = tx.one(_Writer, "openlineage.writer_of", table_id=table_id, version=version)
    assert writer is not None  # it was told in this very transaction  # noqa: S101
    return writer.last_at


def _first_read(tx: Tx, table_id: int, version: str) -> int:
    found = tx.one(_Number, "openlineage.first_reading", table_id=table_id, version=version)
    return (found.n if found and found.n is not None else tx.now) - 1
