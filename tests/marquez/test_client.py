"""The real `marquez-python` finds its server again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.http.served import Server
from tests.marquez.clients import ASIDE, RealClient, Refused

pytestmark = pytest.mark.skipif(
    not (ASIDE / "marquez_client").exists(),
    reason="marquez-python is not in build/aside; `make test` puts it there",
)

FIELDS = [
    {"name": "id", "type": "INTEGER", "description": "The key."},
    {"name": "name", "type": "VARCHAR", "tags": ["PII"]},
]
RAW = {"DatasetId": ["shop", "public.orders:raw"]}
CLEAN = {"DatasetId": ["shop", "orders"]}


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[RealClient]:
    """A client whose base address is Datlake's."""
    with RealClient(f"{server.url}/marquez") as opened:
        yield opened


def test_every_method_of_the_client_works(client: RealClient) -> None:
    """Twenty-nine of them, the deprecated writes too: whoever leaves Marquez changes one address."""
    call = client.call
    assert call("create_namespace", "shop", "sales", "All of the shop.")["ownerName"] == "sales"
    assert call("get_namespace", "shop")["description"] == "All of the shop."
    assert [one["name"] for one in call("list_namespaces")["namespaces"]] == ["default", "shop"]
    assert call("create_source", "db", "postgresql", "postgresql://db.example.org/shop")["type"] == "POSTGRESQL"
    assert call("get_source", "db")["connectionUrl"] == "postgresql://db.example.org/shop"
    assert {one["name"] for one in call("list_sources")["sources"]} == {"db", "default"}
    _datasets(client)
    _jobs_and_runs(client)
    nothing: dict[str, object] = {"graph": []}
    assert call("get_column_lineage_by_dataset", "shop", "orders") == nothing
    assert call("get_column_lineage_by_dataset_field", "shop", "orders", "id") == nothing
    assert call("get_column_lineage_by_job", "shop", "clean orders") == nothing
    assert call("create_tag", "SENSITIVE", "Not for everybody.")["name"] == "SENSITIVE"
    tags = {one["name"]: one.get("description") for one in call("list_tags")["tags"]}
    assert tags == {"KEY": None, "PII": None, "RAW": None, "SENSITIVE": "Not for everybody."}
    assert call("list_events", limit=3)["totalCount"] > 3
    assert client.called == set(client.methods)
    assert len(client.methods) == 29


def _datasets(client: RealClient) -> None:
    call = client.call
    made = call(
        "create_dataset",
        "shop",
        "public.orders:raw",
        {"DatasetType": "DB_TABLE"},
        "public.orders",
        "db",
        description="As they come.",
        fields=FIELDS,
        tags=["RAW"],
    )
    assert (made["type"], made["physicalName"], made["sourceName"]) == ("DB_TABLE", "public.orders", "db")
    assert made["fields"] == [
        {"name": "id", "type": "INTEGER", "tags": [], "description": "The key."},
        {"name": "name", "type": "VARCHAR", "tags": ["PII"]},
    ]
    stream = {"schema_location": "https://example.org/schemas/1"}
    call("create_dataset", "shop", "orders", {"DatasetType": "STREAM"}, "orders", "db", fields=FIELDS, **stream)
    assert [one["type"] for one in call("list_datasets", "shop")["datasets"]] == ["STREAM", "DB_TABLE"]
    assert call("tag_dataset", "shop", "public.orders:raw", "SENSITIVE")["tags"] == ["RAW", "SENSITIVE"]
    assert call("tag_dataset_field", "shop", "orders", "id", "KEY")["fields"][0]["tags"] == ["KEY"]
    assert call("get_dataset", "shop", "public.orders:raw")["description"] == "As they come."
    [version] = call("list_dataset_versions", "shop", "orders")["versions"]
    assert call("get_dataset_version", "shop", "orders", version["version"]) == version


def _jobs_and_runs(client: RealClient) -> None:
    call = client.call
    place = "https://example.org/code/clean.py"
    query = {"sql": "SELECT 1"}
    made = call("create_job", "shop", "clean orders", {"JobType": "BATCH"}, place, [RAW], [CLEAN], "Cleans.", query)
    assert (made["location"], made["context"]) == (place, query)
    assert (made["inputs"], made["outputs"]) == (
        [{"namespace": "shop", "name": "public.orders:raw"}],
        [{"namespace": "shop", "name": "orders"}],
    )
    times = {"nominal_start_time": "2026-01-01T00:00:00Z", "nominal_end_time": "2026-01-02T00:00:00Z"}
    run = call("create_job_run", "shop", "clean orders", run_args={"day": "1", "full": True}, **times)
    assert (run["state"], run["args"]) == ("NEW", {"day": "1", "full": "true"})
    assert run["nominalStartTime"] == "2026-01-01T00:00:00Z"
    assert call("mark_job_run_as_started", run["id"])["state"] == "RUNNING"
    assert call("mark_job_run_as_completed", run["id"])["state"] == "COMPLETED"
    for mark, state in (("failed", "FAILED"), ("aborted", "ABORTED")):
        other = call("create_job_run", "shop", "clean orders", mark_as_running=True)
        assert other["state"] == "RUNNING"
        assert call(f"mark_job_run_as_{mark}", other["id"])["state"] == state
    assert call("get_job_run", run["id"])["durationMs"] >= 0
    assert [one["state"] for one in call("list_job_runs", "shop", "clean orders")["runs"]] == [
        "ABORTED",
        "FAILED",
        "COMPLETED",
    ]
    assert call("get_job", "shop", "clean orders")["latestRun"]["state"] == "ABORTED"
    assert [one["name"] for one in call("list_jobs", "shop")["jobs"]] == ["clean orders"]


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("get_namespace", ["nowhere"]),
        ("get_source", ["nothing"]),
        ("get_dataset", ["shop", "nothing"]),
        ("get_job", ["shop", "nothing"]),
        ("list_jobs", ["nowhere"]),
        ("get_job_run", ["0193a5c0-0000-7000-8000-0000000000ff"]),
        ("get_column_lineage_by_dataset", ["shop", "nothing"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_there_is_told_as_marquez_tells_it(client: RealClient, method: str, args: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        client.call(method, *args)
    assert refused.value.status == 404
