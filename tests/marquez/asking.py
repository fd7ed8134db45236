"""Asks a server in Marquez's words, and tells it OpenLineage events."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from datlake_sdk.wire.ids import quoted
from tests.http.served import Reply, Server

PREFIX = "/marquez/api/v1"
PRODUCER = "https://example.org/tests"

Answer = dict[str, Any]  # JSON of somebody else's shape
Name = tuple[str, str]

EARLY = "2026-01-01T08:00:00Z"
LATE = "2026-01-01T08:00:05Z"


class Marquez:
    """A server that is asked as Marquez is."""

    def __init__(self, server: Server, prefix: str = PREFIX) -> None:
        self.server = server
        self.prefix = prefix

    def ask(self, method: str, path: str, body: object = None) -> Reply:
        """The answer, whatever it is."""
        return self.server.ask(method, self.prefix + path, body)

    def get(self, path: str) -> Answer:
        """What is there."""
        reply = self.ask("GET", path)
        assert reply.status == 200, reply.body
        return msgspec.json.decode(reply.body)  # type: ignore[no-any-return]

    def do(self, method: str, path: str, body: object = None) -> Answer:
        """What is answered to something that can be done."""
        reply = self.ask(method, path, body)
        assert reply.status in {200, 201}, reply.body
        return cast("Answer", reply.json)

    def get_list(self, path: str) -> list[Answer]:
        """A bare list."""
        return msgspec.json.decode(self.server.ask("GET", self.prefix + path).body, type=list[Answer])

    def tell(self, event: Answer) -> None:
        """The event is taken."""
        reply = self.ask("POST", "/lineage", event)
        assert reply.status == 201, reply.body


def at(*parts: str) -> str:
    """Names as a path."""
    return "/" + "/".join(quoted(part) for part in parts)


def run_event(  # noqa: PLR0917 -- an event in its parts
    kind: str,
    run_id: str,
    job: Name,
    time: str,
    inputs: Sequence[Answer] = (),
    outputs: Sequence[Answer] = (),
    *,
    run_facets: Answer | None = None,
    job_facets: Answer | None = None,
) -> Answer:
    """An event of a run."""
    return {
        "eventType": kind,
        "eventTime": time,
        "producer": PRODUCER,
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": run_id, "facets": run_facets or {}},
        "job": {"namespace": job[0], "name": job[1], "facets": job_facets or {}},
        "inputs": list(inputs),
        "outputs": list(outputs),
    }


def data(name: Name, **facets: Answer) -> Answer:
    """A dataset of an event."""
    return {"namespace": name[0], "name": name[1], "facets": {key: facet(**body) for key, body in facets.items()}}


def facet(**body: object) -> Answer:
    """A facet, with the marks that the specification wants."""
    return {"_producer": PRODUCER, "_schemaURL": "https://openlineage.io/spec/facets/1-0-0/F.json", **body}


def fresh(name: str) -> str:
    """A name that no other story has."""
    return f"{name}-{uuid.uuid4()}"


def run_id() -> str:
    """A run that no other story has."""
    return str(uuid.uuid4())


def graph(marquez: Marquez, node_id: str, query: str = "") -> dict[str, Answer]:
    """The nodes around a node, by their ids."""
    return {node["id"]: node for node in marquez.get(f"/lineage?nodeId={quoted(node_id)}{query}")["graph"]}


def column_graph(marquez: Marquez, node_id: str, query: str = "") -> dict[str, Answer]:
    """The columns around a node, by their ids."""
    return {node["id"]: node for node in marquez.get(f"/column-lineage?nodeId={quoted(node_id)}{query}")["graph"]}


def edges(nodes: dict[str, Answer]) -> set[Name]:
    """The steps of a graph; each is told by both of its ends."""
    out = {(edge["origin"], edge["destination"]) for node in nodes.values() for edge in node["outEdges"]}
    assert out == {(edge["origin"], edge["destination"]) for node in nodes.values() for edge in node["inEdges"]}
    return out
