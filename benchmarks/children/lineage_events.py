"""OpenLineage events as a busy platform tells them: START and COMPLETE, 2 and 3 KB, of runs of a few dozen jobs.

Every run is another, with an id as the specification recommends them; jobs and tables come again, as they do. Made
before anything is timed, as bytes.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

from datlake_sdk.wire.ids import new_id

JOBS = 48
COLUMNS = 12
BEGAN = datetime.now(UTC) - timedelta(hours=1)

PRODUCER = "https://shop.example/etl"
SPEC = "https://openlineage.io/spec/facets"
STORE = "s3://lake"

Json = dict[str, object]


def events(count: int) -> list[bytes]:
    """So many events, in the order in which they happened."""
    return [event for number in range((count + 1) // 2) for event in _run(number)][:count]


def _run(number: int) -> tuple[bytes, bytes]:
    job, run_id, at = number % JOBS, new_id(), BEGAN + timedelta(milliseconds=40 * number)
    parent = str(uuid.UUID(int=number // JOBS))
    start = _event("START", at, job, _told(run_id, parent))
    start["inputs"] = [_dataset(job), _dataset(job + 1, schema=_schema())]
    complete = _event("COMPLETE", at + timedelta(seconds=30), job, _told(run_id, parent))
    complete["inputs"] = [_dataset(job), _dataset(job + 1)]
    complete["outputs"] = [_output(job)]
    return _bytes(start), _bytes(complete)


def _bytes(event: Json) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


def _told(run_id: str, parent_run_id: str) -> Json:
    parent: Json = {"run": {"runId": parent_run_id}, "job": _job(JOBS)}
    return {"runId": run_id, "facets": {"parent": _facet("1-2-0/ParentRunFacet", {**parent, "root": parent})}}


def _event(kind: str, at: datetime, job: int, run: Json) -> Json:
    sql = (
        f"insert into curated.orders_{job} select o.*, c.name from orders_{job} o join customers c using (customer_id)"  # noqa: S608
    )
    facets = {
        "sql": _facet("1-1-0/SQLJobFacet", {"query": sql, "dialect": "spark"}),
        "jobType": _facet(
            "2-0-4/JobTypeJobFacet", {"processingType": "BATCH", "integration": "SPARK", "jobType": "JOB"}
        ),
    }
    return {
        "eventType": kind,
        "eventTime": at.isoformat(),
        "producer": PRODUCER,
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": run,
        "job": {**_job(job), "facets": facets},
    }


def _job(job: int) -> Json:
    return {"namespace": "shop-pipelines", "name": f"curate_orders_{job}"}


def _dataset(table: int, **facets: Json) -> Json:
    return {"namespace": STORE, "name": f"raw/orders_{table}", "facets": facets}


def _output(job: int) -> Json:
    fields = {
        column: {"inputFields": [{"namespace": STORE, "name": f"raw/orders_{job}", "field": column}]}
        for column in _columns()
    }
    return {
        "namespace": STORE,
        "name": f"curated/orders_{job}",
        "facets": {"schema": _schema(), "columnLineage": _facet("1-2-0/ColumnLineageDatasetFacet", {"fields": fields})},
        "outputFacets": {
            "outputStatistics": _facet("1-0-2/OutputStatisticsOutputDatasetFacet", {"rowCount": 4180, "size": 91245})
        },
    }


def _schema() -> Json:
    fields = [{"name": column, "type": "decimal(18,2)"} for column in _columns()]
    return _facet("1-2-0/SchemaDatasetFacet", {"fields": fields})


def _columns() -> list[str]:
    return [f"col_{number}" for number in range(COLUMNS)]


def _facet(schema: str, body: Json) -> Json:
    return {"_producer": PRODUCER, "_schemaURL": f"{SPEC}/{schema}.json", **body}
