"""The peers that figures are compared with, each in a virtual environment of its own that is made once and kept."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from importlib.metadata import version
from platform import python_version

from msgspec import Struct

from benchmarks.figures import Plan
from benchmarks.processes import CACHE


class Peer(Struct, frozen=True):
    """A peer, how it is imported, and what its import took where the targets were set, should it not be here."""

    name: str
    requirement: str
    imports: str
    reference_import_ms: float
    times_slower: float

    @property
    def python(self) -> str:
        """The interpreter of its environment."""
        return str(CACHE / self.name / "bin" / "python")


OPENLINEAGE = Peer(
    name="openlineage",
    requirement="openlineage-python==1.54.0",
    imports="import openlineage.client; from openlineage.client.event_v2 import Dataset, Job, Run, RunEvent, RunState",
    # The best of the reference runs, which favours the peer.
    reference_import_ms=561,
    times_slower=5,
)
MLFLOW = Peer(
    name="mlflow",
    requirement="mlflow==3.17.2",
    imports="import mlflow",
    reference_import_ms=2590,
    times_slower=20,
)
PEERS = (OPENLINEAGE, MLFLOW)


@cache
def installed(plan: Plan) -> list[Peer]:
    """The peers that can be measured here; says which cannot. MLflow is 620 MB, so only if it is asked for."""
    return [peer for peer in PEERS if (peer is not MLFLOW or plan.with_mlflow) and _install(peer)]


def versions(plan: Plan) -> dict[str, str]:
    """The versions of what was measured."""
    ours = {name: version(name) for name in ("msgspec", "apsw", "urllib3", "uvicorn")}
    theirs = {peer.name: peer.requirement.partition("==")[2] for peer in installed(plan)}
    return {"python": python_version(), **ours, **theirs}


def _install(peer: Peer) -> bool:
    folder, stamp = CACHE / peer.name, CACHE / peer.name / peer.requirement
    if stamp.exists():
        return True
    print(f"benchmarks: installing {peer.requirement} into {folder.name} (once)", file=sys.stderr)
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([peer.python, "-m", "pip", "install", "--quiet", peer.requirement], check=True)
    except subprocess.CalledProcessError as error:
        print(f"benchmarks: {peer.name} is left out: {error}", file=sys.stderr)
        return False
    stamp.touch()
    return True
