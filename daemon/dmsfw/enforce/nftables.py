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

ROUTED = frozenset({"ip", "ip6", "inet"})
"""Families whose forward hook sees routed packets; that of `bridge` sees only what stays on one bridge."""

TIMEOUT_S = 2.0


def obstacles(firewall4: tuple[Path, ...] = FIREWALL4) -> tuple[str, ...]:
    """Say what else decides about forwarded packets here, one sentence each; none on a router with firewall3."""
    found = []
    if any(path.exists() for path in firewall4):
        found.append(
            "firewall4 (nftables) manages this router and is not served yet: it rejects what dmsfw accepts; "
            "install firewall3 and iptables-zz-legacy in its place, or open the networks in its own configuration"
        )
    found += [
        f"nftables chain {chain} drops forwarded packets by its policy, whatever dmsfw accepts" for chain in _dropping()
    ]
    return tuple(found)


def _dropping() -> Iterator[str]:
    for entry in _chains():
        chain = entry.get("chain") if isinstance(entry, dict) else None
        if isinstance(chain, dict) and _is_obstacle(chain):
            yield " ".join(str(chain.get(part)) for part in ("family", "table", "name"))


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
