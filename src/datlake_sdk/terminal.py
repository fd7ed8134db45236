"""What a run says on a terminal: one line at its start, one card at its end, as text.

All but `say_start` and `say_end` is pure; those print on stderr, where `speaks` allows. Names and messages come from
users, so control characters never pass. No line is wider than 80 columns, but for a link, which must stay whole.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TextIO

import msgspec

from datlake_sdk._amounts import duration, grouped, size, version_of, width

__all__ = ["Card", "Read", "Written", "colour", "end_card", "say_end", "say_start", "speaks", "start_line"]

WIDTH = 80
# A card is read at a glance; the whole list is one `datlake run show` away.
SHOWN = 8
_LABEL = 10
# Beside a long link a name is still told, and the line may be wider.
_NAME_MINIMUM = 8
_NAME_LIMIT = 40

_CODES = {"red": "31", "green": "32", "yellow": "33", "dim": "2", "bold": "1"}
_STATE_COLOURS = {"completed": "green", "failed": "red", "aborted": "yellow", "lost": "yellow", "running": "bold"}

Read = tuple[str, int | None]
"""An input: its name, and its version where it has one."""

Written = tuple[str, int | None, int | None, int | None]
"""An output: its name, version, rows and bytes, each where known."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has to say at its end. `error` is the job's, `not_recorded_because` ours when `recorded` is false.

    `is_kept` then says that it waits on the disk of this host.
    """

    job_name: str
    run_id: str
    state: str
    duration_s: float
    url: str | None = None
    inputs: Sequence[Read] = ()
    outputs: Sequence[Written] = ()
    warnings: Sequence[str] = ()
    recorded: bool = True
    is_kept: bool = False
    error: str | None = None
    not_recorded_because: str | None = None


def speaks(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether a person is likely to read: the stream is a terminal and this is no CI."""
    return environ.get("CI", "").strip().lower() in ("", "0", "false") and _is_terminal(stream)


def colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether colours are welcome: a terminal that knows them, and NO_COLOR unset or empty."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb" and _is_terminal(stream)


def start_line(job_name: str, run_id: str, url: str | None = None, *, coloured: bool = False) -> str:
    """One line, ended by a newline: the job has started, and where to look."""
    where = _where(run_id, url)
    # The command names us by itself; said twice, the job's name would have seven columns.
    brand = f"{_painted('datlake', 'dim', coloured)}  " if url else ""
    room = WIDTH - len(" started  ") - width(where)
    # A link is long and wraps anyway; the name is what tells one line from another.
    name = _cut(_clean(job_name), _NAME_LIMIT if url else max(room, _NAME_MINIMUM))
    return f"{brand}{_painted(name, 'bold', coloured)} started  {where}\n"


def say_start(job_name: str, run_id: str, url: str | None) -> None:
    """The line is printed on stderr, if a person is likely to read it there. Never raises."""
    if speaks(sys.stderr, os.environ):
        _print(start_line(job_name, run_id, url, coloured=colour(sys.stderr, os.environ)))


def say_end(card: Card) -> None:
    """The card is printed on stderr, if a person is likely to read it there. Never raises."""
    if speaks(sys.stderr, os.environ):
        _print(end_card(card, coloured=colour(sys.stderr, os.environ)))


def end_card(card: Card, *, coloured: bool = False) -> str:
    """The card, lines ended by newlines: state and duration, what went in and out, what to know, where to look."""
    return "".join(line + "\n" for line in _card_lines(card, coloured=coloured))


def _card_lines(card: Card, *, coloured: bool) -> Iterator[str]:
    yield _head(card, coloured=coloured)
    sections = (
        ("error", _wrapped(card.error) if card.error else [], "red"),
        ("inputs", _columns([(name, version_of(version)) for name, version in card.inputs]), ""),
        ("outputs", _columns([_output_cells(each) for each in card.outputs]), ""),
        ("warnings", [line for warning in card.warnings[:SHOWN] for line in _wrapped(warning)], "yellow"),
    )
    for label, lines, paint in sections:
        yield from _section(label, lines, paint, coloured=coloured)
    because = card.not_recorded_because or "the reason is not known"
    if card.recorded:
        yield from _section("run", [_where(card.run_id, card.url)], "", coloured=coloured)
    elif card.is_kept:
        told = f"kept on this host, sent by the next run or by `datlake outbox flush`: {because}"
        yield from _section("lineage", _wrapped(told), "yellow", coloured=coloured)
    else:
        yield from _section("lineage", _wrapped(f"NOT RECORDED: {because}"), "red", coloured=coloured)


