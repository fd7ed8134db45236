"""The addresses beside the operations: older names, probes, documents and pages."""

from __future__ import annotations

import re

import pytest

from datlake_sdk._amounts import grouped
from datlake_sdk.wire.ids import quoted
from datlake_sdk.wire.operations import OPERATIONS
from datlake_server.http.openapi import document
from tests.http.served import Server


def test_a_client_of_the_older_backend_works_unchanged(server: Server) -> None:
    """Its addresses are at the host's root, its bodies carry lineage in the metadata; answers say that they will go."""
    started = server.ask("POST", "/events/jobs/old_job/runs?debug=1", {"metadata": {"source": "s3"}})
    assert (started.status, started.headers["deprecation"]) == (201, "true")
    table = {"table_name": "old_table", "uri": "s3://b/t", "format": "parquet", "schema": None}
    body = {**table, "job_name": "old_job", "run_id": started.json["run_id"]}
    assert server.ask("POST", "/data/v1/jobs/register-snapshot", body).json["version"] == 1
    assert server.ask("GET", "/data/v1/tables/old_table/snapshots/latest").json["uri"] == "s3://b/t"
    assert server.ask("PUT", "/data/datasets/artifacts/log.txt", b"log").status == 201
    assert server.ask("GET", "/data/datasets/artifacts/log.txt").body == b"log"
    event = {"event_type": "metrics", "data": {"rows": 1}, "run_id": started.json["run_id"]}
    assert server.ask("POST", "/events/broadcast", event).status == 201
    inputs = [{"name": "old_table", "uri": "s3://b/t"}]
    end = {"success": True, "metadata": {"inputs": inputs, "outputs": [], "artifacts": []}, "future_field": 1}
    ended = server.ask("PUT", f"/events/jobs/old_job/runs/{started.json['run_id']}/complete", end)
    assert ended.json["state"] == "completed"
    assert [one["table_name"] for one in ended.json["inputs"]] == ["old_table"]  # type: ignore[attr-defined]


def test_the_current_addresses_are_not_deprecated(server: Server) -> None:
    reply = server.ask("POST", "/api/v1/jobs/j/runs", {"metadata": {}})
    assert "deprecation" not in reply.headers


@pytest.mark.parametrize(
    "path", ["/health/live", "/health/ready", "/api/v1/health/live", "/api/v1/health/ready", "/health"]
)
def test_probes_answer_in_both_places(server: Server, path: str) -> None:
    """Orchestrators are configured by hand, and each hand knows another path."""
    assert server.ask("GET", path).status == 200
    assert server.ask("HEAD", path).status == 200


def test_the_document_describes_every_operation() -> None:
    """It is made from the operations, so nothing can be forgotten; this proves it."""
    described = str(document("1"))
    assert all(f"'operationId': '{op_type.__name__}'" in described for op_type in OPERATIONS)


def test_the_document_is_valid_openapi(server: Server) -> None:
    """Client generators read it."""
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(server.ask("GET", "/api/v1/openapi.json").json)


def test_the_document_is_not_sent_twice(server: Server) -> None:
    first = server.ask("GET", "/api/v1/openapi.json")
    assert server.ask("GET", "/api/v1/openapi.json", headers={"If-None-Match": first.headers["etag"]}).status == 304


@pytest.mark.parametrize("path", ["/docs", "/", "/runs/nothing"])
def test_pages_load_nothing_and_run_nothing(server: Server, path: str) -> None:
    """They work without a network, and nothing in them can be made to run."""
    reply = server.ask("GET", path)
    text = reply.body.decode()
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    assert reply.headers["x-frame-options"] == "DENY"
    assert not re.search(r"<script|<link|<img|<iframe|@import|url\(|\son\w+=|javascript:", text)
    assert not re.search(r'(?:src|href)="(?!/|#)', text)


def test_the_docs_page_shows_every_operation(server: Server) -> None:
    text = server.ask("GET", "/docs").body.decode()
    assert [op_type.__name__ for op_type in OPERATIONS if f'id="{op_type.__name__}"' not in text] == []
    links = set(re.findall(r'href="#([^"]+)"', text))
    assert links <= set(re.findall(r'id="([^"]+)"', text))


NASTY = "<script>alert(1)</script>\"'&é/.."


def test_a_runs_page_shows_what_happened(server: Server) -> None:
    """Outcome, cause, data in and out, log; whatever people call things is only text."""
    job = f"/api/v1/jobs/{quoted(NASTY)}/runs"
    run_id = server.ask("POST", job, {"metadata": {NASTY: NASTY}, "environment": {"argv": [NASTY]}}).json["run_id"]
    snapshot = {"table_name": NASTY, "uri": f"file:///{quoted(NASTY)}", "format": "csv", "row_count": 26115}
    server.ask("POST", "/api/v1/jobs/register-snapshot", {**snapshot, "job_name": NASTY, "run_id": run_id})
    server.ask("POST", f"{job}/{run_id}/inputs", {"items": [{"uri": "javascript:alert(1)"}]})
    artifacts = [
        {"type": "log", "uri": f"datlake://artifacts/jobs/{quoted(NASTY)}/run.log"},
        {"type": "html", "uri": "javascript:alert(1)", "name": NASTY},
    ]
    error = {"type": "ValueError", "message": NASTY, "traceback": f"Traceback: {NASTY}"}
    server.ask("PUT", f"{job}/{run_id}/complete", {"success": False, "error": error, "artifacts": artifacts})
    text = server.ask("GET", f"/runs/{run_id}").body.decode()
    assert "<script" not in text
    assert 'href="javascript:' not in text
    assert "ValueError: &lt;script&gt;" in text
    assert grouped(26115) in text
    assert re.search(r'href="/api/v1/datasets/artifacts/jobs/[^"]*/run.log"', text)
    assert f"/runs/{run_id}" in server.ask("GET", "/").body.decode()


def test_a_run_of_another_namespace_has_its_page(server: Server) -> None:
    """The link on a job's card carries the namespace."""
    run_id = server.ask("POST", "/api/v1/jobs/j/runs?namespace=sales%20eu", {}).json["run_id"]
    assert server.ask("GET", f"/runs/{run_id}?namespace=sales%20eu").status == 200
    assert server.ask("GET", f"/runs/{run_id}").status == 404
