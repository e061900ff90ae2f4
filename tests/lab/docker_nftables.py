"""The tables that Docker 29 keeps by its firewall backend for nftables, in the shape that its sources give them.

The lab's Engine is older and writes none: these are loaded by nft. `tables` makes what a daemon makes when it starts;
a network's chains and the elements that lead to them come later, and a container's ports after that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

TABLE = "docker-bridges"
NAT = "nat-prerouting-and-output"
MAPS = ("filter-forward-in", "filter-forward-out", "nat-postrouting-in", "nat-postrouting-out")
LOOPBACK = {4: "ip daddr != 127.0.0.0/8 ", 6: "ip6 daddr != ::1 "}
FAMILY = {4: "ip", 6: "ip6"}
LINK_LOCAL = {4: "", 6: "ip6 saddr != fe80::/10 "}

START = """
add table {family} docker-bridges
{maps}
add chain {family} docker-bridges filter-FORWARD {{ type filter hook forward priority filter; policy {policy}; }}
add rule {family} docker-bridges filter-FORWARD oifname vmap @filter-forward-in-jumps
add rule {family} docker-bridges filter-FORWARD iifname vmap @filter-forward-out-jumps
add chain {family} docker-bridges nat-prerouting-and-output
add chain {family} docker-bridges nat-OUTPUT {{ type nat hook output priority -100; policy accept; }}
add rule {family} docker-bridges nat-OUTPUT {skips}fib daddr type local counter jump nat-prerouting-and-output
add chain {family} docker-bridges nat-POSTROUTING {{ type nat hook postrouting priority srcnat; policy accept; }}
add rule {family} docker-bridges nat-POSTROUTING iifname vmap @nat-postrouting-out-jumps
add rule {family} docker-bridges nat-POSTROUTING oifname vmap @nat-postrouting-in-jumps
add chain {family} docker-bridges nat-PREROUTING {{ type nat hook prerouting priority dstnat; policy accept; }}
add rule {family} docker-bridges nat-PREROUTING fib daddr type local counter jump nat-prerouting-and-output
add chain {family} docker-bridges raw-PREROUTING {{ type filter hook prerouting priority raw; policy accept; }}
"""


@dataclass(frozen=True)
class Published:
    """A container's port at a port of the host. `at`: the host's address, if it is bound to one."""

    container: str
    port: int
    host_port: int
    proto: str = "tcp"
    at: str = ""


@dataclass(frozen=True)
class Net:
    """A network: the options that make a difference to its rules.

    `containers`: addresses; those of `ports` need not be told again. `trusted`: devices from which these may be reached
    directly. `snat`: the address that it leaves by.
    """

    bridge: str
    subnet: str
    ports: tuple[Published, ...] = ()
    containers: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    icc: bool = True
    internal: bool = False
    mode: str = "nat"
    snat: str = ""
    mark: str = ""

    @property
    def family(self) -> int:
        return ip_network(self.subnet).version


def tables(*nets: Net, proxy: bool = True, policy: str = "accept") -> str:
    """A script for nft that makes both tables anew. `proxy`: Docker's userland proxy, on by default."""
    parts = []
    for version, family in FAMILY.items():
        maps = "\n".join(f"add map {family} {TABLE} {name}-jumps {{ type ifname : verdict; }}" for name in MAPS)
        parts += [f"add table {family} {TABLE}", f"delete table {family} {TABLE}"]
        skips = LOOPBACK[version] if proxy else ""
        parts.append(START.format(family=family, maps=maps, skips=skips, policy=policy))
    return "\n".join([*parts, *(network(net, proxy=proxy) for net in nets), ""])


