"""Results as text for a terminal, as files, and as the table of `benchmarks/README.md`."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks.figures import Claim, Result

FOLDER = Path(__file__).parent / "results"
README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- results: written by `python -m benchmarks --save` -->\n", "<!-- end of results -->\n"


class Kept(msgspec.Struct, frozen=True):
    """A result as it is filed."""

    measured_on: str
    machine: str
    result: Result


def text_of(result: Result, took_s: float) -> str:
    """Claims beside their targets, then the figures behind them."""
    lines = [f"\n{result.name}  {result.title}  [{took_s:.0f} s]"]
    lines += [f"  {_told(claim):<34} {claim.verdict:<8} {claim.what}" for claim in result.claims]
    lines += [f"      {one.what}: {one}" for one in result.figures]
    lines += [f"      {note}" for note in result.notes]
    return "\n".join(lines)


def summary(results: list[Result]) -> str:
    """One line: how many targets were reached, and which were not."""
    claims = [(result.name, claim) for result in results for claim in result.claims]
    missed = [f"{name} {claim.what} ({_told(claim)})" for name, claim in claims if not claim.is_reached]
    line = f"\n{len(claims) - len(missed)} of {len(claims)} targets reached"
    return line + "".join(f"\n  missed: {one}" for one in missed)


def keep(result: Result) -> None:
    """The result is a file that the next table is made of."""
    FOLDER.mkdir(exist_ok=True)
    kept = Kept(_today(), _machine(), result)
    (FOLDER / f"{result.name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(kept)) + b"\n")


def write_readme() -> None:
    """The table of the README is the one of the kept results."""
    files = sorted(FOLDER.glob("P*.json"), key=lambda path: int(path.stem[1:]))
    kept = [msgspec.json.decode(path.read_bytes(), type=Kept) for path in files]
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    table = "\n".join(line for one in kept for line in _section(one))
    README.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def _section(kept: Kept) -> list[str]:
    result = kept.result
    lines = [f"### {result.name}: {result.title}", "", "| | measured | target | |", "|---|---|---|---|"]
    lines += [f"| {claim.what} | {_value(claim)} | {_target(claim)} | {_mark(claim)} |" for claim in result.claims]
    lines += ["", "| figure | median (min-max) |", "|---|---|"]
    lines += [f"| {one.what} | {one} |" for one in result.figures]
    lines += ["", *(f"{note}\n" for note in result.notes)]
    versions = ", ".join(f"{name} {number}" for name, number in result.versions.items())
    return [*lines, f"{kept.measured_on}; {kept.machine}; {versions}.", ""]


def _mark(claim: Claim) -> str:
    return f"**{claim.verdict}**" if claim.is_reached else claim.verdict


def _told(claim: Claim) -> str:
    return f"{_value(claim)} (target {_target(claim)})"


def _target(claim: Claim) -> str:
    return f"{'≤' if claim.at_most else '≥'} {claim.target:g} {claim.unit}".strip()


def _value(claim: Claim) -> str:
    return f"{claim.measured:.3g} {claim.unit}".strip()


def _today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


def _machine() -> str:
    load = os.getloadavg()[0]
    kernel = ".".join(platform.release().split(".")[:2])  # what follows may name a machine or its owner
    system = f"{platform.system()} {kernel} {platform.machine()}"
    return f"{os.cpu_count()} cores, {system}, load {load:.1f} at the end"
