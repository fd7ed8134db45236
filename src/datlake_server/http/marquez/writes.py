"""Marquez's legacy writes: datasets, jobs and runs told by hand, and the tags on them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from datlake_sdk.errors import Conflict, NotFound
from datlake_sdk.lineage.naming import uri_of
from datlake_sdk.wire.ids import Name, Uri, Uuid, new_id, quoted
from datlake_sdk.wire.op import Prose
from datlake_sdk.wire.operations import RegisterSnapshot
from datlake_sdk.wire.times import Time
from datlake_server.http.marquez import datasets, facets, jobs, labels, namespaces, runs, sources, telling
from datlake_server.http.marquez.asking import Reply
from datlake_server.http.marquez.shapes import Id
from datlake_server.http.marquez.telling import EventType, JobTold, RunTold, Told

if TYPE_CHECKING:
    from datlake_server.http.marquez.asking import Ask
    from datlake_server.http.marquez.runs import RunRow
    from datlake_server.http.marquez.sources import SourceRow
    from datlake_server.lake import Lake
    from datlake_server.store.base import Tx

UNKNOWN_FORMAT = "unknown"
_MOST = 1000

Tags = Annotated[list[Name], Meta(max_length=_MOST)]


class _Field(Struct, frozen=True):
    name: Name
    type: str | None = None
    tags: Tags | None = None
    description: Prose | None = None


class _Dataset(Struct, frozen=True, rename="camel"):
    type: Literal["DB_TABLE", "STREAM"]
    physical_name: Name
    source_name: Name
    fields: Annotated[list[_Field], Meta(max_length=_MOST)] | None = None
    tags: Tags | None = None
    description: Prose | None = None
    run_id: Uuid | None = None
    schema_location: Uri | None = None


class _Name(Struct, frozen=True):
    namespace: Name
    name: Name

    @property
    def id(self) -> Id:
        return Id(namespace=self.namespace, name=self.name)


_Names = Annotated[list[_Name], Meta(max_length=_MOST)]


class _Job(Struct, frozen=True, rename="camel"):
    type: Literal["BATCH", "STREAM", "SERVICE"]
    inputs: _Names | None = None
    outputs: _Names | None = None
    location: Uri | None = None
    context: dict[str, str] | None = None
    description: Prose | None = None
    run_id: Uuid | None = None


class _Run(Struct, frozen=True, rename="camel"):
    id: Uuid | None = None
    nominal_start_time: Time | None = None
    nominal_end_time: Time | None = None
    args: dict[str, object] | None = None


class _Known(Struct, frozen=True):
    """What a write refers to, found."""

    at: int
    namespace: str
    run: RunRow | None = None
    source: SourceRow | None = None


# --- datasets ---------------------------------------------------------------------------------------------------------


def put_dataset(lake: Lake, ask: Ask) -> Reply:
    """The dataset as told; as an output of `runId` where that is given, else as a version of its own."""
    told = ask.read(_Dataset)

    def look(tx: Tx) -> _Known:
        namespace = namespaces.row(tx, ask.names["namespace"]).name
        run = runs.known(tx, told.run_id) if told.run_id else None
        return _Known(tx.now, namespace, run, sources.row(tx, told.source_name))

    known = lake.look(look)
    name = Id(namespace=known.namespace, name=namespaces.checked_name(ask.names["dataset"]))
    dataset = telling.dataset(name, _dataset_facets(told, known.source))
    if known.run is not None:
        run = RunTold(known.run.run_id, "OTHER", known.at)
        telling.tell_run(lake, run, JobTold(known.run.job, outputs=[dataset]))
    else:
        lake.dispatch(_snapshot(name, told))
        telling.tell_dataset(lake, dataset, known.at)
    lake.change(partial(_stick_told, name=name, told=told))
    return Reply(lake.look(partial(datasets.get, ask=ask)))


def tag_dataset(lake: Lake, ask: Ask) -> Reply:
    """The dataset with the tag, or without it where the method is DELETE."""
    return _tagged(lake, ask, labels.stick)


def untag_dataset(lake: Lake, ask: Ask) -> Reply:
    """The dataset without the tag."""
    return _tagged(lake, ask, labels.peel)


def tag_job(lake: Lake, ask: Ask) -> Reply:
    """The job with the tag."""
    lake.change(lambda tx: labels.stick(tx, "job", jobs.row_of(tx, ask).job_id, ask.names["tag"]))
    return Reply(lake.look(partial(jobs.get, ask=ask)))


def untag_job(lake: Lake, ask: Ask) -> Reply:
    """The job without the tag."""
    lake.change(lambda tx: labels.peel(tx, "job", jobs.row_of(tx, ask).job_id, ask.names["tag"]))
    return Reply(lake.look(partial(jobs.get, ask=ask)))


def _tagged(lake: Lake, ask: Ask, change: labels.Change) -> Reply:
    def work(tx: Tx) -> None:
        row, field = datasets.row_of(tx, ask), ask.names.get("field", "")
        if field:
            [shown] = datasets.datasets_of(tx, [row.table_id])
            if field not in {one.name for one in shown.fields}:
                raise NotFound(f"dataset {row.name!r} has no field {field!r}")
        change(tx, "table", row.table_id, ask.names["tag"], field)

    lake.change(work)
    return Reply(lake.look(partial(datasets.get, ask=ask)))


def _dataset_facets(told: _Dataset, source: SourceRow | None) -> dict[str, Told | None]:
    own = {"physicalName": told.physical_name, "schemaLocation": told.schema_location}
    return {
        "dataSource": None if source is None else {"name": source.name, "uri": source.url or ""},
        "datasetType": {"datasetType": "STREAM" if told.type == "STREAM" else "TABLE"},
        "schema": _schema(told),
        "documentation": {"description": told.description} if told.description else None,
        facets.DATASET: {key: value for key, value in own.items() if value is not None},
    }


def _schema(told: _Dataset) -> Told | None:
    if told.fields is None:
        return None
    described = [{"description": one.description} if one.description else {} for one in told.fields]
    return {
        "fields": [
            {"name": one.name, "type": one.type or "", **more} for one, more in zip(told.fields, described, strict=True)
        ]
    }


def _snapshot(name: Id, told: _Dataset) -> RegisterSnapshot:
    """The version of a dataset that no run has written: the same content is the same version."""
    return RegisterSnapshot(
        namespace=name.namespace,
        table_name=name.name,
        uri=uri_of(name.namespace, name.name) or f"{name.namespace}/{name.name}",
        format=UNKNOWN_FORMAT,
        schema=_schema(told),
        metadata={"physicalName": told.physical_name, "sourceName": told.source_name},
    )


def _stick_told(tx: Tx, name: Id, told: _Dataset) -> None:
    table_id = datasets.known(tx, name.namespace, name.name).table_id
    for tag in told.tags or ():
        labels.stick(tx, "table", table_id, tag)
    for field in told.fields or ():
        for tag in field.tags or ():
            labels.stick(tx, "table", table_id, tag, field.name)


# --- jobs -------------------------------------------------------------------------------------------------------------


def put_job(lake: Lake, ask: Ask) -> Reply:
    """The job as told; of `runId`, where that is given."""
    told = ask.read(_Job)
    name = Id(namespace=ask.names["namespace"], name=namespaces.checked_name(ask.names["job"]))

    def look(tx: Tx) -> _Known:
        namespaces.row(tx, name.namespace)
        for one in (*(told.inputs or ()), *(told.outputs or ())):
            datasets.known(tx, one.namespace, one.name)
        return _Known(tx.now, name.namespace, _run_of(tx, told.run_id, name))

    known = lake.look(look)
    inputs = [telling.dataset(one.id) for one in told.inputs or ()]
    job = JobTold(name, _job_facets(told), inputs, [telling.dataset(one.id) for one in told.outputs or ()])
    if known.run is not None:
        telling.tell_run(lake, RunTold(known.run.run_id, "OTHER", known.at), job)
    else:
        telling.tell_job(lake, job, known.at)
    return Reply(lake.look(partial(jobs.get, ask=ask)))


def _run_of(tx: Tx, run_id: str | None, job: Id) -> RunRow | None:
    if run_id is None:
        return None
    run = runs.known(tx, run_id)
    if run.job != job:
        raise NotFound(f"run {run_id} is not of job {job.name!r}", code="run_not_found", run_id=run_id)
    return run


def _job_facets(told: _Job) -> dict[str, Told | None]:
    kind = "STREAMING" if told.type == "STREAM" else told.type
    query = (told.context or {}).get("sql")
    return {
        "jobType": {"processingType": kind, "integration": "MARQUEZ", "jobType": "JOB"},
        "sourceCodeLocation": {"type": "git", "url": told.location} if told.location else None,
        "documentation": {"description": told.description} if told.description else None,
        "sql": {"query": query} if query else None,
        facets.JOB: {"context": told.context} if told.context else None,
    }


# --- runs -------------------------------------------------------------------------------------------------------------


def create_run(lake: Lake, ask: Ask) -> Reply:
    """The new run of the job, not started yet; it reads what the job is known to read."""
    told = ask.read(_Run)
    run_id = (told.id or new_id()).lower()

    def look(tx: Tx) -> tuple[RunTold, JobTold]:
        job = jobs.row_of(tx, ask)
        if runs.rows_of(tx, [run_id]):
            raise Conflict(f"run {run_id} is there already", run_id=run_id)
        inputs = [one.id for one in jobs.data_of(tx, [job.job_id])[job.job_id] if one.role == "input"]
        told_of_job = JobTold(job.id, inputs=[telling.dataset(one) for one in inputs])
        return RunTold(run_id, "OTHER", tx.now, _run_facets(told)), told_of_job

    telling.tell_run(lake, *lake.look(look))
    [run] = lake.look(partial(runs.runs_of, run_ids=[run_id]))
    location = f"{ask.prefix}/jobs/runs/{quoted(run_id)}"
    return Reply(run, status=201, headers=((b"location", location.encode()),))


def start_run(lake: Lake, ask: Ask) -> Reply:
    """The run, started."""
    return _moved(lake, ask, "START")


def complete_run(lake: Lake, ask: Ask) -> Reply:
    """The run, completed, unless it had ended before."""
    return _moved(lake, ask, "COMPLETE")


def fail_run(lake: Lake, ask: Ask) -> Reply:
    """The run, failed, unless it had ended before."""
    return _moved(lake, ask, "FAIL")


def abort_run(lake: Lake, ask: Ask) -> Reply:
    """The run, aborted, unless it had ended before."""
    return _moved(lake, ask, "ABORT")


def _moved(lake: Lake, ask: Ask, event_type: EventType) -> Reply:
    def look(tx: Tx) -> tuple[RunTold, JobTold]:
        run = runs.known(tx, ask.names["id"])
        return RunTold(run.run_id, event_type, ask.moment("at", tx.now)), JobTold(run.job)

    run, job = lake.look(look)
    telling.tell_run(lake, run, job)
    [shown] = lake.look(partial(runs.runs_of, run_ids=[run.run_id]))
    return Reply(shown)


def _run_facets(told: _Run) -> dict[str, Told | None]:
    times = {"nominalStartTime": told.nominal_start_time, "nominalEndTime": told.nominal_end_time}
    shown: Told = {key: msgspec.to_builtins(value) for key, value in times.items() if value is not None}
    return {
        "nominalTime": shown if told.nominal_start_time else None,  # an end alone is no facet
        facets.RUN: {"args": told.args} if told.args else None,
    }
