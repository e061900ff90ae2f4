"""First packets by chance: from the clients' side out, to the router, and in from the other side."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from random import Random

from dmsfw.trace import Packet
from tests.contract.tracing.router import LAN, SECOND, WAN

CLIENTS = {4: ("10.1.0.2", "10.1.0.2", "10.1.0.3", "10.2.0.9"), 6: ("fd00:1::2", "fd00:1::2", "fd00:1::3", "fd00:2::9")}
SERVERS = {
    4: ("192.0.2.25", "192.0.2.25", "198.51.100.7", "198.18.0.9", "10.1.0.1", "192.0.2.1", "10.1.0.255"),
    6: ("2001:db8:2::25", "2001:db8:2::25", "2001:db8:9::7", "2001:db8:3::9", "fd00:1::1", "2001:db8:2::1"),
}
OUTSIDERS = {4: ("192.0.2.25", "198.51.100.7"), 6: ("2001:db8:2::25", "2001:db8:9::7")}
INSIDERS = {
    4: ("192.0.2.1", "192.0.2.1", "10.1.0.2", "10.1.0.3"),
    6: ("2001:db8:2::1", "2001:db8:2::1", "fd00:1::2", "fd00:1::3"),
}
PORTS = (25, 465, 465, 53, 80, 8080)
PROTOCOLS = ("tcp", "tcp", "tcp", "udp", "udp", "icmp", "sctp", "gre")
PORTED = frozenset({"tcp", "udp", "sctp"})
ECHO_REPLY = {4: (0, 0), 6: (129, 0)}


def flows(random: Random, family: int, number: int) -> Iterator[Packet]:
    """So many of them. Their own ports are only said to be there: each gets one that no other had."""
    for _ in range(number):
        out = random.randrange(5) > 0
        device = LAN if out else random.choice((WAN, WAN, SECOND))
        src, dst = (
            random.choice((CLIENTS if out else OUTSIDERS)[family]),
            random.choice((SERVERS if out else INSIDERS)[family]),
        )
        yield _packet(random, family, device, src, dst)


def _packet(random: Random, family: int, device: str, src: str, dst: str) -> Packet:
    proto = random.choice(PROTOCOLS)
    ported = proto in PORTED
    odd = proto in {"tcp", "icmp"} and random.randrange(8) == 0
    return Packet(
        ip_address(src),
        ip_address(dst),
        "icmpv6" if proto == "icmp" and family == 6 else proto,
        device,
        sport=1 if ported else None,
        dport=random.choice(PORTS) if ported else None,
        icmp=ECHO_REPLY[family] if proto == "icmp" and odd else None,
        ctstate="INVALID" if odd else "NEW",
        flags=frozenset({"SYN", "FIN"}) if odd and proto == "tcp" else frozenset(),
    )
