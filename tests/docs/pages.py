"""Reads the documents as the tests need them: fenced blocks with their line, headings, table rows, code words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SDK_PAGE = DOCS / "sdk" / "python.md"

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: what stands behind the fence, its text, and the line its text begins at."""

    info: str
    body: str
    line: int


def text_of(page: Path) -> str:
    """The page."""
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of the page, in order."""
    text = text_of(page)
    return [
        Block(found["info"].strip(), found["body"], text[: found.start("body")].count("\n") + 1)
        for found in _FENCE.finditer(text)
    ]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", text_of(page))


def headings(page: Path) -> list[str]:
    """The page's headings, without marks."""
    return [found.strip().replace("`", "") for found in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)]


def section(page: Path, heading: str) -> str:
    """What stands under a heading, up to the next one of its rank or above; empty where there is no such heading."""
    found = re.search(rf"^(#+) `?{re.escape(heading)}`?\s*$", prose(page), re.MULTILINE)
    if found is None:
        return ""
    rest = prose(page)[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in `text`, without the rules between head and body; the heads are rows like others."""
    found: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("|") and not re.fullmatch(r"[|\s:-]+", line):
            cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
            found.append([cell.strip().replace("\\|", "|") for cell in cells])
    return found


def code_words(text: str) -> set[str]:
    """What stands in backticks."""
    return set(re.findall(r"`([^`\n]+)`", text))
