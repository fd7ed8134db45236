"""How long a round of faults is, and where its figures go: short inside `make test`, long by `make faults`.

`DATLAKE_FAULTS=long` asks for the long one, which prints its figures and keeps them in `benchmarks/results/`. A short
round measures nothing that anybody should quote.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from benchmarks import report
from benchmarks.figures import Claim, Figure, Result

BEGAN_S = time.monotonic()
IS_LONG = os.environ.get("DATLAKE_FAULTS") == "long"
FILE = report.FOLDER / "faults.json"
PAGE = report.FOLDER / "faults.md"


def rounds(short: int, long: int) -> int:
    """How many of something this round has."""
    return long if IS_LONG else short


def dice(seed: int) -> random.Random:
    """The same choices in every round: a failure can be looked at again."""
    return random.Random(seed)  # noqa: S311 -- nothing secret is drawn


def keep(
    row: str, title: str, claims: Sequence[Claim], figures: Sequence[Figure] = (), notes: Sequence[str] = ()
) -> None:
    """The figures of one row, printed and filed by a long round; a short one leaves no trace."""
    if not IS_LONG:
        return
    versions = {"python": sys.version.split()[0], "datlake-sdk": _own_version()}
    result = Result(row, title, list(figures), list(claims), list(notes), versions)
    kept = {one.result.name: one for one in _kept()}
    kept[row] = report.Kept(report._today(), report._machine(), result)
    ordered = [kept[name] for name in sorted(kept, key=_order)]
    report.FOLDER.mkdir(exist_ok=True)
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(ordered)) + b"\n")
    write_page()
    print(report.text_of(result, time.monotonic() - BEGAN_S))


def write_page() -> None:
    """The page is the one of the kept figures."""
    PAGE.write_text(_page(_kept()), encoding="utf-8")


def none_of(what: str, count: int) -> Claim:
    """The claim that there is nothing of a kind."""
    return Claim(what, "", count, 0)


def need(*programs: str, root: bool = False, loop: bool = False) -> None:
    """Skips the test, saying why, on a machine that lacks what the fault is made with."""
    lacking = [name for name in programs if shutil.which(name) is None]
    if lacking:
        pytest.skip(f"needs {', '.join(lacking)}, not found on this machine")
    if root and os.geteuid() != 0:
        pytest.skip("needs root, to mount file systems")
    if loop and not Path("/dev/loop-control").exists():
        pytest.skip("needs loop devices, of which this machine has none")


def _kept() -> list[report.Kept]:
    return msgspec.json.decode(FILE.read_bytes(), type=list[report.Kept]) if FILE.exists() else []


def _order(name: str) -> tuple[int, str]:
    digits = "".join(char for char in name.partition(" ")[0] if char.isdigit())
    return int(digits or 0), name


def _page(kept: list[report.Kept]) -> str:
    lines = [
        "# Faults",
        "",
        "Written by `make faults`; what each row means is in [../README.md](../README.md#faults).",
        "",
    ]
    for one in kept:
        lines += _section(one)
    return "\n".join(lines)


def _section(kept: report.Kept) -> list[str]:
    result = kept.result
    lines = [f"### {result.name}: {result.title}", "", "| | measured | target | |", "|---|---|---|---|"]
    for claim in result.claims:
        measured, target = f"{claim.measured:.3g} {claim.unit}".strip(), f"{claim.target:g} {claim.unit}".strip()
        lines.append(f"| {claim.what} | {measured} | ≤ {target} | **{claim.verdict}** |")
    if result.figures:
        lines += ["", "| figure | median (min-max) |", "|---|---|"]
        lines += [f"| {one.what} | {one} |" for one in result.figures]
    lines += ["", *(f"{note}.\n" for note in result.notes)]
    versions = ", ".join(f"{name} {number}" for name, number in result.versions.items())
    return [*lines, f"{kept.measured_on}; {kept.machine}; {versions}.", ""]


def _own_version() -> str:
    from datlake_sdk import __version__

    return __version__
