"""A program that makes every call of a `JobContext`, then ends as its argument says; run while the backend is broken.

The two calls that need an answer may raise Datlake's own errors, and are told; anything else ends the program in
another way than it would have ended without us.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

from datlake_sdk import DatlakeError, JobContext


def needs_an_answer(name: str, ask: Callable[[], object]) -> None:
    """Whether the call answered is told, and nothing else is allowed to happen."""
    try:
        ask()
        print(name, "answered", flush=True)
    except DatlakeError:
        print(name, "raised", flush=True)


def calls(job: JobContext) -> None:
    """Every method of the job that records, reads or attaches."""
    job.add_input("s3://in/x", "some_table")
    job.add_output("s3://out/y")
    needs_an_answer("get_table_latest_uri", lambda: job.get_table_latest_uri("t"))
    needs_an_answer("expected_version", lambda: job.register_snapshot("u", "s3://b/u", "csv", expected_version=0))
    made = job.register_snapshot("t", f"s3://b/{job.run_id}", "csv", {"a": "int"}, row_count=3)
    assert made["run_id"] == job.run_id
    for number in range(20):
        job.log_event("told", {"n": number})
    job.progress(1, 2, "half")
    job.log_metrics({"loss": 0.5}, step=1)
    job.attach_json("report", {"a": 1})
    job.attach_html("page", "<p>hello</p>")
    job.attach(__file__, "source")
    job.attach_log(__file__)
    job.bind(lambda: logging.getLogger("work").warning("a line of the log"))()


def main() -> None:
    """The job, and its end."""
    ending = sys.argv[1]
    with JobContext("every-call", {"ending": ending}, ship_logs=True, log_level="INFO") as job:
        print("run", job.run_id, flush=True)
        calls(job)
        if ending == "exception":
            raise KeyError("the job's own")
        if ending == "exit":
            sys.exit(3)
    started = JobContext.start("bare")
    started.log_event("told")
    print("worked", flush=True)
    if ending == "os._exit":
        os._exit(4)


if __name__ == "__main__":
    main()
