"""How a table gets its next version: by a registration, or implied by what an older client lists at its run's end.

`version` is the order of acceptance. The same snapshot told again is the same, created when it was first; what was
implied gives way to what the run registers with the same URI, whichever of the two came first.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import asdict, replace

from datlake_sdk.errors import Conflict, InvalidRequest
from datlake_sdk.wire.ids import derived_id, new_id
from datlake_server.services import columns, lineage
from datlake_server.services.pages import END_OF_TIME
from datlake_server.services.places import drop_unused, snapshot_row, table_row
from datlake_server.services.records import RunRow, SnapshotRow, TableRow, json_text
from datlake_server.services.schemas import fields_of
from datlake_server.services.stubs import at_most_now, ensured_run

if TYPE_CHECKING:
    from datlake_sdk.wire.operations import RegisterSnapshot
    from datlake_server.store.base import Tx


class _Id(msgspec.Struct, frozen=True):
    snapshot_id: str


def register(tx: Tx, op: RegisterSnapshot, snapshot_id: str | None) -> SnapshotRow:
    """The snapshot of `op` under `snapshot_id`; without one the same (table, URI, run, content) is the same snapshot.

    Raises `InvalidRequest` and, where the table is at another version than expected, `Conflict`.
    """
    at, run = at_most_now(tx, op.created_at), _run(tx, op)
    fingerprint = _fingerprint(op)
    known = _known(tx, op, snapshot_id, fingerprint)
    if known is None:
        return _accepted(tx, op, run, NewSnapshot((snapshot_id or new_id()).lower(), at, fingerprint))
    if at >= known.created_at or op.expected_version is not None:
        return known  # one that was made knowing the latest was put after it, and stays there
    return _told_earlier(tx, op, run, known, at)


def take(tx: Tx, op: RegisterSnapshot, run: RunRow | None, new: NewSnapshot) -> None:
    """The snapshot is known as another lake has it: of one that is known, what it is stays, and the earlier moment."""
    known = tx.one(SnapshotRow, "snapshots.get", snapshot_id=new.snapshot_id)
    if known is None:
        _accepted(tx, op, run, new)
    elif new.at < known.created_at:
        _told_earlier(tx, op, run, known, new.at, new.fingerprint)


def imply(tx: Tx, run: RunRow, op: RegisterSnapshot, at: int) -> None:
    """The run's end lists `op` as written: it is a snapshot, unless the run registered that URI itself."""
    if tx.one(_Id, "snapshots.registered", run_id=run.run_id, uri=op.uri):
        return
    snapshot_id = derived_id("implied", op.namespace, run.run_id, op.table_name, op.uri)
    known = tx.one(SnapshotRow, "snapshots.get", snapshot_id=snapshot_id)
    if known is None:
        _accepted(tx, op, run, NewSnapshot(snapshot_id, at, _fingerprint(op), implied=1))
    elif (at, op.format, json_text(op.schema)) < (known.created_at, known.format, known.schema):
        # Of two ends that imply the same snapshot the earlier says what it is, then the lesser content.
        _told_earlier(tx, op, run, known, at)


# Announced by a run that then failed: its version stays, but nobody is given it as the newest.
UNWRITTEN: Final = 3


class NewSnapshot(msgspec.Struct, frozen=True):
    """What a snapshot is given that no operation says.

    implied: 1 by an older client's run end, 2 by OpenLineage events, 3 by those of a run that failed (`UNWRITTEN`).
    """

    snapshot_id: str
    at: int
    fingerprint: str
    implied: int = 0


def _run(tx: Tx, op: RegisterSnapshot) -> RunRow | None:
    """The run that the snapshot is an output of, made if need be; null where it names none."""
    if op.run_id is None:
        return None
    job_name = op.job_name
    if job_name is None:
        known = tx.one(RunRow, "runs.get", run_id=op.run_id.lower())
        if known is None:
            message = f"run {op.run_id} is not known; name its job as `job_name`"
            raise InvalidRequest(message, code="job_missing", run_id=op.run_id)
        job_name = known.job_name
    return ensured_run(tx, op.namespace, job_name, op.run_id, tx.now)  # data may be older than the run that tells of it


def _known(tx: Tx, op: RegisterSnapshot, snapshot_id: str | None, fingerprint: str) -> SnapshotRow | None:
    if snapshot_id is None:
        same = tx.one(_Id, "snapshots.same", uri=op.uri, fingerprint=fingerprint)
        return snapshot_row(tx, same.snapshot_id) if same else None
    row = tx.one(SnapshotRow, "snapshots.get", snapshot_id=snapshot_id.lower())
    if row is not None and row.fingerprint != fingerprint:
        message = f"snapshot {snapshot_id} is already registered with other content; use a new snapshot_id"
        raise InvalidRequest(message, code="snapshot_id_reused")
    return row


