"""What a measure gives: rows, each the distribution of one figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Better = Literal["less", "more", ""]

POINTS = (0, 5, 10, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90, 95, 99, 100)
"""The percentiles that are kept of a row's samples."""

DIGITS = 4
"""Significant digits of what is kept."""


def percentile(samples: Sequence[float], point: float) -> float:
    """The smallest sample that `point` percent of all do not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, -(-len(ordered) * point // 100).__int__() - 1)]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `id` is stable from run to run; `quantiles` stand at `POINTS`.

    `better`: which way is an improvement; empty where two runs are not to be compared.
    """

    id: str
    what: str
    unit: str
    n: int
    quantiles: tuple[float, ...]
    better: Better = "less"
    note: str = ""

    @staticmethod
    def of(id_: str, what: str, unit: str, samples: Iterable[float], *, better: Better = "less", note: str = "") -> Row:
        """A row of samples."""
        found = list(samples)
        quantiles = tuple(float(f"{percentile(found, point):.{DIGITS}g}") for point in POINTS)
        return Row(id_, what, unit, len(found), quantiles, better, note)

    def at(self, point: int) -> float:
        """The value at one of `POINTS`."""
        return self.quantiles[POINTS.index(point)]

    @property
    def p50(self) -> float:
        """The median."""
        return self.at(50)

    @property
    def p99(self) -> float:
        """What 99 of 100 do not exceed."""
        return self.at(99)

    @property
    def worst(self) -> float:
        """The largest."""
        return self.at(100)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @staticmethod
    def from_plain(found: dict[str, Any]) -> Row:
        """From JSON."""
        return Row(**{**found, "quantiles": tuple(found["quantiles"])})


def text(value: float, unit: str = "") -> str:
    """Write a value to three digits, with its unit."""
    size = abs(value)
    shown = f"{value:,.0f}" if size >= 100 or value == int(value) else f"{value:.{1 if size >= 10 else 2}f}"
    if 0 < size < 0.01:
        shown = f"{value:.1g}"
    return f"{shown} {unit}".strip()
