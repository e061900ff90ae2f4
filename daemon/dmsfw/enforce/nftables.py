"""Is there another firewall beside iptables-legacy that a packet must pass as well? Our ACCEPT does not help there.

A packet must pass every base chain of every netfilter family: nftables with `policy drop` wins over a legacy ACCEPT.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

FIREWALL4 = (Path("/sbin/fw4"), Path("/usr/sbin/fw4"), Path("/var/run/fw4.state"))
"""Any of these tells that firewall4 is in charge (OpenWrt 22.03 and later)."""

SERVED = ("inet", "fw4")
"""firewall4's own table, whatever its policy: the rules go into it."""

DOCKERS = "DOCKER-USER"
"""Docker makes this chain beside a FORWARD of its own, in which it accepts what comes from its bridges."""

DOCKERS_TABLES = frozenset({("ip", "docker-bridges"), ("ip6", "docker-bridges")})
"""What Docker 29 keeps by its firewall backend for nftables. Whatever its policy, each of its bridges has rules of its
own there, which decide: what comes from one is accepted, as is what answers it.
"""

ROUTED = frozenset({"ip", "ip6", "inet"})
"""Families whose forward hook sees routed packets; that of `bridge` sees only what stays on one bridge."""

TIMEOUT_S = 2.0


def obstacles() -> tuple[str, ...]:
    """Say what else decides about forwarded packets here, one sentence each; firewall4 is served itself."""
    return tuple(
        f"nftables chain {chain} drops forwarded packets by its policy, whatever dmsfw accepts" for chain in _dropping()
    )


def _dropping() -> Iterator[str]:
    chains = [chain for entry in _chains() if isinstance(entry, dict) and isinstance(chain := entry.get("chain"), dict)]
    dockers = {_table(chain) for chain in chains if chain.get("name") == DOCKERS}
    for chain in chains:
        if _is_obstacle(chain) and _table(chain) not in {SERVED, *dockers, *DOCKERS_TABLES}:
            yield " ".join(str(chain.get(part)) for part in ("family", "table", "name"))


def _table(chain: dict[str, object]) -> tuple[str, str]:
    return str(chain.get("family")), str(chain.get("table"))


def _is_obstacle(chain: dict[str, object]) -> bool:
    return chain.get("family") in ROUTED and chain.get("hook") == "forward" and chain.get("policy") == "drop"


def _chains() -> list[object]:
    """What nft lists; nothing where there is no nft, or where it does not answer."""
    try:
        answer = subprocess.run(["nft", "-j", "list", "chains"], capture_output=True, timeout=TIMEOUT_S, check=True)
        chains = json.loads(answer.stdout)["nftables"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return []
    return chains if isinstance(chains, list) else []
