"""A job that lets a pool of processes tell its story, by whatever way those are started; run by `test_forks.py`."""

from __future__ import annotations

import multiprocessing
import sys

from datlake_sdk import JobContext

TASKS = 24


def work(task: tuple[JobContext, int]) -> int:
    """One task, in a worker: an event and a snapshot of the run that came with it."""
    job, number = task
    job.log_event("task", {"n": number})
    job.register_snapshot("pooled", f"s3://pooled/{number}", "csv", row_count=number)
    return number


def main() -> None:
    """All tasks, by a pool that is started as the argument says; `none` is this process alone."""
    with JobContext("pooled") as job:
        tasks = [(job, number) for number in range(TASKS)]
        if sys.argv[1] == "none":
            done = [work(task) for task in tasks]
        else:
            with multiprocessing.get_context(sys.argv[1]).Pool(4) as pool:
                done = pool.map(work, tasks)
                pool.close()
                pool.join()
    print(job.run_id, sorted(done) == list(range(TASKS)), flush=True)


if __name__ == "__main__":
    main()
