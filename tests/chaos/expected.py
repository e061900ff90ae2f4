"""What must stand in the firewall, by a second implementation: from the configuration's text, Docker and netifd.

It shares no code with dmsfw, knows only what the chaos configures, and writes rules as iptables-save shows them, and
elements of firewall4's sets as nft lists them.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from tests.chaos import engine_api
from tests.chaos.tables import Key
from tests.lab import Lab
from tests.lab.engine import SOCKET

KEYS: tuple[Key, ...] = ((4, "filter"), (4, "nat"), (6, "filter"), (6, "nat"))
ALL_STATES, REPLY_STATES = "NEW,RELATED,ESTABLISHED", "RELATED,ESTABLISHED"
SAFE_DEVICE = re.compile(r"[A-Za-z0-9_.@-]{1,15}")
"""A bridge of any other name must not be opened."""
Subnet = IPv4Network | IPv6Network
UNIQUE_LOCAL = ip_network("fc00::/7")


@dataclass
class Section:
    """One section of a UCI file: every option as a list of its values."""

    kind: str
    name: str
    values: dict[str, list[str]] = field(default_factory=dict)

    def many(self, option: str) -> list[str]:
        """All values; an option's words are values of their own."""
        return self.values.get(option, [])

    def one(self, option: str, default: str) -> str:
        """The last value, or the default."""
        return (self.values.get(option) or [default])[-1]


def sections(text: str) -> list[Section]:
    """Read a UCI file that is in order."""
    found: list[Section] = []
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["config"]:
            found.append(Section(words[1], "".join(words[2:3])))
        elif words[:1] in (["option"], ["list"]):
            found[-1].values.setdefault(words[1], []).append(words[2])
    return found


@dataclass(frozen=True)
class World:
    """Docker's networks and netifd's interfaces, raw, and the interfaces of the firewall's zone `wan`."""

    networks: tuple[dict[str, Any], ...]
    interfaces: tuple[dict[str, Any], ...]
    zone: tuple[str, ...]

    @property
    def up(self) -> dict[str, str]:
        """The layer-3 device of each interface that is up."""
        return {entry["interface"]: entry["l3_device"] for entry in self.interfaces if entry.get("l3_device")}

    @property
    def dynamic(self) -> tuple[str, ...]:
        """The interfaces that say of themselves that they are of the zone."""
        return tuple(e["interface"] for e in self.interfaces if e.get("data", {}).get("zone") == "wan")


def look(lab: Lab) -> World:
    """Ask the real dockerd and read netifd's dump. Raises: OSError when dockerd does not answer."""
    networks = engine_api.get(lab.path(SOCKET), "/networks")
    zones = sections((lab.config / "firewall").read_text("utf-8"))
    wan = next(zone for zone in zones if zone.kind == "zone" and zone.one("name", "") == "wan")
    return World(tuple(networks), interfaces(lab), tuple(wan.many("network")))


def interfaces(lab: Lab) -> tuple[dict[str, Any], ...]:
    """Read netifd's dump."""
    return tuple(json.loads((lab.folder / "netifd" / "dump.json").read_text("utf-8"))["interface"])


class Memory:
    """The last devices of uplinks that are down, as a running daemon has them; `forget` when it is started anew."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def forget(self) -> None:
        """A new daemon knows nothing."""
        self._last.clear()

    def devices(self, world: World, names: Iterable[str]) -> list[str]:
        """The devices of these interfaces; one that is down keeps its last, unless another one that is up has it."""
        up = world.up
        taken = set(up.values())
        kept = {name: device for name, device in self._last.items() if device not in taken}
        self._last = kept | up
        return list(dict.fromkeys(self._last[name] for name in names if name in self._last))


@dataclass(frozen=True)
class Expected:
    """The rules of our chains by table, without comments, sorted. A table without any has neither chain nor hook."""

    rules: dict[Key, tuple[str, ...]]
    remembered: bool = False
    """Whether one of them is for an uplink that is down: a daemon that starts now would not make it."""
    elements: tuple[str, ...] = ()
    """The same for firewall4: the elements of its sets, each with the set's name."""


