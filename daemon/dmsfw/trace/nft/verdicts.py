"""What ends a rule: verdicts, as statements and in verdict maps."""

from __future__ import annotations

from dmsfw.trace.nft.operations import Do, Lead
from dmsfw.trace.targets import effects

TARGETS = {"accept": "ACCEPT", "drop": "DROP", "return": "RETURN", "queue": "NFQUEUE"}
"""What iptables calls the same."""


def is_verdict(kind: str) -> bool:
    """Whether a statement is one."""
    return kind in TARGETS or kind in {"jump", "goto", "continue"}


def verdict(raw: object) -> Do | Lead | None:
    """What a verdict does; None: it goes on with the rule. Raises: ValueError, TypeError, KeyError."""
    if not isinstance(raw, dict) or len(raw) != 1:
        raise TypeError("no verdict")
    kind, body = next(iter(raw.items()))
    if kind == "continue":
        return None
    if kind in {"jump", "goto"}:
        return Lead(str(body["target"]), goto=kind == "goto")
    target = TARGETS[kind]
    return Do(lambda packet, scene: effects(target, packet, (), scene))


def reject(body: object) -> Do:
    """A refusal with an answer."""
    found = body if isinstance(body, dict) else {}
    how = " ".join(str(found[name]) for name in ("type", "expr") if name in found)
    options = ("--reject-with", how) if how else ()
    return Do(lambda packet, scene: effects("REJECT", packet, options, scene))
