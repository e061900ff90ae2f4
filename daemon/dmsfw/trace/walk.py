"""Through one table, from a built-in chain to its end: jumps, gotos, returns, the policy.

The order of evaluation is the kernel's (ipt_do_table): rule by rule, the first that ends it decides; a chain that
comes to its end goes on behind the rule that jumped to it; a goto returns to where its own chain would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dmsfw.trace.branches import NOTHING, WHOLE, Ended, Flow, Live, Share, add
from dmsfw.trace.effect import Effect, Kind
from dmsfw.trace.result import Place, Step, Verdict
from dmsfw.trace.rule import Rule
from dmsfw.trace.ruleset import Chain, Table
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


@dataclass(slots=True)
class _Here:
    """A chain that is being walked: how it was come to, what is still under way in it, and what came out of it."""

    chain: Chain
    trail: tuple[Step, ...]
    live: Live
    flow: Flow = field(default_factory=Flow)

    def take(self, effect: Effect, step: Step, share: Share) -> None:
        """Put what a target has done where it goes on."""
        if effect.kind is Kind.CONTINUES:
            add(self.live, effect.packet, share)
        elif effect.kind is Kind.RETURNS:
            add(self.flow.back, effect.packet, share)
        else:
            self.flow.ended.append(Ended(VERDICTS[effect.kind], (*self.trail, step), effect.packet, share))


class TooMuch(Exception):
    """The rules lead on and on: no end is in sight."""


class Walk:
    """One walk through a table. `note` is told every step in order."""

    def __init__(self, table: Table, variant: str, scene: Scene, note: Note) -> None:
        self._table = table
        self._variant = variant
        self._scene = scene
        self._note = note
        self._asked = 0

    def run(self, live: Live) -> list[Ended]:
        """What becomes of the packets, from the hook's chain to its policy. Raises: TooMuch."""
        chain = self._table.chains.get(self._scene.hook)
        if chain is None:
            return [Ended(Verdict.PASSES, (), packet, share) for packet, share in live.items()]
        flow = self._chain(chain, live, ())
        return [*flow.ended, *self._policy(chain, flow.back)]

    def _policy(self, chain: Chain, live: Live) -> list[Ended]:
        if not live:
            return []
        accepts = chain.policy in {"ACCEPT", ""}
        step = Step(
            hook=self._scene.hook,
            place=Place(self._table.name, chain.name, 0, self._variant),
            rule=f"-P {chain.name} {chain.policy or 'ACCEPT'}",
            comment="",
            packets=chain.packets,
            does="accepts it" if accepts else "drops it",
            sure=sum(live.values(), NOTHING) == WHOLE,
        )
        self._note(step)
        verdict = Verdict.PASSES if accepts else Verdict.DROPPED
        return [Ended(verdict, (step,), packet, share) for packet, share in live.items()]

    def _chain(self, chain: Chain, live: Live, trail: tuple[Step, ...]) -> Flow:
        if len(trail) > MAX_DEPTH:
            raise TooMuch(f"chain {chain.name} is more than {MAX_DEPTH} jumps deep")
        here = _Here(chain, trail, live)
        for rule in chain.rules:
            if not here.live:
                break
            self._asked += 1
            if self._asked > MAX_ASKED or len(here.live) > MAX_LIVE:
                raise TooMuch(f"more possibilities than can be followed, in chain {chain.name}")
            matched, here.live, why = self._split(rule, here.live)
            if matched:
                self._apply(here, rule, matched, why)
        for packet, share in here.live.items():
            add(here.flow.back, packet, share)
        return here.flow

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

    def _apply(self, here: _Here, rule: Rule, matched: Live, why: str) -> None:
        """Do what the rule does: into `here.live` what goes on behind it, into `here.flow` what leaves the chain."""
        inner = self._table.chains.get(rule.parsed.target)
        if inner is None:
            self._target(here, rule, matched, why)
            return
        does = f"goes to {inner.name}" if rule.parsed.goto else f"jumps to {inner.name}"
        step = self._step(here, rule, matched, does, why)
        result = self._chain(inner, matched, (*here.trail, step))
        here.flow.ended += result.ended
        goes_on = here.flow.back if rule.parsed.goto else here.live
        for packet, share in result.back.items():
            add(goes_on, packet, share)

    def _target(self, here: _Here, rule: Rule, matched: Live, why: str) -> None:
        parsed = rule.parsed
        done = {packet: effects(parsed.target, packet, parsed.options, self._scene) for packet in matched}
        first = next(iter(done.values()))
        does = " or ".join(dict.fromkeys(effect.does for effect in first))
        step = self._step(here, rule, matched, does, why or first[0].why)
        for packet, found in done.items():
            for effect in found:
                here.take(effect, step, matched[packet] / len(found))

    def _step(self, here: _Here, rule: Rule, matched: Live, does: str, why: str) -> Step:
        step = Step(
            hook=self._scene.hook,
            place=Place(self._table.name, here.chain.name, rule.number, self._variant),
            rule=rule.text,
            comment=rule.parsed.comment,
            packets=rule.packets,
            does=does,
            sure=_is_whole(matched),
            why=why,
            depth=len(here.trail),
        )
        self._note(step)
        return step


def _is_whole(live: Live) -> bool:
    return sum(live.values(), NOTHING) == WHOLE
