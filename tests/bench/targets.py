"""What was promised, in one table; a miss is shown as a miss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tests.bench.rows import Row, text


@dataclass(frozen=True, slots=True)
class Target:
    """A limit for one figure of a row. `least`: the figure is to be at least so much, else at most."""

    row: str
    point: Literal["p50", "p99", "worst"]
    limit: float
    least: bool = False

    def value(self, row: Row) -> float:
        """The figure that is judged."""
        return {"p50": row.p50, "p99": row.p99, "worst": row.worst}[self.point]

    def met(self, row: Row) -> bool:
        """Tell whether the limit is kept."""
        return self.value(row) >= self.limit if self.least else self.value(row) <= self.limit

    def promise(self, row: Row) -> str:
        """The limit in words: `p99 <= 25 ms`; a row of one sample has no percentiles to name."""
        name = {"worst": "never more than"}.get(self.point, self.point) if row.n > 1 else ""
        sign = ">=" if self.least else "<="
        return " ".join(filter(None, (name, "" if name.startswith("never") else sign, text(self.limit, row.unit))))


TARGETS = (
    Target("events/dmsfw", "p50", 5),
    Target("events/dmsfw", "p99", 25),
    Target("events/loop ratio", "p50", 10, least=True),
    Target("events/called ratio", "p50", 10, least=True),
    Target("recreations/dmsfw refused", "worst", 0),
    Target("recreations/dmsfw retried", "worst", 0),
    Target("passes/foreign=1000 nothing", "p50", 3),
    Target("passes/foreign=10000 nothing", "p50", 20),
    Target("passes/commits nothing", "worst", 0),
    Target("passes/networks=500 added", "p50", 60),
    Target("passes/networks=500 removed", "p50", 60),
    Target("passes/networks=500 recreated", "p50", 60),
    Target("passes/commits added", "worst", 1),
    Target("passes/commits removed", "worst", 1),
    Target("passes/commits recreated", "worst", 1),
    Target("passes/growth networks nothing", "p50", 1),
    Target("passes/growth networks added", "p50", 1),
    Target("passes/growth foreign nothing", "p50", 1),
    Target("passes/growth foreign added", "p50", 1),
    Target("lock/held nothing", "worst", 50),
    Target("lock/held", "worst", 50),
    Target("lock/first", "worst", 50),
    Target("forwarding/2 loss", "p50", 2),
    Target("forwarding/30 loss", "p50", 2),
    Target("forwarding/500 loss", "p50", 2),
    Target("start/sync", "p50", 700),
    Target("healing/locking", "p99", 100),
    Target("healing/firewall", "p99", 100),
    Target("healing/lockless", "worst", 1500),
    Target("memory/1", "p50", 40),
    Target("memory/50", "p50", 40),
    Target("memory/growth", "worst", 1),
    Target("idle/cpu", "p50", 0.1),
    Target("idle/wakes", "p50", 3),
    Target("idle/loop cpu", "p50", 1),
    Target("questions/10000", "worst", 500),
    Target("firewall4/event", "p50", 15),
    Target("firewall4/event", "p99", 40),
    Target("firewall4/refused", "worst", 0),
    Target("firewall4/repaired", "p99", 300),
    *(Target(f"firewall4/networks=500 {kind}", "p50", 150) for kind in ("first", "added", "removed", "recreated")),
    Target("firewall4/500 loss", "p50", 2),
)


def judged(rows: Mapping[str, Row]) -> list[tuple[Target, Row]]:
    """Each target whose row was measured, with it."""
    return [(target, rows[target.row]) for target in TARGETS if target.row in rows]
