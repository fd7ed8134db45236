"""P13: how long a person waits for `datlake --help` and for `datlake runs` on an embedded lake."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import peers
from benchmarks.figures import Claim, Plan, Result, figure
from benchmarks.processes import answer_of, cost_of, environment, scratch

ROUNDS = 15
RUNS = 300
# What the installed command does.
COMMAND = "import sys; from datlake_sdk.cli.main import main; sys.exit(main())"
FILL = """
import sys
from datlake_sdk import DatlakeClient, JobContext
client = DatlakeClient()
for number in range(int(sys.argv[1])):
    with JobContext(client, f"job_{number % 7}") as job:
        job.register_snapshot("weather_hourly", f"file:///data/{number}.parquet", "parquet")
"""


def measure(plan: Plan) -> Result:
    """Fresh processes in turns, from start to exit, beside a bare Python."""
    with scratch() as folder:
        costs = _costs(folder)
    figures = [figure(name, "ms", costs[name]) for name in costs]
    medians = {one.what: one.median / 1000 for one in figures}
    return Result(
        name="P13",
        title=f"command line, fresh process, lake of {RUNS} runs",
        figures=figures,
        claims=[
            Claim("datlake --help", "s", medians["datlake --help"], 0.15),
            Claim("datlake runs", "s", medians["datlake runs"], 0.25),
        ],
        versions=peers.versions(plan),
    )


def _costs(folder: Path) -> dict[str, list[float]]:
    env = environment(DATLAKE_HOME=str(folder / "lake"))
    answer_of([sys.executable, "-c", FILL, str(RUNS)], folder, env)
    cases = {
        "bare Python": [sys.executable, "-c", "pass"],
        "datlake --help": [sys.executable, "-c", COMMAND, "--help"],
        "datlake runs": [sys.executable, "-c", COMMAND, "runs"],
    }
    costs: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(-1, ROUNDS):  # the first round makes the .pyc files
        for name, command in cases.items():
            cost = cost_of(command, folder, env)
            costs[name] += [cost.wall_ms] if number >= 0 else []
    return costs
