"""`datlake diff`: in what two runs differ, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from datlake_sdk._amounts import duration, grouped, size, version_of
from datlake_sdk.cli.connection import connect_to_read
from datlake_sdk.cli.exits import OK
from datlake_sdk.cli.runs import run_of, took
from datlake_sdk.cli.text import columns, say, say_json, shown, utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datlake_sdk.cli.arguments import Arguments
    from datlake_sdk.wire.models import Difference, Run, RunDiff

# Two values and what they are fit beside each other on a usual terminal; --json has them whole.
VALUE_LETTERS: Final = 60
NONE: Final = "–"
# The outcome first, then what went in and came out, then what may explain it.
ORDER: Final = ("state", "error", "duration_s", "job_name", "inputs", "outputs", "environment", "metadata")


def diff(arguments: Arguments) -> int:
    """Shows in what the two runs differ."""
    is_scoped = arguments.namespace is not None
    with connect_to_read(arguments) as client:
        left = run_of(client, arguments.run_id, is_scoped=is_scoped)
        right = run_of(client, arguments.other, is_scoped=is_scoped)
        found = client.diff_runs(left.run_id, right.run_id, namespace=left.namespace)
    if arguments.json:
        say_json(found)
    else:
        say(*_page(left, right, found))
    return OK


def _page(left: Run, right: Run, found: RunDiff) -> Iterator[str]:
    yield from columns(("", "RUN", "STATE", "STARTED (UTC)", ">TOOK", "JOB"), [_row("A", left), _row("B", right)])
    yield ""
    rows = [row for each in sorted(found.differences, key=_rank) for row in _rows(each)]
    if rows:
        yield from columns(("WHAT DIFFERS", "A", "B"), rows)
    else:
        yield "They do not differ in what they read and wrote, their environment, metadata and outcome."


def _row(letter: str, run: Run) -> tuple[str, ...]:
    return letter, run.run_id, run.state, utc(run.started_at, seconds=True), took(run), run.job_name


def _rank(each: Difference) -> tuple[int, str]:
    first = each.path.partition(".")[0]
    return ORDER.index(first) if first in ORDER else len(ORDER), each.path


def _rows(each: Difference) -> Iterator[tuple[str, str, str]]:
    """One line for a fact; of a schema one line for each column that differs."""
    if each.path.endswith(".schema") and each.left is not None and each.right is not None:
        left, right = _types(each.left), _types(each.right)
        for name in [*left, *(name for name in right if name not in left)]:
            if left.get(name) != right.get(name):
                path = f"{each.path.removesuffix('.schema')}, column {name}"
                yield path, left.get(name, NONE), right.get(name, NONE)
        if list(left) != list(right) and set(left) == set(right):
            yield f"{each.path} (order)", ", ".join(left), ", ".join(right)
        return
    yield each.path, _shown(each.path, each.left), _shown(each.path, each.right)


def _types(fields: object, prefix: str = "") -> dict[str, str]:
    """The type of each column, those within columns too."""
    found: dict[str, str] = {}
    for told in cast("list[dict[str, object]]", fields):
        name = f"{prefix}{told.get('name', '')}"
        found[name] = f"{told.get('type', '')}{', not null' if told.get('nullable') is False else ''}"
        found |= _types(told.get("fields") or [], f"{name}.")
    return found


def _shown(path: str, value: object) -> str:
    from msgspec import json

    if value is None:
        return NONE
    last = path.rpartition(".")[2]
    if last == "schema":
        columns_told = len(_types(value))
        return f"{columns_told} column{'' if columns_told == 1 else 's'}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = _amount(last, value)
    else:
        text = value if isinstance(value, str) else json.encode(value).decode()
    text = shown(text)
    return text if len(text) <= VALUE_LETTERS else f"{text[:VALUE_LETTERS]}…"


def _amount(name: str, value: float) -> str:
    if name == "duration_s":
        return duration(value)
    if isinstance(value, int):
        told = {"size_bytes": size, "row_count": grouped, "version": version_of}.get(name)
        return str(value) if told is None else told(value)
    return f"{value:g}"
