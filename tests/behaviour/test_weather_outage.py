"""The weather jobs of the examples while their server is away: the lineage afterwards is that of any other day."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from datlake_sdk import DatlakeClient
from tests.places import Place, free_port, serve, stop

EXAMPLES = Path(__file__).parents[2] / "examples"
# The example's own jobs; the server is killed where the story says.
STORY = f"""
import os, sys
sys.path.insert(0, {str(EXAMPLES)!r})
from pathlib import Path
import nyc_weather
from nyc_weather_data import write_sample

out, when, server = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
data = write_sample(out / "sample")
publish = nyc_weather.publish

def publish_and_kill(job, table, *arguments, **more):
    published = publish(job, table, *arguments, **more)
    if table == "weather_daily" and when == "during complete":
        os.kill(server, 9)
    return published

nyc_weather.publish = publish_and_kill
nyc_weather.ingest(data, out)
if when == "between two jobs":
    os.kill(server, 9)
nyc_weather.curate(out)
nyc_weather.report(out)
"""


def weather_day(place: Place, out: Path, when: str, server: int) -> None:
    """The three jobs have run, and ended with 0."""
    out.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", STORY, str(out), when, str(server)],
        env=place.environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def lineage_of(client: DatlakeClient) -> dict[str, object]:
    """All that the lake knows of the day, without ids and times, and without the marks of how it was delivered."""
    runs = {run.job_name: run for run in client.list_runs()}
    graph = client.lineage("weather_daily", depth=10)
    names = {node.id: f"{node.kind} {_named(node.name)}" for node in graph.nodes}
    return {
        "runs": {name: run.state for name, run in runs.items()},
        "inputs": {name: sorted((_named(d.table_name), d.version) for d in run.inputs) for name, run in runs.items()},
        "outputs": {name: sorted((d.table_name, d.version) for d in run.outputs) for name, run in runs.items()},
        "artifacts": {name: sorted(a.name or "" for a in run.artifacts) for name, run in runs.items()},
        "logs": {name: _lines(client, run.run_id) for name, run in runs.items()},
        "events": {
            name: [(event.event_type, event.data) for event in client.events(run.run_id)] for name, run in runs.items()
        },
        "edges": sorted((names[edge.source], names[edge.target], edge.count) for edge in graph.edges),
        "tables": {table.table_name: table.snapshot_count for table in client.list_tables()},
    }


def _lines(client: DatlakeClient, run_id: str) -> list[str]:
    """What the log says, without its times and ids. What was told of the outage itself is not the job's."""
    said = b"".join(client.read_log(run_id)).decode().splitlines()
    told = [_named(line.partition(" ")[2]) for line in said if " datlake: " not in line]
    return [line for line in told if not line.startswith("Run ")]


def _named(text: str) -> str:
    return re.sub(
        r"\S*/((?:weather|airports)\S*)", r"\1", re.sub(r"-?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", text)
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a day looks like with its server there all the time."""
    folder = tmp_path_factory.mktemp("undisturbed")
    server, url = serve(folder / "lake")
    try:
        weather_day(Place(url, folder / "lake", "default"), folder / "out", "never", server.pid)
        with DatlakeClient(url) as client:
            return lineage_of(client)
    finally:
        stop(server)


@pytest.mark.parametrize("when", ["before the start", "between two jobs", "during complete"])
def test_a_day_with_an_outage_leaves_the_lineage_of_one_without(
    when: str, tmp_path: Path, undisturbed: dict[str, object]
) -> None:
    place = Place(f"http://127.0.0.1:{free_port()}", tmp_path / "lake", "default")
    port = int(place.address.rpartition(":")[2])
    first, _ = serve(place.home, port)
    try:
        if when == "before the start":
            stop(first)
        weather_day(place, tmp_path / "out", when, first.pid)
    finally:
        stop(first)
    server, _ = serve(place.home, port)
    try:
        flush = [sys.executable, "-m", "datlake_sdk", "outbox", "flush"]
        flushed = subprocess.run(
            flush, env=place.environment(), capture_output=True, text=True, timeout=60, check=False
        )
        assert flushed.returncode == 0, flushed.stderr
        with place.client() as client:
            assert lineage_of(client) == undisturbed
    finally:
        stop(server)
