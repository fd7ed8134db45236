"""A job that gives signs of life every 0.2 s; each line it is sent is an event, and the end of them its own.

Run by `test_zombies.py`.
"""

from __future__ import annotations

import sys

from datlake_sdk import JobContext


def main() -> None:
    """The job, which ends with its standard input."""
    with JobContext("beating", heartbeat_interval_s=0.2) as job:
        print(job.run_id, flush=True)
        for _ in sys.stdin:
            job.log_event("tick")


if __name__ == "__main__":
    main()
