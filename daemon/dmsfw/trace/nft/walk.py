"""Through one base chain of nftables: rule by rule, statement by statement, in the kernel's order (nft_do_chain).

A statement that a packet does not match ends the rule for it; all that was done before stays done.
"""

from __future__ import annotations

from dmsfw.trace.branches import Ended, Live
from dmsfw.trace.nft.lookups import Element, Stores
from dmsfw.trace.nft.meeting import Meeting
from dmsfw.trace.nft.model import Base, Chain, Rule, Table
from dmsfw.trace.nft.operations import Ask, Choose, Count, Do, Kept, Lead, Operation
from dmsfw.trace.nft.statements import operations
from dmsfw.trace.nft.text import policy_text, rule_text
from dmsfw.trace.result import Place, Step
from dmsfw.trace.scene import Scene
from dmsfw.trace.targets import anything
from dmsfw.trace.walk import Here, Note, Walker


class BaseWalk(Walker[Rule]):
    """One walk through a base chain, and those that it leads to."""

    def __init__(self, table: Table, chain: Chain, base: Base, scene: Scene, note: Note) -> None:
        super().__init__(scene, note)
        self._table = table
        self._top = chain
        self._base = base

    def run(self, live: Live) -> list[Ended]:
        """See Walker."""
        flow = self._chain(self._top, live, ())
        place = Place(self._table.title, self._top.name, 0)
        left = self._policy(flow.back, place, policy_text(self._base), None, accepts=not self._base.drops)
        return [*flow.ended, *left]

    def _meet(self, here: Here, rule: Rule) -> None:
        meeting = Meeting(here, rule, here.live)
        here.live = {}
        for operation in self._operations(here, rule):
            if not meeting.live:
                break
            self._do(meeting, operation)
        self._finish(meeting)

    def _operations(self, here: Here, rule: Rule) -> Kept:
        known = self._table.cache
        key = (here.name, rule.number)
        if key not in known:
            known[key] = Kept(operations(rule, self._table, known.setdefault("stores", Stores(self._table))))
        found: Kept = known[key]
        return found

    def _do(self, meeting: Meeting, operation: Operation) -> None:
        if isinstance(operation, Ask):
            meeting.ask(operation, self._scene)
        elif isinstance(operation, Do):
            meeting.do(operation, self._scene)
        elif isinstance(operation, Count):
            meeting.packets = operation.packets
        elif isinstance(operation, Lead):
            self._lead(meeting, operation)
        else:
            self._choose(meeting, operation)

    def _lead(self, meeting: Meeting, lead: Lead) -> None:
        inner = self._table.chains.get(lead.chain)
        if inner is None:
            meeting.do(Do(lambda packet, _: anything(packet, f"there is no chain {lead.chain}")), self._scene)
            return
        meeting.says.append(f"goes to {inner.name}" if lead.goto else f"jumps to {inner.name}")
        step = self._step(meeting)
        live, meeting.live = meeting.live, {}
        here = meeting.here
        here.come_back(self._chain(inner, live, (*here.trail, step)), goto=lead.goto)

    def _choose(self, meeting: Meeting, choose: Choose) -> None:
        """Each verdict of a map is a way of its own from here on; what it lets continue goes on in the rule."""
        found = meeting.choices(choose, self._scene)
        meeting.live = {}
        for element, live in found.chosen:
            part = meeting.part(live, element, found.why)
            try:
                operation = choose.verdict(element.data)
            except (ValueError, TypeError, KeyError):
                operation = Do(lambda packet, _: anything(packet, "this verdict is not followed"))
            if operation is None:
                meeting.stay(live, element, found.why)
                continue
            self._do(part, operation)
            self._finish(part)
        meeting.miss(found.left)

    def _finish(self, meeting: Meeting) -> None:
        """Tell that the rule was met, if it was, and send all on."""
        if not meeting.was_met:
            return
        step = self._step(meeting)
        for effect, share in meeting.ended:
            meeting.here.take(effect, step, share)
        meeting.leave()

    def _step(self, meeting: Meeting) -> Step:
        step = Step(
            hook=self._scene.hook,
            place=Place(self._table.title, meeting.here.name, meeting.rule.number),
            rule=rule_text(meeting.rule),
            comment=meeting.rule.comment,
            packets=meeting.packets,
            does=meeting.does,
            sure=meeting.whole,
            why=meeting.why,
            depth=len(meeting.here.trail),
            element=_named(meeting.element),
        )
        self._note(step)
        return step


def _named(element: Element | None) -> str:
    if element is None:
        return ""
    return f'{element.text} comment "{element.comment}"' if element.comment else element.text
