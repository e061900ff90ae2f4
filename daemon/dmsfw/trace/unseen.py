"""What may stop a packet besides and is not followed: listings that are not whole, chains that cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dmsfw.trace.branches import Ended
from dmsfw.trace.host import BaseChain, Host
from dmsfw.trace.nft.beside import beside
from dmsfw.trace.packet import Packet
from dmsfw.trace.result import Verdict
from dmsfw.trace.ruleset import INCOMPATIBLE, Ruleset

NOT_ASKED = "nftables may stop it: whether it has chains of its own cannot be asked"
NOT_FOLLOWED = "nftables is asked as well, and not followed there: {}"


class Doubt(NamedTuple):
    """Why a packet may be stopped; and a note that says more, where there is more to say."""

    why: str
    note: str = ""


def unseen(host: Host, packet: Packet, ended: Sequence[Ended]) -> Iterator[Doubt]:
    """All of it. `ended`: what became of the packet as far as it was followed."""
    passing = [one.packet for one in ended if one.verdict is Verdict.PASSES]
    for ruleset in host.rulesets(packet.family):
        if ruleset.fault and not _is_followed(ruleset, host):
            yield Doubt(ruleset.fault)
    if passing:
        yield from _unread(host, packet, passing) if host.nftables() is None else _beside(host, packet, passing)


def _is_followed(ruleset: Ruleset, host: Host) -> bool:
    """What iptables-nft cannot list is followed as nftables lists it."""
    return INCOMPATIBLE in ruleset.fault and host.nftables() is not None


def _unread(host: Host, packet: Packet, passing: Sequence[Packet]) -> Iterator[Doubt]:
    """Base chains of which no more is known than that they are there."""
    listed = host.base_chains(packet.family)
    if listed is None:
        yield Doubt(NOT_ASKED)
    passed = {hook for one in passing for hook in _hooks(packet, one)}
    chains = sorted((chain for chain in listed or () if chain.hook in passed), key=lambda chain: chain.policy != "drop")
    if chains:
        said = list(map(_asked, chains))
        yield Doubt(f"nftables may stop it: {said[0]}", f"nftables is asked as well: {', '.join(said)}")


def _beside(host: Host, packet: Packet, passing: Sequence[Packet]) -> Iterator[Doubt]:
    """Chains of devices and of bridges."""
    listed, back = host.nftables(), {one.in_device for one in passing if _came_back(packet, one)}
    arriving, leaving = {packet.in_device, *back}, {one.out_device for one in passing} | back
    found = list(beside(listed, sorted(arriving), sorted(leaving))) if listed is not None else []
    if found:
        yield Doubt(
            f"nftables may stop it: its chain {found[0]} is not followed", NOT_FOLLOWED.format(", ".join(found))
        )


def _asked(chain: BaseChain) -> str:
    drops = "drops what it does not accept" if chain.policy == "drop" else "has rules of its own"
    return f"its chain {chain.owner} {chain.name} {drops}"


def _hooks(packet: Packet, became: Packet) -> tuple[str, ...]:
    if _came_back(packet, became):
        return ("output", "postrouting", "prerouting", "input")
    if not packet.in_device:
        return ("output", "postrouting")
    return ("prerouting", "forward", "postrouting") if became.out_device else ("prerouting", "input")


def _came_back(packet: Packet, became: Packet) -> bool:
    """The host itself sent it, and has taken it again."""
    return not packet.in_device and became.in_device != ""
