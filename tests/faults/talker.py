"""A job among many that log through an outage; run by `test_many_processes.py`.

`python -m tests.faults.talker NUMBER EVENTS PAUSE_S` says `begun`, and at its end its run, and how long its logging and
its end took.
"""

from __future__ import annotations

import sys
import time

from datlake_sdk import JobContext

JOB = "crowd"


def main() -> None:
    """The job: numbered events at a steady pace."""
    number, events, pause_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    with JobContext(JOB, {"process": number}) as job:
        print("begun", flush=True)
        began = time.monotonic()
        for each in range(events):
            job.log_event("said", {"process": number, "number": each})
            time.sleep(pause_s)
        said = time.monotonic()
    print(job.run_id, said - began, time.monotonic() - said, flush=True)


if __name__ == "__main__":
    main()
