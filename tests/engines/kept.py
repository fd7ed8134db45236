"""What the engines told and the lake made of it, printed at once and kept in `benchmarks/results/engines.md`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from benchmarks.report import FOLDER

PAGE = FOLDER / "engines.md"
HEAD = """# Engines

Written by `make test-engines`: engines of others, with their own OpenLineage integrations, told a served lake of what
they did, and the tests in `tests/engines` passed. Spark is not among them: its integration is a jar, which pip does not
install.
"""
SEEN: dict[str, str] = {}


def keep(engine: str, did: str, counts: Mapping[str, int], versions: Mapping[str, str]) -> None:
    """The section of one engine, printed, and filed at the end of a session without failures."""
    rows = [f"| {what} | {count} |" for what, count in counts.items()]
    told = ", ".join(f"{name} {number}" for name, number in versions.items())
    SEEN[engine] = "\n".join([did, "", "| the lake then held | |", "|---|---|", *rows, "", f"{_today()}; {told}.", ""])
    print(f"\n{engine}: {SEEN[engine]}")


def write() -> None:
    """The page has what was seen this time, and of other engines what it had."""
    sections = _sections() | SEEN
    page = "\n".join([HEAD, *(f"## {name}\n\n{sections[name]}" for name in sorted(sections))])
    PAGE.write_text(page, encoding="utf-8")


def _sections() -> dict[str, str]:
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    parts = text.split("\n## ")[1:]
    return {name: body.strip("\n") + "\n" for name, _, body in (part.partition("\n") for part in parts)}


def _today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")
