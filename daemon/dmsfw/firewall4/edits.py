"""What a diff is made of: what the table should hold, and the commands of one transaction. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dmsfw.firewall4 import FAMILY, TABLE, plain, rules
from dmsfw.firewall4.document import Rule, TableImage
from dmsfw.firewall4.keys import Json
from dmsfw.firewall4.render import Rendered
from dmsfw.firewall4.rules import Hook
from dmsfw.model import Change, Grant

PLACE = f"{FAMILY} {TABLE}"


@dataclass
class Edits:
    """Commands in nft's JSON, in the order in which they are carried out, and what they are called for people."""

    commands: list[Json] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def do(self, verb: str, kind: str, body: dict[str, Json]) -> None:
        """One command about one thing in the table."""
        self.commands.append({verb: {kind: {"family": FAMILY, "table": TABLE, **body}}})

    @property
    def sets(self) -> frozenset[str] | None:
        """The sets whose elements change, where nothing else does; else None."""
        things = [thing for command in self.commands for thing in command.values()]
        if any("element" not in thing for thing in things):
            return None
        return frozenset(thing["element"]["name"] for thing in things)

    @property
    def makes_sets(self) -> bool:
        """Whether a set is made."""
        return any("set" in command.get("add", ()) for command in self.commands)

    def tell(self, sign: str, text: str, why: str = "") -> None:
        """One line of the plan."""
        self.changes.append(Change("+" if sign == "+" else "-", PLACE, text, why))


@dataclass(frozen=True)
class Wanted:
    """What the table should hold. `included`: the package's include files bring sets, chains and jumps.

    `forms`: how this nft lists rules of ours, by chain and comment; it may differ from how they are written.
    `plainly`: the grants, where the kernel has no such sets: then our chains hold a rule for each, and no set is made.
    """

    rendered: Rendered
    included: bool = False
    forms: Mapping[tuple[str, str], Json] = field(default_factory=dict)
    plainly: tuple[Grant, ...] | None = None

    @property
    def due(self) -> bool:
        """Whether chains may be there."""
        return self.included or self.rendered.count > 0

    def is_due(self, image: TableImage) -> bool:
        """Whether they are to be: what include files have not brought yet is not made for nothing."""
        return self.rendered.count > 0 or (self.included and rules.has_own(image))

    def content(self, hook: Hook) -> list[dict[str, Json]]:
        """The rules of our chain."""
        return hook.content if self.plainly is None else plain.content(self.plainly, hook.chain)

    def says(self, rule: Rule, wanted: dict[str, Json]) -> bool:
        """Tell whether a rule is the wanted one."""
        known = self.forms.get((rule.chain, rule.comment))
        return rules.says(rule, wanted, () if known is None else (known,))
