"""Reads the named statements of `sql/*.sql`. A statement begins at `-- name: NAME` and is used by that name alone."""

from __future__ import annotations

import os
from functools import cache
from typing import Final

_HERE: Final = os.path.dirname(os.path.abspath(__file__))
_MARK: Final = "-- name: "


@cache
def statements() -> dict[str, str]:
    """Every statement by its name."""
    folder = os.path.join(_HERE, "sql")
    found: dict[str, str] = {}
    for file in sorted(os.listdir(folder)):
        if file.endswith(".sql"):
            found.update(_named(_text(os.path.join(folder, file))))
    return found


def migrations() -> list[tuple[int, str]]:
    """Every migration as (number, script), in order."""
    folder = os.path.join(_HERE, "migrations")
    names = sorted(name for name in os.listdir(folder) if name.endswith(".sql"))
    return [(int(name.split("_")[0]), _text(os.path.join(folder, name))) for name in names]


def _named(text: str) -> dict[str, str]:
    parts = text.split(_MARK)[1:]
    return {name.strip(): body.strip().rstrip(";") for name, _, body in (part.partition("\n") for part in parts)}


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
