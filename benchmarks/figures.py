"""What a measurement answers: figures with their spread, and claims held against their targets. Measures nothing."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from msgspec import Struct

ENOUGH_FOR_P99 = 100


class Figure(Struct, frozen=True):
    """One measured quantity: the median of `n` samples, with the least, the most and, of many, the 99th percentile."""

    what: str
    unit: str
    median: float
    low: float
    high: float
    n: int
    p99: float | None = None

    def __str__(self) -> str:
        """The figure as a row of a table says it."""
        tail = "" if self.p99 is None else f", p99 {_short(self.p99)}"
        return f"{_short(self.median)} {self.unit} ({_short(self.low)}-{_short(self.high)}){tail}, n={self.n}"


class Claim(Struct, frozen=True):
    """One quantity that has a target. `measured_here` is false where a side of it is a reference figure."""

    what: str
    unit: str
    measured: float
    target: float
    at_most: bool = True
    measured_here: bool = True

    @property
    def is_reached(self) -> bool:
        """True where the measured value is on the right side of the target."""
        return self.measured <= self.target if self.at_most else self.measured >= self.target

    @property
    def verdict(self) -> str:
        """`reached` or `missed`, nothing between."""
        return "reached" if self.is_reached else "missed"


class Result(Struct, frozen=True):
    """Everything one measure found."""

    name: str
    title: str
    figures: list[Figure]
    claims: list[Claim]
    notes: list[str] = []
    versions: dict[str, str] = {}


class Plan(Struct, frozen=True):
    """How much is measured."""

    with_mlflow: bool
    artifact_mib: int


def figure(what: str, unit: str, samples: Sequence[float]) -> Figure:
    """The samples as one figure."""
    p99 = statistics.quantiles(samples, n=100)[-1] if len(samples) >= ENOUGH_FOR_P99 else None
    return Figure(what, unit, statistics.median(samples), min(samples), max(samples), len(samples), p99)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
