"""One rule, and all that is under way at it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from dmsfw.trace.branches import NOTHING, WHOLE, Live, Share, add
from dmsfw.trace.effect import Effect, Kind
from dmsfw.trace.nft.lookups import Element
from dmsfw.trace.nft.model import Rule
from dmsfw.trace.nft.operations import Ask, Choose, Do
from dmsfw.trace.packet import Packet
from dmsfw.trace.scene import Scene
from dmsfw.trace.walk import Here

SILENT = frozenset({"counts it, and goes on", "goes on"})


@dataclass(slots=True)
class Chosen:
    """What a verdict map made of packets: those for each verdict, and those that it has none for."""

    chosen: list[tuple[Element, Live]]
    left: Live
    why: str


@dataclass(slots=True)
class Meeting:
    """`live`: those that match so far. `ended`: those that a statement ended. `says`: what was done to them.

    `counted`: those that left the rule behind its counter, `uncounted`: those that a statement ended ahead of it.
    """

    here: Here
    rule: Rule
    live: Live
    packets: int | None = None
    why: str = ""
    element: Element | None = None
    says: list[str] = field(default_factory=list)
    ended: list[tuple[Effect, Share]] = field(default_factory=list)
    counted: Share = NOTHING
    uncounted: Share = NOTHING

    @property
    def whole(self) -> bool:
        """Whatever the packet has become, it met the rule, and was counted if the rule counts."""
        met = self.counted + sum(self.live.values(), sum((share for _, share in self.ended), NOTHING))
        return met - (NOTHING if self.packets is None else self.uncounted) == WHOLE

    @property
    def was_met(self) -> bool:
        """Some of them matched, or were counted at least."""
        return bool(self.live or self.ended or self.counted)

    def miss(self, live: Live) -> None:
        """Let these go on behind the rule, which they do not match."""
        for packet, share in live.items():
            self._miss(packet, share)

    def _miss(self, packet: Packet, share: Share) -> None:
        add(self.here.live, packet, share)
        if self.packets is not None:
            self.counted += share

    @property
    def does(self) -> str:
        """What was done, in words."""
        return ", ".join(self.says) or ("goes on" if self.packets is None else "counts it, and goes on")

    def ask(self, asked: Ask, scene: Scene) -> None:
        """Keep those that match, and may match; the rest goes on behind the rule."""
        matched: Live = {}
        for packet, share in self.live.items():
            (matches, why), element = asked.test(packet, scene)
            if matches is not True:
                self._miss(packet, share if matches is False else share / 2)
            if matches is not False:
                matched[packet] = share if matches else share / 2
                self.why = self.why or why
                self.element = element or self.element
        self.live = matched

    def do(self, done: Do, scene: Scene) -> None:
        """Do it to each."""
        live, self.live = self.live, {}
        for at, (packet, share) in enumerate(live.items()):
            effects = done.effects(packet, scene)
            for effect in effects:
                self._take(effect, share / len(effects))
            if at == 0:
                said = " or ".join(dict.fromkeys(effect.does for effect in effects))
                self.says += [said] if said not in SILENT else []
                self.why = self.why or effects[0].why

    def _take(self, effect: Effect, share: Share) -> None:
        if effect.kind is Kind.CONTINUES:
            add(self.live, effect.packet, share)
        else:
            self.ended.append((effect, share))
            self.uncounted += share if self.packets is None else NOTHING

    def choices(self, choose: Choose, scene: Scene) -> Chosen:
        """Look each packet up."""
        found: dict[str, tuple[Element, Live]] = {}
        left: Live = {}
        why = ""
        for packet, share in self.live.items():
            fitting = choose.look(packet, scene)
            elements = {str(element.data): element for element in fitting.elements}
            parts = len(elements) + fitting.may_miss
            for key, element in elements.items():
                add(found.setdefault(key, (element, {}))[1], packet, share / parts)
            if fitting.may_miss:
                add(left, packet, share / parts)
            why = why or (fitting.why if parts > 1 else "")
        return Chosen(list(found.values()), left, why)

    def part(self, live: Live, element: Element, why: str) -> Meeting:
        """The same for some of the packets."""
        why, says = self.why or why, list(self.says)
        return replace(
            self, live=live, element=element, why=why, says=says, ended=[], counted=NOTHING, uncounted=NOTHING
        )

    def stay(self, live: Live, element: Element, why: str) -> None:
        """Go on in the rule with these, as a verdict map has it."""
        self.live |= live
        self.element = self.element or element
        self.why = self.why or why

    def leave(self) -> None:
        """Send those that are still live on behind the rule."""
        for packet, share in self.live.items():
            add(self.here.live, packet, share)
        self.live = {}
