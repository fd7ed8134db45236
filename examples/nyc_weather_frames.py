"""What the weather means: reading, cleaning, joining and counting, as pure functions from frame to frame.

Called by the jobs of `nyc_weather.py`. Knows Polars and the two files, never Datlake: transformations stay testable
alone, and the tracking around them stays a few lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WEATHER_COLUMNS: Mapping[str, type[pl.DataType]] = {
    "origin": pl.String,
    "year": pl.Int16,
    "month": pl.Int8,
    "day": pl.Int8,
    "hour": pl.Int8,
    "temp": pl.Float64,
    "dewp": pl.Float64,
    "humid": pl.Float64,
    "wind_dir": pl.Int16,
    "wind_speed": pl.Float64,
    "wind_gust": pl.Float64,
    "precip": pl.Float64,
    "pressure": pl.Float64,
    "visib": pl.Float64,
    "time_hour": pl.String,
}
AIRPORT_COLUMNS: Mapping[str, type[pl.DataType]] = {
    "faa": pl.String,
    "name": pl.String,
    "lat": pl.Float64,
    "lon": pl.Float64,
    "alt": pl.Int32,
    "tz": pl.Int8,
    "dst": pl.String,
    "tzone": pl.String,
}

# Generous on purpose: what lies outside was never observed on Earth's surface, so it is a fault of the instrument or of
# the transmission, while what lies inside may be rare weather. (The file holds one wind of 1048 mph.)
LIMITS: Mapping[str, tuple[float, float]] = {
    "temp": (-60.0, 135.0),  # °F
    "dewp": (-80.0, 95.0),  # °F
    "humid": (0.0, 100.0),  # %
    "wind_dir": (0.0, 360.0),  # degrees; 0 is calm
    "wind_speed": (0.0, 231.0),  # mph; 231 was measured on Mount Washington in 1934
    "wind_gust": (0.0, 254.0),  # mph; Barrow Island, 1996
    "precip": (0.0, 12.0),  # inches in an hour; Holt, Missouri, 1947
    "pressure": (870.0, 1085.0),  # hPa
    "visib": (0.0, 10.0),  # miles; the instruments report no more
}

# Air does not cool and warm again by this much within two hours; a thunderstorm's cold outflow stays below 20 °F here.
SPIKE_F = 20.0

# The wind of a United States National Weather Service wind advisory, and rain that it calls heavy.
ADVISORY_WIND_MPH, ADVISORY_GUST_MPH, HEAVY_RAIN_IN = 31.0, 46.0, 0.30
STORM_RULE = (
    f"an hour is stormy with sustained wind >= {ADVISORY_WIND_MPH:g} mph, a gust >= {ADVISORY_GUST_MPH:g} mph "
    f"or more than {HEAVY_RAIN_IN:.2f} in of rain; a stormy day has such an hour"
)


class UnreadableInput(Exception):
    """An input is missing, lacks a column, or holds a value that cannot be read; the message names it."""


class Cleaned(NamedTuple):
    """A frame that can be trusted, and what had to go: one row per removed value (key, column, value)."""

    frame: pl.DataFrame
    removed: pl.DataFrame
    duplicates: int = 0


def read_weather(path: Path) -> pl.DataFrame:
    """The hourly observations as they are in the file, "NA" as null, `time_hour` as a UTC time."""
    frame = _read_csv(path, WEATHER_COLUMNS)
    try:
        timed = frame.with_columns(pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC"))
    except pl.exceptions.PolarsError as error:
        raise UnreadableInput(
            f"{path}: time_hour is not a UTC time like 2013-01-01T06:00:00Z: {_gist(error)}"
        ) from error
    if timed.select(pl.col("origin", "time_hour").is_null().any()).row(0) != (False, False):
        raise UnreadableInput(f"{path}: a line lacks origin or time_hour; fill it in or drop it")
    return timed


def read_airports(path: Path) -> pl.DataFrame:
    """The airports as they are in the file, "NA" as null."""
    return _read_csv(path, AIRPORT_COLUMNS)


def clean_weather(raw: pl.DataFrame) -> Cleaned:
    """Every observation kept, one per airport and hour, with the impossible values turned to null."""
    keys = ["origin", "time_hour"]
    ordered = raw.unique(keys, keep="first", maintain_order=True).sort(keys)
    bounded = ordered.with_columns(
        pl.when(pl.col(name).is_between(low, high)).then(pl.col(name)) for name, (low, high) in LIMITS.items()
    )
    # The station derives dew point and humidity from the same reading: if the temperature is false, so are they.
    cleaned = bounded.with_columns(pl.when(~_is_spike("temp")).then(pl.col("temp", "dewp", "humid")))
    key = pl.format("{} {}", "origin", pl.col("time_hour").dt.strftime("%Y-%m-%dT%H:%MZ"))
    return Cleaned(cleaned, _removed(ordered, cleaned, key, list(LIMITS)), raw.height - ordered.height)


def clean_airports(raw: pl.DataFrame) -> Cleaned:
    """Every airport kept; a position outside the United States is turned to null with the zone derived from it.

    In the file two airports lost the minus of their longitude (and got a Chinese zone), one has both swapped.
    """
    ordered = raw.unique("faa", keep="first", maintain_order=True).sort("faa")
    # East longitudes are right for the Aleutians beyond the 180th meridian only.
    inside = pl.col("lat").is_between(18, 72) & (
        pl.col("lon").is_between(-180, -64) | pl.col("lon").is_between(172, 180)
    )
    doubtful = ["lat", "lon", "tz", "tzone"]
    cleaned = ordered.with_columns(pl.when(inside).then(pl.col(doubtful)))
    return Cleaned(cleaned, _removed(ordered, cleaned, pl.col("faa"), doubtful), raw.height - ordered.height)


def hourly(weather: pl.DataFrame, airports: pl.DataFrame) -> pl.DataFrame:
    """One typed row per airport and hour, with the airport's name and the local time of its zone.

    The UTC time is the truth. When clocks are set back an hour occurs twice in `local_time`; `utc_offset_min` tells
    the two apart. `clock_agrees` says whether the file's own year, month, day and hour are that local time.
    """
    located = airports.drop_nulls("tzone").select("faa", "name", "tzone")
    unknown = weather.join(located, left_on="origin", right_on="faa", how="anti")["origin"].unique().sort().to_list()
    if unknown:
        raise UnreadableInput(f"no airport with a time zone for {', '.join(unknown)}; add it to airports.csv")
    joined = weather.join(located, left_on="origin", right_on="faa", how="inner")
    zones = joined.partition_by("tzone", as_dict=True).items()
    return pl.concat(_in_local_time(part, str(zone)) for (zone,), part in zones).sort("airport", "observed_at")


def daily(hours: pl.DataFrame) -> pl.DataFrame:
    """One row per airport and local day: hours observed, extremes, rain, and the hours stormy by `STORM_RULE`.

    Null means unknown: rain is null when no hour of the day reported any, `gust_max_mph` when no gust was reported.
    """
    rain = pl.col("rain_in")
    days = hours.group_by("airport", "airport_name", pl.col("local_time").dt.date().alias("day")).agg(
        hours=pl.len().cast(pl.Int8),
        temp_min_f=pl.col("temp_f").min(),
        temp_max_f=pl.col("temp_f").max(),
        rain_in=pl.when(rain.count() > 0).then(rain.sum().round(2)),
        wind_max_mph=pl.col("wind_speed_mph").max(),
        gust_max_mph=pl.col("wind_gust_mph").max(),
        storm_hours=_is_stormy().sum().cast(pl.Int8),
    )
    return days.with_columns(is_storm=pl.col("storm_hours") > 0).sort("airport", "day")


def summary(days: pl.DataFrame) -> dict[str, object]:
    """The report as plain JSON values: the period, the rule for storms, and the record days of each airport."""
    return {
        "first_day": str(days["day"].min()),
        "last_day": str(days["day"].max()),
        "storm_rule": STORM_RULE,
        "airports": {str(code): _records(part) for (code,), part in days.partition_by("airport", as_dict=True).items()},
    }


def schema_of(frame: pl.DataFrame) -> dict[str, str]:
    """The columns with their types, in the words Datlake keeps."""
    return {name: str(dtype) for name, dtype in frame.schema.items()}


def _read_csv(path: Path, columns: Mapping[str, type[pl.DataType]]) -> pl.DataFrame:
    """The named columns of a CSV file, in that order and of those types."""
    if not path.is_file():
        raise UnreadableInput(f"{path} does not exist; --data names a folder that holds weather.csv and airports.csv")
    try:
        frame = pl.read_csv(path, schema_overrides=dict(columns), null_values="NA")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UnreadableInput(f"{path} cannot be read as CSV: {_gist(error)}") from error
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise UnreadableInput(f"{path} lacks {', '.join(missing)}; it has {', '.join(frame.columns)}")
    return frame.select(list(columns))


def _gist(error: Exception) -> str:
    """The first line; in the rest Polars advises programmers, and it stays in the traceback."""
    return str(error).partition("\n")[0]


def _is_spike(name: str) -> pl.Expr:
    """True where a value leaves both neighbouring hours of its airport by more than `SPIKE_F` in one direction."""
    value = pl.col(name)
    before = value - value.shift(1).over("origin")
    after = value - value.shift(-1).over("origin")
    falls = pl.max_horizontal(before, after) < -SPIKE_F
    rises = pl.min_horizontal(before, after) > SPIKE_F
    return ((falls | rises) & before.is_not_null() & after.is_not_null()).fill_null(value=False)


def _is_stormy() -> pl.Expr:
    """True by `STORM_RULE`; what is unknown makes no storm."""
    wind = pl.col("wind_speed_mph") >= ADVISORY_WIND_MPH
    gust = pl.col("wind_gust_mph") >= ADVISORY_GUST_MPH
    rain = pl.col("rain_in") > HEAVY_RAIN_IN
    return pl.any_horizontal(wind, gust, rain).fill_null(value=False)


def _removed(before: pl.DataFrame, after: pl.DataFrame, key: pl.Expr, columns: list[str]) -> pl.DataFrame:
    """Key, column and value, all as text, of each value that `after` no longer has; both have the same rows."""
    gone = [
        before.filter(before[name].is_not_null() & after[name].is_null()).select(
            key.alias("key"),
            pl.lit(name).alias("column"),
            pl.col(name).cast(pl.String).alias("value"),
        )
        for name in columns
    ]
    return pl.concat(gone).sort("key", "column")


def _in_local_time(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    """The hourly table's columns for airports of one zone (a Polars column knows a single zone)."""
    there = pl.col("time_hour").dt.convert_time_zone(zone)
    offset = there.dt.base_utc_offset() + there.dt.dst_offset()
    in_file = pl.datetime(pl.col("year"), pl.col("month"), pl.col("day"), pl.col("hour"))
    return frame.select(
        pl.col("origin").alias("airport"),
        pl.col("name").alias("airport_name"),
        pl.col("time_hour").alias("observed_at"),
        there.dt.replace_time_zone(None).alias("local_time"),
        pl.col("tzone").alias("time_zone"),
        offset.dt.total_minutes().cast(pl.Int16).alias("utc_offset_min"),
        (there.dt.replace_time_zone(None) == in_file).alias("clock_agrees"),
        pl.col("temp").alias("temp_f"),
        pl.col("dewp").alias("dew_point_f"),
        pl.col("humid").alias("humidity_pct"),
        pl.col("wind_dir").alias("wind_from_deg"),
        pl.col("wind_speed").alias("wind_speed_mph"),
        pl.col("wind_gust").alias("wind_gust_mph"),
        pl.col("precip").alias("rain_in"),
        pl.col("pressure").alias("pressure_hpa"),
        pl.col("visib").alias("visibility_mi"),
    )


def _records(days: pl.DataFrame) -> dict[str, object]:
    """One airport's totals and record days."""
    return {
        "name": days["airport_name"][0],
        "days": days.height,
        "hours": int(days["hours"].sum()),
        "rain_in": round(float(days["rain_in"].sum()), 2),
        "storm_days": int(days["is_storm"].sum()),
        "coldest": _extreme(days, "temp_min_f", highest=False),
        "hottest": _extreme(days, "temp_max_f", highest=True),
        "wettest": _extreme(days, "rain_in", highest=True),
    }


def _extreme(days: pl.DataFrame, column: str, *, highest: bool) -> dict[str, object]:
    """The first day with the highest (or lowest) value, and that value; null where nothing is known."""
    first = days.sort(column, descending=highest, nulls_last=True, maintain_order=True).row(0, named=True)
    return {"day": str(first["day"]), column: first[column]}
