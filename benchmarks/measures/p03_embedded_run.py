"""P3: a run on the embedded lake, start, read, input, registration and completion, beside its bare commits."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import which

from benchmarks import peers
from benchmarks.figures import Claim, Figure, Plan, Result, figure
from benchmarks.processes import answer_of, environment, samples_of, scratch

ROUNDS = 300
FIRST_RUNS = 15
FIRST_TARGET_MS = 60
TRACKED_FILES = 300

FIRST = """
import time
loading = time.perf_counter()
from datlake_sdk import DatlakeClient, JobContext
began = time.perf_counter()
with JobContext("weather_hourly") as job:
    source = job.get_table_latest_uri("weather_raw")
    job.register_snapshot("weather_hourly", f"{source}.{job.run_id}", "parquet", {"hour": "timestamp"})
ended = time.perf_counter()
print((ended - began) * 1000, (ended - loading) * 1000)
"""


def measure(plan: Plan) -> Result:
    """Runs and bare commits in turns in one process, then first runs of fresh processes in and outside a repository."""
    # Working outside the checkout: a job in a repository is a case of its own below.
    with scratch() as disk, scratch(Path(tempfile.gettempdir())) as work:
        lake = {"DATLAKE_HOME": str(disk / "lake")}
        samples = samples_of("runs", [str(disk), str(ROUNDS)], work, **lake)
        first = _first_runs(work, lake)
    figures = [figure(name, "ms", samples[name]) for name in samples]
    return Result(
        name="P3",
        title="embedded run: start, latest, input, register, complete, each durable",
        figures=figures + first,
        claims=[
            *ratios(samples),
            *(Claim(one.what, "ms", one.median, FIRST_TARGET_MS) for one in first if one.what.startswith("first")),
        ],
        versions=peers.versions(plan),
    )


def ratios(samples: dict[str, list[float]]) -> list[Claim]:
    """The median run over the median of its bare work, for both ways to make a job."""
    bare = statistics.median(samples["bare"])
    return [
        Claim(f"{name}, to its bare work, p50", "×", statistics.median(samples[name]) / bare, 3)
        for name in samples
        if name.startswith("run, ")
    ]


def _first_runs(work: Path, lake: dict[str, str]) -> list[Figure]:
    repository = work / "repository"
    places = {"": work, ", in a git repository": repository} if _make_repository(repository) else {"": work}
    alone: dict[str, list[float]] = {where: [] for where in places}
    loaded: dict[str, list[float]] = {where: [] for where in places}
    for number in range(-1, FIRST_RUNS):  # the first round makes the .pyc files
        for where, cwd in places.items():
            told = answer_of([sys.executable, "-c", FIRST], cwd, environment(**lake)).split()
            if number >= 0:
                alone[where].append(float(told[0]))
                loaded[where].append(float(told[1]))
    return [
        *(figure(f"first run after import{where}", "ms", alone[where]) for where in places),
        *(figure(f"import and first run{where}", "ms", loaded[where]) for where in places),
    ]


def _make_repository(folder: Path) -> bool:
    """A repository of a usual size with one commit; false where git is not installed."""
    folder.mkdir()
    git = which("git") or "git"
    for number in range(TRACKED_FILES):
        (folder / f"module_{number}.py").write_text(f"VALUE = {number}\n" * 40)
    who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"]
    try:
        for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "All"]):
            subprocess.run([git, *who, *command], cwd=folder, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"benchmarks: no repository to measure in: {error}", file=sys.stderr)
        return False
    return True
