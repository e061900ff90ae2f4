"""What iptables-save -c prints, as tables, chains and rules. Nothing is dropped: what is not understood stays a rule.

A rule's words are looked at only when a packet comes to it: most of 10,000 rules are never asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from dmsfw.trace.packet import Family
from dmsfw.trace.rule import Rule
from dmsfw.trace.tokens import whole_lines

INCOMPATIBLE = "is incompatible"
"""What iptables-nft-save says of a table that iptables has no words for."""

_CHAIN = re.compile(r":(\S+) (\S+)(?: \[(\d+):(\d+)\])?")
_RULE = re.compile(r"(?:\[(\d+):\d+\] )?(-A (\S+)(?: .*)?)", re.DOTALL)


@dataclass(slots=True)
class Chain:
    """`policy`: ACCEPT or DROP; empty for a chain of a user's. `packets`: those that met the policy."""

    name: str
    policy: str = ""
    packets: int = 0
    rules: list[Rule] = field(default_factory=list)


@dataclass(slots=True)
class Table:
    """`whole` False: the listing breaks off, or has lines that belong nowhere."""

    name: str
    chains: dict[str, Chain] = field(default_factory=dict)
    whole: bool = False


@dataclass(slots=True)
class Ruleset:
    """The tables of one variant and family. `variant`: legacy, nft, or empty where there is only one.

    `fault` says why the listing may not be all.
    """

    family: Family
    variant: str = ""
    is_nft: bool = False
    tables: dict[str, Table] = field(default_factory=dict)
    fault: str = ""

    @property
    def security(self) -> str:
        """When its table `security` is asked: that of iptables-nft comes late (priority 150, not 50: behind nat)."""
        return "late security" if self.is_nft else "security"


def parse(text: str, family: Family, variant: str = "", fault: str = "") -> Ruleset:
    """Read a listing. Never raises."""
    found = Ruleset(family, variant, is_nft=variant == "nft", fault=fault)
    table: Table | None = None
    for line in whole_lines(text):
        if line.startswith("*"):
            table = found.tables.setdefault(line[1:].strip(), Table(line[1:].strip()))
        elif line == "COMMIT" and table is not None:
            table.whole, table = True, None
        elif line.startswith("#") or not line.strip():
            found.fault = found.fault or _complaint(line)
        elif table is None or not _take(table, line, family):
            found.fault = found.fault or f"a line of the listing is not understood: {line}"
    broken = next((name for name, one in found.tables.items() if not one.whole), "")
    if broken and not found.fault:
        found.fault = f"the listing of table {broken} breaks off"
    return found


def _complaint(line: str) -> str:
    """iptables-nft-save leaves out a table that holds more than it can say, and tells so in a comment."""
    return line.lstrip("# ") if INCOMPATIBLE in line else ""


def _take(table: Table, line: str, family: Family) -> bool:
    match = _RULE.fullmatch(line)
    if match is not None:
        packets, text, name = match.groups()
        chain = table.chains.get(name) or table.chains.setdefault(name, Chain(name))
        chain.rules.append(Rule(family, len(chain.rules) + 1, text, int(packets or 0)))
        return True
    match = _CHAIN.fullmatch(line)
    if match is None:
        return False
    name, policy, packets, _ = match.groups()
    table.chains[name] = Chain(name, "" if policy == "-" else policy, int(packets or 0))
    return True
