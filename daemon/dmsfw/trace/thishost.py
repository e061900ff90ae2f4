"""The host itself, asked through a Shell. Each thing is asked once: an object is a view of one moment."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from dmsfw.model import version_of
from dmsfw.trace import addresses, ipset, listing
from dmsfw.trace.host import BaseChain, Interface, Route
from dmsfw.trace.nft import chains
from dmsfw.trace.nft import listing as nft_listing
from dmsfw.trace.nft.model import Nftables
from dmsfw.trace.packet import Address, Family, Packet
from dmsfw.trace.route import ask
from dmsfw.trace.ruleset import Ruleset
from dmsfw.trace.shell import Said, Shell, ThisShell

BRIDGE_CALLS = {
    4: "/proc/sys/net/bridge/bridge-nf-call-iptables",
    6: "/proc/sys/net/bridge/bridge-nf-call-ip6tables",
}

Answer = TypeVar("Answer")


class ThisHost:
    """Implements Host for the network namespace of this process, or of whatever its Shell reaches."""

    def __init__(self, shell: Shell | None = None) -> None:
        self._shell: Shell = shell or ThisShell()
        self._known: dict[object, Any] = {}

    def rulesets(self, family: Family) -> tuple[Ruleset, ...]:
        """See Host."""
        return self._once(("rulesets", family), lambda: listing.rulesets(self._shell, family))

    def route(self, packet: Packet) -> Route:
        """See Host."""
        asked = replace(packet, connection=type(packet.connection)(), unknown=frozenset(), changed_sets=frozenset())
        return self._once(("route", asked), lambda: ask(self._shell, asked))

    def address_kind(self, address: Address, device: str = "") -> str | None:
        """See Host."""
        family = version_of(address)
        table = self._once(("local", family), lambda: addresses.local_table(self._shell, family))
        return None if table is None else addresses.kind(table, address, device)

    def addresses(self, family: Family, device: str) -> tuple[Interface, ...] | None:
        """See Host."""
        return self._once(("addresses", family, device), lambda: addresses.of_device(self._shell, family, device))

    def in_set(self, name: str, parts: tuple[str, ...], packet: Packet) -> bool | None:
        """See Host."""
        key = ("set", name, parts, packet.ends, packet.proto, packet.in_device, packet.out_device)
        return self._once(key, lambda: ipset.holds(self._shell, name, parts, packet))

    def sees_bridge_ports(self, family: Family) -> bool | None:
        """See Host. Without the module there is no such file, and nothing is asked about bridged packets."""
        text = self._once(("bridge", family), lambda: self._shell.read(BRIDGE_CALLS[family]))
        return text is not None and text.strip() != "0"

    def forwards(self, family: Family, device: str) -> bool | None:
        """See Host. IPv6 forwards for all devices or for none (ip6_forward); IPv4 device by device."""
        where = f"ipv4/conf/{device}" if family == 4 else "ipv6/conf/all"  # noqa: PLR2004 - its name
        path = f"/proc/sys/net/{where}/forwarding"
        text = self._once(path, lambda: self._shell.read(path))
        return None if text is None else text.strip() != "0"

    def routes_by_mark(self, family: Family) -> bool | None:
        """See Host."""
        said = self._rules(family)
        return "fwmark" in said.out if said.code == 0 else None

    def routes_by(self, family: Family) -> frozenset[str]:
        """See Host."""
        said = self._rules(family)
        return frozenset(said.out.split() if said.code == 0 else ())

    def _rules(self, family: Family) -> Said:
        return self._once(("rules", family), lambda: self._shell.run("ip", f"-{family}", "rule", "show"))

    def nftables(self) -> Nftables | None:
        """See Host."""
        return self._once("nftables", lambda: nft_listing.read(self._shell))

    def base_chains(self, family: Family) -> tuple[BaseChain, ...] | None:
        """See Host."""
        return self._once(("nft", family), lambda: chains.base_chains(self._shell, family))

    def kernel(self) -> tuple[int, int]:
        """See Host. A version that cannot be read counts as new."""
        match = re.match(r"(\d+)\.(\d+)", platform.release())
        return (int(match[1]), int(match[2])) if match else (99, 0)

    def _once(self, key: object, question: Callable[[], Answer]) -> Answer:
        if key not in self._known:
            self._known[key] = question()
        answer: Answer = self._known[key]
        return answer
