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
MLFLOW_ROUNDS = 60
# start_run + end_run where the targets were set, p50 in ms; and how many times faster a run here must be.
MLFLOW_REFERENCE = {"default server": (235.7, 20), "one-worker server": (78.9, 10)}
MLFLOW_CHILD = Path(__file__).parent.parent / "children" / "mlflow_runs.py"


def measure(plan: Plan) -> Result:
    """Runs and bare work in turns in one process; the servers are processes of their own."""
    with scratch() as disk, scratch(Path(tempfile.gettempdir())) as work:
        with datlake_server(disk) as lake, noop_server(disk) as noop:
            samples = samples_of("runs", [str(disk), str(ROUNDS), noop.url], work, DATLAKE_API_URL=lake.url)
        figures = [figure(name, "ms", samples[name]) for name in samples]
        theirs = _mlflow(disk, plan)
    return Result(
        name="P4",
        title="the same run over HTTP",
        figures=[*figures, *theirs.values()],
        claims=[*ratios(samples), *_mlflow_claims(samples["start and complete"], theirs)],
        notes=[] if theirs else ["MLflow was not run this time: its figures are those of the targets' own machine"],
        versions=peers.versions(plan),
    )


def _mlflow_claims(ours: Sequence[float], theirs: dict[str, Figure]) -> list[Claim]:
    claims = []
    for server, (reference_ms, times) in MLFLOW_REFERENCE.items():
        here = server in theirs
        their_ms = theirs[server].median if here else reference_ms
        what = f"start and complete, faster than MLflow's {server}" + ("" if here else " (reference figure)")
        claims.append(Claim(what, "×", their_ms / statistics.median(ours), times, at_most=False, measured_here=here))
    return claims


def _mlflow(disk: Path, plan: Plan) -> dict[str, Figure]:
    """MLflow's start and end of a run against each of its servers, by server; empty where MLflow is not measured."""
    if peers.MLFLOW not in peers.installed(plan):
        return {}
    found = {}
    for server, options in (("default server", []), ("one-worker server", ["--workers", "1"])):
        command = [peers.MLFLOW.python, str(MLFLOW_CHILD), "serve", str(disk / server), *options]
        with served(command, disk, environment()) as running:
            found[server] = _mlflow_runs(running, server, disk)
    return found


def _mlflow_runs(running: Served, server: str, disk: Path) -> Figure:
    command = [peers.MLFLOW.python, str(MLFLOW_CHILD), "run", running.url, str(MLFLOW_ROUNDS)]
    samples = msgspec.json.decode(answer_of(command, disk, environment()), type=list[float])
    return figure(f"MLflow's {server}, start_run and end_run", "ms", samples)