def _head(card: Card, *, coloured: bool) -> str:
    state, took = _clean(card.state), duration(card.duration_s)
    room = WIDTH - width(f"datlake    {state} in {took}  ")
    name = _cut(_clean(card.job_name), room - 2)
    rule = "─" * (room - width(name))
    told = _painted(state, _STATE_COLOURS.get(card.state, "bold"), coloured)
    title = f"{_painted('datlake', 'dim', coloured)}  {_painted(name, 'bold', coloured)}"
    return f"{title}  {told} in {took}  {_painted(rule, 'dim', coloured)}"


def _section(label: str, lines: Sequence[str], paint: str, *, coloured: bool) -> Iterator[str]:
    for number, line in enumerate(lines):
        shown = label if number == 0 else ""
        yield f"  {_painted(shown.ljust(_LABEL), 'dim', coloured)}{_painted(line, paint, coloured)}"


def _where(run_id: str, url: str | None) -> str:
    return _clean(url) if url else f"datlake run show {_clean(run_id)}"


# --- cells ------------------------------------------------------------------------------------------------------------


def _output_cells(output: Written) -> tuple[str, ...]:
    name, version, row_count, size_bytes = output
    rows = "" if row_count is None else f"{grouped(row_count)} row{'' if row_count == 1 else 's'}"
    return name, version_of(version), rows, "" if size_bytes is None else size(size_bytes)


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The rows as aligned lines: the name to the left, figures to the right; at most eight of them."""
    figures = [row[1:] for row in rows[:SHOWN]]
    widths = [max(map(len, column)) for column in zip(*figures, strict=True)]
    room = WIDTH - _LABEL - 2 - sum(each + 2 for each in widths if each)
    names = [_cut(_clean(row[0]), max(room, _NAME_MINIMUM)) for row in rows[:SHOWN]]
    name_width = max(map(width, names), default=0)
    lines: list[str] = []
    for name, cells in zip(names, figures, strict=True):
        aligned = [cell.rjust(each) for cell, each in zip(cells, widths, strict=True) if each]
        lines.append("  ".join([name + " " * (name_width - width(name)), *aligned]).rstrip())
    if len(rows) > SHOWN:
        lines.append(f"and {len(rows) - SHOWN} more")
    return lines


# --- text -------------------------------------------------------------------------------------------------------------


def _clean(text: str) -> str:
    """The text on one line, without what could move the cursor, change colours or reverse the writing."""
    one_line = " ".join(text.split())
    return "".join(char for char in one_line if char.isprintable())


def _wrapped(text: str) -> list[str]:
    """At most four lines that fit beside the label, cut visibly."""
    room, lines, line = WIDTH - _LABEL - 2, list[str](), ""
    for word in _clean(text[:2000]).split(" "):
        piece = _cut(word, room)
        if line and width(line) + 1 + width(piece) > room:
            lines.append(line)
            line = piece
        else:
            line = f"{line} {piece}" if line else piece
    lines.append(line)
    return lines if len(lines) <= 4 else [*lines[:3], _cut(lines[3], room - 2) + " …"]


def _cut(text: str, room: int) -> str:
    if width(text) <= room:
        return text
    kept = ""
    for char in text:
        if width(kept + char) > room - 1:
            break
        kept += char
    return kept + "…"


def _painted(text: str, paint: str, coloured: bool) -> str:
    return f"\x1b[{_CODES[paint]}m{text}\x1b[0m" if coloured and paint and text.strip() else text


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError, OSError):  # replaced by something simpler, or closed
        return False


def _print(text: str) -> None:
    with suppress(OSError, ValueError):  # a closed or broken stderr is no reason to fail
        sys.stderr.write(text)
        sys.stderr.flush()
