"""A job that fails: the run says so, with the traceback and the log; the caller gets the very same exception."""

from __future__ import annotations

import logging

from datlake_sdk import DatlakeClient, JobContext

AMOUNTS = ("12", "30", "twelve")


def main() -> None:
    """Fails on the third amount, shows what the lake knows of it, and lets the exception go its way (exit code 1)."""
    job = JobContext("example_failing", ship_logs=True, log_level="INFO")
    try:
        with job:
            for amount in AMOUNTS:
                logging.getLogger(__name__).info("adding %s", amount)
                int(amount)
    except ValueError:
        with DatlakeClient() as client:
            run = client.get_run(job.run_id)
        reason = f"{run.error.type}: {run.error.message}" if run.error else "no reason recorded"
        print(f"run {run.run_id} {run.state}, {reason}")
        print("left behind:", ", ".join(artifact.type for artifact in run.artifacts))
        raise


if __name__ == "__main__":
    main()
