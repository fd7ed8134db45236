"""P4: the same run over HTTP, beside bare calls of the HTTP library to a server that does nothing, and bare commits."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks import peers
from benchmarks.figures import Claim, Figure, Plan, Result, figure
from benchmarks.measures.p03_embedded_run import ratios
from benchmarks.processes import Served, answer_of, environment, samples_of, scratch, served
from benchmarks.servers import datlake_server, noop_server

ROUNDS = 200
MLFLOW_ROUNDS = 20
MLFLOW_TURNS = 3
# start_run + end_run where the targets were set, p50 in ms; and how many times faster a run here must be.
MLFLOW_REFERENCE = {"default server": (235.7, 20), "one-worker server": (78.9, 10)}
MLFLOW_CHILD = Path(__file__).parent.parent / "children" / "mlflow_runs.py"


def measure(plan: Plan) -> Result:
    """Runs and bare work in turns in one process; the servers are processes of their own."""
    with (
        scratch() as disk,
        scratch(Path(tempfile.gettempdir())) as work,
        datlake_server(disk) as lake,
        noop_server(disk) as noop,
    ):
        side = _Side(disk, work, lake.url, noop.url)
        samples = side.runs(ROUNDS)
        duels = _duels(side, plan)
    return Result(
        name="P4",
        title="the same run over HTTP",
        figures=[figure(name, "ms", samples[name]) for name in samples]
        + [one for duel in duels.values() for one in duel],
        claims=[*ratios(samples), *_mlflow_claims(samples["start and complete"], duels)],
        notes=[] if duels else ["MLflow was not run this time: its figures are those known when the targets were set."],
        versions=peers.versions(plan),
    )


class _Side(msgspec.Struct, frozen=True):
    """Our side of the comparison: a folder on the disk, one to work in, and both servers."""

    disk: Path
    work: Path
    lake_url: str
    noop_url: str

    def runs(self, rounds: int) -> dict[str, list[float]]:
        """The milliseconds of each case."""
        folder = Path(tempfile.mkdtemp(dir=self.disk))
        return samples_of("runs", [str(folder), str(rounds), self.noop_url], self.work, DATLAKE_API_URL=self.lake_url)


def _mlflow_claims(alone: Sequence[float], duels: dict[str, tuple[Figure, Figure]]) -> list[Claim]:
    claims = []
    for server, (reference_ms, times) in MLFLOW_REFERENCE.items():
        here = server in duels
        theirs, ours = (one.median for one in duels[server]) if here else (reference_ms, statistics.median(alone))
        what = f"start and complete, faster than MLflow's {server}" + ("" if here else " (reference figure)")
        claims.append(Claim(what, "×", theirs / ours, times, at_most=False, measured_here=here))
    return claims


def _duels(side: _Side, plan: Plan) -> dict[str, tuple[Figure, Figure]]:
    """MLflow's start and end of a run beside ours, by MLflow's server; empty where MLflow is not measured."""
    if peers.MLFLOW not in peers.installed(plan):
        return {}
    found = {}
    for server, options in (("default server", []), ("one-worker server", ["--workers", "1"])):
        command = [peers.MLFLOW.python, str(MLFLOW_CHILD), "serve", str(side.disk / server), *options]
        with served(command, side.disk, environment()) as running:
            found[server] = _duel(side, server, running)
    return found


def _duel(side: _Side, server: str, running: Served) -> tuple[Figure, Figure]:
    """Both in turns, some rounds each, as no process can hold both."""
    theirs, ours = list[float](), list[float]()
    command = [peers.MLFLOW.python, str(MLFLOW_CHILD), "run", running.url, str(MLFLOW_ROUNDS)]
    for _ in range(MLFLOW_TURNS):
        theirs += msgspec.json.decode(answer_of(command, side.disk, environment()), type=list[float])
        ours += side.runs(MLFLOW_ROUNDS)["start and complete"]
    return (
        figure(f"MLflow's {server}, start_run and end_run", "ms", theirs),
        figure(f"start and complete, beside MLflow's {server}", "ms", ours),
    )
