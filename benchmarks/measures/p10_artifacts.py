"""P10: a large artifact up and down, embedded and over HTTP, beside copying, hashing and syncing the same file."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import msgspec

from benchmarks import peers
from benchmarks.figures import Claim, Figure, Plan, Result, figure
from benchmarks.processes import Served, answer_of, environment, scratch
from benchmarks.servers import datlake_server

ROUNDS = 3
RSS_TARGET_MIB = 32


class Moved(msgspec.Struct, frozen=True):
    """What one process saw of one transfer; `server_mib` is the growth of the server, if there is one."""

    seconds: float
    client_mib: float
    server_mib: float | None = None


def measure(plan: Plan) -> Result:
    """Each transfer in a process of its own, in turns with the reference; memory as the kernel's high-water mark."""
    with ExitStack() as stack:
        disk = stack.enter_context(scratch())
        lake = stack.enter_context(datlake_server(disk))
        file = disk / "artifact.bin"
        _fill(file, plan.artifact_mib)
        moved = _rounds(disk, file, lake)
    return Result(
        name="P10",
        title=f"{plan.artifact_mib} MiB artifact up and down",
        figures=_figures(moved, plan.artifact_mib),
        claims=[*_rate_claims(moved), *_memory_claims(moved)],
        versions=peers.versions(plan),
    )


def _rounds(disk: Path, file: Path, lake: Served) -> dict[str, list[Moved]]:
    embedded, http = {"DATLAKE_HOME": str(disk / "embedded")}, {"DATLAKE_API_URL": lake.url}
    cases: dict[str, tuple[str, Mapping[str, str], int | None]] = {
        "copy + sha256 + fsync": ("copy", embedded, None),
        "embedded up": ("up", embedded, None),
        "embedded down": ("down", embedded, None),
        "http up": ("up", http, lake.pid),
        "http down": ("down", http, lake.pid),
    }
    moved: dict[str, list[Moved]] = {name: [] for name in cases}
    for number in range(ROUNDS):
        _change(file, number)
        for name, (what, where, server) in cases.items():
            command = [sys.executable, "-m", "benchmarks.children.transfer", what, str(file), str(server or 0)]
            answer = answer_of(command, disk, environment(**where))
            moved[name].append(msgspec.json.decode(answer, type=Moved))
        # What a round left is in nobody's way: neither the disk's nor the page cache's.
        for folder in ("embedded", "served"):
            shutil.rmtree(disk / folder / "objects" / "sha256", ignore_errors=True)
    return moved


def _figures(moved: dict[str, list[Moved]], mib: int) -> list[Figure]:
    rates = [figure(name, "MiB/s", [mib / one.seconds for one in moved[name]]) for name in moved]
    client = [figure(f"{name}, client's memory", "MiB", [one.client_mib for one in moved[name]]) for name in moved]
    grown = {name: _server(moved[name]) for name in moved}
    server = [figure(f"{name}, server's memory", "MiB", grown[name]) for name in moved if grown[name]]
    return rates + client + server


def _rate_claims(moved: dict[str, list[Moved]]) -> list[Claim]:
    """The reference's median time over each transfer's: 0.5 means half as fast."""
    bare = statistics.median(one.seconds for one in moved["copy + sha256 + fsync"])
    return [
        Claim(
            f"{name}, rate to copy + sha256 + fsync",
            "×",
            bare / statistics.median(one.seconds for one in moved[name]),
            0.5,
            at_most=False,
        )
        for name in moved
        if not name.startswith("copy")
    ]


def _memory_claims(moved: dict[str, list[Moved]]) -> list[Claim]:
    ours = {name: several for name, several in moved.items() if not name.startswith("copy")}
    client = max(one.client_mib for several in ours.values() for one in several)
    server = max(grown for several in ours.values() for grown in _server(several))
    return [
        Claim("memory of the client grows by, worst", "MiB", client, RSS_TARGET_MIB),
        Claim("memory of the server grows by, worst", "MiB", server, RSS_TARGET_MIB),
    ]


def _server(moved: list[Moved]) -> list[float]:
    return [one.server_mib for one in moved if one.server_mib is not None]


def _fill(file: Path, mib: int) -> None:
    with file.open("wb") as out:
        for _ in range(mib):
            out.write(os.urandom(1 << 20))
        out.flush()
        os.fsync(out.fileno())


def _change(file: Path, number: int) -> None:
    """Another content for each round: bytes that a lake has already would be cheaper."""
    with file.open("r+b") as out:
        out.write(f"round {number}".encode())
