"""Datlake's own events: what another lake tells of its records, taken as its SDKs told it there.

Nothing else of such an event is read: its own facets say all that the others say, and more. It is not kept as an event
either, so that a lake that takes all of another's is as the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar, cast

from msgspec import Struct
from msgspec.structs import asdict, replace

from datlake_sdk.lineage import own_facets as own
from datlake_sdk.lineage.naming import dataset_name
from datlake_sdk.wire.models import DataRef
from datlake_sdk.wire.operations import LogEvent, RegisterSnapshot
from datlake_sdk.wire.times import micros
from datlake_server.services import aliases, events, lineage, presence
from datlake_server.services.claims import BY_EVENTS
from datlake_server.services.openlineage.effects import LOCATION, Tagged
from datlake_server.services.openlineage.runs import follow_ending
from datlake_server.services.places import table_row
from datlake_server.services.records import RunRow, json_text
from datlake_server.services.registering import NewSnapshot, take
from datlake_server.services.stubs import Told, ensured_job, ensured_run, put_facets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from datlake_sdk.lineage.events import Dataset, Facet, ParsedEvent
    from datlake_server.store.base import Tx

F = TypeVar("F", bound=own.OwnFacet)
_OF_RUNS: Final = frozenset({own.RUN, own.DATA, own.EVENTS})
_OF_DATA: Final = frozenset({own.SNAPSHOT, own.TABLE})


class _Made(Struct, frozen=True):
    digest: str


def is_own(event: ParsedEvent) -> bool:
    """True for an event that a Datlake told of its own records."""
    if event.run_id is not None:
        return not _OF_RUNS.isdisjoint(event.run_facets)
    if event.dataset is not None:
        return not _OF_DATA.isdisjoint(event.dataset.facets)
    return own.JOB in event.job_facets


def merge(tx: Tx, event: ParsedEvent) -> bool:
    """The lake knows what the event tells; false where it made the event itself, which is no news and no sign of life.

    Raises the errors of the services; `InvalidRequest` for an odd facet.
    """
    if tx.one(_Made, "openlineage.made_here", digest=event.digest) is not None:
        return False
    if event.run_id is not None:
        _merge_run(tx, event, event.run_id)
    elif event.dataset is not None:
        _merge_dataset(tx, event.dataset, event.at)
    else:
        _merge_job(tx, event)
    return True


def _merge_run(tx: Tx, event: ParsedEvent, run_id: str) -> None:
    namespace, job_name = cast("tuple[str, str]", event.job)
    life = _read(event.run_facets, own.RUN, own.RunFacet)
    data = _read(event.run_facets, own.DATA, own.DataFacet)
    logged = _read(event.run_facets, own.EVENTS, own.EventsFacet)
    registered = [
        (one, facet) for one in event.outputs if (facet := _read(one.facets, own.SNAPSHOT, own.SnapshotFacet))
    ]
    started = min(micros(life.started_at) if life else event.at, tx.now)
    run = ensured_run(tx, namespace, job_name, run_id, started, told=_told(life))
    if life is not None:
        _merge_life(tx, run, life)
    for item in data.items if data else ():
        lineage.record(tx, run, item.role, [_reference(item)], min(micros(item.at), tx.now))
    for dataset, facet in registered:
        _register(tx, dataset, facet, run)
    for one in logged.items if logged else ():
        told = LogEvent(namespace=namespace, job_name=job_name, run_id=run_id, **asdict(one))
        events.keep(tx, namespace, told, one.event_id.lower())


def _told(life: own.RunFacet | None) -> Told:
    if life is None:
        return Told()
    return Told(
        lost_after_us=None if life.lost_after_s is None else round(life.lost_after_s * 1_000_000),
        parent_run_id=life.parent_run_id.lower() if life.parent_run_id else None,
        process=presence.joined_all(life.processes),
    )


def _merge_life(tx: Tx, run: RunRow, life: own.RunFacet) -> None:
    told = _told(life)
    is_same = (run.lost_after_us, run.parent_run_id, run.process) == (
        told.lost_after_us,
        told.parent_run_id,
        told.process,
    )
    if not is_same or run.origin & BY_EVENTS:  # what is the same may be so by events alone
        joined = presence.joined(run.process, told.process)
        tx.do("runs.merge_start", run_id=run.run_id, **asdict(replace(told, process=joined)))
    for section, kept in (("metadata", life.metadata), ("environment", life.environment)):
        for one in kept:
            _put(tx, run, section, one)
    for artifact in life.artifacts:
        tx.do("runs.add_artifact", run_id=run.run_id, **asdict(artifact))
    for ending in life.endings:
        tx.do(
            "runs.add_ending",
            run_id=run.run_id,
            ended_at=min(micros(ending.ended_at), tx.now),
            state=ending.state,
            op_key=ending.key,
            now=tx.now,
            error=None if ending.error is None else json_text(ending.error),
        )
    if life.endings:
        tx.do("runs.show_ending", run_id=run.run_id)
        if run.origin & BY_EVENTS:
            follow_ending(tx, run.run_id)
    _tag(tx, Tagged("run", run_id=run.run_id), life.tags)


def _put(tx: Tx, run: RunRow, section: str, kept: own.Kept) -> None:
    put_facets(tx, run.run_id, section, kept.values, _at_most_now(tx, kept.at))


def _register(tx: Tx, dataset: Dataset, told: own.SnapshotFacet, run: RunRow | None) -> None:
    op = RegisterSnapshot(
        namespace=dataset.namespace,
        table_name=dataset.name,
        uri=told.uri,
        format=told.format,
        schema=told.schema,
        job_name=told.job_name,
        run_id=None if run is None else run.run_id,
        snapshot_id=told.snapshot_id,
        row_count=told.row_count,
        size_bytes=told.size_bytes,
        inputs=None if told.inputs is None else [DataRef(**asdict(source)) for source in told.inputs],
        column_lineage=told.column_lineage,
        metadata=told.metadata,
    )
    new = NewSnapshot(
        told.snapshot_id.lower(),
        _at_most_now(tx, told.created_at),
        told.fingerprint or "",
        implied=int(told.implied),
    )
    take(tx, op, run, new)


def _merge_dataset(tx: Tx, dataset: Dataset, at: int) -> None:
    snapshot = _read(dataset.facets, own.SNAPSHOT, own.SnapshotFacet)
    if snapshot is not None:
        _register(tx, dataset, snapshot, None)
    said = _read(dataset.facets, own.TABLE, own.TableFacet)
    if said is not None:
        table = table_row(tx, dataset.namespace, dataset.name)
        facts = {name: value for name, value in asdict(said).items() if name != "tags"}
        tx.do("openlineage.say_of_table", table_id=table.table_id, **facts)
        if said.location is not None and table.location in {None, said.location}:
            aliases.add(tx, table.table_id, *dataset_name(said.location), LOCATION, at)
        _tag(tx, Tagged("table", subject=table.table_id), said.tags)


def _merge_job(tx: Tx, event: ParsedEvent) -> None:
    job = ensured_job(tx, *cast("tuple[str, str]", event.job))
    said = _read(event.job_facets, own.JOB, own.JobFacet)
    if said is not None:
        tx.do("openlineage.say_of_job", job_id=job.job_id, owner=said.owner, description=said.description)
        _tag(tx, Tagged("job", subject=job.job_id), said.tags)


def _tag(tx: Tx, on: Tagged, tags: Iterable[own.OwnTag]) -> None:
    for tag in tags:
        row = asdict(tag)
        row["deleted"], row["at"] = int(row.pop("is_deleted")), _at_most_now(tx, tag.at)
        tx.do("openlineage.put_tag", **asdict(on), **row)


def _reference(told: own.Source) -> DataRef:
    return DataRef(**{name: value for name, value in asdict(told).items() if name not in {"role", "at"}})


def _read(facets: Mapping[str, Facet], name: str, kind: type[F]) -> F | None:
    facet = facets.get(name)
    return None if facet is None or facet.is_deleted else own.read(facet.value, kind)


def _at_most_now(tx: Tx, at: datetime) -> int:
    return min(micros(at), tx.now)
