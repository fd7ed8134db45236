"""A program that forks while its threads hold every lock there is; its children do the same work, and are counted.

`python -m tests.faults.forker FORKS`; a line of JSON says how many children ended well, hung, or got a wrong answer.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

import msgspec

from datlake_sdk import DatlakeClient, JobContext, NotFound

HUNG_S = 20
AT_ONCE = 4


class Counted(msgspec.Struct):
    """What became of the children."""

    well: int = 0
    hung: int = 0
    mixed: int = 0
    other: int = 0


def answers_are_its_own(client: DatlakeClient, mark: str) -> bool:
    """True where each answer is the one to the question asked."""
    made = client.register_snapshot(f"t-{mark}", f"s3://b/{mark}", "csv")
    if (made.uri, client.latest_snapshot(f"t-{mark}").uri) != (f"s3://b/{mark}", f"s3://b/{mark}"):
        return False
    try:
        client.get_table(f"none-{mark}", request_id=f"ask-{mark}")
    except NotFound as error:
        return error.request_id == f"ask-{mark}" and f"none-{mark}" in error.message
    return False


def child(job: JobContext) -> int:
    """The exit status of a child: 0 well, 3 a mixed answer."""
    signal.alarm(HUNG_S)
    mark = str(os.getpid())
    job.log_event("child", {"pid": mark})
    job.register_snapshot("children", f"s3://children/{mark}", "csv")
    logging.getLogger("child").warning("a line of child %s", mark)
    return 0 if answers_are_its_own(job.client, mark) else 3


def busy(job: JobContext, stop: threading.Event) -> list[threading.Thread]:
    """Threads that hold locks most of the time: the outbox's, the connections', the lake's and the log's."""

    def tell() -> None:
        job.log_event("parent", {"n": time.time_ns()})

    def ask() -> None:
        answers_are_its_own(job.client, f"{os.getpid()}-{threading.get_ident()}-{time.time_ns()}")

    def log() -> None:
        logging.getLogger("parent").warning("a line")

    def open_and_close() -> None:
        with JobContext(job.client, "inner") as inner:
            inner.log_event("told")

    def repeat(work: Callable[[], None]) -> None:
        while not stop.is_set():
            work()

    return [threading.Thread(target=repeat, args=(work,)) for work in (tell, ask, ask, log, open_and_close)]


def forked(job: JobContext) -> int:
    """The id of a child at work."""
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            status = child(job)
        finally:
            os._exit(status)
    return pid


def count(counted: Counted, pids: list[int]) -> None:
    """Each of these children has ended, and is counted."""
    for pid in pids:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code == 0:
            counted.well += 1
        elif code == -signal.SIGALRM:
            counted.hung += 1
        elif code == 3:
            counted.mixed += 1
        else:
            counted.other += 1


def main() -> None:
    """The threads, the forks, and what became of them."""
    counted, stop = Counted(), threading.Event()
    with JobContext("forker", ship_logs=True) as job:
        threads = busy(job, stop)
        for thread in threads:
            thread.start()
        for _ in range(int(sys.argv[1]) // AT_ONCE):
            count(counted, [forked(job) for _ in range(AT_ONCE)])
        stop.set()
        for thread in threads:
            thread.join()
    print(job.run_id, msgspec.json.encode(counted).decode(), flush=True)


if __name__ == "__main__":
    main()
