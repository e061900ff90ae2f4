"""Creates networks, and stamps how long after Docker's event the rules stand in the kernel.

The time runs from the moment at which this program, a listener of its own, has read the event; it ends when the filter
table names the bridge and the nat table the subnet. With `gone` the time from a network's end until no rule names it.

Usage: events.py SOCKET COUNT PAUSE_S gone|stay [COMMAND ...]
COMMAND is run as soon as Docker has answered that the network was created.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
import time

from tests.bench.inside.docker import Connection, NetworkEvents
from tests.bench.inside.kernel import Glance, until

LABELS = {"com.docker.compose.network": "dms-network"}


def subnet_of(number: int) -> ipaddress.IPv4Network:
    """A subnet of its own for each network."""
    return ipaddress.IPv4Network((int(ipaddress.IPv4Address("10.64.0.0")) + number * 256, 24))


def source(subnet: ipaddress.IPv4Network) -> bytes:
    """How a rule for packets from there begins (struct ipt_ip): source, no destination, the source's mask."""
    return subnet.network_address.packed + bytes(4) + subnet.netmask.packed


class Stopwatch:
    """Creates, watches and removes networks, one after the other."""

    def __init__(self, path: str, command: list[str], *, gone: bool) -> None:
        self._events, self._docker = NetworkEvents(path), Connection(path)
        self._filter, self._nat = Glance("filter"), Glance("nat")
        self._command, self._gone = command, gone

    def round(self, number: int) -> dict[str, float]:
        """Return milliseconds: `filter` and `both` after the event, `gone` after the network's end."""
        subnet = subnet_of(number)
        body = {"Name": f"bench-{number}", "Labels": LABELS, "IPAM": {"Config": [{"Subnet": str(subnet)}]}}
        self._docker.send_json("POST", "/networks/create", body)
        found = self._events.next("create")
        began = time.perf_counter()
        self._call()
        bridge, translated = f"br-{found[:12]}\0".encode(), source(subnet)
        at_filter = until(lambda: self._filter.holds(bridge))
        at_both = until(lambda: self._nat.holds(translated))
        measured = {"filter": at_filter - began, "both": at_both - began}
        if not self._command:
            self._docker.answer()
        measured |= self._remove(found, bridge, translated)
        return {name: seconds * 1000 for name, seconds in measured.items()}

    def _call(self) -> None:
        if self._command:
            self._docker.answer()
            subprocess.run(self._command, check=True)

    def _remove(self, found: str, bridge: bytes, translated: bytes) -> dict[str, float]:
        self._docker.send_json("DELETE", f"/networks/{found}")
        self._events.next("destroy")
        began = time.perf_counter()
        measured = {}
        if self._gone:
            until(lambda: not self._filter.holds(bridge))
            measured["gone"] = until(lambda: not self._nat.holds(translated)) - began
        self._docker.answer()
        return measured


def main() -> None:
    """Measure."""
    path, count, pause, gone, *command = sys.argv[1:]
    stopwatch = Stopwatch(path, command, gone=gone == "gone")
    rounds = []
    for number in range(int(count)):
        time.sleep(float(pause))
        rounds.append(stopwatch.round(number))
    print(json.dumps(rounds))


if __name__ == "__main__":
    main()
