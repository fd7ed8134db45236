"""Runs the real `openlineage-python` in a process of its own: an order a line in, what its client told a line out.

A script: importing that client loads two HTTP libraries, it takes its settings from a whole process, and its older half
warns.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from types import ModuleType
from typing import Any, ClassVar

warnings.simplefilter("ignore", DeprecationWarning)

from openlineage.client import OpenLineageClient, facet_v2  # noqa: E402 -- after the filter: it warns of itself
from openlineage.client.serde import Serde  # noqa: E402
from openlineage.client.transport.http import HttpConfig, HttpTransport  # noqa: E402

PRODUCER = "https://example.com/producer"
COLUMNS = {"id": "BIGINT", "name": "VARCHAR"}
ASYNC = "openlineage.client.transport.async_http"
HAS_ASYNC = find_spec(ASYNC) is not None  # the oldest version allowed has none; whoever orders is told so
Order = dict[str, Any]  # JSON that a test made
Facet = Any  # a class of either generation


# --- the classes of a generation --------------------------------------------------------------------------------------


class New:
    """`event_v2` and `facet_v2`."""

    events: ModuleType = importlib.import_module("openlineage.client.event_v2")
    of_declarations: ClassVar[dict[str, str]] = {}

    def parent(self, run_id: str, namespace: str, name: str) -> Facet:
        """Who started it."""
        parent = facet_v2.parent_run
        return parent.ParentRunFacet(run=parent.Run(runId=run_id), job=parent.Job(namespace=namespace, name=name))

    def error(self, message: str) -> Facet:
        """Why it failed."""
        return facet_v2.error_message_run.ErrorMessageRunFacet(message=message, programmingLanguage="Python")

    def described(self, description: str) -> Facet:
        """What it is."""
        return facet_v2.documentation_dataset.DocumentationDatasetFacet(description=description)

    def schema(self) -> Facet:
        """Two columns."""
        schema = facet_v2.schema_dataset
        return schema.SchemaDatasetFacet(
            fields=[schema.SchemaDatasetFacetFields(name=name, type=kind) for name, kind in COLUMNS.items()]
        )

    def columns(self, namespace: str, name: str) -> Facet:
        """Each from the one of its name: one as it is, the other masked."""
        lineage = facet_v2.column_lineage_dataset
        return lineage.ColumnLineageDatasetFacet(
            fields={
                column: lineage.Fields(
                    inputFields=[
                        lineage.InputField(
                            namespace=namespace,
                            name=name,
                            field=column,
                            transformations=[
                                lineage.Transformation(type="DIRECT", subtype="TRANSFORMATION", masking=masking)
                            ],
                        )
                    ]
                )
                for column, masking in {"id": False, "name": True}.items()
            }
        )

    def written(self) -> Facet:
        """How much came out."""
        return facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=3, size=300)

    def read(self) -> Facet:
        """How much went in."""
        return facet_v2.input_statistics_input_dataset.InputStatisticsInputDatasetFacet(rowCount=4, size=400)


class Old(New):
    """`run` and `facet`, which are deprecated and in many a producer."""

    events = importlib.import_module("openlineage.client.run")
    of_declarations: ClassVar[dict[str, str]] = {"schemaURL": "https://openlineage.io/spec/1-0-5/OpenLineage.json"}
    facets: Any = importlib.import_module("openlineage.client.facet")

    def parent(self, run_id: str, namespace: str, name: str) -> Facet:
        """Who started it."""
        return self.facets.ParentRunFacet.create(run_id, namespace, name)

    def error(self, message: str) -> Facet:
        """Why it failed."""
        return self.facets.ErrorMessageRunFacet(message=message, programmingLanguage="Python")

    def described(self, description: str) -> Facet:
        """What it is."""
        return self.facets.DocumentationDatasetFacet(description=description)

    def schema(self) -> Facet:
        """Two columns."""
        return self.facets.SchemaDatasetFacet(
            fields=[self.facets.SchemaField(name=name, type=kind) for name, kind in COLUMNS.items()]
        )

    def columns(self, namespace: str, name: str) -> Facet:
        """Each from the one of its name: one as it is, the other masked."""
        return self.facets.ColumnLineageDatasetFacet(
            fields={
                column: self.facets.ColumnLineageDatasetFacetFieldsAdditional(
                    inputFields=[
                        self.facets.ColumnLineageDatasetFacetFieldsAdditionalInputFields(namespace, name, column)
                    ],
                    transformationDescription="",
                    transformationType=kind,
                )
                for column, kind in {"id": "IDENTITY", "name": "MASKED"}.items()
            }
        )

    def written(self) -> Facet:
        """How much came out."""
        return self.facets.OutputStatisticsOutputDatasetFacet(rowCount=3, size=300)

    def read(self) -> Facet:
        """How much went in; the class is the older one of the two that say it."""
        return self.facets.DataQualityMetricsInputDatasetFacet(rowCount=4, bytes=400)


# --- what is told -----------------------------------------------------------------------------------------------------


def story(words: New, scope: str) -> Iterator[object]:
    """`nightly` starts `wash`, which makes clean of raw, and `report`, which fails; jobs and data are declared."""
    events, store = words.events, f"s3://{scope}"
    runs = {job: run_id(scope, job) for job in ("nightly", "wash", "report")}

    def event(job: str, kind: str, minute: int, facets: dict[str, Facet] | None = None, **told: object) -> object:
        facets = dict(facets or {})
        if job != "nightly":
            facets["parent"] = words.parent(runs["nightly"], scope, "nightly")
        return events.RunEvent(
            eventType=events.RunState[kind],
            eventTime=at(minute),
            run=events.Run(runId=runs[job], facets=facets),
            job=events.Job(namespace=scope, name=job),
            producer=PRODUCER,
            **told,
        )

    raw = events.InputDataset(
        store, "raw", facets={"schema": words.schema()}, inputFacets={"inputStatistics": words.read()}
    )
    made = events.OutputDataset(
        store,
        "clean",
        facets={"schema": words.schema(), "columnLineage": words.columns(store, "raw")},
        outputFacets={"outputStatistics": words.written()},
    )
    used = events.InputDataset(store, "clean")
    yield event("nightly", "START", 0)
    yield event("wash", "START", 1, inputs=[raw])
    yield event("wash", "RUNNING", 2, inputs=[raw])
    yield event("wash", "COMPLETE", 3, inputs=[raw], outputs=[made])
    yield event("report", "START", 4, inputs=[used])
    yield event("report", "FAIL", 5, inputs=[used], facets={"errorMessage": words.error("no paper")})
    yield event("nightly", "COMPLETE", 6)
    told: dict[str, Any] = {"eventTime": at(7), "producer": PRODUCER, **words.of_declarations}
    publish = events.Job(namespace=scope, name="publish")
    site = events.OutputDataset(store, "site")
    yield events.JobEvent(job=publish, inputs=[used], outputs=[site], **told)
    of_itself = getattr(events, "StaticDataset", events.Dataset)
    facets = {"schema": words.schema(), "documentation": words.described("As it comes.")}
    yield events.DatasetEvent(dataset=of_itself(store, "raw", facets=facets), **told)


def own_runs(words: New, scope: str, thread: int, runs: int) -> Iterator[object]:
    """What one of many threads tells: runs of a job of its own, each of which writes one table."""
    events = words.events
    for number in range(runs):
        for minute, kind in enumerate(("START", "RUNNING", "COMPLETE")):
            output = events.OutputDataset(f"s3://{scope}", f"table-{thread}")
            yield events.RunEvent(
                eventType=events.RunState[kind],
                eventTime=at(3 * number + minute),
                run=events.Run(runId=run_id(scope, f"{thread}/{number}")),
                job=events.Job(namespace=scope, name=f"job-{thread}"),
                producer=PRODUCER,
                outputs=[output] if kind == "COMPLETE" else [],
            )


def run_id(scope: str, name: str) -> str:
    """The id of a run, the same each time."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{scope}/{name}"))


