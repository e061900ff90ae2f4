"""How a rule of ours is known, and what every firewall decides alike about a grant. Pure."""

from __future__ import annotations

import re

from dmsfw.model import ID_LENGTH, Grant, Subnet

OWNER = "dmsfw:"
"""What the comment of every rule of ours begins with."""

OWNED_COMMENT = re.compile(rf"{OWNER}([0-9a-f]{{{ID_LENGTH}}})(?: |\Z)")
"""A comment that makes a rule ours wherever it stands."""

NOT_IN_COMMENTS = re.compile(r"[^A-Za-z0-9_.:@/ -]+")
"""Quotes corrupt a comment, a newline breaks a listing: only these characters pass unchanged."""


def comment(identity: str, why: str, limit: int) -> str:
    """The comment of a rule of ours: whose it is, which one, and why it is there, in characters that survive."""
    return f"{OWNER}{identity} {NOT_IN_COMMENTS.sub(' ', why)}".strip()[:limit].rstrip()


def owned_id(text: str) -> str:
    """The id in a comment of ours; empty when it is somebody else's."""
    match = OWNED_COMMENT.match(text)
    return match[1] if match else ""


def masqueraded(grant: Grant) -> bool:
    """Tell whether a grant's traffic is masqueraded: IPv4, and of IPv6 only unique-local subnets (RFC 4193)."""
    if not grant.masquerade:
        return False
    return grant.subnet.version == 4 or _is_unique_local(grant.subnet)  # noqa: PLR2004 - an address family


def _is_unique_local(subnet: Subnet) -> bool:
    return subnet.version == 6 and subnet.network_address.packed[0] & 0xFE == 0xFC and subnet.prefixlen >= 7  # noqa: PLR2004
