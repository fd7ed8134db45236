"""Runs the programs of an engine's environment, and reads from the lake what they told it."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from datlake_sdk.client import DatlakeClient
from datlake_sdk.lineage.own_facets import PRODUCER
from datlake_sdk.wire.models import Graph, Run
from tests.places import serve, stop

Steps = set[tuple[str, str]]


class Engine(NamedTuple):
    """A virtual environment with an engine in it, and nothing of ours."""

    home: Path

    def run(self, *command: str, cwd: Path, env: Mapping[str, str], status: int = 0) -> str:
        """All that a program of the environment said; it ended with `status`."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("DATLAKE_", "OPENLINEAGE_"))}
        path = f"{self.home / 'bin'}{os.pathsep}{clean['PATH']}"
        done = subprocess.run(
            [self.home / "bin" / command[0], *command[1:]],
            cwd=cwd,
            env=clean | {"PATH": path, "NO_COLOR": "1"} | dict(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    def versions(self, *distributions: str) -> dict[str, str]:
        """The versions of what is installed there, Python's among them."""
        program = (
            "import json, platform, sys; from importlib.metadata import version;"
            "print(json.dumps({'python': platform.python_version()} | {name: version(name) for name in sys.argv[1:]}))"
        )
        told = self.run("python", "-c", program, *distributions, cwd=self.home, env={})
        return msgspec.json.decode(told, type=dict[str, str])


class Lake:
    """A served lake, and what it knows of what others told it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = DatlakeClient(url, timeout=30)

    def events(self) -> list[dict[str, object]]:
        """The events that others told, without those by which Datlake says more."""
        return [event for event in self.client.export_open_lineage() if event["producer"] != PRODUCER]

    def runs(self, namespace: str, job: str | None = None) -> list[Run]:
        """The runs of a job or namespace, whole, the earliest first."""
        found = self.client.list_runs(job, namespace=namespace)
        return [self.client.get_run(run.run_id, namespace=namespace) for run in found][::-1]

    def states(self, namespace: str) -> dict[str, list[str]]:
        """The states of the runs of each job, the earliest first."""
        told: dict[str, list[str]] = {}
        for run in self.runs(namespace):
            told.setdefault(run.job_name, []).append(run.state)
        return told

    def counts(self) -> dict[str, int]:
        """How much of everything the lake holds."""
        client, total = self.client, Counter[str]()
        for one in client.list_namespaces():
            tables = list(client.list_tables(namespace=one.namespace))
            states = Counter(f"runs {run.state}" for run in client.list_runs(namespace=one.namespace))
            total.update(states, jobs=one.job_count, tables=one.table_count)
            total.update(snapshots=sum(table.snapshot_count for table in tables))
        total["events"] = len(self.events())
        return dict(sorted(total.items()))


@contextmanager
def served(home: Path) -> Generator[Lake]:
    """A fresh lake in `home`, behind a server that is stopped afterwards."""
    process, url = serve(home)
    try:
        yield Lake(url)
    finally:
        stop(process)


def steps(graph: Graph, prefix: str = "") -> Steps:
    """The graph's edges by name, columns as `table.column`; names without `prefix`."""
    names = {node.id: node.name.removeprefix(prefix) + (f".{node.field}" if node.field else "") for node in graph.nodes}
    return {(names[edge.source], names[edge.target]) for edge in graph.edges}
