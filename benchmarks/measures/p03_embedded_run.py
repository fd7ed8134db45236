"""P3: a run on the embedded lake, start, read, input, registration and completion, beside its bare commits."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import peers
from benchmarks.figures import Claim, Figure, Plan, Result, figure, percentile
from benchmarks.processes import answer_of, environment, samples_of, scratch

ROUNDS = 300
FIRST_RUNS = 15
TRACKED_FILES = 300

FIRST = """
from datlake_sdk import DatlakeClient, JobContext
import time
began = time.perf_counter()
with JobContext("weather_hourly") as job:
    source = job.get_table_latest_uri("weather_raw")
    job.register_snapshot("weather_hourly", f"{source}.{job.run_id}", "parquet", {"hour": "timestamp"})
print((time.perf_counter() - began) * 1000)
"""


def measure(plan: Plan) -> Result:
    """Runs and bare commits in turns in one process, then first runs of fresh processes in and outside a repository."""
    # Working outside the checkout: a job in a repository is a case of its own below.
    with scratch() as disk, scratch(Path(tempfile.gettempdir())) as work:
        lake = {"DATLAKE_HOME": str(disk / "lake")}
        samples = samples_of("runs", [str(disk), str(ROUNDS)], work, **lake)
        first = _first_runs(work, lake)
    figures = [figure(name, "ms", samples[name]) for name in samples]
    figures += [figure(f"{name}, p99", "ms", [percentile(samples[name], 99)]) for name in samples]
    return Result(
        name="P3",
        title="embedded run: start, latest, input, register, complete, each durable",
        figures=figures + first,
        claims=[*ratios(samples), *(Claim(one.what, "ms", one.median, 60) for one in first)],
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
    cases: dict[str, Callable[[], float]] = {"first run after import": lambda: _first(work, lake)}
    if _make_repository(repository):
        cases["first run after import, in a git repository"] = lambda: _first(repository, lake)
    samples: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(-1, FIRST_RUNS):
        for name, run in cases.items():
            took = run()
            samples[name] += [took] if number >= 0 else []
    return [figure(name, "ms", samples[name]) for name in samples]


def _first(cwd: Path, lake: dict[str, str]) -> float:
    return float(answer_of([sys.executable, "-c", FIRST], cwd, environment(**lake)))


def _make_repository(folder: Path) -> bool:
    """A repository of a usual size with one commit; false where git is not installed."""
    folder.mkdir()
    for number in range(TRACKED_FILES):
        (folder / f"module_{number}.py").write_text(f"VALUE = {number}\n" * 40)
    who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"]
    try:
        for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "All"]):
            subprocess.run(["git", *who, *command], cwd=folder, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"benchmarks: no repository to measure in: {error}", file=sys.stderr)
        return False
    return True
