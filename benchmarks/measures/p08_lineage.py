"""P8: what a graph costs in lakes of 100,000 and 1,000,000 edges, in the process and over HTTP."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks.figures import Claim, Figure, Plan, Result, figure
from benchmarks.processes import answer_of, environment, samples_of, scratch
from benchmarks.servers import datlake_server

SMALL, LARGE = 100_000, 1_000_000
ROUNDS = 200
BUILD_S = 1800
NOTE = (
    "An edge is one between a table and a job. A closure is all of the 143 tables and jobs behind a table; the hub has "
    "40,000, and is cut at 5,000 nodes. Beside them stands the walk alone: ids and no names, figures or neighbours."
)

Samples = dict[str, list[float]]


def measure(plan: Plan) -> Result:
    """The lakes are written straight into their tables; each is asked by processes of its own."""
    del plan
    told: dict[str, Samples] = {}
    with scratch(Path(tempfile.gettempdir())) as work:
        for edges in (SMALL, LARGE):
            with scratch() as disk:
                names = _build(disk, edges, work)
                told[f"{edges:,} edges"] = _asked(disk, "", names, work)
                with datlake_server(disk) as server:
                    told[f"{edges:,} edges over HTTP"] = _asked(disk, server.url, names, work)
    return Result(
        name="P8",
        title="lineage: closures in a graph of 1 M edges",
        figures=_figures(told),
        claims=_claims(told),
        notes=[NOTE],
    )


def _build(disk: Path, edges: int, work: Path) -> list[str]:
    """The names of typical tables of the lake in the folder that is served."""
    command = [sys.executable, "-m", "benchmarks.children.lineage_lake", str(disk / "served"), str(edges)]
    return msgspec.json.decode(answer_of(command, work, environment(), BUILD_S), type=list[str])


def _asked(disk: Path, url: str, names: list[str], work: Path) -> Samples:
    return samples_of("lineage", [str(disk / "served"), url, str(ROUNDS), *names], work)


def _figures(told: dict[str, Samples]) -> list[Figure]:
    return [figure(f"{case}, {where}", "ms", samples[case]) for where, samples in told.items() for case in samples]


def _claims(told: dict[str, Samples]) -> list[Claim]:
    small, large, served = (told[where] for where in _PLACES)
    growth = {case: statistics.median(large[case]) / statistics.median(small[case]) for case in ("closure", "hub")}
    return [
        Claim("a closure, in the service", "ms", statistics.median(large["closure"]), 2),
        Claim("a closure, over HTTP", "ms", statistics.median(served["closure"]), 6),
        Claim("a hub of 40,000 cut at 5,000 nodes, in the service", "ms", statistics.median(large["hub"]), 150),
        Claim("a closure, 1 M edges to 100 k", "×", growth["closure"], 2.5),
        Claim("the hub, 1 M edges to 100 k", "×", growth["hub"], 2.5),
    ]


_PLACES = (f"{SMALL:,} edges", f"{LARGE:,} edges", f"{LARGE:,} edges over HTTP")
