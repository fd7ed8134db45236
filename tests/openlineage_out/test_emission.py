"""Jobs tell an OpenLineage consumer of their runs through openlineage-python, and never feel it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from datlake_sdk import _openlineage as openlineage
from datlake_sdk._recorder import EXIT_PATIENCE_S
from datlake_sdk.lineage.validate import check
from tests.faults.proxy import held_socket
from tests.openlineage_out.consumer import Consumer, Event, Reply, Request, name_of
from tests.places import Place

JOB = """
import os, sys, time
from datlake_sdk import JobContext
before = dict(os.environ)
with JobContext("weather", {"city": "NYC"}) as job:
    os.chdir("/")
    job.add_input("stations", "s3://raw/2026.csv")
    job.register_snapshot("daily", "s3://lake/daily/1", "parquet", {"city": "text"}, row_count=3)
    with JobContext("report") as report:
        report.add_input("daily")
    end = time.monotonic()
print(time.monotonic() - end, *job.warnings, sep="\\n")
assert dict(os.environ) == before, "the job's environment is its own"
"""
FAILING = """
import sys
from datlake_sdk import JobContext
with JobContext("weather"):
    sys.exit(7)
"""


class Host(NamedTuple):
    """A machine with an embedded lake, and jobs that are told of a consumer."""

    place: Place
    told: dict[str, str]

    def run(self, source: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A job that has ended."""
        return self.place.run(source, **self.told | more)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command that has ended."""
        return subprocess.run(
            [sys.executable, "-m", "datlake_sdk", *words],
            env=self.place.environment(**self.told),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def waiting(self) -> int:
        """How many events wait on this host."""
        found = json.loads(self.command("outbox", "status", "--json").stdout)["destinations"]
        return sum(each["waiting"] for each in found if each["destination"].startswith("openlineage"))


def host(folder: Path, **told: str) -> Host:
    """A machine whose jobs are told of a consumer."""
    told |= {"DATLAKE_OUTBOX_DIR": str(folder / "outbox")}
    return Host(Place(str(folder / "lake"), folder / "lake", "default"), told)


def kinds(events: list[Event]) -> list[tuple[object, object]]:
    """(job, type) of each event."""
    return [(name_of(event), event["eventType"]) for event in events]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Event], Consumer]]:
    """What a consumer got from one job, a composite of a file and a server: the file's events, and the server."""
    folder = tmp_path_factory.mktemp("told")
    with Consumer() as consumer:
        (folder / "openlineage.yml").write_text(f"""
transport:
  type: composite
  transports:
    - {{type: file, log_file_path: {folder}/events.ndjson, append: true}}
    - {{type: async_http, url: "{consumer.url}", compression: gzip, auth: {{type: api_key, api_key: opensesame}}}}
filters:
  - {{type: exact, match: report}}
""")
        done = host(folder, OPENLINEAGE_CONFIG=str(folder / "openlineage.yml")).run(JOB)
        assert done.returncode == 0, done.stderr
        assert not any(b"opensesame" in path.read_bytes() for path in (folder / "lake").rglob("*") if path.is_file())
        lines = (folder / "events.ndjson").read_text().splitlines()
        yield [json.loads(line) for line in lines], consumer


def test_a_run_is_told_from_start_to_end_through_any_transport(told: tuple[list[Event], Consumer]) -> None:
    """The library's own configuration, transports, keys and filters hold; `async_http` loses nothing at the end."""
    written, consumer = told
    assert kinds(written) == [("weather", "START"), ("weather", "COMPLETE")]
    assert consumer.events == written
    assert {request.headers["Authorization"] for request in consumer.requests} == {"Bearer opensesame"}
    assert {request.path for request in consumer.requests} == {"/api/v1/lineage"}


def test_what_is_told_keeps_to_the_specification_and_names_data_by_its_rules(
    told: tuple[list[Event], Consumer],
) -> None:
    """A consumer joins what two producers say of one dataset by its name alone."""
    for event in told[0]:
        check(event)
    end = told[0][-1]
    assert sides(end, "inputs") == {("s3://raw", "2026.csv"), ("default", "stations")}
    assert sides(end, "outputs") == {("default", "daily")}
    assert '"fields": [{"name": "city", "type": "text"}]' in json.dumps(end)


