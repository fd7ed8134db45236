"""The real `openlineage-python` tells a running `datlake serve`, through each of its transports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

from datlake_sdk.client import DatlakeClient
from datlake_sdk.wire.models import Graph, Run
from tests.graphs import edges, label
from tests.http.served import Server

SCRIPT = Path(__file__).parent / "producer.py"
KEY = "opensesame"

Json = dict[str, Any]  # of somebody else's shape


class Way(NamedTuple):
    """How a client comes to its transport: it is given one, or finds settings in the environment or in a file."""

    kind: str
    source: str
    gzip: bool = False

    def order(self, url: str, folder: Path) -> Json:
        """What makes such a client."""
        auth = {"type": "api_key", "apiKey": KEY}
        built: Json = {"type": self.kind, "url": url, "auth": auth, "timeout": 30}
        if self.gzip:
            built["compression"] = "gzip"
        environment: dict[str, str] = {}
        if self.source == "address":
            environment = {"OPENLINEAGE_URL": url, "OPENLINEAGE_API_KEY": KEY}
        elif self.source == "environment":
            told = {name: each if isinstance(each, str) else json.dumps(each) for name, each in built.items()}
            environment = {f"OPENLINEAGE__TRANSPORT__{name.upper()}": each for name, each in told.items()}
        elif self.source == "file":
            (folder / "openlineage.yml").write_text(json.dumps({"transport": built}))  # which is YAML, too
        given = built if self.source == "code" else None
        return {"built": given, "environment": environment, "folder": str(folder), "threads": 0, "old": False}


WAYS = {
    "http": Way("http", "code"),
    "http, gzip": Way("http", "code", gzip=True),
    "async_http": Way("async_http", "code"),
    "async_http, gzip": Way("async_http", "code", gzip=True),
    "OPENLINEAGE_URL": Way("http", "address"),
    "OPENLINEAGE__TRANSPORT": Way("http", "environment", gzip=True),
    "openlineage.yml": Way("async_http", "file", gzip=True),
}


class Producer:
    """A process that has `openlineage-python` and tells what it is ordered to; used as a context."""

    def __init__(self, home: Path) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("OPENLINEAGE_")}
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT)],
            env=clean | {"HOME": str(home)},  # where the client would look for a file, too
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._has_async = bool(self._heard()["has_async"])

    def tell(self, way: Way, url: str, folder: Path, scope: str, **more: object) -> list[Json]:
        """The events as they went out, once the client was closed and all were delivered."""
        if way.kind == "async_http" and not self._has_async:
            pytest.skip(
                f"openlineage-python {version('openlineage-python')} has no async_http transport; later ones do"
            )
        assert self._process.stdin is not None
        order = way.order(url, folder) | {"scope": scope} | more
        print(json.dumps(order), file=self._process.stdin, flush=True)
        heard = self._heard()
        assert "error" not in heard, heard["error"]
        assert heard["settings"] == [{"type": way.kind, "authorization": f"Bearer {KEY}", "gzip": way.gzip}]
        assert heard["delivered"] is True
        return cast("list[Json]", heard["told"])

    def _heard(self) -> Json:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the producer's process has ended"
        return cast("Json", json.loads(line))

    def stop(self) -> None:
        """It has ended."""
        self._process.communicate(timeout=10)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A `datlake serve` over a lake of its own."""
    running = Server(tmp_path_factory.mktemp("lake"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def producer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Producer]:
    """One process for the stories of this file: the client takes a second to load."""
    running = Producer(tmp_path_factory.mktemp("home"))
    yield running
    running.stop()


class Lake(NamedTuple):
    """The server, asked about one story."""

    client: DatlakeClient
    scope: str

    @property
    def store(self) -> str:
        """The namespace of the story's data."""
        return f"s3://{self.scope}"

    def runs(self) -> dict[str, Run]:
        """The run of each job, as the lake shows it whole."""
        found = list(self.client.list_runs(namespace=self.scope))
        assert len({run.job_name for run in found}) == len(found)
        return {run.job_name: self.client.get_run(run.run_id, namespace=self.scope) for run in found}

    def table(self) -> Graph:
        """What feeds clean and what it feeds."""
        return self.client.lineage("clean", depth=10, namespace=self.store)

    def columns(self) -> Graph:
        """What feeds the columns of clean."""
        return self.client.lineage("clean", level="column", depth=10, namespace=self.store)

    def events(self) -> list[Json]:
        """All that the lake gives back of the story, in an order of its own."""
        found = self.client.export_open_lineage(limit=1_000)
        return in_order([event for event in found if self.scope in json.dumps(event)])


def in_order(events: list[Json]) -> list[Json]:
    """The events in an order that says nothing of when they arrived."""
    return sorted(events, key=lambda event: json.dumps(event, sort_keys=True))


@pytest.fixture
def lake(server: Server) -> Iterator[Lake]:
    """The server, asked about the story of one test."""
    with DatlakeClient(server.url, timeout=30) as client:
        yield Lake(client, f"story-{uuid.uuid4()}")


def check_runs(lake: Lake) -> None:
    """Three runs, how they ended, who started them, and what they read and wrote."""
    runs = lake.runs()
    assert {name: run.state for name, run in runs.items()} == {
        "nightly": "completed",
        "wash": "completed",
        "report": "failed",
    }
    parent = runs["nightly"].run_id
    assert [runs[name].parent_run_id for name in ("nightly", "wash", "report")] == [None, parent, parent]
    error = runs["report"].error
    assert error is not None
    assert error.message == "no paper"
    read, [written], [used] = runs["wash"].inputs, runs["wash"].outputs, runs["report"].inputs
    assert [(one.namespace, one.table_name) for one in read] == [(lake.store, "raw")]
    assert (written.namespace, written.table_name, written.row_count, written.size_bytes) == (
        lake.store,
        "clean",
        3,
        300,
    )
    assert used.snapshot_id == written.snapshot_id
    assert runs["report"].outputs == []


def check_data(lake: Lake) -> None:
    """What was said of a table, a snapshot that knows its columns, and the two graphs around it."""
    assert lake.client.get_table("raw", namespace=lake.store).description == "As it comes."
    [snapshot] = lake.client.list_snapshots("clean", namespace=lake.store)
    assert [(field.name, field.type) for field in snapshot.fields] == [("id", "BIGINT"), ("name", "VARCHAR")]
    tables = lake.table()
    assert edges(tables) == {
        ("raw", "wash"),
        ("wash", "clean"),
        ("clean", "report"),
        ("clean", "publish"),
        ("publish", "site"),
    }
    named = {node.id: label(node) for node in tables.nodes}
    assert {named[edge.target]: edge.count for edge in tables.edges} == {
        "wash": 1,
        "clean": 1,
        "report": 1,
        "publish": 0,
        "site": 0,
    }
    columns = lake.columns()
    assert edges(columns) == {("raw.id", "clean.id"), ("raw.name", "clean.name")}
    named = {node.id: label(node) for node in columns.nodes}
    masked = {named[edge.target]: [bool(how.masking) for how in edge.transformations] for edge in columns.edges}
    assert masked == {"clean.id": [False], "clean.name": [True]}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_the_client_tells_through_any_transport_becomes_runs_and_lineage(
    way: Way, producer: Producer, server: Server, lake: Lake, tmp_path: Path
) -> None:
    """Whoever has OpenLineage already changes one address; a key of the lake before does no harm."""
    told = producer.tell(way, server.url, tmp_path, lake.scope)
    assert len(told) == 9
    check_runs(lake)
    check_data(lake)
    assert lake.events() == in_order(told)
    washed = lake.runs()["wash"].run_id
    given_back = list(lake.client.run_open_lineage(washed, namespace=lake.scope))
    assert in_order(given_back) == in_order([event for event in told if event.get("run", {}).get("runId") == washed])


def test_the_older_classes_of_the_client_tell_the_same(
    producer: Producer, server: Server, lake: Lake, tmp_path: Path
) -> None:
    """They are deprecated, and in many a producer."""
    told = producer.tell(WAYS["http"], server.url, tmp_path, lake.scope, old=True)
    assert told[0]["schemaURL"].startswith("https://openlineage.io/spec/1-")
    check_runs(lake)
    check_data(lake)
    assert lake.events() == in_order(told)


def test_what_is_told_again_another_way_changes_nothing(
    producer: Producer, server: Server, lake: Lake, tmp_path: Path
) -> None:
    """A client that got no answer sends again, and some are told to send through two transports."""
    told = producer.tell(WAYS["http"], server.url, tmp_path, lake.scope)
    before = lake.runs(), lake.table(), lake.columns(), lake.events()
    assert producer.tell(WAYS["http, gzip"], server.url, tmp_path, lake.scope) == told
    assert (lake.runs(), lake.table(), lake.columns(), lake.events()) == before


@pytest.mark.parametrize("way", [WAYS["http"], WAYS["async_http, gzip"]], ids=lambda way: way.kind)
def test_of_what_many_threads_tell_at_once_nothing_is_lost_and_nothing_is_there_twice(
    way: Way, producer: Producer, server: Server, lake: Lake, tmp_path: Path
) -> None:
    """A scheduler has one client for all its tasks."""
    threads, runs = 8, 4
    told = producer.tell(way, server.url, tmp_path, lake.scope, threads=threads, runs=runs)
    assert len(told) == threads * runs * 3
    found = list(lake.client.list_runs(namespace=lake.scope))
    assert {run.run_id for run in found} == {event["run"]["runId"] for event in told}
    assert len(found) == threads * runs
    assert {run.state for run in found} == {"completed"}
    for thread in range(threads):
        snapshots = list(lake.client.list_snapshots(f"table-{thread}", namespace=lake.store))
        assert sorted(snapshot.version for snapshot in snapshots) == list(range(1, runs + 1))
        assert len({snapshot.run_id for snapshot in snapshots}) == runs
    assert lake.events() == in_order(told)
