"""A load as a process of its own: it issues operations at a rate, and writes down what it issued and what was answered.

`python -m tests.faults.load --url … --ledger …`; started by the kill loops, judged by `oracle.py`, which reads the
ledger. It ends when it has lived its lives, or when its standard input is closed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from datlake_sdk import DatlakeClient, DatlakeError
from datlake_sdk.wire import codec
from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.models import DataRef, Snapshot
from datlake_sdk.wire.operations import (
    AddInputs,
    CompleteRun,
    EventItem,
    LogEvents,
    Op,
    RegisterSnapshot,
    StartRun,
)
from datlake_sdk.wire.times import utc_now

ROOT = Path(__file__).parent.parent.parent
EVENTS = 3


def life(worker: int, number: int, namespace: str = "default") -> Iterator[Op[object]]:
    """The operations of one run, each with its own id and a payload that is like no other's."""
    run_id, job, table = new_id(), f"load-{worker}", f"table-{worker % 4}"
    mark: dict[str, object] = {"worker": worker, "number": number, "text": f"päyload {run_id[-8:]}"}
    yield StartRun(namespace=namespace, job_name=job, run_id=run_id, metadata=mark, started_at=utc_now())
    read = [DataRef(uri=f"s3://in/{run_id}")]
    yield AddInputs(namespace=namespace, job_name=job, run_id=run_id, items=read, added_at=utc_now())
    yield RegisterSnapshot(
        namespace=namespace,
        table_name=table,
        uri=f"s3://out/{run_id}",
        format="parquet",
        schema={"id": "int64", f"c{number}": "string"},
        job_name=job,
        run_id=run_id,
        snapshot_id=new_id(),
        row_count=number,
        metadata=mark,
        created_at=utc_now(),
    )
    told = [
        EventItem(
            event_type="told", data={"n": n, **mark}, job_name=job, run_id=run_id, event_id=new_id(),
            created_at=utc_now(),
        )
        for n in range(EVENTS)
    ]  # fmt: skip
    yield LogEvents(namespace=namespace, events=told)
    yield CompleteRun(namespace=namespace, job_name=job, run_id=run_id, success=number % 5 != 4, ended_at=utc_now())


class Ledger:
    """The file that says what was issued and, in the order of the answers, what was acknowledged."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, kind: str, what: bytes) -> None:
        """One line, in one write: threads and a dying process leave whole lines."""
        os.write(self._file, kind.encode() + b" " + what + b"\n")


class Load:
    """Threads that issue lives of operations, each operation by as many senders at once as there are copies."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._chosen = chosen
        self._ledger = Ledger(chosen.ledger)
        self._stop = threading.Event()
        self._clients = [self._client() for _ in range(chosen.copies)]
        self._pool = ThreadPoolExecutor(chosen.threads * chosen.copies)

    def run(self) -> None:
        """Works until all is done or nobody reads on the other side."""
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(self._chosen.threads)]
        for thread in threads:
            thread.start()
        if not self._chosen.lives:
            sys.stdin.read()
            self._stop.set()
        for thread in threads:
            thread.join()
        self._pool.shutdown()

    def _client(self) -> DatlakeClient:
        return DatlakeClient(self._chosen.url, namespace=self._chosen.namespace, timeout=self._chosen.timeout)

    def _work(self, worker: int) -> None:
        pause_s = self._chosen.threads / self._chosen.rate if self._chosen.rate else 0.0
        due_s, number = time.monotonic(), 0
        while not self._stop.is_set() and not (self._chosen.lives and number >= self._chosen.lives):
            for op in life(worker, number, self._chosen.namespace):
                self._issue(op)
                due_s = max(due_s + pause_s, time.monotonic() - 1.0)  # what was missed in an outage is not made up for
                self._stop.wait(max(due_s - time.monotonic(), 0))
            number += 1

    def _issue(self, op: Op[object]) -> None:
        self._ledger.write("issued", codec.encode(op))
        if len(self._clients) == 1:
            answers = [self._send(self._clients[0], op)]
        else:
            answers = list(self._pool.map(lambda client: self._send(client, op), self._clients))
        told = [answer for answer in answers if answer is not None]
        if told:
            self._ledger.write("acked", str(op.key).encode())
        versions = {answer.version for answer in told if isinstance(answer, Snapshot)}
        if len(versions) > 1:
            self._ledger.write("contradicted", f"{op.key} {sorted(versions)}".encode())

    def _send(self, client: DatlakeClient, op: Op[object]) -> object | None:
        for _ in range(self._chosen.turns):
            try:
                return client.call(op)
            except DatlakeError as error:
                self._ledger.write("failed", f"{op.key} {error.code} {error.message}".replace("\n", " ").encode())
        return None


@contextmanager
def started(url: str, ledger: Path, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """A load at work within the block; `ended` lets it end, and what is left at the block's end is killed."""
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.faults.load", "--url", url, "--ledger", str(ledger)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DATLAKE_")}
    with subprocess.Popen(command, cwd=ROOT, env=clean, stdin=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(load: subprocess.Popen[bytes], within_s: float) -> None:
    """The load has ended, by itself or because it was asked to, without an error of its own."""
    if load.stdin is not None:
        load.stdin.close()
    assert load.wait(within_s) == 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--rate", type=float, default=0.0, help="operations a second in all; 0 is as many as go")
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--lives", type=int, default=0, help="runs of each thread; 0 is until stdin ends")
    parser.add_argument("--copies", type=int, default=1, help="senders of each operation, all at once")
    parser.add_argument("--turns", type=int, default=1, help="how often an operation is tried, retries not counted")
    parser.add_argument("--timeout", type=float, default=5.0)
    return parser


if __name__ == "__main__":
    Load(_parser().parse_args()).run()