def sides(event: Event, side: str) -> set[tuple[str, str]]:
    """The names of an event's inputs or outputs."""
    found = event[side]
    assert isinstance(found, list)
    return {(one["namespace"], one["name"]) for one in found}


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, int, list[Event]]]:
    """A machine whose consumer refused the start of a job that failed, the job's exit code, and what was taken."""

    def refusing(request: Request) -> Reply:
        return Reply(422, b"no starts here") if b'"START"' in request.body else Reply()

    with Consumer(refusing) as consumer:
        machine = host(tmp_path_factory.mktemp("refused"), OPENLINEAGE_URL=consumer.url)
        yield machine, machine.run(FAILING).returncode, consumer.events


def test_an_end_that_is_no_success_is_told_as_such(refused: tuple[Host, int, list[Event]]) -> None:
    """And the exit code is the job's own."""
    assert refused[1] == 7
    assert kinds(refused[2]) == [("weather", "FAIL")]


def test_what_a_consumer_refuses_is_a_dead_letter_and_blocks_nothing(refused: tuple[Host, int, list[Event]]) -> None:
    """As with a lake: people look at it, and what comes after it is sent."""
    letters = json.loads(refused[0].command("outbox", "dead", "--json").stdout)["items"]
    assert [(letter["code"], letter["status"]) for letter in letters] == [("openlineage_refused", 422)]
    assert "drop" in refused[0].command("outbox", "drop", "--all").stdout
    assert json.loads(refused[0].command("outbox", "dead", "--json").stdout)["items"] == []


def test_a_consumer_that_is_away_costs_nothing_and_gets_everything_later(tmp_path: Path) -> None:
    """What cannot be sent waits on the disk, for its owner alone; the next job or `datlake outbox flush` sends it."""
    with held_socket() as held:
        port = held.getsockname()[1]
        machine = host(tmp_path, OPENLINEAGE_URL=f"http://127.0.0.1:{port}")
        done = machine.run(JOB)
        took_s, *warnings = done.stdout.splitlines()
        assert done.returncode == 0, done.stderr
        assert float(took_s) < EXIT_PATIENCE_S + 5, "loading the library is waited for, a consumer that refuses is not"
        assert any("OpenLineage" in warning for warning in warnings)
        assert machine.waiting() == 4
        assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.seg")} == {0o600}
        assert machine.command("outbox", "flush").returncode == 4
    with Consumer(port=port) as consumer:
        flushed = machine.command("outbox", "flush")
        assert flushed.returncode == 0, flushed.stderr
        assert "OpenLineage: 4 delivered" in flushed.stdout
        assert kinds(consumer.events)[0] == ("weather", "START")
        assert sorted(map(str, consumer.kinds())) == ["COMPLETE", "COMPLETE", "START", "START"]
        assert machine.waiting() == 0


def test_a_consumer_that_hangs_is_waited_for_in_vain_no_longer_than_a_lake(tmp_path: Path) -> None:
    """The library's own time-out is longer, and without limit where a consumer drips."""
    with held_socket() as black_hole:
        black_hole.listen(16)
        machine = host(tmp_path, OPENLINEAGE_URL=f"http://127.0.0.1:{black_hole.getsockname()[1]}")
        began = time.monotonic()
        done = machine.run(FAILING)
        assert done.returncode == 7
        assert time.monotonic() - began < 15
        assert machine.waiting() == 2
        assert any(path.stat().st_size for path in tmp_path.rglob("breaker")), (
            "the next jobs of this host would wait, too"
        )
        port = black_hole.getsockname()[1]
    with Consumer(port=port) as consumer:
        for _ in range(5):  # a busy machine takes its time to load the library: then the job after the next does it
            assert machine.run(FAILING).returncode == 7
            if consumer.kinds().count("START") == consumer.kinds().count("FAIL") > 1:
                break
        assert consumer.kinds().count("FAIL") > 1


