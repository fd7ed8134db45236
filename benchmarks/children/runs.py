"""Whole runs beside the bare work they cannot do without, in turns: `runs.py FOLDER ROUNDS [NOOP_URL]`.

The bare work is four commits of a row, synced; with a URL also four calls of a server that does nothing. The lake is
the one that the environment names. Prints the milliseconds of each case.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

import apsw
import msgspec
import urllib3

from datlake_sdk import DatlakeClient, JobContext

SCHEMA = {"station": "string", "hour": "timestamp[us, tz=UTC]", "temperature_c": "double", "rain_mm": "double"}
BODY = b'{"run_id":"' + b"0" * 36 + b'","metadata":{"source":"' + b"x" * 500 + b'"}}'
WARM_UP = 20


def main() -> None:
    """Measures every case in turn and prints the samples."""
    folder, rounds, noop = sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None
    cases = _cases(folder, noop)
    samples: dict[str, list[float]] = {name: [] for name in cases}
    names = list(cases)
    for number in range(rounds + WARM_UP):
        # Another one begins each round, so that nobody always runs in the wake of the same neighbour.
        for at in range(len(names)):
            name = names[(number + at) % len(names)]
            began = time.perf_counter()
            cases[name]()
            if number >= WARM_UP:
                samples[name].append((time.perf_counter() - began) * 1000)
    print(msgspec.json.encode(samples).decode())


def _cases(folder: str, noop: str | None) -> dict[str, Callable[[], None]]:
    client = DatlakeClient()
    client.register_snapshot("weather_raw", "file:///data/weather_raw.parquet", "parquet", SCHEMA)
    connection = apsw.Connection(f"{folder}/bare.db")
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "CREATE TABLE bare (id TEXT, body BLOB)",
    ):
        connection.execute(statement).fetchall()
    return {
        "run, client from the environment": lambda: _run(JobContext("weather_hourly")),
        "run, shared client": lambda: _run(JobContext(client, "weather_hourly")),
        "start and complete": lambda: _empty(JobContext(client, "weather_hourly")),
        "bare": partial(_bare, connection, noop, urllib3.PoolManager()),
    }


def _run(job: JobContext) -> None:
    with job:
        source = job.get_table_latest_uri("weather_raw")
        job.register_snapshot("weather_hourly", f"{source}.{job.run_id}", "parquet", SCHEMA, row_count=26_115)


def _empty(job: JobContext) -> None:
    with job:
        pass


def _bare(connection: apsw.Connection, noop: str | None, pool: urllib3.PoolManager) -> None:
    for _ in range(4):
        if noop is not None:
            pool.request("POST", noop, body=BODY, headers={"Content-Type": "application/json"})
        connection.execute("INSERT INTO bare VALUES (?, ?)", ("run", BODY))


if __name__ == "__main__":
    main()