def at(minute: int) -> str:
    """A minute of the story."""
    return f"2026-11-20T03:{minute:02}:00Z"


# --- how it is told ---------------------------------------------------------------------------------------------------


def client_for(order: Order) -> OpenLineageClient:
    """A client that was given its transport, or that finds its settings in the environment or in a file."""
    for name in [name for name in os.environ if name.startswith("OPENLINEAGE_")]:
        del os.environ[name]
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    settings: Order | None = order["built"]
    if settings is None:
        return OpenLineageClient()
    if settings["type"] == "http":
        return OpenLineageClient(transport=HttpTransport(HttpConfig.from_dict(settings)))
    library = importlib.import_module(ASYNC)
    return OpenLineageClient(transport=library.AsyncHttpTransport(library.AsyncHttpConfig.from_dict(settings)))


def settings_of(client: OpenLineageClient) -> list[dict[str, object]]:
    """What its transports are in the end: a client that finds none writes to the terminal and is content."""
    transports = getattr(client.transport, "transports", [client.transport])
    return [
        {
            "type": each.kind,
            "authorization": each.config.auth.get_bearer(),
            "gzip": each.config.compression is not None,
        }
        for each in transports
    ]


def tell(emit: Callable[[Any], None], events: Iterator[object]) -> list[object]:
    """The events as they went out."""
    told = []
    for event in events:
        emit(event)
        told.append(json.loads(Serde.to_json(event)))
    return told


def tell_at_once(client: OpenLineageClient, order: Order) -> list[object]:
    """The same of many threads that share the client and start together."""
    threads: int = order["threads"]
    ready = threading.Barrier(threads)

    def of_thread(number: int) -> list[object]:
        events = own_runs(New(), order["scope"], number, order["runs"])
        ready.wait()
        return tell(client.emit, events)

    with ThreadPoolExecutor(threads) as pool:
        return [event for told in pool.map(of_thread, range(threads)) for event in told]


def answer(order: Order) -> dict[str, object]:
    """What was told, through which transports, and whether all of it was delivered when the client was closed."""
    client = client_for(order)
    settings = settings_of(client)
    if order["threads"]:
        told = tell_at_once(client, order)
    else:
        told = tell(client.emit, story(Old() if order["old"] else New(), order["scope"]))
    # Clients without `async_http` have nothing to close: each event was delivered before `emit` came back.
    delivered = client.close() if hasattr(client, "close") else True
    return {"settings": settings, "told": told, "delivered": delivered}


def main() -> None:
    """Answers until there is nothing more to do."""
    print(json.dumps({"has_async": HAS_ASYNC}), flush=True)
    for line in sys.stdin:
        try:
            said = answer(json.loads(line))
        except Exception as error:  # noqa: BLE001 -- told to whoever orders, whose next order is another matter
            said = {"error": repr(error)}
        print(json.dumps(said), flush=True)


main()
