"""A job whose story several processes or threads tell; run by `test_pools.py`, and imported by the workers it starts.

`python -m tests.behaviour.pool_work WAY` prints two run ids: of a job that did all by itself, and of one that had it
done by WAY. Both are to look the same.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

from datlake_sdk import JobContext

WORKERS = 8
TASKS = 32
TABLES = 3
CHILDREN = 4

INHERITED: list[JobContext] = []


def work(job: JobContext, number: int) -> int:
    """One task: what it says of itself, through the run and through the run's client."""
    job.add_input("s3://in/all")
    job.log_event("task", {"number": number, "step": "begun"})
    table = f"{job.job_name}-{number % TABLES}"
    if number % 2:
        job.register_snapshot(table, f"s3://out/{number}", "csv", row_count=number)
    else:
        uri = f"s3://out/{number}"
        job.client.register_snapshot(table, uri, "csv", job_name=job.job_name, run_id=job.run_id, row_count=number)
    job.log_metrics({"number": number})
    return number


def work_inherited(number: int) -> int:
    """One task of the run that this process was forked with."""
    return work(INHERITED[0], number)


def alone(job: JobContext) -> list[int]:
    """This process does it all."""
    return [work(job, number) for number in range(TASKS)]


def by_pool(method: str, job: JobContext) -> list[int]:
    """A pool whose workers get the run with each task; they are ended by a signal as soon as the last is done."""
    with multiprocessing.get_context(method).Pool(WORKERS) as pool:
        return pool.map(partial(work, job), range(TASKS), chunksize=1)


def by_heirs(job: JobContext) -> list[int]:
    """A pool whose workers have the run from the memory that they were forked with."""
    INHERITED.append(job)
    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        return pool.map(work_inherited, range(TASKS), chunksize=1)


def by_executor(job: JobContext) -> list[int]:
    """`concurrent.futures`, whose workers end by themselves."""
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("fork")) as executor:
        return list(executor.map(partial(work, job), range(TASKS)))


def by_threads(job: JobContext) -> list[int]:
    """Threads of this process."""
    with ThreadPoolExecutor(WORKERS) as executor:
        return list(executor.map(partial(work, job), range(TASKS)))


def by_prefork(job: JobContext) -> list[int]:
    """A server that opens everything, forks its workers, and lets each leave without any tidying."""
    children = [_forked(partial(_share, job, first)) for first in range(CHILDREN)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return list(range(TASKS)) if codes == [0] * CHILDREN else codes


def _share(job: JobContext, first: int) -> None:
    for number in range(first, TASKS, CHILDREN):
        work(job, number)


def _forked(what: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            what()
            status = 0
        finally:
            os._exit(status)
    return child


WAYS: dict[str, Callable[[JobContext], list[int]]] = {
    "fork": partial(by_pool, "fork"),
    "spawn": partial(by_pool, "spawn"),
    "forkserver": partial(by_pool, "forkserver"),
    "heirs": by_heirs,
    "executor": by_executor,
    "threads": by_threads,
    "prefork": by_prefork,
}


def main() -> None:
    """The two runs."""
    for name, way in (("alone", alone), ("shared", WAYS[sys.argv[1]])):
        with JobContext(name) as job:
            job.log_event("parent", {"when": "before"})  # so that there is a journal and its threads to inherit
            done = way(job)
            job.log_event("parent", {"when": "after"})
        assert sorted(done) == list(range(TASKS)), done
        assert job.warnings == [], job.warnings
        print(job.run_id, flush=True)


if __name__ == "__main__":
    main()
