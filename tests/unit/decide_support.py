"""Worlds in JSON, the rules that they ask for as iptables writes them, and a small firewall that walks such rules.

The firewall knows nothing of dmsfw: it reads the text that `iptables-save` prints, and takes a packet through it.
`PYTHONPATH=daemon:. python -m tests.unit.decide_support --write` makes every `expected.rules` anew: look at what git
says of it then.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple

from dmsfw.decide.grants import grants
from dmsfw.enforce.render import render
from dmsfw.model import Network, Policy, PortRange, Ports, Settings, Snapshot, Uplink, Uplinks

CASES = Path(__file__).parent.parent / "cases" / "grants"


class Case(NamedTuple):
    """A folder below tests/cases/grants."""

    folder: Path

    def __repr__(self) -> str:
        return self.folder.name

    @property
    def snapshot(self) -> Snapshot:
        return snapshot(json.loads((self.folder / "input.json").read_text()))

    @property
    def packets(self) -> Iterator[tuple[Packet, str]]:
        for line in (self.folder / "packets.txt").read_text().splitlines():
            words = line.partition("#")[0].split()
            if words:
                device, source, out, destination, proto, port, state, verdict = words
                yield Packet(device, source, out, destination, proto, int(port.strip("-") or 0), state), verdict


def cases() -> list[Case]:
    return [Case(path.parent) for path in sorted(CASES.glob("*/input.json"))]


def ports(text: str) -> Ports:
    """`465,1000-2000`, or `any`."""
    if text == "any":
        return ()
    pairs = (word.partition("-") for word in text.split(","))
    return tuple(PortRange(int(first), int(last or first)) for first, _, last in pairs)


def policy(said: dict[str, Any]) -> Policy:
    given = dict(said)
    for name in ("networks", "protos", "uplinks"):
        given[name] = tuple(said.get(name, getattr(Policy(""), name)))
    given["labels"] = tuple((word.partition("=")[0], word.partition("=")[2] or None) for word in said.get("labels", ()))
    given["ports"] = ports(said.get("ports", "any"))
    given["destinations"] = tuple(map(ip_network, said.get("destinations", ())))
    return Policy(**given)


def network(said: dict[str, Any]) -> Network:
    given = {"id": said["name"], **said}
    given["subnets"] = tuple(map(ip_network, said.get("subnets", ())))
    given["labels"] = tuple(said.get("labels", {}).items())
    return Network(**given)


def snapshot(said: dict[str, Any]) -> Snapshot:
    chosen, others = (
        tuple(Uplink(interface, device) for interface, device in said.get(name, {}).items())
        for name in ("uplinks", "others")
    )
    settings = Settings(enabled=said.get("enabled", True), policies=tuple(map(policy, said["policies"])))
    return Snapshot(settings, tuple(map(network, said["networks"])), Uplinks(chosen=chosen, others=others))


def rules(world: Snapshot) -> str:
    """All the rules that a world asks for, table by table."""
    tables = render(grants(world))
    return "\n".join(
        f"# {key.command} -t {key.name}\n" + "".join(f"{spec.text}\n" for spec in specs)
        for key, specs in tables.items()
        if specs
    )


class Packet(NamedTuple):
    """A packet that a router is about to pass on. `port` is the destination's."""

    device: str
    source: str
    out: str
    destination: str
    proto: str
    port: int = 0
    state: str = "NEW"


WORDS = {(False, False): "shut", (True, False): "open", (True, True): "masq", (False, True): "nat-only"}
"""By (accepted, masqueraded). `nat-only`: dmsfw does not let it pass, but would translate it if somebody else did."""


def verdict(text: str, packet: Packet) -> str:
    """What becomes of a packet in the rules that `rules` writes."""
    command = "iptables" if ip_address(packet.source).version == 4 else "ip6tables"
    met = {"filter": False, "nat": False}
    table = ""
    for line in text.splitlines():
        if line.startswith("#"):
            table = line.rpartition(" ")[2] if line.startswith(f"# {command} ") else ""
        elif table and line and meets(line, packet):
            met[table] = True
    return WORDS[met["filter"], met["nat"] and packet.state == "NEW"]  # nat is asked about the first packet only


def meets(rule: str, packet: Packet) -> bool:
    """Tell whether a packet meets every condition of a rule."""
    words = iter(shlex.split(rule))
    return all(_condition(flag, value, packet) for flag, value in zip(words, words, strict=True))


def _condition(flag: str, value: str, packet: Packet) -> bool:
    if flag in {"-s", "-d"}:
        return ip_address(packet.source if flag == "-s" else packet.destination) in ip_network(value)
    if flag in {"-i", "-o"}:
        return value == (packet.device if flag == "-i" else packet.out)
    if flag == "-p":
        return value == packet.proto
    if flag in {"--dport", "--dports"}:
        pairs = (word.partition(":") for word in value.split(","))
        return any(int(first) <= packet.port <= int(last or first) for first, _, last in pairs)
    if flag == "--ctstate":
        return packet.state in value.split(",")
    if flag in {"-A", "-m", "-j", "--comment"}:
        return True
    raise ValueError(f"{flag} {value}: what is that?")


def write(every: Iterable[Case]) -> None:
    """Make the golden files anew."""
    for case in every:
        (case.folder / "expected.rules").write_text(rules(case.snapshot))


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    write(cases())
