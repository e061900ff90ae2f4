"""Where nftables cannot be followed: its own chains on the hooks that a packet of IP passes.

Those of iptables-nft are no such chains: its rules are listed by iptables-nft-save.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from dmsfw.trace.host import BaseChain
from dmsfw.trace.nft.model import HOOKS, SEES
from dmsfw.trace.packet import Family
from dmsfw.trace.shell import Said, Shell

Entries = list[dict[str, object]]
TABLES_OF_IPTABLES = frozenset({"filter", "nat", "mangle", "raw", "security"})


def base_chains(shell: Shell, family: Family) -> tuple[BaseChain, ...] | None:
    """Those that may decide: all that drop by policy, and all that have a rule; empty where there is no nft.

    None: there may be some, and they cannot be listed.
    """
    said = shell.run("nft", "-j", "list", "chains")
    entries = _read(said)
    if entries is None:
        return () if said.is_missing or said.lacks_nftables or _has_no_tables(shell) else None
    found = _listed(entries, family)
    return tuple(chain for chain in found if chain.policy == "drop" or _has_rules(shell, chain))


def _has_no_tables(shell: Shell) -> bool:
    """Asked in plain text: an nft may be built without JSON."""
    said = shell.run("nft", "list", "tables")
    return said.code == 0 and not said.out.strip()


def _listed(entries: Entries, family: Family) -> Iterator[BaseChain]:
    for entry in entries:
        chain = entry.get("chain")
        if not isinstance(chain, dict) or chain.get("hook") not in HOOKS or chain.get("family") not in SEES[family]:
            continue
        owner, table, name, hook = (str(chain.get(part)) for part in ("family", "table", "name", "hook"))
        of_iptables = owner != "inet" and table in TABLES_OF_IPTABLES and name == hook.upper()
        if not of_iptables:
            yield BaseChain(f"{owner} {table}", name, hook, str(chain.get("policy", "accept")))


def _has_rules(shell: Shell, chain: BaseChain) -> bool:
    """Whether it has; a chain that cannot be listed counts as one that has."""
    entries = _read(shell.run("nft", "-j", "list", "chain", *chain.owner.split(), chain.name))
    return not entries or any("rule" in entry for entry in entries)


def _read(said: Said) -> Entries | None:
    """What it lists; None where that is no answer."""
    try:
        entries = json.loads(said.out)["nftables"] if said.code == 0 else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else None
