"""A host made of texts, packets with little ado, and what a rule answers."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from dmsfw.trace import Packet, ThisHost, Way, trace
from dmsfw.trace.answer import Answer
from dmsfw.trace.rule import Rule
from dmsfw.trace.scene import Scene
from dmsfw.trace.shell import Said

NAMES = {4: "/proc/net/ip_tables_names", 6: "/proc/net/ip6_tables_names"}
NO_PROGRAM = Said(None)

ROUTES = {
    "ip -4 route get": Said(0, "192.0.2.25 from 10.1.0.2 via 192.0.2.254 dev wan0 \n    cache iif br-a\n"),
    "ip -6 route get": Said(0, "2001:db8::25 from fd00:1::2 via fe80::1 dev wan0 metric 1024 pref medium\n"),
    "ip -o -4 addr show dev wan0": Said(0, "3: wan0    inet 192.0.2.1/24 brd 192.0.2.255 scope global wan0\n"),
    "ip -o -4 addr show dev br-a": Said(0, "4: br-a    inet 10.1.0.1/24 scope global br-a\n"),
    "ip -4 route show table local": Said(
        0, "local 10.1.0.1 dev br-a\nlocal 127.0.0.0/8 dev lo\nbroadcast 10.1.0.255 dev br-a\n"
    ),
    "ip -4 route show table all": Said(0, "default via 192.0.2.254 dev wan0\nunreachable 10.0.0.0/8\n"),
    "ip -6 route show table all": Said(0, "default via fe80::1 dev wan0 metric 1024 pref medium\n"),
    "ip -6 route show table local": Said(0, "local fd00:1::1 dev br-a\nmulticast ff00::/8 dev br-a\n"),
}


class Texts:
    """A Shell that answers by what the command begins with; the longest beginning counts."""

    def __init__(self, said: Mapping[str, Said], files: Mapping[str, str]) -> None:
        self.said = {**ROUTES, **said}
        self.files = dict(files)
        self.asked: list[str] = []

    def run(self, *command: str) -> Said:
        line = " ".join(command)
        self.asked.append(line)
        found = [begins for begins in self.said if line.startswith(begins)]
        return self.said[max(found, key=len)] if found else NO_PROGRAM

    def read(self, path: str) -> str | None:
        return self.files.get(path)


def host(*tables: str, said: Mapping[str, Said] | None = None, files: Mapping[str, str] | None = None) -> ThisHost:
    """A host with legacy tables, each a text without its COMMIT: of both families the same."""
    text = "".join(f"{table.rstrip()}\nCOMMIT\n" for table in tables)
    listed = {f"{tool}-legacy-save": Said(0, text) for tool in ("iptables", "ip6tables")}
    names = dict.fromkeys(NAMES.values(), "filter\n") if tables else {}
    return ThisHost(Texts({**listed, **(said or {})}, {**names, **(files or {})}))


def filter_(*rules: str, policy: str = "ACCEPT", chains: tuple[str, ...] = ()) -> str:
    """The table filter with these rules, `FORWARD ...` each."""
    return table("filter", *rules, policy=policy, chains=chains)


def table(name: str, *rules: str, policy: str = "ACCEPT", chains: tuple[str, ...] = ()) -> str:
    hooks = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
    declared = [*(f":{hook} {policy} [7:700]" for hook in hooks), *(f":{chain} - [0:0]" for chain in chains)]
    return "\n".join([f"*{name}", *declared, *(f"[3:180] -A {rule}" for rule in rules)])


def packet(**given: Any) -> Packet:
    """A first tcp packet from 10.1.0.2 by br-a to 192.0.2.25 port 465, or what else is said."""
    six = ":" in str(given.get("src", "")) or given.pop("six", False)
    plain: dict[str, Any] = {
        "src": "fd00:1::2" if six else "10.1.0.2",
        "dst": "2001:db8::25" if six else "192.0.2.25",
        "proto": "tcp",
        "in_device": "br-a",
        "out_device": "",
        "mac": "",
        "physdev": None,
    }
    plain |= given
    if plain["proto"] in {"tcp", "udp", "sctp"}:
        plain = {"sport": 40000, "dport": 465, **plain}
    plain["src"], plain["dst"] = ip_address(plain["src"]), ip_address(plain["dst"])
    return Packet(**plain)


def answer(words: str, given: Packet, *, at: ThisHost | None = None, hook: str = "FORWARD") -> Answer:
    """What a rule of these words answers about a packet."""
    rule = Rule(given.family, 1, f"-A X {words}", 0)
    return rule.answer(given, Scene(at or host(), hook, "filter"))


def way(given: Packet, *tables: str, **more: Any) -> Way:
    return trace(given, host(*tables, **more))


def places(found: Way) -> list[str]:
    """The rules that were met; those that are not sure with a `?`."""
    return [f"{step.place}{'' if step.sure else '?'}" for step in found.steps if step.place and step.place.number]
