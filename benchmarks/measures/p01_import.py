"""P1: what importing the SDK costs a job, beside the one library it cannot do without and beside its peers."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import msgspec

from benchmarks import peers
from benchmarks.figures import Claim, Figure, Plan, Result, figure
from benchmarks.processes import Cost, answer_of, cost_of, environment, scratch

IMPORT = "from datlake_sdk import DatlakeClient, JobContext"
LOADED = f"{IMPORT}; import sys, json; print(json.dumps(sorted(sys.modules)))"
ROUNDS = 21
MLFLOW_ROUNDS = 7

# What a job should not pay for by importing the SDK: HTTP libraries, servers, dataframe engines, the lake itself.
FORBIDDEN = frozenset(
    [
        "urllib3",
        "http.client",
        "requests",
        "httpx",
        "httpcore",
        "aiohttp",
        "ssl",
        "datlake_server",
        "starlette",
        "uvicorn",
        "uvloop",
        "httptools",
        "apsw",
        "sqlite3",
        "polars",
        "pandas",
        "pyarrow",
        "duckdb",
        "numpy",
        "asyncio",
        "logging",
        "subprocess",
        "concurrent.futures",
        "urllib.request",
        "inspect",
        "dataclasses",
        "importlib.resources",
    ]
)


def measure(plan: Plan) -> Result:
    """Fresh processes in turns, each above the bare interpreter of its own environment."""
    with scratch() as folder:
        costs = _costs(folder, plan)
        loaded = msgspec.json.decode(answer_of([sys.executable, "-c", LOADED], folder, environment()), type=list[str])
    forbidden = sorted(FORBIDDEN.intersection(loaded))
    figures = [figure(f"{name}, wall", "ms", [cost.wall_ms for cost in costs[name]]) for name in costs]
    figures += [figure(f"{name}, user CPU", "ms", [cost.user_ms for cost in costs[name]]) for name in costs]
    return Result(
        name="P1",
        title="import of the SDK in a fresh process, above bare Python",
        figures=figures,
        claims=[
            *_own_claims(costs),
            Claim("forbidden modules loaded", "", len(forbidden), 0),
            *_peer_claims(figures, costs),
        ],
        notes=[f"loaded although forbidden: {', '.join(forbidden)}"] if forbidden else [],
        versions=peers.versions(plan),
    )


def _costs(folder: Path, plan: Plan) -> dict[str, list[Cost]]:
    cases = {
        "bare Python": ([sys.executable, "-c", "pass"], ROUNDS),
        "msgspec": ([sys.executable, "-c", "import msgspec"], ROUNDS),
        "datlake_sdk": ([sys.executable, "-c", IMPORT], ROUNDS),
    }
    for peer in peers.installed(plan):
        rounds = MLFLOW_ROUNDS if peer.name == "mlflow" else ROUNDS
        cases[f"bare Python of {peer.name}"] = ([peer.python, "-c", "pass"], rounds)
        cases[peer.name] = ([peer.python, "-c", peer.imports], rounds)
    costs: dict[str, list[Cost]] = {name: [] for name in cases}
    for number in range(-1, ROUNDS):  # the first round makes the .pyc files
        for name, (command, rounds) in cases.items():
            if number < rounds:
                cost = cost_of(command, folder, environment())
                costs[name] += [cost] if number >= 0 else []
    return costs


def _own_claims(costs: dict[str, list[Cost]]) -> list[Claim]:
    names = ("bare Python", "msgspec", "datlake_sdk")
    walls = [[cost.wall_ms for cost in costs[name]] for name in names]
    users = [[cost.user_ms for cost in costs[name]] for name in names]
    kinds = {
        "median wall": [statistics.median(samples) for samples in walls],
        "best wall": [min(samples) for samples in walls],
        "median user CPU": [statistics.median(samples) for samples in users],
    }
    return [
        Claim(f"datlake_sdk to msgspec, {kind}", "×", (ours - bare) / (theirs - bare), 1.5)
        for kind, (bare, theirs, ours) in kinds.items()
    ]


def _peer_claims(figures: list[Figure], costs: dict[str, list[Cost]]) -> list[Claim]:
    walls = {one.what.removesuffix(", wall"): one.median for one in figures if one.what.endswith(", wall")}
    ours = walls["datlake_sdk"] - walls["bare Python"]
    claims = []
    for peer in peers.PEERS:
        here = peer.name in costs
        theirs = walls[peer.name] - walls[f"bare Python of {peer.name}"] if here else peer.reference_import_ms
        what = f"faster than {peer.name}" + ("" if here else " (reference figure)")
        claims.append(Claim(what, "×", theirs / ours, peer.times_slower, at_most=False, measured_here=here))
    return claims