def expected(text: str, world: World, memory: Memory) -> Expected:
    """What the configuration asks for in this world."""
    lines: dict[Key, set[str]] = {key: set() for key in KEYS}
    elements: set[str] = set()
    parts = sections(text)
    main = next((part for part in parts if part.kind == "dmsfw"), Section("dmsfw", "main"))
    standard = main.many("uplink") or [*world.zone, *sorted(world.dynamic)]
    memory.devices(world, standard)
    remembered = False
    for policy in parts if main.one("enabled", "1") == "1" else ():
        if policy.kind != "egress" or policy.one("enabled", "1") != "1":
            continue
        devices = memory.devices(world, policy.many("uplink") or standard)
        for network in filter(lambda network: _selected(policy, network), world.networks):
            for device in devices:
                for key, line in _rules(policy, network, device):
                    lines[key].add(line)
                    remembered = remembered or device not in world.up.values()
                elements |= set(_elements(policy, network, device))
    rules = {key: tuple(sorted(found)) for key, found in lines.items()}
    return Expected(rules, remembered, tuple(sorted(elements)))


def _selected(policy: Section, network: dict[str, Any]) -> bool:
    if network["Driver"] != "bridge" or network["Internal"]:
        return False
    labels = dict(network["Labels"] or {})
    asked = [label.partition("=") for label in policy.many("label")]
    by_label = bool(asked) and all(key in labels and (not eq or labels[key] == value) for key, eq, value in asked)
    return by_label or any(fnmatchcase(network["Name"], glob) for glob in policy.many("network"))


def _subnets(policy: Section, network: dict[str, Any]) -> Iterator[tuple[str, Subnet, bool]]:
    """Bridge, subnet and whether it is masqueraded, of what may be opened."""
    named = (network["Options"] or {}).get("com.docker.network.bridge.name")
    bridge = named or ("docker0" if network["Name"] == "bridge" else f"br-{network['Id'][:12]}")
    if not SAFE_DEVICE.fullmatch(bridge):
        return
    family_wanted = policy.one("family", "any")
    for pool in network["IPAM"]["Config"] or ():
        subnet = ip_network(pool["Subnet"], strict=False)
        if family_wanted in ("any", f"ipv{subnet.version}"):
            masqueraded = subnet.version == 4 or subnet.subnet_of(UNIQUE_LOCAL)  # type: ignore[arg-type]
            yield bridge, subnet, masqueraded and policy.one("masq", "1") == "1"


def _rules(policy: Section, network: dict[str, Any], wan: str) -> Iterator[tuple[Key, str]]:
    for bridge, subnet, translated in _subnets(policy, network):
        back = f"-d {subnet} -i {wan} -o {bridge} -m conntrack --ctstate {REPLY_STATES} -j ACCEPT"
        yield (subnet.version, "filter"), f"-A DMSFW-FORWARD {back}"
        for proto in policy.many("proto") or ["tcp"]:
            match = _match(proto, policy.many("dest_port"))
            there = f"-s {subnet} -i {bridge} -o {wan} {match} -m conntrack --ctstate {ALL_STATES} -j ACCEPT"
            yield (subnet.version, "filter"), f"-A DMSFW-FORWARD {there}"
            if translated:
                yield (subnet.version, "nat"), f"-A DMSFW-POSTROUTING -s {subnet} -o {wan} {match} -j MASQUERADE"


def _elements(policy: Section, network: dict[str, Any], wan: str) -> Iterator[str]:
    for bridge, subnet, translated in _subnets(policy, network):
        name = f"dmsfw1_{'nat' if translated else 'out'}{subnet.version}"
        for proto in policy.many("proto") or ["tcp"]:
            for port in ",".join(policy.many("dest_port")).split(","):
                yield f"{name}: {bridge} . {wan} . {subnet} . {proto} . {port}"


def _match(proto: str, ports: list[str]) -> str:
    """Ports as iptables shows them; the chaos uses lists and ranges that neither touch nor need sorting."""
    text = ",".join(ports).replace("-", ":")
    return f"-p {proto} -m multiport --dports {text}" if "," in text else f"-p {proto} -m {proto} --dport {text}"
