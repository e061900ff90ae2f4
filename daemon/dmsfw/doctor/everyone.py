"""Every network of Docker's against every port of its policies: open, or refused and by which rule. Nothing is sent.

What is followed is a packet that each grant is for, out by the uplink of the grant, whatever the routing of now says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Literal

from dmsfw.decide.grants import Ask, ask_text, grants, obstacle, selects
from dmsfw.decide.marks import masqueraded
from dmsfw.doctor.target import Address
from dmsfw.doctor.ways import Passage, passage
from dmsfw.model import Grant, Network, PortRange, Snapshot
from dmsfw.report.sentence import grants_of
from dmsfw.trace import Host, Packet, reply, trace
from dmsfw.trace import Verdict as Fate

State = Literal["open", "refused", "not known", "closed", "-"]
"""`closed`: should be open, and nothing is even due for it. `-`: nobody wants it open."""

SOMEWHERE: Final[dict[int, Address]] = {4: IPv4Address("1.1.1.1"), 6: IPv6Address("2606:4700:4700::1111")}
"""A public address for policies without destinations: rules against bogus ones do not meet it."""

SOME_PORT: Final = 443
"""For policies of every port."""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that a network may do, and whether it can."""

    network: str
    what: str
    uplink: str
    state: State
    why: str = ""


def rows(snapshot: Snapshot, host: Host) -> tuple[Row, ...]:
    """All networks; those without a policy too."""
    due = grants(snapshot)
    return tuple(row for network in snapshot.networks for row in _rows(snapshot, network, due, host))


def exit_code(table: Sequence[Row]) -> int:
    """0: all that should be open is. 1: something is not. 2: of something that is not known."""
    states = {row.state for row in table}
    return 1 if states & {"refused", "closed"} else 2 if "not known" in states else 0


def as_dict(table: Sequence[Row]) -> dict[str, object]:
    """For programs."""
    return {"exit_code": exit_code(table), "networks": [asdict(row) for row in table]}


def _rows(snapshot: Snapshot, network: Network, due: Sequence[Grant], host: Host) -> Iterator[Row]:
    mine = grants_of(network, due)
    selecting = [policy.name for policy in snapshot.settings.active if selects(policy, network)]
    if not selecting or not snapshot.settings.enabled:
        yield Row(network.name, "", "", "-", "no policy selects it" if snapshot.settings.enabled else "dmsfw is off")
    elif why := obstacle(network):
        yield Row(network.name, "", "", "-", f"policy {', '.join(selecting)} selects it, but {why}")
    elif not mine:
        yield Row(network.name, "", "", "closed", f"policy {', '.join(selecting)} selects it, and no uplink is known")
    else:
        up = {uplink.device for uplink in (*snapshot.uplinks.chosen, *snapshot.uplinks.others) if uplink.up}
        yield from (row for grant in mine for row in _of_grant(grant, up, host))


def _of_grant(grant: Grant, up: set[str], host: Host) -> Iterator[Row]:
    for port in ports_to_try(grant):
        asked = Ask(grant.proto, () if port is None else (PortRange(port, port),), grant.destination)
        what = f"{ask_text(asked)}{' by IPv6' if grant.subnet.version == 6 else ''}"  # noqa: PLR2004 - the IP version
        if grant.uplink not in up:
            yield Row(grant.network, what, grant.uplink, "closed", f"{grant.uplink} is down")
        else:
            state, why = judged(grant, port, host)
            yield Row(grant.network, what, grant.uplink, state, why)


def ports_to_try(grant: Grant) -> tuple[int | None, ...]:
    """Both ends of each range; None where the policy has no ports."""
    return tuple(dict.fromkeys(port for pair in grant.ports for port in pair)) or (None,)


def judged(grant: Grant, port: int | None, host: Host) -> tuple[State, str]:
    """Whether the packet passes that a grant is for, to a port of its range, and if not, why."""
    there = trace(packet_of(grant, port), host)
    found = passage(there)
    if found.stopped:
        return "refused", _by(found)
    if found.verdict is not Fate.PASSES:
        return "not known", "; ".join(found.notes) or "it hangs on what is not known"
    if masqueraded(grant) and not found.translated:
        return "refused", "it passes, but no rule masquerades it: no answer comes back"
    back = passage(trace(reply(there), host))
    return ("refused", f"its answers: {_by(back)}") if back.stopped else ("open", "")


def packet_of(grant: Grant, port: int | None) -> Packet:
    """The first packet of a connection that a grant is for."""
    version = grant.subnet.version
    # The gateway has the first address, so the second is a container's; a subnet of one address has no other.
    source = grant.subnet[min(2, grant.subnet.num_addresses - 1)]
    destination = SOMEWHERE[version] if grant.destination is None else grant.destination[0]
    common = {"src": source, "dst": destination, "in_device": grant.bridge, "out_device": grant.uplink}
    if grant.proto == "icmp":
        echo = ("icmp", (8, 0)) if version == 4 else ("icmpv6", (128, 0))  # noqa: PLR2004 - the IP version
        return Packet(**common, proto=echo[0], icmp=echo[1])  # type: ignore[arg-type]
    proto = "tcp" if grant.proto == "all" else grant.proto
    return Packet(**common, proto=proto, dport=SOME_PORT if port is None else port)  # type: ignore[arg-type]


def _by(found: Passage) -> str:
    does = "drops" if found.verdict is Fate.DROPPED else "refuses"
    return f"rule {found.rule} {does} it" if found.rule else "the router has no way for it"
