"""Amounts as people read them, on a card as in a list: sizes, counts, time spans, versions, width of text. Pure."""

from __future__ import annotations


def width(text: str) -> int:
    """The columns a terminal gives it: wide letters take two, combining marks none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def duration(seconds: float) -> str:
    """A time span in the two units that matter: `80 ms`, `2.3 s`, `4 min 02 s`, `3 h 05 min`, `2 d 04 h`."""
    if seconds < 1:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours:02d} h"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def grouped(number: int | None) -> str:
    """`1 204 331`; empty for none."""
    return "" if number is None else f"{number:,}".replace(",", " ")


def size(size_bytes: int | None) -> str:
    """`12.3 MB`; empty for none."""
    if size_bytes is None:
        return ""
    amount = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.95:
            return f"{size_bytes} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def version_of(version: int | None) -> str:
    """`v12`; empty for none."""
    return "" if version is None else f"v{version}"


def how_read(*, stale: bool, age_s: float | None, deferred: bool) -> str:
    """How an input was read while the lake was away; empty where the lake answered."""
    if deferred:
        return "not delivered yet as it was read"
    if not stale:
        return ""
    return "stale" if age_s is None else f"{duration(age_s)} old as it was read"
