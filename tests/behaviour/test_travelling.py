"""A run travels to other processes by pickle: they add to it, and its end stays with the process that began it."""

from __future__ import annotations

import copy
import pickle
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from datlake_sdk import DatlakeClient, JobContext
from datlake_sdk.wire.models import Run
from tests.places import Place

FLUSH = "import sys; from datlake_sdk.cli.main import main; sys.exit(main(['outbox', 'flush', '--json']))"
SCRIPT = """
import multiprocessing, os, sys, time
from datlake_sdk import JobContext, current_job

def work(job, n):
    {work}

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    with JobContext("nightly") as job:
        workers = [context.Process(target=work, args=(job, n)) for n in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        print([worker.exitcode for worker in workers])
"""


def run_script(place: Place, path: Path, method: str, work: str) -> tuple[str, Run, Counter[object]]:
    """What the script printed, its run once all is delivered, and how often each event is there."""
    path.write_text(SCRIPT.format(method=method, work=work), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(path)], env=place.environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert place.run(FLUSH).returncode == 0
    with place.client() as client:
        [run] = client.list_runs("nightly")
        told = Counter(event.data["n"] for event in client.events(run.run_id, event_type="told"))
        return done.stdout, client.get_run(run.run_id), told


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_worker_that_a_signal_ends_does_not_end_the_run(place: Place, tmp_path: Path, method: str) -> None:
    """What it had said is kept; whether the job fails for it is the job's to say."""
    work = "job.log_event('told', {'n': n}); time.sleep(0.1); os.kill(os.getpid(), 15)"
    printed, run, told = run_script(place, tmp_path / "script.py", method, work)
    assert printed.strip() == str([-signal.SIGTERM] * 3)
    assert (run.state, len(run.endings)) == ("completed", 1)
    assert told == Counter(range(3))


def test_a_worker_can_use_the_run_as_its_own_and_not_end_it(place: Place, tmp_path: Path) -> None:
    """Code that expects a job of its own runs unchanged in a worker."""
    work = "with job:\n        current_job().log_event('told', {'n': n})\n    job.complete(success=False)"
    _, run, told = run_script(place, tmp_path / "script.py", "spawn", work)
    assert (run.state, len(run.endings)) == ("completed", 1)
    assert told == Counter(range(3))


def test_a_key_does_not_travel(tmp_path: Path) -> None:
    """Pickles lie in queues and caches; the other process has its own key, from its own settings."""
    with DatlakeClient(home=tmp_path / "lake", api_key="s3cret-key") as client:
        job = JobContext(client, "nightly")
        assert b"s3cret-key" not in pickle.dumps(job)


def test_a_copy_is_the_same_run(client: DatlakeClient) -> None:
    """Schedulers copy what they are handed, some by `copy`, some by pickle."""
    with JobContext(client, "nightly") as job:
        for again in (copy.copy(job), copy.deepcopy(job), pickle.loads(pickle.dumps(job))):  # noqa: S301 -- our own
            assert isinstance(again, JobContext)
            assert again.run_id == job.run_id
            again.register_snapshot("t", "file:///t.csv", "csv")
    run = client.get_run(job.run_id)
    assert (run.state, len(run.outputs)) == ("completed", 3)
