"""OpenLineage events as producers send them to a server, and what the server shows of them."""

from __future__ import annotations

from typing import cast
from urllib.parse import quote, urlencode
from uuid import NAMESPACE_URL, uuid5

from msgspec import json

from tests.http.served import Reply, Server

Json = dict[str, object]

LINEAGE = "/api/v1/lineage"
CORE = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
FACET = "https://openlineage.io/spec/facets/1-0-0/Facet.json#/$defs/Facet"
PRODUCER = "https://example.org/tests"
JSON = {"Content-Type": "application/json"}


def at(hour: int) -> str:
    """An hour of the day of the story."""
    return f"2026-02-01T{hour:02}:00:00Z"


def facet(**values: object) -> Json:
    """A facet as the specification wants them."""
    return {"_producer": PRODUCER, "_schemaURL": FACET, **values}


class Story:
    """Tells a server of one namespace, which no other story has."""

    def __init__(self, server: Server, namespace: str) -> None:
        self.server = server
        self.namespace = namespace

    def run_id(self, run: str = "run") -> str:
        """The id of the story's run of that name."""
        return str(uuid5(NAMESPACE_URL, f"{self.namespace}/{run}"))

    def event(self, event_type: str = "START", hour: int = 8, run_id: str | None = None, **more: object) -> Json:
        """An event of a run that lacks nothing. `more` replaces what is there."""
        event: Json = {
            "eventType": event_type,
            "eventTime": at(hour),
            "producer": PRODUCER,
            "schemaURL": f"{CORE}#/$defs/RunEvent",
            "run": {"runId": self.run_id() if run_id is None else run_id},
            "job": {"namespace": self.namespace, "name": "job"},
        }
        return event | more

    def run(self, run_id: str | None = None, **facets: object) -> Json:
        """The run of an event, with facets."""
        return {"runId": self.run_id() if run_id is None else run_id, "facets": facets}

    def job(self, name: str = "job", **facets: object) -> Json:
        """The job of an event, with facets."""
        return {"namespace": self.namespace, "name": name, "facets": facets}

    def data(self, name: str, **facets: object) -> Json:
        """A dataset of an event, with facets."""
        return {"namespace": self.namespace, "name": name, "facets": facets}

    def job_event(self, **more: object) -> Json:
        """An event of a job without a run."""
        head = {"eventTime": at(8), "producer": PRODUCER, "schemaURL": f"{CORE}#/$defs/JobEvent"}
        return {**head, "job": self.job(), **more}

    def dataset_event(self, name: str, **facets: object) -> Json:
        """An event of a dataset alone."""
        head: Json = {"eventTime": at(8), "producer": PRODUCER, "schemaURL": f"{CORE}#/$defs/DatasetEvent"}
        return {**head, "dataset": self.data(name, **facets)}

    def send(self, body: object, path: str = "", **headers: str) -> Reply:
        """The answer to an event, or whatever `body` is; a batch goes to the path `/batch`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.server.ask("POST", LINEAGE + path, body, JSON | named)

    def tell(self, *events: Json) -> None:
        """The server has taken the events, one after the other."""
        for event in events:
            reply = self.send(event)
            assert reply.status == 201, reply

    def read(self, path: str, **query: str) -> Json:
        """What is at an address of the story's namespace."""
        reply = self.server.ask("GET", f"/api/v1{path}?{urlencode({'namespace': self.namespace} | query)}")
        assert reply.status == 200, reply
        return reply.json

    def items(self, path: str, **query: str) -> list[Json]:
        """The one page that is at an address of the story's namespace."""
        return cast("list[Json]", self.read(path, **query)["items"])

    def shown_run(self, run_id: str | None = None) -> Json:
        """The run as the server shows it."""
        return self.read(f"/runs/{quote(self.run_id() if run_id is None else run_id, safe='')}")

    def told_of_run(self) -> list[Json]:
        """The events that the story's run was told with."""
        return self.items(f"/runs/{self.run_id()}/openlineage")

    def all_shown(self) -> bytes:
        """Everything that the server shows of the namespace, and every event that it exports of it."""
        paths = ("/jobs", "/runs", "/tables", "/lineage/events")
        return json.encode([self.read(path) for path in paths])

    def steps(self, table: str, **query: str) -> set[tuple[str, str]]:
        """The edges around a table, by the names of what they join."""
        graph = self.read("/lineage", name=table, **query)
        names = {node["id"]: str(node["name"]) for node in cast("list[Json]", graph["nodes"])}
        return {(names[edge["source"]], names[edge["target"]]) for edge in cast("list[Json]", graph["edges"])}
