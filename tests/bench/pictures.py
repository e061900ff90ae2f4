"""The plots of docs/performance.md, drawn from a run's rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.bench.measures import forwarding, passes
from tests.bench.plot import Point, Series, axis_of, draw
from tests.bench.rows import POINTS, Row

Rows = Mapping[str, Row]
KINDS = {"nothing": "nothing to do", "added": "one network comes"}
ZERO_AS = 1.0
"""Where nought is drawn on a logarithmic axis."""


def events(rows: Rows) -> str:
    """How many of the events were served within which time."""
    names = {"dmsfw": "dmsfw", "loop": "shell script in a loop", "called": "shell script, called"}
    series = [
        Series(
            name, tuple((value, point) for value, point in zip(rows[f"events/{who}"].quantiles, POINTS, strict=True))
        )
        for who, name in names.items()
    ]
    x = axis_of("ms from Docker's event to the rules in the kernel", _values(series, 0), log=True)
    return draw("Event to rules: percent of events served", x, axis_of("percent", (100.0,), log=False), series)


def networks(rows: Rows) -> str:
    """A pass over more and more networks."""
    return _curve(rows, "networks", passes.NETWORKS, "networks, 4 ports each")


def foreign(rows: Rows) -> str:
    """A pass among more and more foreign rules."""
    return _curve(rows, "foreign", passes.FOREIGN, "foreign rules beside 100 own ones (0 is drawn at 1)")


def _curve(rows: Rows, over: str, sizes: tuple[int, ...], title: str) -> str:
    series = []
    for kind, name in KINDS.items():
        found = {size: rows[f"passes/{over}={size} {kind}"] for size in sizes}
        series.append(Series(f"{name}: median", tuple((size or ZERO_AS, row.p50) for size, row in found.items())))
        series.append(Series(f"{name}: p99", tuple((size or ZERO_AS, row.p99) for size, row in found.items())))
    series.append(_linear(series[0].points))
    x, y = axis_of(title, _values(series, 0), log=True), axis_of("ms a pass", _values(series[:-1], 1), log=True)
    return draw(f"A pass over more {'networks' if over == 'networks' else 'foreign rules'}", x, y, series)


def _linear(points: tuple[Point, ...]) -> Series:
    """A line of linear growth through the last point."""
    at, value = points[-1]
    return Series("linear growth", ((at / 100, value / 100), (at, value)), dashed=True)


def lan(rows: Rows) -> str:
    """What established traffic of the LAN gets."""
    found = {size: rows[f"forwarding/{size} rate"] for size in forwarding.SIZES}
    series = [
        Series(name, tuple((float(size), row.at(point) / 1000) for size, row in found.items()))
        for name, point in (("median", 50), ("a quarter is below", 25), ("three quarters are below", 75))
    ]
    bare = found[0].p50 / 1000
    series.append(Series("2 % below the bare tables", ((0.0, bare * 0.98), (500.0, bare * 0.98)), dashed=True))
    x = axis_of("selected networks", _values(series, 0), log=False)
    y = axis_of("thousand packets for each second of a core", _values(series, 1), log=False)
    return draw("Established LAN traffic", x, y, series)


def _values(series: list[Series], which: int) -> list[float]:
    return [point[which] for one in series for point in one.points]


PICTURES: dict[str, tuple[str, Callable[[Rows], str]]] = {
    "events": ("From Docker's event to the rules, by percentiles", events),
    "networks": ("A pass over 1 to 1,000 networks", networks),
    "foreign": ("A pass among 0 to 10,000 foreign rules", foreign),
    "lan": ("Established LAN traffic with 0 to 500 selected networks", lan),
}
