"""What a measurement answers: figures with their spread, and claims held against their targets. Measures nothing."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from msgspec import Struct


class Figure(Struct, frozen=True):
    """One measured quantity: the median of `n` samples, with the least and the most."""

    what: str
    unit: str
    median: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """The figure as a row of a table says it."""
        return f"{self.median:.3g} {self.unit} ({self.low:.3g}-{self.high:.3g}), n={self.n}"


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
    return Figure(what, unit, statistics.median(samples), min(samples), max(samples), len(samples))


def percentile(samples: Sequence[float], percent: int) -> float:
    """The value that `percent` of the samples do not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
