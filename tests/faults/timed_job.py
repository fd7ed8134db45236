"""A job whose beginning, work and end are timed, one number a line; run with the backend well, broken or disabled.

With an argument it says `in` within the block and waits for a line, so that the backend can be broken in between.
"""

from __future__ import annotations

import sys
import time

from datlake_sdk import JobContext


def main() -> None:
    """The job; its own work is nothing, so that all the time is ours."""
    began = time.perf_counter()
    with JobContext("timed") as job:
        entered = time.perf_counter()
        job.add_input("s3://in/x")
        for number in range(3):
            job.register_snapshot("t", f"s3://b/{job.run_id}/{number}", "csv")
        for number in range(50):
            job.log_event("told", {"n": number})
        job.attach_json("report", {"a": 1})
        if len(sys.argv) > 1:
            print("in", flush=True)
            sys.stdin.readline()
        worked = time.perf_counter()
    left = time.perf_counter()
    print(entered - began, worked - entered, left - worked, flush=True)


if __name__ == "__main__":
    main()
