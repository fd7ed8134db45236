"""openlineage-python telling a server: `openlineage_emits.py URL EVENTS`, run by the interpreter of its environment.

By its own synchronous HTTP transport, one event after the other, as its users' jobs do; run by its path and without
this package. Prints events a second as a JSON list.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

COLUMNS = [f"column_{number}" for number in range(12)]
STORE = "s3://shop-lake"
WARM_UP = 10


def main() -> None:
    """Emits, and prints."""
    url, count = sys.argv[1], int(sys.argv[2])
    library, http = import_module("openlineage.client"), import_module("openlineage.client.transport.http")
    client = library.OpenLineageClient(transport=http.HttpTransport(http.HttpConfig(url=url)))
    began = 0.0
    for number in range(WARM_UP + count):
        if number == WARM_UP:
            began = time.perf_counter()
        client.emit(_event(number))
    print(json.dumps([count / (time.perf_counter() - began)]))


def _event(number: int) -> Any:  # noqa: ANN401 -- classes of a library that is not here
    kinds, new_id = import_module("openlineage.client.event_v2"), import_module("openlineage.client.uuid")
    facets = import_module("openlineage.client.facet_v2")
    run = kinds.Run(runId=str(new_id.generate_new_uuid()))
    sql = facets.sql_job.SQLJobFacet(
        query="insert into curated select orders.*, customers.name from orders join customers"
    )
    return kinds.RunEvent(
        eventType=kinds.RunState.COMPLETE,
        eventTime=datetime.now(UTC).isoformat(),
        run=run,
        job=kinds.Job(namespace="shop-emits", name=f"curate_{number % 48}", facets={"sql": sql}),
        inputs=[kinds.InputDataset(namespace=STORE, name=f"raw/orders_{(number + part) % 48}") for part in (0, 1)],
        outputs=[_output(kinds, facets, number)],
        producer="https://shop.example/pipelines/2.4.1",
    )


def _output(kinds: Any, facets: Any, number: int) -> Any:  # noqa: ANN401 -- as above
    schema, lineage = facets.schema_dataset, facets.column_lineage_dataset
    fields = [schema.SchemaDatasetFacetFields(name=column, type="decimal(18,2)") for column in COLUMNS]
    fed = {
        column: lineage.Fields(inputFields=[lineage.InputField(STORE, f"raw/orders_{number % 48}", column)])
        for column in COLUMNS
    }
    return kinds.OutputDataset(
        namespace=STORE,
        name=f"curated/orders_{number % 48}",
        facets={
            "schema": schema.SchemaDatasetFacet(fields=fields),
            "columnLineage": lineage.ColumnLineageDatasetFacet(fields=fed),
        },
    )


if __name__ == "__main__":
    main()
