"""The work of `datlake demo`: a week of made-up weather at two airports, cleaned, joined and summed up per day.

The standard library alone. Nothing here knows of Datlake: it is what a user's own code would be.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TypeAlias

Rows: TypeAlias = list[dict[str, str]]

AIRPORTS = {"EWR": "Newark Liberty", "JFK": "John F Kennedy"}
DAYS = 7
# One reading a thermometer cannot have shown, and one that is missing, as real data has them.
IMPOSSIBLE, MISSING = "999.9", ""
HOTTEST_CELSIUS = 60.0
# Which column of the hours each column of a day sums up; the others are taken as they are.
SUMMED_FROM = {"day": "hour", "coldest": "celsius", "hottest": "celsius", "rain_mm": "rain_mm"}


def write_raw(folder: Path) -> tuple[Path, Path]:
    """The files (readings, airports) as they might come from outside, with a gap and an outlier."""
    readings: Rows = []
    for day in range(1, DAYS + 1):
        for hour in range(24):
            for number, code in enumerate(AIRPORTS):
                celsius = 8 + 6 * ((hour - 4) % 24 < 12) + day * 0.5 - number
                rain = 1.2 if (day * 24 + hour) % 17 == 0 else 0.0
                readings.append({"airport": code, "hour": f"2013-01-{day:02d}T{hour:02d}", "celsius": f"{celsius:.1f}"})
                readings[-1]["rain_mm"] = f"{rain:.1f}"
    readings[10]["celsius"], readings[20]["celsius"] = IMPOSSIBLE, MISSING
    airports = [{"airport": code, "name": name} for code, name in AIRPORTS.items()]
    return write(folder / "readings.csv", readings), write(folder / "airports.csv", airports)


def cleaned(readings: Rows) -> Rows:
    """The readings that have a temperature, and one that can be true."""
    return [row for row in readings if row["celsius"] and float(row["celsius"]) < HOTTEST_CELSIUS]


def joined(weather: Rows, airports: Rows) -> Rows:
    """Each reading with the name of its airport."""
    names = {row["airport"]: row["name"] for row in airports}
    return [{**row, "name": names[row["airport"]]} for row in weather]


def daily(hourly: Rows) -> Rows:
    """Lowest and highest temperature, and rain, per airport and day."""
    groups: dict[tuple[str, str], Rows] = {}
    for row in hourly:
        groups.setdefault((row["airport"], row["hour"][:10]), []).append(row)
    return [{"airport": airport, "day": day, **_summary(rows)} for (airport, day), rows in sorted(groups.items())]


def read(path: Path) -> Rows:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: Rows) -> Path:
    """The path, now a CSV file of the rows."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def _summary(rows: Rows) -> dict[str, str]:
    temperatures = [float(row["celsius"]) for row in rows]
    rain = sum(float(row["rain_mm"]) for row in rows)
    return {"coldest": f"{min(temperatures):.1f}", "hottest": f"{max(temperatures):.1f}", "rain_mm": f"{rain:.1f}"}
