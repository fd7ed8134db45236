"""New York's weather in three tracked jobs: ingest the CSV files, curate them, report on each day.

    python examples/nyc_weather.py [--data DIR] [--out DIR]

`weather.csv` and `airports.csv` come from DIR (the shape of nycflights13); without --data a small sample is made up.
The transformations are in `nyc_weather_frames.py`; this file shows what Datlake asks of a job.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import NamedTuple

from datlake_sdk import JobContext

try:
    import polars as pl
except ModuleNotFoundError:
    sys.exit('nyc_weather needs Polars, which is not installed; type: pip install "datlake-sdk[examples]"')

from nyc_weather_data import write_sample
from nyc_weather_frames import (
    Cleaned,
    UnreadableInput,
    clean_airports,
    clean_weather,
    daily,
    hourly,
    read_airports,
    read_weather,
    schema_of,
    summary,
)

log = logging.getLogger("nyc_weather")

# Should the lake's server be away, these jobs go on with what this host knew of a table within the last day.
A_DAY = 86_400.0

# Enough for a reader to see what kind of values went; the count is always in the event.
REMOVED_IN_LOG = 20


class Published(NamedTuple):
    """A table as a job left it: its version (None while the lake has not answered), rows and the run that wrote it."""

    table: str
    version: int | None
    rows: int
    run_id: str


def ingest(data: Path, out: Path) -> list[Published]:
    """The two CSV files, cleaned, as the tables `weather_raw` and `airports_raw`."""
    weather_csv, airports_csv = data / "weather.csv", data / "airports.csv"
    with JobContext("weather_ingest", metadata={"data": data.as_uri()}, ship_logs=True, log_level="INFO") as job:
        job.add_input(weather_csv.as_uri())
        job.add_input(airports_csv.as_uri())
        weather = clean_weather(read_weather(weather_csv))
        airports = clean_airports(read_airports(airports_csv))
        tell_quality(job, "weather_raw", weather)
        tell_quality(job, "airports_raw", airports)
        return [
            publish(job, "weather_raw", weather.frame, out, inputs=[weather_csv.as_uri()]),
            publish(job, "airports_raw", airports.frame, out, inputs=[airports_csv.as_uri()]),
        ]


def curate(out: Path) -> list[Published]:
    """Weather joined with airports, typed and in local time, as the table `weather_hourly`."""
    with JobContext("weather_curate", ship_logs=True, log_level="INFO") as job:
        weather = pl.read_parquet(job.get_table_latest_uri("weather_raw", max_staleness=A_DAY))
        airports = pl.read_parquet(job.get_table_latest_uri("airports_raw", max_staleness=A_DAY))
        hours = hourly(weather, airports)
        wrong_clock = hours.filter(~pl.col("clock_agrees")).height
        log.info("%d of %d hours disagree with the local time of their airport", wrong_clock, hours.height)
        job.log_event("quality", {"table": "weather_hourly", "wrong_clock": wrong_clock})
        return [publish(job, "weather_hourly", hours, out)]


def report(out: Path) -> list[Published]:
    """Each airport's days as the table `weather_daily`, and the record days as a JSON report on the run."""
    with JobContext("weather_report", ship_logs=True, log_level="INFO") as job:
        hours = pl.read_parquet(job.get_table_latest_uri("weather_hourly", max_staleness=A_DAY))
        days = daily(hours)
        job.attach_json("report", summary(days))
        storm_days = int(days["is_storm"].sum())
        log.info("%d days at %d airports, %d stormy", days.height, days["airport"].n_unique(), storm_days)
        job.log_event("metrics", {"days": days.height, "storm_days": storm_days})
        return [publish(job, "weather_daily", days, out)]


def publish(
    job: JobContext, table: str, frame: pl.DataFrame, out: Path, *, inputs: list[str] | None = None
) -> Published:
    """The frame as a new Parquet file and a new version of the table; files of older versions stay as they are.

    `inputs` names what this table came from, when that is less than all the run has read.
    """
    path = out / f"{table}-{job.run_id}.parquet"
    frame.write_parquet(path)
    snapshot = job.register_snapshot(
        table,
        path.as_uri(),
        format="parquet",
        schema=schema_of(frame),
        row_count=frame.height,
        size_bytes=path.stat().st_size,
        inputs=inputs,
    )
    log.info("wrote %s: %d rows, %d columns to %s", table, frame.height, frame.width, path)
    return Published(table, snapshot["version"], frame.height, job.run_id)


def tell_quality(job: JobContext, table: str, cleaned: Cleaned) -> None:
    """What was wrong with the input is in the log and, countable, in an event of the run."""
    for key, column, value in cleaned.removed.head(REMOVED_IN_LOG).iter_rows():
        log.warning("outlier in %s: %s of %s is %s; kept as unknown", table, column, key, value)
    gaps = {column: count for column, count in cleaned.frame.null_count().row(0, named=True).items() if count}
    log.info("%s: %d rows, gaps %s", table, cleaned.frame.height, gaps)
    job.log_event(
        "quality",
        {
            "table": table,
            "rows": cleaned.frame.height,
            "duplicates": cleaned.duplicates,
            "removed": cleaned.removed.height,
            "gaps": gaps,
        },
    )


def main() -> None:
    """The three jobs one after the other, then what came of them."""
    options = parsed_arguments()
    out: Path = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    data: Path = options.data.resolve() if options.data else write_sample(out / "sample")
    try:
        published = [*ingest(data, out), *curate(out), *report(out)]
    except UnreadableInput as error:
        sys.exit(f"nyc_weather: {error}")
    print_summary(data, out, published)


def parsed_arguments() -> argparse.Namespace:
    """`data` (a folder or None) and `out` (a folder)."""
    parser = argparse.ArgumentParser(description="New York's weather in three tracked jobs.")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with weather.csv and airports.csv")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", default=Path("datlake-weather"), help="where the tables go (%(default)s)"
    )
    return parser.parse_args()


def print_summary(data: Path, out: Path, published: list[Published]) -> None:
    """What was written, and what to type next."""
    print(f"Read {data}; wrote to {out}:")
    for table, version, rows, _ in published:
        print(f"  {table:<15} version {version if version is not None else 'not yet known'}, {rows:>6,} rows")
    print("Next:")
    print("  datlake lineage weather_daily")
    print("  datlake runs")
    print(f"  datlake log {published[-1].run_id}")


if __name__ == "__main__":
    main()
