"""A disk that fails, fills up or turns read-only under a job is told, and is never the job's problem."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from datlake_sdk import DatlakeClient
from tests.faults.load import ROOT
from tests.faults.mounts import powerless_disk
from tests.faults.oracle import broken_versions, passes_afresh
from tests.faults.rounds import keep, need, none_of, rounds
from tests.faults.troubled import Told
from tests.faults.workers import flushed, on_host
from tests.places import Place

PRELOADED = Path("/usr/lib/fiu/fiu_posix_preload.so")
POINTS = [
    f"posix/io/{name}"
    for name in (
        "oc/open", "rw/read", "rw/pread", "rw/write", "rw/write/reduce", "rw/pwrite", "rw/pwrite/reduce",
        "rw/ftruncate", "sync/fsync", "sync/fdatasync", "dir/rename", "dir/unlink",
    )
]  # fmt: skip
EIO, EMFILE, ENOSPC = 5, 24, 28
SOUND = "nothing:0:0"
TURNS = rounds(1, 25)
# Python takes no notice of a short write, and would leave half a module for all who load it after.
NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}

WORK = "with JobContext('j') as job:\n    job.add_input('s3://in/x')\n"
TELL = """
    job.register_snapshot('t', 's3://b/1', 'csv')
    for n in range(50): job.log_event('told', {'n': n, 'text': 'x' * 1000})
    job.attach_json('report', {'a': 'y' * 20000})
    print('worked')
"""


def faults() -> list[str]:
    """Each call of the operating system failing always and now and then, with a sound job between."""
    found = [SOUND]
    for point in POINTS:
        found += [f"{point}:{EIO}:1", f"{point}:{ENOSPC}:1", f"{point}:{EIO}:0.3", SOUND]
    return [*found, f"posix/io/oc/open:{EMFILE}:1", SOUND] * TURNS


def jobs(place: Place) -> list[Told]:
    """What the program told of its jobs, one for each fault; it ended well."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.troubled", *faults()],
        env=on_host(place, place.home, LD_PRELOAD=str(PRELOADED), **NO_BYTECODE),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    told = [msgspec.json.decode(line, type=Told) for line in done.stdout.splitlines()]
    assert (done.returncode, len(told)) == (0, len(faults())), done.stderr[-2000:]
    return told


@pytest.mark.timeout(120 if TURNS == 1 else 3600)
def test_no_failing_call_of_the_operating_system_reaches_the_job(place: Place) -> None:
    """What was acknowledged meanwhile is there, and the lake is as sound as before."""
    need("fiu-run")
    if not PRELOADED.exists():
        pytest.skip(f"needs libfiu's {PRELOADED}, not found on this machine")
    told = jobs(place)
    flushed(place)
    escaped = [f"{one.fault}: {one.escaped}" for one in told if one.escaped or one.result != 10]
    with place.client() as client:
        snapshots = list(client.list_snapshots("t", limit=1000))
        lost = {one for job in told for one in job.acked} - {one.snapshot_id for one in snapshots}
        runs = {run.run_id: run.state for run in client.list_runs("troubled", limit=1000)}
        assert broken_versions(snapshots) == []
        assert passes_afresh(client)
    # A sound job may find the disk given up for some seconds, but not without a word.
    silent = [job for job in told if job.fault == SOUND and not job.warned and runs.get(job.run_id) != "completed"]
    claims = [
        none_of("exceptions in user code", len(escaped)),
        none_of("acknowledged snapshots lost", len(lost)),
        none_of("sound jobs not recorded, and not told", len(silent)),
    ]
    where = "served" if place.address.startswith("http") else "embedded"
    keep(f"R1 I/O errors, {where}", f"calls of the operating system fail in a job, {where}", claims, [],
         [f"{len(told)} jobs, {len(POINTS)} calls, EIO, ENOSPC and EMFILE, always and now and then"])  # fmt: skip
    assert escaped == []
    assert lost == set()
    assert silent == []


@pytest.mark.parametrize("before", [True, False], ids=["before the job", "within the job"])
def test_a_job_that_may_write_no_large_file_works_on(place: Place, before: bool) -> None:
    """`ulimit -f`: Python ignores the signal, and writes fail as too large."""
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n"
    source = f"import resource\nfrom datlake_sdk import JobContext\n{limit if before else ''}{WORK}"
    done = place.run(f"{source}    {'' if before else limit}{TELL}", **NO_BYTECODE)
    assert (done.returncode, done.stdout.split()) == (0, ["worked"]), done.stderr
    with place.client() as client:
        assert passes_afresh(client)


@pytest.mark.parametrize("what", ["turns read-only", "is gone"])
def test_a_job_whose_disk_fails_under_it_works_on_and_later_ones_are_recorded(tmp_path: Path, what: str) -> None:
    """As the kernel does with a disk that it no longer trusts, and as a cable does that is pulled."""
    source = (
        f"import sys\nfrom datlake_sdk import JobContext\n{WORK}    print('now', flush=True); sys.stdin.readline()\n"
    )
    with powerless_disk(tmp_path) as disk:
        place = Place(str(disk.at / "lake"), disk.at / "lake", "default")
        job = subprocess.Popen(
            [sys.executable, "-c", source + TELL],
            env=place.environment(**NO_BYTECODE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            assert job.stdout is not None
            assert job.stdout.readline() == b"now\n"
            disk.cut() if what == "is gone" else disk.turn_read_only()
            out, said = job.communicate(b"\n", timeout=60)
        finally:
            job.kill()
        assert (job.returncode, out) == (0, b"worked\n"), said
        disk.power_on()
        with DatlakeClient(place.address) as client:
            assert passes_afresh(client)
