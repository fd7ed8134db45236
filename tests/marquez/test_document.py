"""Every address that Marquez's document describes answers as it says, on a lake with something in it."""

from __future__ import annotations

import pytest

from datlake_sdk.client import DatlakeClient
from datlake_sdk.job import JobContext
from datlake_sdk.wire.ids import quoted
from tests.marquez import story
from tests.marquez.asking import Marquez, data, run_event
from tests.marquez.document import DOCUMENT, Document, Held

pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(), reason="Marquez's description of its API is not here: ../shared/data/marquez/openapi.yml"
)


def test_every_answer_is_as_the_document_says(marquez: Marquez) -> None:
    """Thirty-seven addresses, each at least once with something to tell."""
    document = Document()
    held = Held(marquez, document)
    story.tell(marquez)
    metadata = {"rows": 3, "why": "because"}
    with (
        DatlakeClient(marquez.server.url, namespace="shop") as client,
        JobContext(client, "by hand", metadata=metadata) as job,
    ):
        job.add_input("clean/orders")
        job.register_snapshot("report", "s3://lake/report/1", format="csv", schema={"day": "date"})
    _read_all(held)
    _write_all(held)
    _delete_all(held)
    assert held.asked == document.routes
    assert len(document.routes) == 37


def _read_all(held: Held) -> None:
    ask = held.ask
    assert len(ask("GET", "/namespaces")["namespaces"]) == 4
    ask("GET", "/namespaces/{namespace}", namespace=story.RAW[0])
    assert {one["name"] for one in ask("GET", "/sources")["sources"]} == {"default", "shop-db"}
    assert ask("GET", "/sources/{source}", source="shop-db")["type"] == "POSTGRESQL"
    assert ask("GET", "/tags")["tags"] == [{"name": "PII"}, {"name": "team"}]
    for namespace, name in (story.RAW, story.CLEAN, story.COUNTS, ("shop", "report")):
        names = {"namespace": namespace, "dataset": name}
        assert ask("GET", "/namespaces/{namespace}/datasets/{dataset}", **names)["name"] == name
        ask("GET", "/namespaces/{namespace}/datasets", namespace=namespace)
        for version in ask("GET", "/namespaces/{namespace}/datasets/{dataset}/versions", **names)["versions"]:
            path = "/namespaces/{namespace}/datasets/{dataset}/versions/{version}"
            ask("GET", path, version=version["version"], **names)
        ask("GET", "/lineage", query=f"?nodeId={quoted(f'dataset:{namespace}:{name}')}")
        ask("GET", "/column-lineage", query=f"?nodeId={quoted(f'dataset:{namespace}:{name}')}&withDownstream=true")
    for job in ask("GET", "/namespaces/{namespace}/jobs", namespace="shop")["jobs"]:
        names = {"namespace": "shop", "job": job["name"]}
        assert ask("GET", "/namespaces/{namespace}/jobs/{job}", **names)["name"] == job["name"]
        for version in ask("GET", "/namespaces/{namespace}/jobs/{job}/versions", **names)["versions"]:
            path = "/namespaces/{namespace}/jobs/{job}/versions/{version}"
            assert ask("GET", path, version=version["version"], **names) == version
        for run in ask("GET", "/namespaces/{namespace}/jobs/{job}/runs", **names)["runs"]:
            assert ask("GET", "/jobs/runs/{id}", id=run["id"]) == run
            for kind in ("run", "job"):
                ask("GET", "/jobs/runs/{id}/facets", query=f"?type={kind}", id=run["id"])
            ask("GET", "/runlineage/upstream", query=f"?runId={run['id']}")
    assert ask("GET", "/events/lineage")["totalCount"] == 7
    assert ask("GET", "/search", query="?q=orders")["totalCount"] > 0


def _write_all(held: Held) -> None:
    ask = held.ask
    names = {"namespace": "told", "dataset": "a: table"}
    ask("PUT", "/namespaces/{namespace}", {"ownerName": "me"}, namespace="told")
    ask("PUT", "/sources/{source}", {"type": "MYSQL", "connectionUrl": "mysql://db.example.org"}, source="by hand")
    fields = [{"name": "id", "type": "INT"}]
    body = {"type": "DB_TABLE", "physicalName": "t", "sourceName": "by hand", "fields": fields, "tags": ["NEW"]}
    ask("PUT", "/namespaces/{namespace}/datasets/{dataset}", body, **names)
    ask("PUT", "/tags/{tag}", {"description": "Fresh."}, tag="NEW")
    ask("POST", "/namespaces/{namespace}/datasets/{dataset}/tags/{tag}", tag="MORE", **names)
    ask("POST", "/namespaces/{namespace}/datasets/{dataset}/fields/{field}/tags/{tag}", tag="KEY", field="id", **names)
    one = {"namespace": "told", "name": "a: table"}
    job = {"namespace": "told", "job": "a: job"}
    ask("PUT", "/namespaces/{namespace}/jobs/{job}", {"type": "STREAM", "inputs": [one], "outputs": [one]}, **job)
    for end in ("complete", "fail", "abort"):
        run = ask("POST", "/namespaces/{namespace}/jobs/{job}/runs", {"args": {"n": 1}}, **job)
        ask("POST", "/jobs/runs/{id}/start", id=run["id"])
        ask("PUT", "/namespaces/{namespace}/datasets/{dataset}", {**body, "runId": run["id"]}, **names)
        ask("POST", f"/jobs/runs/{{id}}/{end}", id=run["id"])
    event = run_event("COMPLETE", story.WAITING, story.COUNTER, "2026-01-03T09:00:09Z", [], [data(story.COUNTS)])
    reply = held.tell(event)
    assert reply["run_id"] == story.WAITING


def _delete_all(held: Held) -> None:
    names = {"namespace": "told", "dataset": "a: table"}
    held.ask("DELETE", "/namespaces/{namespace}/datasets/{dataset}", **names)
    held.ask("DELETE", "/namespaces/{namespace}/jobs/{job}", namespace="told", job="a: job")
    held.ask("DELETE", "/namespaces/{namespace}", namespace="told")
