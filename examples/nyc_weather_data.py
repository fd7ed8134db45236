"""A small, made-up data set of the same shape as the real one, for whoever has no weather at hand.

Called by `nyc_weather.py` when it is given no `--data`. The same bytes on every machine; never touches the network.
"""

from __future__ import annotations

import csv
import math
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# Sixty days around the night when New York sets its clocks back: one local hour comes twice.
FIRST_HOUR = datetime(2013, 10, 10, 4, tzinfo=UTC)
CLOCKS_BACK = datetime(2013, 11, 3, 6, tzinfo=UTC)
HOURS = 60 * 24 + 1

STORMS = (datetime(2013, 10, 29, 20, tzinfo=UTC), datetime(2013, 11, 27, 14, tzinfo=UTC))
STORM_HOURS = 10

LOST_HOURS = 0.002
GUSTY_MPH = 12  # below it stations report no gust

AIRPORTS = (
    ("faa", "name", "lat", "lon", "alt", "tz", "dst", "tzone"),
    ("EWR", "Newark Liberty Intl", 40.6925, -74.168667, 18, -5, "A", "America/New_York"),
    ("JFK", "John F Kennedy Intl", 40.639751, -73.778925, 13, -5, "A", "America/New_York"),
    ("LGA", "La Guardia", 40.777245, -73.872608, 22, -5, "A", "America/New_York"),
    ("MYF", "Montgomery Field", 32.4759, 117.759, 17, 8, "A", "Asia/Chongqing"),  # the minus is lost, as in real life
)
ORIGINS = ("EWR", "JFK", "LGA")

Row = dict[str, object]


def write_sample(folder: Path) -> Path:
    """The folder, now holding `weather.csv` and `airports.csv`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = list(_observations())
    _write(folder / "weather.csv", [list(rows[0]), *(list(row.values()) for row in rows)])
    _write(folder / "airports.csv", AIRPORTS)
    return folder


def _write(path: Path, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _observations() -> Iterator[Row]:
    """One row per airport and hour; a few are missing, as they are in life."""
    chance = Random(2013)  # noqa: S311  the sample must be the same everywhere; nothing here is secret
    for station, origin in enumerate(ORIGINS):
        for number in range(HOURS):
            row = _observation(origin, station, FIRST_HOUR + timedelta(hours=number), chance)
            if chance.random() > LOST_HOURS:
                yield _with_faults(row, number, chance)


def _observation(origin: str, station: int, at: datetime, chance: Random) -> Row:
    """A plausible hour: cooling towards winter, warmest in the afternoon, wet and windy while a storm passes."""
    day = (at - FIRST_HOUR) / timedelta(days=1)
    storm = any(timedelta() <= at - start < timedelta(hours=STORM_HOURS) for start in STORMS)
    local = at.replace(tzinfo=None) - timedelta(hours=4 if at < CLOCKS_BACK else 5)
    temp = 62 - 0.4 * day - 7 * math.cos((local.hour - 3) / 24 * math.tau) + station + chance.random() * 3
    wind = (32 if storm else 4) + chance.random() * 10
    return {
        "origin": origin,
        "year": local.year,
        "month": local.month,
        "day": local.day,
        "hour": local.hour,
        "temp": round(temp, 2),
        "dewp": round(temp - (1 if storm else 12), 2),
        "humid": round(96 - chance.random() * (4 if storm else 40), 2),
        "wind_dir": round(chance.random() * 36) * 10,
        "wind_speed": round(wind, 5),
        "wind_gust": round(wind * 1.4, 5) if wind > GUSTY_MPH else "NA",
        "precip": round(0.1 + chance.random() * 0.4, 2) if storm else 0,
        "pressure": round(1018 - (22 if storm else 0) + chance.random() * 6, 1),
        "visib": 2 if storm else 10,
        "time_hour": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _with_faults(row: Row, number: int, chance: Random) -> Row:
    """The row as an instrument would have sent it: gaps everywhere, and three readings that cannot be."""
    faults: dict[tuple[object, int], Row] = {
        ("EWR", 300): {"wind_speed": 1048.36058, "wind_gust": "NA"},
        ("JFK", 500): {"temp": 3.1, "dewp": 2.02, "humid": 95.34},
        ("LGA", 700): {"pressure": 10.2},
    }
    gaps: Row = {name: "NA" for name, rate in (("pressure", 0.1), ("wind_dir", 0.02)) if chance.random() < rate}
    return row | gaps | faults.get((row["origin"], number), {})
