"""What telling costs a job: `events.py FOLDER EVENTS`. The lake is the one that the environment names.

Times each `log_event` of a job, a bare append of the same bytes between them, and how long until the lake has all.
With `events.py FOLDER EVENTS deferred` the lake is away: times each registration that goes to the disk instead, and a
bare append with fdatasync. Prints one JSON object of sample lists.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from datlake_sdk import DatlakeClient, JobContext
from datlake_sdk._connection import outbox_of

LINE = b'{"op":"LogEvent","event_type":"metrics","data":{"rows":1204,"table":"sales"},"run_id":"' + b"0" * 36 + b'"}'
WARM_UP = 200


def main() -> None:
    """Measures and prints."""
    folder, count = sys.argv[1], int(sys.argv[2])
    bare = os.open(Path(folder, "bare"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    found = _deferred(bare, count) if sys.argv[3:] == ["deferred"] else _told(bare, count)
    print(msgspec.json.encode(found).decode())


def _told(bare: int, count: int) -> dict[str, list[float]]:
    client = DatlakeClient()
    with JobContext(client, "telling") as job:
        for number in range(WARM_UP):
            job.log_event("metrics", {"rows": number, "table": "sales"})
        outbox_of(client).flush(10)
        cpu, began = time.process_time(), time.perf_counter()
        samples = [_us(partial(_tell, job, number)) for number in range(count)]
        if not outbox_of(client).flush(30):
            message = "the events were not delivered"
            raise RuntimeError(message)
        took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    appends = [_us(lambda: os.write(bare, LINE)) for _ in range(count)]
    return {
        "log_event": samples,
        "append": appends,
        "events/s": [count / took_s],
        "CPU": [cpu_s / count * 1e6],
    }


def _deferred(bare: int, count: int) -> dict[str, list[float]]:
    samples: list[float] = []
    appends: list[float] = []

    def append() -> None:
        os.write(bare, LINE)
        os.fdatasync(bare)

    with JobContext(DatlakeClient(), "away") as job:
        for number in range(count):
            samples.append(_us(partial(job.register_snapshot, "sales", f"s3://lake/{number}", "parquet")))
            appends.append(_us(append))
    return {"deferred": samples[1:], "append and fdatasync": appends[1:]}  # the first one found the lake away


def _tell(job: JobContext, number: int) -> None:
    job.log_event("metrics", {"rows": number, "table": "sales"})


def _us(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e6


if __name__ == "__main__":
    main()