def network(net: Net, *, proxy: bool = True) -> str:
    """A script that adds a network and its ports."""
    table = f"{FAMILY[net.family]} {TABLE}"
    lines = [f"add chain {table} {name}__{net.bridge}" for name in MAPS]
    lines += [f'add element {table} {name}-jumps {{ "{net.bridge}" : jump {name}__{net.bridge} }}' for name in MAPS]
    rules = (
        *_forward(net),
        *_leaving(net, proxy=proxy),
        *_direct(net),
        *(rule for one in net.ports for rule in _published(net, one, proxy=proxy)),
    )
    last = [("filter-forward-in", 'counter drop comment "UNPUBLISHED PORT DROP"')]
    if net.mode == "nat-unprotected":
        last = [("filter-forward-in", 'counter accept comment "UNPROTECTED"')]
    for chain, rule in (*rules, *([] if net.internal else last)):
        to = f"{chain}__{net.bridge}" if chain in MAPS else chain
        lines.append(f"add rule {table} {to} {rule}")
    return "\n".join([*lines, ""])


def _forward(net: Net) -> Iterator[tuple[str, str]]:
    for chain in MAPS[:2]:
        yield chain, "ct state established,related counter accept"
    icc = "accept" if net.icc else "drop"
    if net.internal:
        yield "filter-forward-in", f'iifname != "{net.bridge}" counter drop comment "INTERNAL NETWORK INGRESS"'
        yield "filter-forward-out", f'oifname != "{net.bridge}" counter drop comment "INTERNAL NETWORK EGRESS"'
        yield "filter-forward-in", f'counter {icc} comment "ICC"'
        return
    if net.mode == "routed":
        icmp = "ip protocol icmp" if net.family == 4 else "meta l4proto ipv6-icmp"
        yield "filter-forward-in", f'{icmp} counter accept comment "ICMP"'
    if net.mark:
        yield "filter-forward-in", f'meta mark {net.mark} counter accept comment "ALLOW FW MARK"'
    yield "filter-forward-in", f'iifname "{net.bridge}" counter {icc} comment "ICC"'
    yield "filter-forward-out", 'counter accept comment "OUTGOING"'


def _leaving(net: Net, *, proxy: bool) -> Iterator[tuple[str, str]]:
    if net.internal:
        return
    verdict, comment = (f"snat to {net.snat}", "SNAT") if net.snat else ("masquerade", "MASQUERADE")
    if net.mode != "routed":
        inside = f'oifname != "{net.bridge}" {FAMILY[net.family]} saddr {net.subnet}'
        yield "nat-postrouting-out", f'{inside} counter {verdict} comment "{comment}"'
    if not proxy:
        yield "nat-postrouting-in", f'fib saddr type local counter {verdict} comment "{comment} FROM HOST"'


def _direct(net: Net) -> Iterator[tuple[str, str]]:
    if net.internal or net.mode != "nat":
        return
    devices = ", ".join(f'"{one}"' for one in (net.bridge, *net.trusted))
    for container in dict.fromkeys((*net.containers, *(one.container for one in net.ports))):
        other = f"{FAMILY[net.family]} daddr {container} iifname != {{ {devices} }}"
        yield "raw-PREROUTING", f'{other} counter drop comment "DROP DIRECT ACCESS"'


def _published(net: Net, one: Published, *, proxy: bool) -> Iterator[tuple[str, str]]:
    family, container = FAMILY[net.family], ip_address(one.container)
    inside = f"{family} daddr {container} {one.proto} dport {one.port}"
    if net.mode != "nat-unprotected":
        yield "filter-forward-in", f"{inside} counter accept"
    if net.mode == "routed":
        return
    skips = (f'iifname != "{net.bridge}" ' if proxy else "") + LINK_LOCAL[net.family]
    at = f"{family} daddr {one.at} " if one.at else ""
    to = f"{container}:{one.port}" if net.family == 4 else f"[{container}]:{one.port}"
    yield NAT, f'{skips}{at}{one.proto} dport {one.host_port} counter dnat to {to} comment "DNAT"'
    if not proxy:
        own = f"{family} saddr {container} {inside}"
        yield "nat-postrouting-in", f'{own} counter masquerade comment "MASQ TO OWN PORT"'
    if one.at and ip_address(one.at).is_loopback and net.family == 4:
        loopback = f'iifname != "lo" ip daddr {one.at} {one.proto} dport {one.host_port}'
        yield "raw-PREROUTING", f'{loopback} counter drop comment "DROP REMOTE LOOPBACK"'
