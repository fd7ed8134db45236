"""Starts the processes that are measured, and reads what the kernel says of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

ROOT = Path(__file__).parent.parent
# On the checkout's disk, as a temporary folder may be memory, where a sync costs nothing.
CACHE = ROOT / "build" / "benchmarks"

STOP_S = 15


class Cost(Struct, frozen=True):
    """What one process cost from start to exit, in milliseconds."""

    wall_ms: float
    user_ms: float


class Served(Struct, frozen=True):
    """A server process and the address it answers on."""

    pid: int
    url: str


def environment(**more: str) -> dict[str, str]:
    """The environment of a measured process: ours without the settings of Datlake and Python, the checkout importable.

    Above all without `PYTHONDONTWRITEBYTECODE`: users have their `.pyc` files, and compiling costs more than a run.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DATLAKE_", "PYTHON"))}
    return {**kept, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "NO_COLOR": "1", **more}


def cost_of(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Cost:
    """What it cost to run `command` to its end. Raises `RuntimeError` with its words where it fails."""
    with tempfile.TemporaryFile() as told:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=told, stderr=told, cwd=cwd, env=env)
        _, status, usage = os.wait4(process.pid, 0)
        wall_ms = (time.perf_counter() - began) * 1000
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            told.seek(0)
            raise RuntimeError(f"{list(command)} ended with {process.returncode}: {told.read().decode()}")
    return Cost(wall_ms, usage.ru_utime * 1000)


def answer_of(command: Sequence[str], cwd: Path, env: Mapping[str, str], timeout_s: float = 300) -> bytes:
    """The last line that `command` prints. Raises `RuntimeError` with its words where it fails."""
    done = subprocess.run(command, cwd=cwd, env=dict(env), capture_output=True, timeout=timeout_s, check=False)
    if done.returncode:
        raise RuntimeError(f"{list(command)} ended with {done.returncode}: {done.stderr.decode()}")
    return done.stdout.strip().rpartition(b"\n")[2]


def samples_of(module: str, arguments: Sequence[str], cwd: Path, **env: str) -> dict[str, list[float]]:
    """What the program `benchmarks.children.<module>` measured, by case."""
    command = [sys.executable, "-m", f"benchmarks.children.{module}", *arguments]
    return msgspec.json.decode(answer_of(command, cwd, environment(**env)), type=dict[str, list[float]])


@contextmanager
def scratch(folder: Path = CACHE) -> Generator[Path]:
    """A folder that is gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix="bench-", dir=folder))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def served(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Generator[Served]:
    """A server that has said where it is: on its first line, behind ` at ` or alone."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=cwd, env=dict(env), text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline().strip()
        if "http://" not in line:
            raise RuntimeError(f"{list(command)} did not say where it serves, but {line!r}")
        yield Served(process.pid, line[line.index("http://") :])
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
