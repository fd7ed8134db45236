"""A small shop's pipeline as its producers tell it: orders are cleaned, then counted; one run fails, one only waits."""

from __future__ import annotations

from tests.marquez.asking import Answer, Marquez, data, facet, run_event

LAKE = "s3://lake"
RAW = ("postgres://db.example.org:5432", "shop.public.orders")
CLEAN = (LAKE, "clean/orders")
COUNTS = (LAKE, "counts: by day")
CLEANER = ("shop", "clean: orders")
COUNTER = ("shop", "count")

CLEANED = "0193a5c0-0000-7000-8000-00000000c001"
COUNTED = "0193a5c0-0000-7000-8000-00000000c002"
FAILED = "0193a5c0-0000-7000-8000-00000000c003"
WAITING = "0193a5c0-0000-7000-8000-00000000c004"

FIELDS = [{"name": "id", "type": "BIGINT", "description": "The key."}, {"name": "amount", "type": "DECIMAL"}]


def tell(marquez: Marquez) -> None:
    """All of it."""
    for event in (*cleaning(), *counting(), *failing(), waiting()):
        marquez.tell(event)


def cleaning() -> list[Answer]:
    """A run that completes, with all that producers tell."""
    source = data(
        RAW,
        schema={"fields": FIELDS},
        dataSource={"name": "shop-db", "uri": "postgres://db.example.org:5432/shop"},
        documentation={"description": "Orders as they come."},
        tags={"tags": [{"key": "PII", "value": "true", "source": "CONFIG"}]},
    )
    source["inputFacets"] = {"dataQualityMetrics": facet(rowCount=10, columnMetrics={})}
    fields = {
        name: {"inputFields": [_input(RAW, name, "DIRECT", "IDENTITY"), _input(RAW, "amount", "INDIRECT", "FILTER")]}
        for name in ("id", "amount")
    }
    result = data(
        CLEAN,
        schema={"fields": FIELDS},
        columnLineage={"fields": fields},
        datasetType={"datasetType": "STREAM"},
        lifecycleStateChange={"lifecycleStateChange": "CREATE"},
    )
    result["outputFacets"] = {"outputStatistics": facet(rowCount=9, size=81)}
    times = {"nominalTime": facet(nominalStartTime="2026-01-01T00:00:00Z", nominalEndTime="2026-01-02T00:00:00Z")}
    about = {
        "sql": facet(query="SELECT id, amount FROM orders"),
        "documentation": facet(description="Drops what is broken."),
        "sourceCodeLocation": facet(type="git", url="https://example.org/shop/clean.sql"),
        "jobType": facet(processingType="BATCH", integration="SQL", jobType="QUERY"),
        "tags": facet(tags=[{"key": "team", "value": "sales"}]),
    }
    return [
        run_event("START", CLEANED, CLEANER, "2026-01-01T08:00:00Z", [source], run_facets=times, job_facets=about),
        run_event("COMPLETE", CLEANED, CLEANER, "2026-01-01T08:00:05Z", [source], [result]),
    ]


def counting() -> list[Answer]:
    """A run that reads what the other wrote."""
    fields = {"sum": {"inputFields": [_input(CLEAN, "amount", "DIRECT", "AGGREGATION")]}}
    result = data(COUNTS, columnLineage={"fields": fields}, schema={"fields": [{"name": "sum", "type": "DECIMAL"}]})
    parent = {"parent": facet(run={"runId": CLEANED}, job={"namespace": CLEANER[0], "name": CLEANER[1]})}
    return [
        run_event("START", COUNTED, COUNTER, "2026-01-01T09:00:00Z", [data(CLEAN)], run_facets=parent),
        run_event("COMPLETE", COUNTED, COUNTER, "2026-01-01T09:00:01Z", [data(CLEAN)], [result]),
    ]


def failing() -> list[Answer]:
    """A run that fails."""
    error = {"errorMessage": facet(message="no such column", programmingLanguage="SQL")}
    return [
        run_event("START", FAILED, COUNTER, "2026-01-02T09:00:00Z", [data(CLEAN)]),
        run_event("FAIL", FAILED, COUNTER, "2026-01-02T09:00:01Z", [data(CLEAN)], run_facets=error),
    ]


def waiting() -> Answer:
    """A run that somebody announced."""
    return run_event("OTHER", WAITING, COUNTER, "2026-01-03T09:00:00Z")


def _input(name: tuple[str, str], field: str, kind: str, subtype: str) -> Answer:
    transformations = [{"type": kind, "subtype": subtype, "description": f"{subtype.lower()} of {field}"}]
    return {"namespace": name[0], "name": name[1], "field": field, "transformations": transformations}
