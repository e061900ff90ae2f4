"""Names of devices that nft's JSON takes for something else: there is no other way to say them there. Pure.

A single one would fail the transaction of all networks, so what it belongs to is refused aloud.
"""

from __future__ import annotations

from dmsfw.model import Grant, is_device_name

CONSTANTS = frozenset({"tcp", "udp", "udplite", "esp", "ah", "icmp", "icmpv6", "comp", "dccp", "sctp", "redirect"})
"""Read as numbers, whatever they stand for (is_constant in nft's parser_json.c)."""

REFERENCE = "@"
"""What begins with it is the name of a set."""


def is_sayable(name: str) -> bool:
    """Tell whether nft's JSON takes a name for a name."""
    return is_device_name(name) and not name.startswith(REFERENCE) and name not in CONSTANTS


def unsaid(grant: Grant) -> str:
    """Say why a grant cannot be said to nft; empty where it can."""
    for name in (grant.bridge, grant.uplink):
        if not is_sayable(name):
            return f"nft takes the name of device {name} for something else: nothing is opened for it on firewall4"
    return ""
