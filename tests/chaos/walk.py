"""The random walk: one fault after the other in one lab, and after each the whole world is judged.

Every step draws from dice of its own, made of the walk's seed and the step's number, so a step can be repeated alone.
"""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.chaos.faults import FAULTS, Fault
from tests.chaos.judge import judge
from tests.chaos.patient import Broken, Patient
from tests.lab import LabError

NESTED = 0.25
"""How likely a second fault strikes while the first one lasts."""


@dataclass
class Survived:
    """How a kind of fault went: times met, times survived, seconds until in sync again, deaths of the daemon."""

    met: int = 0
    survived: int = 0
    worst_s: float = 0.0
    total_s: float = 0.0
    died: int = 0


@dataclass
class Walk:
    """The walk so far."""

    patient: Patient
    seed: int
    say: Callable[[str], None]
    kinds: dict[str, Survived] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    steps: int = 0
    _deck: list[Fault] = field(default_factory=list)

    def run(
        self, seconds: float, *, first: int = 1, steps: int = 10**9, only: Sequence[str] = (), slow: bool = True
    ) -> None:
        """Walk for so long, or so many steps; end at the first problem. `slow` False: without kinds that take long."""
        ends_at = time.monotonic() + seconds
        here = [fault for fault in FAULTS if fault.router in ("", self.patient.firewall.name)]
        known = [fault for fault in here if (slow or not fault.slow) and _named(fault, only)]
        order = random.Random(self.seed)
        try:
            self.patient.settle()
        except (Broken, LabError) as error:
            self.problems.append(f"seed {self.seed} before the first step: {error}")
        for number in range(1, first + steps):
            outer, inner = self._drawn(order, known)
            if number >= first:
                if time.monotonic() > ends_at or self.problems:
                    return
                self.step(number, outer, inner)

    def _drawn(self, order: random.Random, known: list[Fault]) -> tuple[Fault, Fault | None]:
        """Draw a fault as from a deck, so that every kind comes; sometimes another one that can come meanwhile."""
        if not self._deck:
            self._deck = order.sample(known, len(known))
        outer = self._deck.pop()
        possible = [fault for fault in known if fault is not outer and not (fault.needs | fault.breaks) & outer.breaks]
        nested = order.random() < NESTED and outer.lasts and possible
        return outer, order.choice(possible) if nested else None

    def step(self, number: int, outer: Fault, inner: Fault | None) -> None:
        """Let a fault strike, with another one in it or not, and judge."""
        patient = self.patient
        struck = [outer, *([inner] if inner else [])]
        what = " with ".join(fault.kind for fault in struck)
        patient.begin(random.Random(f"{self.seed} {number}"), what)
        began = time.monotonic()
        try:
            self._strike(outer, inner)
            patient.settle()
            judge(patient)
        except (Broken, LabError, OSError, AssertionError) as error:
            where = "".join(traceback.format_tb(error.__traceback__)[-4:])
            self.problems.append(f"seed {self.seed} step {number}: {what}: {error}\n{where}")
        self.steps += 1
        for fault in struck:
            self._count(self.kinds.setdefault(fault.kind, Survived()))
        took = time.monotonic() - began
        state = "FAILED" if self.problems else "ok"
        self.say(f"{number:>4} {state} {what}: in sync after {patient.worst_s:.2f} s, {took:.1f} s in all")

    def _strike(self, outer: Fault, inner: Fault | None) -> None:
        course = outer.act(self.patient)
        for _ in course or ():
            if inner:
                for _ in inner.act(self.patient) or ():
                    pass
                inner = None

    def _count(self, kind: Survived) -> None:
        kind.met += 1
        kind.survived += not self.problems
        kind.worst_s = max(kind.worst_s, self.patient.worst_s)
        kind.total_s += self.patient.worst_s
        kind.died += self.patient.died


def _named(fault: Fault, words: Sequence[str]) -> bool:
    return not words or any(word in fault.kind for word in words)