def _accepted(tx: Tx, op: RegisterSnapshot, run: RunRow | None, new: NewSnapshot) -> SnapshotRow:
    """The next version of its table, the output of its run, and what was read by whoever read the newest since."""
    # Only the end of a run implies any, so that nobody looks for them before.
    displaced = _displaced(tx, run, op) if run is not None and run.state != "running" and not new.implied else []
    table = table_row(tx, op.namespace, op.table_name)
    version = next((one.version for one in displaced if one.table_id == table.table_id), table.snapshot_count + 1)
    row = insert(tx, op, table, new, version)
    if run is not None:
        lineage.record_snapshot(tx, run, row, op.inputs)
    _record_columns(tx, op, run, row)
    lineage.point_anew(tx, row, row.created_at, row.created_at)
    for one in displaced:
        lineage.point_anew(tx, one, min(one.created_at, row.created_at), END_OF_TIME)
        drop_unused(tx, one.table_id)
    return row


def _expect(op: RegisterSnapshot, latest: SnapshotRow | None) -> None:
    current = 0 if latest is None else latest.version
    if op.expected_version is not None and op.expected_version != current:
        message = (
            f"table {op.table_name!r} is at version {current}, not at {op.expected_version} as expected; "
            "read the latest again and register on top of it"
        )
        raise Conflict(message, code="version_conflict", current_version=current, run_id=op.run_id)


def insert(tx: Tx, op: RegisterSnapshot, table: TableRow, new: NewSnapshot, version: int) -> SnapshotRow:
    """The snapshot, stored as that version of its table. Raises `Conflict` where another version was expected."""
    latest = None if table.latest_id is None else snapshot_row(tx, table.latest_id)
    _expect(op, latest)
    at = new.at
    if latest is not None and op.expected_version is not None:
        at = max(at, latest.created_at + 1)  # it was made knowing the latest, whatever its host's clock says
    late = latest is not None and (at, new.snapshot_id) < (latest.created_at, latest.snapshot_id)
    row = SnapshotRow(
        snapshot_id=new.snapshot_id,
        table_id=table.table_id,
        table_name=table.name,
        namespace=table.namespace,
        version=version,
        uri=op.uri,
        format=op.format,
        schema=json_text(op.schema),
        fields=json_text(fields_of(op.schema)),
        created_at=at,
        run_id=op.run_id.lower() if op.run_id else None,
        job_name=op.job_name,
        row_count=op.row_count,
        size_bytes=op.size_bytes,
        metadata=json_text(op.metadata),
        column_lineage=json_text(op.column_lineage),
        fingerprint=new.fingerprint,
        late=int(late),
    )
    tx.do("snapshots.insert", now=tx.now, implied=new.implied, **asdict(row))
    newest = table.latest_id if late or new.implied == UNWRITTEN else new.snapshot_id
    tx.do("tables.moved", table_id=table.table_id, latest_id=newest, version=version)
    return row


def _displaced(tx: Tx, run: RunRow, op: RegisterSnapshot) -> list[SnapshotRow]:
    """The snapshots that the run's end implied with this URI, gone by now: `op` is what they meant."""
    implied = tx.all(SnapshotRow, "snapshots.implied", run_id=run.run_id, uri=op.uri)
    for one in implied:
        tx.do("snapshots.drop", snapshot_id=one.snapshot_id)
        lineage.take_back(tx, run, one)
        tx.do("tables.find_latest", table_id=one.table_id)
        tx.do("tables.take_back", table_id=one.table_id, version=one.version)
    return implied


def _told_earlier(  # noqa: PLR0917 -- what is known, and what is told of it
    tx: Tx, op: RegisterSnapshot, run: RunRow | None, known: SnapshotRow, at: int, fingerprint: str | None = None
) -> SnapshotRow:
    """The known snapshot as `op` says it is, created at the earlier moment `at`."""
    row = replace(
        known,
        created_at=at,
        format=op.format,
        schema=json_text(op.schema),
        fields=json_text(fields_of(op.schema)),
        fingerprint=fingerprint or _fingerprint(op),
    )
    tx.do("snapshots.restate", **asdict(row))
    tx.do("tables.find_latest", table_id=row.table_id)
    if run is not None:
        lineage.unstate(tx, run, row)
        lineage.record_snapshot(tx, run, row, op.inputs)
    _record_columns(tx, op, run, row)
    lineage.point_anew(tx, row, at, known.created_at)
    return row


def _record_columns(tx: Tx, op: RegisterSnapshot, run: RunRow | None, row: SnapshotRow) -> None:
    """The columns of the snapshot are fed as it was told; tables without a namespace are of the snapshot's."""
    if op.column_lineage is None:
        return

    def table_of(namespace: str | None, name: str | None) -> int | None:
        return table_row(tx, namespace or op.namespace, name).table_id if name else None

    told = columns.read(op.column_lineage, row.table_id, table_of)
    if run is None:
        columns.declare(tx, columns.NO_JOB, told, row.created_at)
    else:
        columns.record(tx, run, row.table_id, told, columns.Telling(row.created_at, adds=True))


def _fingerprint(op: RegisterSnapshot) -> str:
    content = (op.namespace, op.table_name, op.uri, op.format, op.schema, op.row_count, op.size_bytes, op.inputs)
    return sha256(
        msgspec.json.encode((*content, op.column_lineage, op.metadata, op.run_id), order="sorted")
    ).hexdigest()
