"""Who may reach what, and why: a snapshot becomes grants. Pure, sorted, the same for the same snapshot.

1. Only networks that a policy selects, by their own bridge and subnets; never an internal one.
2. Only the uplinks that the policy names, or the main list; never a device that is not known.
3. A family in which a policy names no destination, while it names some in the other, gets nothing but `dns`.
4. What two policies ask for alike is one grant that names both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import NamedTuple

from dmsfw.model import (
    Grant,
    Network,
    Policy,
    PortRange,
    Ports,
    Proto,
    Snapshot,
    Subnet,
    Uplink,
    Uplinks,
    ports_text,
)

DNS: Ports = (PortRange(53, 53),)
"""What `option dns` adds, over udp and tcp (RFC 7766), to any destination: few resolvers are where the service is."""


class Ask(NamedTuple):
    """One thing that a policy asks for."""

    proto: Proto
    ports: Ports
    destination: Subnet | None = None


def grants(snapshot: Snapshot) -> tuple[Grant, ...]:
    """All that the snapshot's policies allow; nothing while dmsfw is switched off."""
    if not snapshot.settings.enabled:
        return ()
    merged: dict[Grant, tuple[str, ...]] = {}
    for grant in _asked(snapshot):
        said = replace(grant, whys=())
        merged[said] = (*merged.get(said, ()), *(why for why in grant.whys if why not in merged.get(said, ())))
    whole = (replace(grant, whys=whys) for grant, whys in merged.items())
    return tuple(sorted(whole, key=lambda grant: grant.sort_key))


def selects(policy: Policy, network: Network) -> bool:
    """Tell whether a policy means a network: by all of its labels together, or by one of its names."""
    labels = dict(network.labels)
    by_label = bool(policy.labels) and all(_has(labels, key, value) for key, value in policy.labels)
    return by_label or any(fnmatchcase(network.name, pattern) for pattern in policy.networks)


def obstacle(network: Network) -> str:
    """Why a network cannot be opened, whoever selects it; empty when it can."""
    if network.problem:
        return network.problem
    if network.internal:
        return "it is internal: Docker promises that it has no way out"
    if network.driver != "bridge":
        return f"its driver is {network.driver}: only bridge networks pass the router's firewall"
    return "" if network.device and network.subnets else "it has no bridge or no subnet yet"


def ways_out(policy: Policy, uplinks: Uplinks) -> tuple[Uplink, ...]:
    """The uplinks that a policy may use, one for each device."""
    known = uplinks.chosen
    if policy.uplinks:
        known = tuple(uplink for uplink in (*uplinks.chosen, *uplinks.others) if uplink.interface in policy.uplinks)
    by_device: dict[str, Uplink] = {}
    for uplink in known:
        by_device.setdefault(uplink.device, uplink)
    return tuple(by_device.values())


def _has(labels: Mapping[str, str], key: str, value: str | None) -> bool:
    return key in labels and (value is None or labels[key] == value)


def _asked(snapshot: Snapshot) -> Iterator[Grant]:
    for policy in snapshot.settings.active:
        for network in snapshot.networks:
            if selects(policy, network) and not obstacle(network):
                for uplink in ways_out(policy, snapshot.uplinks):
                    if uplink.device != network.device:  # Docker takes any bridge that it is told to, a WAN's too
                        yield from _one(policy, network, uplink)


def _one(policy: Policy, network: Network, uplink: Uplink) -> Iterator[Grant]:
    for subnet in network.subnets:
        if policy.family in {"any", f"ipv{subnet.version}"}:
            for ask in _asks(policy, subnet.version):
                yield Grant(
                    network=network.name,
                    bridge=network.device,
                    subnet=subnet,
                    uplink=uplink.device,
                    proto=ask.proto,
                    ports=ask.ports,
                    destination=ask.destination,
                    masquerade=policy.masq,
                    whys=(f"{policy.name}: {network.name} may reach {ask_text(ask)} via {uplink.interface}",),
                )


def _asks(policy: Policy, version: int) -> Iterator[Ask]:
    destinations: list[Subnet | None] = [there for there in policy.destinations if there.version == version]
    for proto in policy.protos:
        ports = () if proto == "icmp" else policy.ports
        yield from (Ask(proto, ports, there) for there in (destinations if policy.destinations else [None]))
    if policy.dns:
        yield Ask("udp", DNS)
        yield Ask("tcp", DNS)


def ask_text(ask: Ask) -> str:
    """Say what is asked for: `tcp 465`, `udp any at 192.168.1.9/32`, `everything`."""
    if ask.proto == "all":
        what = "everything"
    else:
        what = ask.proto if ask.proto == "icmp" else f"{ask.proto} {ports_text(ask.ports)}"
    return what if ask.destination is None else f"{what} at {ask.destination}"
