"""Looks for what is wrong in the documents: dead links, code that is no Python, make targets nobody wrote.

Run by `make check` and by `tests/test_repository.py`. It only reads files; links to other sites are not tried.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).parent.parent
FENCE = re.compile(
    r"^(?P<mark>`{3,}|~{3,})(?P<language>[^\n`]*)\n(?P<body>.*?)^(?P=mark)[ \t]*$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)


def main() -> int:
    """0 when nothing is wrong; otherwise each finding on a line of its own, and 1."""
    found = list(findings(ROOT))
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


def documents(root: Path) -> list[Path]:
    """The Markdown files of the root and of its folders of documents; hidden folders hold what others wrote."""
    files = [file for folder in ("docs", "examples", "benchmarks") for file in (root / folder).rglob("*.md")]
    ours = [file for file in files if not any(part.startswith(".") for part in file.relative_to(root).parts)]
    return sorted([*root.glob("*.md"), *ours])


def findings(root: Path) -> Iterator[str]:
    """One sentence for each thing that is wrong, with the file it stands in."""
    for document in documents(root):
        place, text = document.relative_to(root), document.read_text(encoding="utf-8")
        prose = FENCE.sub("", text)
        yield from (f"{place}: {told}" for told in _dead_links(document, prose))
        yield from (f"{place}: {told}" for told in _broken_code(text))
        yield from (f"{place}: {told}" for told in _unknown_targets(root, text))
    yield from _unlisted_decisions(root)


def anchors(text: str) -> set[str]:
    """The fragments by which the headings of a document are linked to."""
    titles = (re.sub(r"[^\w\- ]", "", title.lower()) for title in HEADING.findall(FENCE.sub("", text)))
    return {title.replace(" ", "-") for title in titles}


def _dead_links(document: Path, prose: str) -> Iterator[str]:
    for match in LINK.finditer(prose):
        target = match["target"]
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        path, _, fragment = target.partition("#")
        file = (document.parent / unquote(path)).resolve() if path else document
        if not file.exists():
            yield f"links to {target}, which does not exist"
        elif fragment and file.suffix == ".md" and fragment not in anchors(file.read_text(encoding="utf-8")):
            yield f"links to {target}, a heading that does not exist"


def _broken_code(text: str) -> Iterator[str]:
    for block in FENCE.finditer(text):
        if block["language"].strip() != "python":
            continue
        try:
            compile(block["body"], "document", "exec", dont_inherit=True)
        except SyntaxError as wrong:
            line = text[: block.start("body")].count("\n") + (wrong.lineno or 1)
            yield f"line {line} is no Python: {wrong.msg}"


def _unknown_targets(root: Path, text: str) -> Iterator[str]:
    makefile = root / "Makefile"
    known: set[str] = set(TARGET.findall(makefile.read_text(encoding="utf-8"))) if makefile.exists() else set()
    typed = set(re.findall(r"(?:^\$? ?|`)make ([a-z][a-z-]*)", text, flags=re.MULTILINE))
    yield from (f"speaks of `make {name}`, which the Makefile does not know" for name in sorted(typed - known))


def _unlisted_decisions(root: Path) -> Iterator[str]:
    folder = root / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8") if folder.is_dir() else ""
    for record in sorted(folder.glob("[0-9]*.md")):
        if f"({record.name})" not in index:
            yield f"docs/decisions/README.md: does not list {record.name}"


if __name__ == "__main__":
    sys.exit(main())
