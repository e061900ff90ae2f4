"""nftables' tables: loaded, listed and counted by the real nft."""

from __future__ import annotations

import subprocess
from pathlib import Path

from dmsfw.trace import Place
from dmsfw.trace.nft.listing import parse
from dmsfw.trace.nft.model import Rule
from tests.contract.tracing.tables import Loader, Tables

OWN = "own"
SENT = {4: "icmp type 3", 6: "icmpv6 type 1"}
WHAT_IS_SENT = """
table inet own {{
    chain OUTPUT {{
        type filter hook output priority -300; policy drop;
        meta nfproto {family} meta l4proto tcp counter
        {icmp} counter
        ct state new
    }}
}}
"""
"""Counts what is refused, drops what the router sends of itself, and has the kernel track connections."""

OTHERS = """
table inet own {{
    chain OUTPUT {{
        type filter hook output priority -300; policy accept;
        meta nfproto {other} drop
    }}
}}
"""
"""Drops what the router sends of itself by the other IP, whenever it likes."""

LOOP = """
while read -r _; do
    if nft -f "$1/given" 2>"$1/refusal" && nft -j list ruleset >"$1/listed"; then echo taken; else echo refused; fi
done
"""


class NftTables(Loader):
    """Does for nft what Tables does for iptables. `folder`: a place for its files; `alone`: no iptables beside it."""

    def __init__(self, folder: Path, *, alone: bool = True) -> None:
        super().__init__(folder, LOOP)
        self._alone = alone

    def load(self, text: str, family: int, more: str = "") -> str:
        """Put these rules in the place of all others; what nft lists then. Raises: Refused."""
        of_others = OTHERS.format(other="ipv6" if family == 4 else "ipv4")
        own = WHAT_IS_SENT.format(family=f"ipv{family}", icmp=SENT[family]) if self._alone else of_others
        (self._folder / "given").write_text(f"flush ruleset\n{text}\n{more}\n{own}")
        return self._load("load", text)

    def counted(self, _: int) -> dict[Place, int]:
        """How many packets each rule that counts has counted."""
        listed = subprocess.run(["nft", "-j", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
        found = parse(listed)
        assert found is not None
        return {
            Place("raw" if table.name == OWN else table.title, chain.name, rule.number): packets
            for table in found.tables
            for chain in table.chains.values()
            for rule in chain.rules
            if (packets := _packets(rule)) is not None
        }

    def answers(self, listed: str, _: int) -> dict[str, str]:
        """What nft says."""
        return {"nft": listed}


class Both:
    """Rules of nftables, and of iptables beside them; `beside` is loaded with whatever nft is given."""

    def __init__(self, folder: Path) -> None:
        (folder / "nft").mkdir()
        self._nft = NftTables(folder / "nft", alone=False)
        self._legacy = Tables(folder)
        self._listed = ""
        self.beside = ""

    def close(self) -> None:
        self._nft.close()
        self._legacy.close()

    def load(self, text: str, family: int, more: str = "") -> str:
        """See Tables."""
        self._listed = self._legacy.load(self.beside, family)
        return self._nft.load(text, family, more)

    def counted(self, family: int) -> dict[Place, int]:
        """See Tables."""
        return self._legacy.counted(family) | self._nft.counted(family)

    def answers(self, listed: str, family: int) -> dict[str, str]:
        """See Tables."""
        return self._legacy.answers(self._listed, family) | self._nft.answers(listed, family)


def _packets(rule: Rule) -> int | None:
    for statement in rule.body:
        counter = statement.get("counter") if isinstance(statement, dict) else None
        if isinstance(counter, dict) and "packets" in counter:
            return int(counter["packets"])
    return None
