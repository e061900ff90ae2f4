"""Who gets through, by dmsfw, by the script and by a static rule: each cell is a connection that was tried.

The static rule is what firewall3 makes of a `config rule` with src '*', src_ip 172.16.0.0/12, dest 'wan', dest_port
465: it needs no daemon, and stands before any network does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from tests.bench.measures.events import RIVAL
from tests.bench.rows import Row
from tests.bench.stage import LABEL, Stage, daemon
from tests.lab import SERVER, SERVER6, Lab

STATIC = "iptables -I FORWARD 1 -s 172.16.0.0/12 -o pppoe-wan -p tcp --dport 465 -j ACCEPT"
SELECTED = ("--label", LABEL)
ULA = ("--ipv6", "--subnet", "fd00:465::/64")
NO_MASQUERADE = "iptables -t nat -F zone_wan_postrouting"

NETWORKS = {
    "pool": (*SELECTED, "--subnet", "172.30.0.0/16"),
    "own-pool": (*SELECTED, "--subnet", "10.99.0.0/16"),
    "other": ("--subnet", "172.29.0.0/16"),
    "ipv6": (*SELECTED, "--subnet", "172.28.0.0/16", *ULA),
}
"""Networks, each alone when it is tried: the script serves only the first that it finds."""

CASES = (
    ("pool", SERVER, "", "open", "the network, in Docker's pool"),
    ("own-pool", SERVER, "", "open", "the network, in a pool of its own (10.99.0.0/16)"),
    ("other", SERVER, "", "refused", "a network that nobody asked for"),
    ("ipv6", SERVER6, "", "open", "the network, by IPv6 (unique-local)"),
    ("pool", SERVER, NO_MASQUERADE, "open", "the network, where the WAN zone does not masquerade"),
)
"""Network, address, what is done to the firewall, what ought to come of it, and in words."""


@contextmanager
def static(lab: Lab) -> Iterator[None]:
    """The static rule."""
    lab.sh(STATIC)
    yield


@contextmanager
def script(lab: Lab) -> Iterator[None]:
    """The script, called when the network has been made."""
    lab.run(["/bin/sh", RIVAL, "once", lab.wan.device])
    yield


@contextmanager
def dmsfw(lab: Lab) -> Iterator[None]:
    """The daemon, which has passed once."""
    with daemon(lab):
        yield


CONTENDERS = {"dmsfw": dmsfw, "script": script, "static": static}


def measure(stage: Stage) -> Iterator[Row]:
    """One row for each case and contender: 1 where the outcome is the one that is wanted."""
    with Lab() as lab:
        for number, (network, address, damage, wanted, what) in enumerate(CASES):
            stage.say(what)
            lab.docker("network", "create", *NETWORKS[network], network)
            lab.container(f"app-{network}", network)
            for who, contender in CONTENDERS.items():
                seen = _tried(lab, contender(lab), damage, f"app-{network}", address)
                id_ = f"rivals/{number} {who}"
                yield Row.of(id_, what, "", [float(seen == wanted)], better="more", note=f"{seen}, wanted {wanted}")
            lab.docker("rm", "-f", f"app-{network}")
            lab.docker("network", "rm", network)


def _tried(lab: Lab, contender: AbstractContextManager[None], damage: str, source: str, address: str) -> str:
    lab.firewall.restart()
    if damage:
        lab.sh(damage)
    with contender:
        return str(lab.connect(source, address, 465))
