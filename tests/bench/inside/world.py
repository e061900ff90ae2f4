"""Worlds of any size: networks as Docker would list them, and foreign rules as a blocklist has them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from dmsfw.model import Network, Policy, PortRange, Settings, Snapshot, Uplink, Uplinks

PORTS = tuple(PortRange(port, port) for port in (465, 587, 993, 995))
SETTINGS = Settings(policies=(Policy("mail", networks=("bench-*",), ports=PORTS),))
UPLINKS = Uplinks(chosen=(Uplink("wan", "pppoe-wan"),))

FIRST, PREFIX = int(IPv4Address("10.64.0.0")), 24
CHAIN = "BLOCKLIST"


def network(number: int, life: int = 0) -> Network:
    """One network; in another life it has another bridge and another subnet, as Compose recreates it."""
    id_ = f"{number:06x}{life:06x}".ljust(64, "0")
    subnet = IPv4Network((FIRST + (number + (life % 2) * 4096) * 256, PREFIX))
    return Network(id_, f"bench-{number}", device=f"br-{id_[:12]}", subnets=(subnet,))


class World:
    """A world whose networks are set by hand."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self.networks = tuple(networks)

    def snapshot(self) -> Snapshot:
        """The networks of now, one policy for all of them, one uplink."""
        return Snapshot(SETTINGS, self.networks, UPLINKS)

    def without_last(self) -> World:
        """The same without its last network."""
        return World(self.networks[:-1])

    def with_other_last(self, life: int) -> World:
        """The same with its last network made anew."""
        last = self.networks[-1]
        new = network(int(last.name.rpartition("-")[2]), life)
        return World((*self.networks[:-1], replace(new, name=last.name)))


def worlds(count: int) -> World:
    """A world of so many networks."""
    return World([network(number) for number in range(count)])


def foreign(count: int, chain: str = CHAIN) -> None:
    """Have so many foreign rules that drop addresses: in a chain called at the head of FORWARD, or in FORWARD itself.

    Those in the chain replace those of before.
    """
    subprocess.run(["iptables", "-w", "-D", "FORWARD", "-j", CHAIN], check=False, stderr=subprocess.DEVNULL)
    addresses = [IPv4Address(0x0B000000 + number) for number in range(count)]
    if chain == CHAIN:
        lines = [f":{CHAIN} - [0:0]", *(f"-A {CHAIN} -s {address}/32 -j DROP" for address in addresses[1:])]
        lines += [f"-I FORWARD 1 -j {CHAIN}"] if count else []
    else:
        lines = [f"-I {chain} 1 -s {address}/32 -j DROP" for address in addresses]
    text = "\n".join(["*filter", *lines, "COMMIT", ""])
    subprocess.run(["iptables-restore", "-w", "--noflush"], input=text, text=True, check=True)
