"""P2: what the base install brings: the built wheel in an empty environment, its distributions and its size."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import msgspec

from benchmarks.figures import Claim, Plan, Result, figure
from benchmarks.processes import ROOT, answer_of, environment, scratch

# They came with the environment, not with us.
NOT_OURS = frozenset({"pip", "setuptools", "wheel"})
MIB = 1 << 20
LIST = """
import importlib.metadata, json
print(json.dumps({d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions()}))
"""


def measure(plan: Plan) -> Result:
    """One wheel, one empty environment, counted."""
    del plan  # there is nothing to choose
    with scratch() as folder:
        wheel = _build(folder)
        python = _install(folder, wheel)
        known = msgspec.json.decode(
            answer_of([str(python), "-c", LIST], folder, environment(PYTHONPATH="")), type=dict[str, str]
        )
        packages = next((folder / "venv").glob("lib/python*/site-packages"))
        sources, compiled = _size_mib(packages, compiled=False), _size_mib(packages, compiled=True)
        wheel_kib = wheel.stat().st_size / 1024
    ours = {name: number for name, number in known.items() if name not in NOT_OURS}
    return Result(
        name="P2",
        title="base install",
        figures=[
            figure("our own wheel", "KiB", [wheel_kib]),
            figure("installed, without .pyc", "MiB", [sources]),
            figure("installed, with .pyc", "MiB", [sources + compiled]),
        ],
        claims=[
            Claim("distributions, our own among them", "", len(ours), 4),
            Claim("installed, with .pyc", "MiB", sources + compiled, 20),
        ],
        versions=dict(sorted(ours.items())),
    )


def _build(folder: Path) -> Path:
    # Without isolation where the pinned backend is at hand, as isolated builds fetch one.
    options = ["--no-build-isolation"] if find_spec("hatchling") else []
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", *options, "-w", str(folder), str(ROOT)]
    answer_of(command, folder, environment())
    return next(folder.glob("*.whl"))


def _install(folder: Path, wheel: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    answer_of([str(python), "-m", "pip", "install", "--quiet", str(wheel)], folder, environment(PYTHONPATH=""))
    return python


def _size_mib(packages: Path, *, compiled: bool) -> float:
    files = (file for file in packages.rglob("*") if file.is_file() and not _is_not_ours(file.relative_to(packages)))
    return sum(file.stat().st_size for file in files if (file.suffix == ".pyc") == compiled) / MIB


def _is_not_ours(file: Path) -> bool:
    top = file.parts[0].lower()
    return top.partition("-")[0] in NOT_OURS | {"pkg_resources", "_distutils_hack", "distutils"}
