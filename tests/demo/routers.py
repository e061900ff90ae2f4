"""The two kinds of router that the demo runs on, and what differs between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tests.lab import Lab


class Kind(Protocol):
    """A kind of router."""

    intro: str
    """`{lines}`: how many the firewall's rules are."""

    event: tuple[str, ...]
    restart: tuple[str, ...]
    """Arguments of the stopwatch for each."""

    def lab(self) -> Lab:
        """A lab with this router, not yet started."""

    def furnish(self, lab: Lab) -> None:
        """What the package would have brought."""

    def restart_firewall(self, lab: Lab) -> None:
        """Wipe everybody's rules, and load the firewall's own anew."""

    def tables(self, lab: Lab) -> list[str]:
        """All rules and chains of the router."""


@dataclass(frozen=True)
class Firewall3:
    """iptables, as in the field."""

    intro = (
        "A router as in the field: firewall3's rules ({lines} lines), the WAN device pppoe-wan, Docker with "
        "iptables: false. Beyond the WAN a mail server listens."
    )
    event = ("event", "/run/docker.sock")
    restart = ("restart", "/run/fw3.state")

    def lab(self) -> Lab:
        """See Kind."""
        return Lab()

    def furnish(self, lab: Lab) -> None:
        """See Kind; firewall3 needs nothing."""

    def restart_firewall(self, lab: Lab) -> None:
        """See Kind."""
        lab.firewall.restart()

    def tables(self, lab: Lab) -> list[str]:
        """See Kind."""
        names = ("filter", "nat", "mangle", "raw")
        return [line for family in (4, 6) for name in names for line in lab.rules(family, name)]


@dataclass(frozen=True)
class Firewall4:
    """nftables, as in newer releases."""

    intro = (
        "A router of today: firewall4's table and dmsfw's constant part in it, from the package ({lines} lines), the "
        "WAN device pppoe-wan, Docker with iptables: false. Beyond the WAN a mail server listens."
    )
    event = ("event4", "/run/docker.sock")
    restart = ("restart4",)

    def lab(self) -> Lab:
        """See Kind."""
        return Lab(firewall4=True)

    def furnish(self, lab: Lab) -> None:
        """See Kind."""
        lab.firewall4.include()
        lab.firewall4.restart()

    def restart_firewall(self, lab: Lab) -> None:
        """See Kind."""
        lab.firewall4.restart()

    def tables(self, lab: Lab) -> list[str]:
        """See Kind."""
        return [line.strip() for line in lab.run(["nft", "-s", "list", "ruleset"]).stdout.splitlines()]


KINDS: dict[str, Kind] = {"fw3": Firewall3(), "fw4": Firewall4()}
