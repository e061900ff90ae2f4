"""The rules that never change: two chains of ours that look sets up, and a jump to each. Pure.

    forward        ct state new jump dmsfw1_forward      ahead of firewall4's own rules, whose zones reject
    srcnat         jump dmsfw1_srcnat                    behind firewall4's own rules: what a zone translates is its own
    dmsfw1_forward, dmsfw1_srcnat                        a look-up in each set, and accept or masquerade

Established traffic meets one comparison. The package's include files say the same in nft's text, so that a reload of
firewall4 brings these rules along; where there are no such files, they are made from here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dmsfw.decide.marks import OWNER
from dmsfw.errors import TableRefused
from dmsfw.firewall4.document import Chain, Rule, TableImage
from dmsfw.firewall4.keys import Json
from dmsfw.firewall4.sets import PREFIX, SetSpec
from dmsfw.model import VERSIONS, Version

FIREWALL4 = "!fw4"
"""What the comment of each of firewall4's own rules begins with."""

VERDICTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "forward": (
        *(("out",), ("outall",), ("nat",), ("natall",)),
        *(("from", "outto"), ("from", "outtoall"), ("from", "natto"), ("from", "nattoall")),
    ),
    "srcnat": (("nat",), ("natall",), ("natto",), ("nattoall",)),
}
"""By firewall4's chain: the sets that a packet must be in, all of one row."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A chain of firewall4's, ours that hangs on it, and the one rule that leads there."""

    chain: str
    hook: str
    kind: str
    first: bool

    @property
    def own(self) -> str:
        """Our chain."""
        return PREFIX + self.chain

    @property
    def jump(self) -> dict[str, Json]:
        """The rule in firewall4's chain."""
        new = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "new"}}
        jump = {"jump": {"target": self.own}}
        return {"comment": f"{OWNER} networks of Docker", "expr": [new, jump] if self.first else [jump]}

    @property
    def content(self) -> list[dict[str, Json]]:
        """The rules of our chain."""
        return [_lookup(row, self.chain, version) for version in VERSIONS for row in VERDICTS[self.chain]]


HOOKS = (Hook("forward", "forward", "filter", first=True), Hook("srcnat", "postrouting", "nat", first=False))

PASSING = frozenset({"match", "counter", "flow", "log"})
"""Statements behind which a packet goes on, or is no longer meant."""

FIELDS: dict[str, Any] = {
    "iif": {"meta": {"key": "iifname"}},
    "oif": {"meta": {"key": "oifname"}},
    "proto": {"meta": {"key": "l4proto"}},
    "dport": {"payload": {"protocol": "th", "field": "dport"}},
}


def chain_of(image: TableImage, hook: Hook) -> Chain:
    """firewall4's chain. Raises: TableRefused when this table has none such: it is not as firewall4 makes it."""
    chain = image.chains.get(hook.chain)
    if chain is None or (chain.hook, chain.kind) != (hook.hook, hook.kind):
        raise TableRefused(
            f"table inet fw4 has no chain {hook.chain} of type {hook.kind} on hook {hook.hook}: it is not as firewall4 "
            "makes it, and nothing is written to it"
        )
    return chain


def says(rule: Rule, wanted: dict[str, Json], known: Sequence[Json] = ()) -> bool:
    """Tell whether a rule is the wanted one. `known`: other forms in which this nft lists the same."""
    if rule.comment != wanted["comment"]:
        return False
    listed = plain(rule.expr)
    return listed == plain(wanted["expr"]) or listed in known


def plain(expr: Json) -> Json:
    """What a rule does, without what it has counted."""
    if isinstance(expr, list):
        return [plain(part) for part in expr]
    if isinstance(expr, dict):
        return {key: None if key == "counter" else plain(part) for key, part in expr.items()}
    return expr


def leads_to_us(rule: Rule) -> bool:
    """Tell whether a rule jumps into a chain of ours, of whichever version."""
    statements = rule.expr if isinstance(rule.expr, list) else []
    targets = (part.get("jump") or part.get("goto") for part in statements if isinstance(part, dict))
    return any(is_own_name(str(target.get("target"))) for target in targets if isinstance(target, dict))


def is_own_name(name: str) -> bool:
    """Tell whether a set or chain is ours, of whichever version: `dmsfw<number>_...`."""
    number, underscore, _ = name.removeprefix("dmsfw").partition("_")
    return name.startswith("dmsfw") and bool(underscore) and number.isdecimal()


def has_own(image: TableImage) -> bool:
    """Tell whether a table holds a set or a chain of ours."""
    return any(map(is_own_name, (*image.sets, *image.chains)))


def in_place(chain: Chain, rule: Rule, *, first: bool) -> bool:
    """Tell whether a jump stands on the right side of all of firewall4's own rules."""
    theirs = [index for index, one in enumerate(chain.rules) if one.comment.startswith(FIREWALL4)]
    at = chain.rules.index(rule)
    return not theirs or (at < theirs[0] if first else at > theirs[-1])


def others_ahead(chain: Chain) -> Iterator[str]:
    """Other people's rules that a packet meets before our jump, as far as firewall4 did not make them."""
    for rule in chain.rules:
        if leads_to_us(rule):
            return
        if not rule.comment.startswith(FIREWALL4) and not _decides_nothing(rule):
            said = rule.comment or "a rule without a comment"
            yield f"inet fw4 {chain.name}: {said} (handle {rule.handle})"


def _decides_nothing(rule: Rule) -> bool:
    """Tell whether every packet goes on behind a rule: firewall4's own for flow offloading has no comment."""
    statements = rule.expr if isinstance(rule.expr, list) else [None]
    return all(isinstance(one, dict) and one.keys() <= PASSING for one in statements)


def _lookup(row: tuple[str, ...], chain: str, version: Version) -> dict[str, Json]:
    specs = [SetSpec(kind, version) for kind in row]
    verdict: list[Json] = [{"counter": None}, {"accept": None}] if chain == "forward" else [{"masquerade": None}]
    return {"comment": f"{OWNER} {' '.join(spec.name for spec in specs)}", "expr": [*map(_match, specs), *verdict]}


def _match(spec: SetSpec) -> Json:
    protocol = "ip" if spec.version == 4 else "ip6"  # noqa: PLR2004 - an address family
    fields = [FIELDS.get(part) or {"payload": {"protocol": protocol, "field": part}} for part in spec.parts]
    return {"match": {"op": "==", "left": {"concat": fields}, "right": f"@{spec.name}"}}
