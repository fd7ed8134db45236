"""`datlake demo`: three tracked jobs on a week of made-up weather, what came of them, and what to type next.

Everything lands in the lake in use, in namespace `demo`; the files lie in `demo` in DATLAKE_HOME.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from datlake_sdk._amounts import grouped, version_of
from datlake_sdk.cli import demo_weather as weather
from datlake_sdk.cli.connection import connect
from datlake_sdk.cli.exits import OK, UsageError
from datlake_sdk.cli.lineage import lineage_page
from datlake_sdk.cli.text import columns, say, say_json
from datlake_sdk.job import JobContext
from datlake_sdk.terminal import speaks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datlake_sdk.cli.arguments import Arguments
    from datlake_sdk.client import DatlakeClient
    from datlake_sdk.wire.models import Run

NAMESPACE: Final = "demo"
REPORT_TABLE: Final = "weather_daily"

log = logging.getLogger("datlake_demo")


def demo(arguments: Arguments) -> int:
    """Runs the jobs and shows their lineage."""
    with connect(arguments, namespace=NAMESPACE) as client:
        if client.settings.disabled:
            message = "DATLAKE_DISABLED is set, so nothing would be recorded; unset it for the demo"
            raise UsageError(message)
        client.get_config()  # a demo without a lake shows nothing: said now, not as three warnings
        folder = Path(client.settings.home) / "demo"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        run_ids = [job(client, folder) for job in (ingest, curate, report)]
        runs = [client.get_run(run_id) for run_id in run_ids]
        if arguments.json:
            say_json({"items": runs})
        else:
            say(*_story(client, runs))
    return OK


# --- the jobs ---------------------------------------------------------------------------------------------------------


def ingest(client: DatlakeClient, folder: Path) -> str:
    """The run that cleans the raw files: tables `weather_raw` and `airports_raw`."""
    raw_readings, raw_airports = weather.write_raw(folder)
    with JobContext(client, "weather_ingest", ship_logs=True, log_level="INFO") as job:
        job.add_input(raw_readings, raw_airports)
        readings = weather.read(raw_readings)
        kept = weather.cleaned(readings)
        log.info("%d readings, %d of them cannot be true or are missing", len(readings), len(readings) - len(kept))
        _publish(job, "weather_raw", kept, folder, made_from=raw_readings)
        _publish(job, "airports_raw", weather.read(raw_airports), folder, made_from=raw_airports)
    return job.run_id


def curate(client: DatlakeClient, folder: Path) -> str:
    """The run that joins them: table `weather_hourly`."""
    with JobContext(client, "weather_curate", ship_logs=True, log_level="INFO") as job:
        readings = _table(job, "weather_raw")
        airports = _table(job, "airports_raw")
        fed = _fed({**dict.fromkeys(readings[0], "weather_raw"), "name": "airports_raw"}, {})
        _publish(job, "weather_hourly", weather.joined(readings, airports), folder, fed=fed)
    return job.run_id


def report(client: DatlakeClient, folder: Path) -> str:
    """The run that sums up each day: table `weather_daily`, and a JSON report."""
    with JobContext(client, "weather_report", ship_logs=True, log_level="INFO") as job:
        hours = _table(job, "weather_hourly")
        days = weather.daily(hours)
        job.attach_json("report", {"days": len(days), "wettest": max(days, key=lambda day: float(day["rain_mm"]))})
        job.log_event("metrics", {"days": len(days)})
        fed = _fed(dict.fromkeys(days[0], "weather_hourly"), weather.SUMMED_FROM)
        _publish(job, REPORT_TABLE, days, folder, fed=fed)
    return job.run_id


def _table(job: JobContext, name: str) -> weather.Rows:
    """The rows of the table's newest snapshot, which is an input of the run from now on."""
    return weather.read(Path(unquote(urlsplit(job.get_table_latest_uri(name)).path)))


def _fed(tables: dict[str, str], summed_from: dict[str, str]) -> dict[str, object]:
    """Column lineage: which column of which table each column comes from, as it is or summed up."""
    return {
        "fields": {
            column: {
                "inputFields": [
                    {
                        "name": table,
                        "field": summed_from.get(column, column),
                        "transformations": [
                            {"type": "DIRECT", "subtype": "AGGREGATION" if column in summed_from else "IDENTITY"}
                        ],
                    }
                ]
            }
            for column, table in tables.items()
        }
    }


def _publish(
    job: JobContext,
    table: str,
    rows: weather.Rows,
    folder: Path,
    *,
    made_from: Path | None = None,
    fed: dict[str, object] | None = None,
) -> None:
    # Each version is a file of its own: what an older run read stays as it was.
    path = weather.write(folder / f"{table}-{job.run_id}.csv", rows)
    job.register_snapshot(
        table,
        path.as_uri(),
        "csv",
        dict.fromkeys(rows[0], "string"),
        row_count=len(rows),
        size_bytes=path.stat().st_size,
        inputs=None if made_from is None else [made_from.as_uri()],
        column_lineage=fed,
    )
    log.info("wrote %s: %d rows to %s", table, len(rows), path)


# --- the story --------------------------------------------------------------------------------------------------------


def _story(client: DatlakeClient, runs: list[Run]) -> Iterator[str]:
    settings = client.settings
    yield "Three jobs ran on a week of made-up weather."
    yield ""
    if not speaks(sys.stderr, os.environ):  # else each has just shown its card
        yield from columns(("JOB", "STATE", "READ", "WROTE"), [_cells(run) for run in runs])
        yield ""
    yield f"Where does {REPORT_TABLE} come from? `datlake lineage {REPORT_TABLE}` answers:"
    yield ""
    for line in lineage_page(client, REPORT_TABLE, "upstream", depth=10):
        yield f"  {line}".rstrip()
    yield ""
    place = client.base_url or settings.api_url or settings.home
    yield f"It is all kept in {place}, namespace {settings.namespace}. Go on:"
    yield ""
    yield f"  export DATLAKE_NAMESPACE={settings.namespace}"
    yield f"  datlake table {REPORT_TABLE}"
    yield f"  datlake lineage {REPORT_TABLE} --level column"
    yield f"  datlake run show {runs[-1].run_id}"
    yield f"  datlake log {runs[0].run_id}"
    yield ""
    yield 'Your own: `with JobContext("my_job") as job: …` in Python, `datlake run -- PROGRAM` for anything else.'


def _cells(run: Run) -> tuple[str, ...]:
    read = ", ".join(f"{data.table_name.rpartition('/')[2]} {version_of(data.version)}".strip() for data in run.inputs)
    wrote = ", ".join(
        f"{data.table_name} {version_of(data.version)} ({grouped(data.row_count)} rows)" for data in run.outputs
    )
    return run.job_name, run.state, read, wrote
