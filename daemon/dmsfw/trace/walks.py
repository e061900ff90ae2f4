"""Walks through all of one priority, in one order or in another."""

from __future__ import annotations

from typing import NamedTuple

from dmsfw.trace.branches import Ended, Live, Share, add
from dmsfw.trace.host import Host
from dmsfw.trace.packet import Packet
from dmsfw.trace.result import Verdict
from dmsfw.trace.scene import Scene
from dmsfw.trace.stations import Station
from dmsfw.trace.tracked import asks_nat
from dmsfw.trace.walk import Note


class Passed(NamedTuple):
    """A station, what was asked there, and what came to an end in it."""

    station: Station
    asked: Live
    ended: list[Ended]


class Course(NamedTuple):
    """An order in which all were passed: what is left of the packets behind it, and what each station did."""

    left: Live
    passed: list[Passed]

    @property
    def stopped(self) -> list[Ended]:
        """What does not go on."""
        return [one for each in self.passed for one in each.ended if one.verdict is not Verdict.PASSES]


class Walks:
    """What came of walks on a hook. A station that the same packets have passed already is not walked again.

    Most orders differ in whom is asked first only, and not in what they are asked: 10,000 rules are walked once.
    """

    def __init__(self, host: Host, hook: str) -> None:
        self._host = host
        self._hook = hook
        self._known: dict[tuple[Station, frozenset[tuple[Packet, Share]]], list[Ended]] = {}

    def through(self, order: tuple[Station, ...], live: Live, note: Note) -> Course:
        """Through all of them. Translations are asked by packets without one.

        `note` is told the steps of those that are walked for the first time. Raises: TooMuch.
        """
        found: list[Passed] = []
        for station in order:
            asking = {one: live[one] for one in live if not station.translates or asks_nat(one, self._hook)}
            live = {one: live[one] for one in live if one not in asking}
            ended = self._walked(station, asking, note) if asking else []
            for one in ended:
                if one.verdict is Verdict.PASSES:
                    add(live, one.packet, one.share)
            found.append(Passed(station, asking, ended))
        return Course(live, found)

    def _walked(self, station: Station, asking: Live, note: Note) -> list[Ended]:
        key = (station, frozenset(asking.items()))
        if key not in self._known:
            scene = Scene(self._host, self._hook, station.table)
            self._known[key] = station.walk(scene, note).run(asking)
        return self._known[key]
