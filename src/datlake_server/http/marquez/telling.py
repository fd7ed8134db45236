"""What Marquez's clients wrote before there was OpenLineage, as OpenLineage events: the lake has one way to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Raw, Struct

from datlake_sdk.lineage.events import canonical
from datlake_sdk.wire.operations import RecordLineage
from datlake_sdk.wire.times import moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datlake_server.http.marquez.shapes import Id
    from datlake_server.lake import Lake

Told = dict[str, object]
EventType = Literal["START", "COMPLETE", "FAIL", "ABORT", "OTHER"]

PRODUCER: Final = "urn:datlake:marquez"
_SCHEMA: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/{}"
_FACETS: Final = {
    "dataSource": "1-0-1/DatasourceDatasetFacet",
    "datasetType": "1-0-0/DatasetTypeDatasetFacet",
    "schema": "1-2-0/SchemaDatasetFacet",
    "jobType": "2-0-4/JobTypeJobFacet",
    "sourceCodeLocation": "1-1-0/SourceCodeLocationJobFacet",
    "sql": "1-1-0/SQLJobFacet",
    "nominalTime": "1-0-1/NominalTimeRunFacet",
}
_DOCUMENTATION: Final = "1-1-0/Documentation{}Facet"


class RunTold(Struct, frozen=True):
    """What happened to a run, and when (microseconds since 1970)."""

    run_id: str
    event_type: EventType
    at: int
    facets: Mapping[str, Told | None] = {}


class JobTold(Struct, frozen=True):
    """What is told of a job; a facet that is null is not told."""

    id: Id
    facets: Mapping[str, Told | None] = {}
    inputs: Sequence[Told] = ()
    outputs: Sequence[Told] = ()


def tell_run(lake: Lake, run: RunTold, job: JobTold) -> None:
    """The run is told of, and its job."""
    told = {"eventType": run.event_type, "run": {"runId": run.run_id, "facets": facets(run.facets, "Run")}}
    _tell(lake, "RunEvent", run.at, {**told, **_job(job)})


def tell_job(lake: Lake, job: JobTold, at: int) -> None:
    """The job is told of, without a run."""
    _tell(lake, "JobEvent", at, _job(job))


def tell_dataset(lake: Lake, dataset: Told, at: int) -> None:
    """The dataset is told of, without a run."""
    _tell(lake, "DatasetEvent", at, {"dataset": dataset})


def dataset(name: Id, told: Mapping[str, Told | None] | None = None) -> Told:
    """A dataset of an event, with its facets."""
    return {"namespace": name.namespace, "name": name.name, "facets": facets(told or {}, "Dataset")}


def facets(told: Mapping[str, Told | None], kind: str) -> Told:
    """The facets that say something, each as the specification wants it; those that it does not know are ours."""
    found: Told = {}
    for name, body in told.items():
        if body is None:
            continue
        known = _DOCUMENTATION.format(kind) if name == "documentation" else _FACETS.get(name)
        url = f"urn:datlake:facet:{name}:1-0-0" if known is None else _url(known)
        found[name] = {"_producer": PRODUCER, "_schemaURL": url, **body}
    return found


def _job(job: JobTold) -> Told:
    named = {"namespace": job.id.namespace, "name": job.id.name, "facets": facets(job.facets, "Job")}
    return {"job": named, "inputs": job.inputs, "outputs": job.outputs}


def _url(known: str) -> str:
    return f"https://openlineage.io/spec/facets/{known}.json#/$defs/{known.rpartition('/')[2]}"


def _tell(lake: Lake, kind: str, at: int, told: Told) -> None:
    stamp = {"eventTime": msgspec.to_builtins(moment(at)), "producer": PRODUCER, "schemaURL": _SCHEMA.format(kind)}
    lake.dispatch(RecordLineage(event=Raw(canonical(msgspec.json.encode({**stamp, **told})))))
