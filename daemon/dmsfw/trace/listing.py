"""The rules of this host: which variants of iptables have some, and what they list.

A packet must pass the rules of the legacy tables and those of iptables-nft, each as if there were no others. Nothing
here makes a table that is not there: iptables-legacy-save lists those that /proc names, iptables-nft-save those that
nftables holds.
"""

from __future__ import annotations

from dmsfw.trace.packet import Family
from dmsfw.trace.ruleset import Ruleset, parse
from dmsfw.trace.shell import Said, Shell

PREFIX = {4: "iptables", 6: "ip6tables"}
NAMES = {4: "/proc/net/ip_tables_names", 6: "/proc/net/ip6_tables_names"}


def rulesets(shell: Shell, family: Family) -> tuple[Ruleset, ...]:
    """The rulesets that hold a table. One that cannot be listed is there with its fault."""
    found = [ruleset for ruleset in (_legacy(shell, family), _nft(shell, family)) if ruleset is not None]
    if len(found) == 1:
        found[0].variant = ""
    return tuple(found)


def _legacy(shell: Shell, family: Family) -> Ruleset | None:
    """Where the kernel has legacy tables, and names some."""
    if not (shell.read(NAMES[family]) or "").strip():
        return None
    said = shell.run(f"{PREFIX[family]}-legacy-save", "-c")
    if said.is_missing:
        said = shell.run(f"{PREFIX[family]}-save", "-c")
    return _read(said, family, "legacy")


def _nft(shell: Shell, family: Family) -> Ruleset | None:
    """Where there is an iptables-nft, and it lists a table; one that cannot list them may hold any."""
    said = shell.run(f"{PREFIX[family]}-nft-save", "-c")
    if said.is_missing or said.lacks_nftables:
        return None
    ruleset = _read(said, family, "nft")
    return ruleset if ruleset.tables or ruleset.fault else None


def _read(said: Said, family: Family, variant: str) -> Ruleset:
    fault = ""
    if said.code != 0:
        what = said.complaint or "it gives no answer"
        fault = f"the {variant} rules of IPv{family} cannot be listed whole: {what}"
    return parse(said.out, family, variant, fault)
