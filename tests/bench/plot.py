"""Draws line plots as SVG, with nothing but text: series of points on linear or logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from tests.bench.rows import text

WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 44, 88
COLOURS = ("#0969da", "#cf222e", "#8250df", "#1a7f37", "#9a6700")
INK, GRID = "#57606a", "#d0d7de"
FONT = 'font-family="system-ui,sans-serif" font-size="12"'
STEPS = 5
"""Ticks of a linear axis, about."""

LEGEND_W = 340
"""Pixels of one name in the legend: two in a row."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Series:
    """One line. `dashed`: a limit, or what is only for comparison."""

    name: str
    points: tuple[Point, ...]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: what it says, its ends, and whether it is logarithmic."""

    title: str
    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value lies, from 0 to 1."""
        scale: Callable[[float], float] = math.log10 if self.log else float
        low, high = scale(self.low), scale(self.high)
        return (scale(min(max(value, self.low), self.high)) - low) / (high - low)

    def ticks(self) -> list[float]:
        """Values that are written at the axis: powers of ten, or round steps."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            return [10.0**power for power in range(first, last + 1)]
        step = _round((self.high - self.low) / STEPS)
        count = int((self.high - self.low) / step + 1e-9)
        return [self.low + step * number for number in range(count + 1)]


def _round(step: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(step))
    return float(next(factor * power for factor in (1, 2, 5, 10) if step <= factor * power * (1 + 1e-9)))


def axis_of(title: str, values: Sequence[float], *, log: bool) -> Axis:
    """An axis that has room for all the values; a logarithmic one begins and ends at a power of ten."""
    if log:
        positive = [value for value in values if value > 0]
        low = 10.0 ** math.floor(math.log10(min(positive)))
        return Axis(title, low, max(low * 10, 10.0 ** math.ceil(math.log10(max(positive)))), log=True)
    return Axis(title, 0.0, max(values) * 1.05 or 1.0)


def draw(title: str, x: Axis, y: Axis, series: Sequence[Series]) -> str:
    """Return the picture."""
    rows = math.ceil(len(series) / 2)
    height = HEIGHT + 18 * max(0, rows - 2)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'role="img" aria-label="{escape(title)}">'
    )
    return "\n".join(
        [
            head,
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            f'<text x="{LEFT}" y="24" {FONT} font-weight="600" fill="#1f2328">{escape(title)}</text>',
            *_grid(x, y),
            *(line for number, one in enumerate(series) for line in _series(one, number, x, y)),
            "</svg>",
            "",
        ]
    )


def _x(axis: Axis, value: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * axis.place(value)


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * axis.place(value)


def _grid(x: Axis, y: Axis) -> Iterator[str]:
    for value in y.ticks():
        at = _y(y, value)
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="{GRID}"/>'
        yield f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end" {FONT} fill="{INK}">{text(value)}</text>'
    for value in x.ticks():
        at = _x(x, value)
        yield f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="{GRID}"/>'
        below = HEIGHT - BOTTOM + 18
        yield f'<text x="{at:.1f}" y="{below}" text-anchor="middle" {FONT} fill="{INK}">{text(value)}</text>'
    middle, side = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
    bottom = HEIGHT - BOTTOM + 36
    yield f'<text x="{middle}" y="{bottom}" text-anchor="middle" {FONT} fill="{INK}">{escape(x.title)}</text>'
    turned = f'transform="rotate(-90 18 {side})"'
    yield f'<text x="18" y="{side}" {turned} text-anchor="middle" {FONT} fill="{INK}">{escape(y.title)}</text>'


def _series(series: Series, number: int, x: Axis, y: Axis) -> Iterator[str]:
    colour = INK if series.dashed else COLOURS[number % len(COLOURS)]
    dash = ' stroke-dasharray="5 4"' if series.dashed else ""
    places = [(_x(x, at), _y(y, value)) for at, value in series.points]
    line = " ".join(f"{across:.1f},{down:.1f}" for across, down in places)
    yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
    if not series.dashed:
        yield from (f'<circle cx="{a:.1f}" cy="{d:.1f}" r="2.5" fill="{colour}"/>' for a, d in places)
    left, top = LEFT + number % 2 * LEGEND_W, HEIGHT - BOTTOM + 56 + number // 2 * 18
    yield f'<line x1="{left}" x2="{left + 22}" y1="{top}" y2="{top}" stroke="{colour}" stroke-width="2"{dash}/>'
    yield f'<text x="{left + 28}" y="{top + 4}" {FONT} fill="{INK}">{escape(series.name)}</text>'
