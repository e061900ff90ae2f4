"""What ends a rule: verdicts, as statements and in verdict maps."""

from __future__ import annotations

from collections.abc import Iterator

from dmsfw.trace.answer import told
from dmsfw.trace.nft.lookups import Judged
from dmsfw.trace.nft.operations import Ask, Do, Lead
from dmsfw.trace.targets import effects

TARGETS = {"accept": "ACCEPT", "drop": "DROP", "return": "RETURN", "queue": "NFQUEUE"}
"""What iptables calls the same."""


FAMILIES = {"icmp": 4, "icmpv6": 6}


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


def reject(body: object) -> Iterator[Ask | Do]:
    """A refusal with an answer, for packets that can be refused like that: nft asks, and does not always print it."""
    found = body if isinstance(body, dict) else {}
    family = FAMILIES.get(str(found.get("type", "")))
    if family is not None:
        yield Ask(lambda packet, _: Judged(told(packet.family == family)))
    if found.get("type") == "tcp reset":
        yield Ask(lambda packet, _: Judged(told(packet.proto == "tcp")))
    how = " ".join(str(found[name]) for name in ("type", "expr") if name in found)
    options = ("--reject-with", how) if how else ()
    yield Do(lambda packet, scene: effects("REJECT", packet, options, scene))
