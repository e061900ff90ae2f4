"""Through one table, from a built-in chain to its end: jumps, gotos, returns, the policy.

The order of evaluation is the kernel's (ipt_do_table): rule by rule, the first that ends it decides; a chain that
comes to its end goes on behind the rule that jumped to it; a goto returns to where its own chain would.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from dmsfw.trace.branches import NOTHING, WHOLE, Ended, Flow, Live, Share, add
from dmsfw.trace.effect import Effect, Kind
from dmsfw.trace.result import Place, Step, Verdict
from dmsfw.trace.rule import Rule
from dmsfw.trace.ruleset import Table
from dmsfw.trace.scene import Scene
from dmsfw.trace.targets import effects

MAX_DEPTH = 100
"""Chains within chains. The kernel refuses loops; a text need not."""

MAX_ASKED = 300_000
"""Times that a rule is asked in one table."""

MAX_LIVE = 64
"""Different packets that one may have become. Marks that hang on unknown matches double them."""

VERDICTS = {
    Kind.ACCEPTED: Verdict.PASSES,
    Kind.DROPPED: Verdict.DROPPED,
    Kind.REJECTED: Verdict.REJECTED,
    Kind.UNCERTAIN: Verdict.UNCERTAIN,
}

Note = Callable[[Step], None]

R = TypeVar("R")


class RuleChain(Protocol[R]):
    """A chain that can be walked."""

    name: str
    rules: list[R]


@dataclass(slots=True)
class Here:
    """A chain that is being walked: how it was come to, what is still under way in it, and what came out of it."""

    name: str
    trail: tuple[Step, ...]
    live: Live
    flow: Flow = field(default_factory=Flow)

    def take(self, effect: Effect, step: Step, share: Share) -> None:
        """Put what a target has done where it goes on."""
        if effect.kind in {Kind.CONTINUES, Kind.BREAKS}:
            add(self.live, effect.packet, share)
        elif effect.kind is Kind.RETURNS:
            add(self.flow.back, effect.packet, share)
        else:
            self.flow.ended.append(Ended(VERDICTS[effect.kind], (*self.trail, step), effect.packet, share))

    def come_back(self, result: Flow, *, goto: bool) -> None:
        """Take what came out of a chain that a rule here led to."""
        self.flow.ended += result.ended
        goes_on = self.flow.back if goto else self.live
        for packet, share in result.back.items():
            add(goes_on, packet, share)


class TooMuch(Exception):
    """The rules lead on and on: no end is in sight."""


class Walker(ABC, Generic[R]):
    """What a walk through a table of iptables and one through a base chain of nftables have in common.

    `note` is told every step in order.
    """

    def __init__(self, scene: Scene, note: Note) -> None:
        self._scene = scene
        self._note = note
        self._asked = 0

    @abstractmethod
    def run(self, live: Live) -> list[Ended]:
        """What becomes of the packets, from the hook's chain to its policy. Raises: TooMuch."""

    @abstractmethod
    def _meet(self, here: Here, rule: R) -> None:
        """Hold all that is live there against a rule, and do what it does."""

    def _chain(self, chain: RuleChain[R], live: Live, trail: tuple[Step, ...]) -> Flow:
        if len(trail) > MAX_DEPTH:
            raise TooMuch(f"chain {chain.name} is more than {MAX_DEPTH} jumps deep")
        here = Here(chain.name, trail, live)
        for rule in chain.rules:
            if not here.live:
                break
            self._asked += 1
            if self._asked > MAX_ASKED or len(here.live) > MAX_LIVE:
                raise TooMuch(f"more possibilities than can be followed, in chain {chain.name}")
            self._meet(here, rule)
        for packet, share in here.live.items():
            add(here.flow.back, packet, share)
        return here.flow

    def _policy(self, live: Live, place: Place, rule: str, packets: int | None, *, accepts: bool) -> list[Ended]:
        """What the policy does with those that no rule ended."""
        if not live:
            return []
        does = "accepts it" if accepts else "drops it"
        step = Step(self._scene.hook, place, rule, "", packets, does, sure=is_whole(live))
        self._note(step)
        verdict = Verdict.PASSES if accepts else Verdict.DROPPED
        return [Ended(verdict, (step,), packet, share) for packet, share in live.items()]


class Walk(Walker[Rule]):
    """One walk through a table of iptables."""

    def __init__(self, table: Table, variant: str, scene: Scene, note: Note) -> None:
        super().__init__(scene, note)
        self._table = table
        self._variant = variant

    def run(self, live: Live) -> list[Ended]:
        """See Walker."""
        chain = self._table.chains.get(self._scene.hook)
        if chain is None:
            return [Ended(Verdict.PASSES, (), packet, share) for packet, share in live.items()]
        flow = self._chain(chain, live, ())
        place = Place(self._table.name, chain.name, 0, self._variant)
        policy = chain.policy or "ACCEPT"
        rule = f"-P {chain.name} {policy}"
        return [*flow.ended, *self._policy(flow.back, place, rule, chain.packets, accepts=policy == "ACCEPT")]

    def _meet(self, here: Here, rule: Rule) -> None:
        matched, here.live, why = self._split(rule, here.live)
        if matched:
            self._apply(here, rule, matched, why)

    def _split(self, rule: Rule, live: Live) -> tuple[Live, Live, str]:
        """Those that match, those that do not, and what is not known or assumed."""
        matched: Live = {}
        left: Live = {}
        why = ""
        for packet, share in live.items():
            answer = rule.answer(packet, self._scene)
            if answer.matches is False:
                left[packet] = share
                continue
            why = why or answer.why
            matched[packet] = share if answer.matches else share / 2
            if answer.matches is None:
                left[packet] = share / 2
        return matched, left, why

    def _apply(self, here: Here, rule: Rule, matched: Live, why: str) -> None:
        """Do what the rule does: into `here.live` what goes on behind it, into `here.flow` what leaves the chain."""
        inner = self._table.chains.get(rule.parsed.target)
        if inner is None:
            self._target(here, rule, matched, why)
            return
        does = f"goes to {inner.name}" if rule.parsed.goto else f"jumps to {inner.name}"
        step = self._step(here, rule, matched, does, why)
        here.come_back(self._chain(inner, matched, (*here.trail, step)), goto=rule.parsed.goto)

    def _target(self, here: Here, rule: Rule, matched: Live, why: str) -> None:
        parsed = rule.parsed
        done = {packet: effects(parsed.target, packet, parsed.options, self._scene) for packet in matched}
        first = next(iter(done.values()))
        does = " or ".join(dict.fromkeys(effect.does for effect in first))
        step = self._step(here, rule, matched, does, why or first[0].why)
        for packet, found in done.items():
            for effect in found:
                here.take(effect, step, matched[packet] / len(found))

    def _step(self, here: Here, rule: Rule, matched: Live, does: str, why: str) -> Step:
        step = Step(
            hook=self._scene.hook,
            place=Place(self._table.name, here.name, rule.number, self._variant),
            rule=rule.text,
            comment=rule.parsed.comment,
            packets=rule.packets,
            does=does,
            sure=is_whole(matched),
            why=why,
            depth=len(here.trail),
        )
        self._note(step)
        return step


def is_whole(live: Live) -> bool:
    """All possibilities are among them."""
    return sum(live.values(), NOTHING) == WHOLE
