"""The firewall that a walk's router has: what befalls it, and whether it is as it must be."""

from __future__ import annotations

from typing import Protocol

from tests.chaos import nftables, tables, verdict
from tests.chaos.expected import Expected
from tests.lab import Lab

WAN_DEVICES = ("pppoe-wan", "pppoe-x", "eth2")
"""All devices that the lines may have: firewall3's zone names them from the start, so its rules stay the same."""

OWNERS_SCRIPT = """
iptables -w -N owner 2>/dev/null
iptables -w -F owner
iptables -w -A owner -s 192.0.2.1 -p tcp --dport 25 -j ACCEPT
iptables -w -I INPUT -s 192.0.2.2 -m comment --comment "mine: dmsfw" -j DROP
iptables -w -I FORWARD -s 192.0.2.4 -j owner
iptables -w -t nat -I POSTROUTING -s 192.0.2.7 -j ACCEPT
ip6tables -w -I FORWARD -s 2001:db8:ffff::1 -j ACCEPT
"""
"""firewall3 runs it at every restart. At the top, its rules stay where they are at a reload."""


class Guise(Protocol):
    """One kind of firewall."""

    name: str
    spoil: str
    """A script that takes what is ours out of force. It fails where there is nothing."""

    def furnish(self) -> None:
        """Load it as its owner has it, and remember what is other people's."""

    def restart(self) -> None:
        """Load it anew; everybody's rules are gone."""

    def reload(self) -> None:
        """Load it anew the gentle way."""

    def flush(self) -> None:
        """Stop it."""

    def faults(self, wanted: Expected) -> list[str]:
        """Every way in which ours is not as it must be."""

    def moved(self) -> list[str]:
        """What of other people's has gone, come or moved since `furnish`."""


class Firewall3:
    """iptables."""

    name = "fw3"
    spoil = "iptables -w -F DMSFW-FORWARD"

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._foreign: dict[tables.Key, tuple[str, ...]] = {}

    def furnish(self) -> None:
        """See Guise."""
        self._lab.sh(f"cat >/etc/firewall.user <<'END'\n{OWNERS_SCRIPT}END")
        self._lab.firewall.zone_wan(*WAN_DEVICES)
        self._lab.firewall.restart()
        self._foreign = tables.read(self._lab).foreign

    def restart(self) -> None:
        """See Guise."""
        self._lab.firewall.restart()

    def reload(self) -> None:
        """See Guise."""
        self._lab.firewall.reload()

    def flush(self) -> None:
        """See Guise."""
        self._lab.firewall.flush()

    def faults(self, wanted: Expected) -> list[str]:
        """See Guise."""
        return verdict.faults(tables.read(self._lab), wanted)

    def moved(self) -> list[str]:
        """See Guise."""
        return tables.differences(self._foreign, tables.read(self._lab).foreign)


class Firewall4:
    """nftables, with the package's include files and some of the owner's."""

    name = "fw4"
    spoil = "nft flush set inet fw4 dmsfw1_nat4"

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._before = nftables.Ruleset()

    def furnish(self) -> None:
        """See Guise."""
        self._lab.firewall4.include()
        self._lab.sh(nftables.OWNERS_INCLUDES)
        self.restart()
        self._before = nftables.read(self._lab)

    def restart(self) -> None:
        """See Guise."""
        self._lab.firewall4.restart()

    def reload(self) -> None:
        """See Guise."""
        self._lab.firewall4.reload()

    def flush(self) -> None:
        """See Guise."""
        self._lab.firewall4.stop()

    def faults(self, wanted: Expected) -> list[str]:
        """See Guise."""
        return nftables.faults(nftables.read(self._lab), wanted, self._before)

    def moved(self) -> list[str]:
        """See Guise."""
        place = (0, "nftables")
        return tables.differences({place: self._before.foreign}, {place: nftables.read(self._lab).foreign})


GUISES = {"fw3": Firewall3, "fw4": Firewall4}


def made(name: str, lab: Lab) -> Guise:
    """The firewall of a lab that was started with it."""
    found: Guise = GUISES[name](lab)
    return found
