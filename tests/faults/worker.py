"""A program of jobs that is killed at any moment: it writes down what it is about to tell, and what was accepted.

`python -m tests.faults.worker LEDGER [SECONDS]`; its lake and its outbox are those of the environment. Accepted is what
a call took and returned from, be the lake there or away.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from datlake_sdk import JobContext

# A job has work of its own to do; without a pause the backlog of 500 kills is one of a hundred thousand operations.
PACE_S = 0.005


class Notes:
    """The ledger: facts as lists of JSON, `issued` before a call and `accepted` after it."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    @contextmanager
    def of(self, *fact: object) -> Iterator[None]:
        """The call within the block is the one that makes the fact."""
        self.write("issued", fact)
        yield
        self.write("accepted", fact)
        time.sleep(PACE_S)

    def write(self, kind: str, fact: tuple[object, ...]) -> None:
        """One line, in one write."""
        os.write(self._file, f"{kind} ".encode() + msgspec.json.encode(fact) + b"\n")


def work(notes: Notes) -> None:
    """One job, with something of each kind."""
    job = JobContext("worker")
    run_id = job.run_id
    with notes.of("run", run_id):
        job.start()
    with notes.of("input", run_id, f"s3://in/{run_id}"):
        job.add_input(f"s3://in/{run_id}")
    for number in range(3):
        uri = f"s3://out/{run_id}/{number}"
        with notes.of("output", run_id, uri):
            job.register_snapshot("t", uri, "csv", {"a": "int"}, row_count=number)
        for event in range(5):
            with notes.of("event", run_id, number * 5 + event):
                job.log_event("told", {"n": number * 5 + event})
    with notes.of("ending", run_id, "completed"):
        job.complete()


def main() -> None:
    """Jobs, one after another, for so long."""
    notes, until = Notes(sys.argv[1]), time.monotonic() + float(sys.argv[2])
    while time.monotonic() < until:
        work(notes)


if __name__ == "__main__":
    main()