QUIET = (
    JOB
    + """
loaded = [name for name in sys.modules if name.startswith("openlineage") or name == "datlake_sdk._openlineage_run"]
assert loaded == [], loaded
"""
)


def test_where_nobody_is_to_be_told_nothing_is_loaded(tmp_path: Path) -> None:
    """A job that has no use for it pays a few look-ups in its environment."""
    done = host(tmp_path, OPENLINEAGE_URL="http://127.0.0.1:9", DATLAKE_OPENLINEAGE="off").run(QUIET)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("environment", "is_told"),
    [
        ({"OPENLINEAGE_URL": "http://lineage"}, True),
        ({"OPENLINEAGE__TRANSPORT__TYPE": "kafka"}, True),
        ({"OPENLINEAGE__TRANSPORT": '{"type": "console"}'}, True),
        ({"OPENLINEAGE_CONFIG": "/etc/openlineage.yml"}, True),
        ({"OPENLINEAGE_URL": ""}, False),
        ({"OPENLINEAGE_CLIENT_LOGGING": "DEBUG"}, False),
        ({"OPENLINEAGE_URL": "http://lineage", "OPENLINEAGE_DISABLED": " True "}, False),
    ],
)
def test_a_consumer_is_one_that_the_library_would_send_to(environment: dict[str, str], *, is_told: bool) -> None:
    """Where it is told of no transport it would print every event."""
    assert openlineage.is_configured(environment) is is_told


def test_the_file_of_the_library_counts_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the working directory or in `~/.openlineage`; what waits for one file's consumer is no other's."""
    monkeypatch.chdir(tmp_path)
    home = {"HOME": str(tmp_path / "home")}
    assert not openlineage.is_configured(home)
    (tmp_path / "home" / ".openlineage").mkdir(parents=True)
    (tmp_path / "home" / ".openlineage" / "openlineage.yml").touch()
    assert openlineage.is_configured(home)
    usual = openlineage.destination(home)
    (tmp_path / "openlineage.yml").touch()
    assert openlineage.is_configured({})
    assert openlineage.destination(home) == f"openlineage {tmp_path}/openlineage.yml" != usual


def test_no_secret_is_in_the_name_of_a_consumer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands in the outbox's files and in what `datlake outbox` prints."""
    monkeypatch.chdir(tmp_path)
    named = openlineage.destination({"OPENLINEAGE_URL": "https://me:opensesame@lineage.example.com"})
    assert "lineage.example.com" in named
    assert "opensesame" not in named
    first = openlineage.destination({"OPENLINEAGE__TRANSPORT": '{"type": "kafka", "topic": "a"}'})
    assert first != openlineage.destination({"OPENLINEAGE__TRANSPORT": '{"type": "kafka", "topic": "b"}'})


def test_without_the_library_the_job_is_told_once_what_to_install(tmp_path: Path) -> None:
    """Whoever configures a consumer and forgets the extra should not look for the events in vain."""
    missing = "import sys; sys.modules['openlineage'] = None\n"
    done = host(tmp_path, OPENLINEAGE_URL="http://127.0.0.1:9").run(missing + JOB)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("datlake-sdk[openlineage]") == 1
    assert "datlake-sdk[openlineage]" in done.stdout


FORKING = """
import os, signal, time
from datlake_sdk import JobContext
with JobContext("parent"):
    children = []
    for delay in (0, 0.1, 0.3):
        time.sleep(delay)
        child = os.fork()
        if not child:
            signal.alarm(30)
            import requests, yaml
            with JobContext(f"child-{delay}"):
                pass
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
"""


def test_a_process_that_forks_while_the_library_is_loaded_goes_on_and_each_child_tells_once(tmp_path: Path) -> None:
    """A module that is half loaded at a fork stays so in the child for ever, and pools fork as soon as a job begins."""
    with Consumer() as consumer:
        done = host(tmp_path, OPENLINEAGE_URL=consumer.url).run(FORKING)
        assert (done.returncode, done.stderr) == (0, "")
        jobs = ("parent", "child-0", "child-0.1", "child-0.3")
        assert {job: consumer.kinds(job) for job in jobs} == {job: ["START", "COMPLETE"] for job in jobs}
