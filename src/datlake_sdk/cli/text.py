"""How values become text that people read: aligned columns, times, durations, sizes. Plain text, the same on a pipe.

Names and messages come from users and their jobs; what could move a cursor is shown as it would be written in Python.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from datlake_sdk._amounts import width

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A header says UTC once; its rows need not.
STARTED = "STARTED (UTC)"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def shown(text: str) -> str:
    """The text on one line, with control and other invisible characters escaped."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def say(*lines: str) -> None:
    """Prints the lines; characters the terminal's encoding lacks are escaped, not fatal."""
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines:
        print(line.encode(encoding, "backslashreplace").decode(encoding))


def say_page(text: str) -> None:
    """Prints what is to be a file: in UTF-8, whatever the terminal's encoding is."""
    sys.stdout.flush()
    sys.stdout.buffer.write(f"{text}\n".encode())


def say_json(value: object) -> None:
    """Prints a model, or a dict or list of them, as indented JSON."""
    import msgspec

    say(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def columns(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The header and the rows as aligned lines; a header that begins with `>` aligns its column to the right."""
    names = [name.lstrip(">") for name in header]
    table = [names, *([shown(cell) for cell in row] for row in rows)]
    widths = [max(map(width, column)) for column in zip(*table, strict=True)]
    right = [name.startswith(">") for name in header]
    return ["  ".join(map(_padded, row, widths, right)).rstrip() for row in table]


def filled(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The same without the columns that no row has anything in."""
    return columns(*without_empty(header, rows))


def without_empty(header: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """The header and the rows without the columns that no row has anything in."""
    told = [number for number in range(len(header)) if any(row[number] for row in rows)]
    return [header[number] for number in told], [[row[number] for number in told] for row in rows]


def facts(pairs: Iterable[tuple[str, str]], indent: str = "") -> list[str]:
    """Lines of label and value, the values below each other; a pair without value is left out."""
    told = [(label, value) for label, value in pairs if value]
    room = max((len(label) for label, _ in told), default=0) + 2
    return [f"{indent}{label.ljust(room)}{shown(value)}" for label, value in told]


def _padded(cell: str, room: int, right: bool) -> str:
    space = " " * (room - width(cell))
    return space + cell if right else cell + space


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii") if ord(char) != 0x20 else char


# --- times and amounts ------------------------------------------------------------------------------------------------


def utc(moment: datetime | None, *, seconds: bool = False) -> str:
    """`2026-11-23 03:10` in UTC, with seconds where asked for; empty for none."""
    if moment is None:
        return ""
    return f"{moment.astimezone(timezone.utc):{'%Y-%m-%d %H:%M:%S' if seconds else '%Y-%m-%d %H:%M'}}"  # noqa: UP017


def moment_of(text: str, now: datetime) -> datetime:
    """The moment that `24h` (ago), `2026-11-23` or `2026-11-23T03:00Z` name; without a zone it is UTC."""
    from datlake_sdk.cli.exits import UsageError

    if text[-1:] in _UNITS and text[:-1].isascii() and text[:-1].isdigit() and len(text) <= 8:
        return now - timedelta(seconds=int(text[:-1]) * _UNITS[text[-1]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is no time; write it like 24h, 7d, 2026-11-23 or 2026-11-23T03:00Z"
        raise UsageError(message) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)  # noqa: UP017


def ago(moment: datetime, now: datetime) -> str:
    """How long ago, roughly: `just now`, `5 min ago`, `3 days ago`."""
    seconds = (now - moment).total_seconds()
    for size, word in ((86_400, "day"), (3600, "h"), (60, "min")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {word}{'s' if word == 'day' and count > 1 else ''} ago"
    return "just now" if seconds > -60 else "in the future: a clock is wrong"
