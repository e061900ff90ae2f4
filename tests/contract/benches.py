"""Two benches for one suite: tables in memory, and the real ones of a network namespace."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from typing import Protocol

from dmsfw.enforce.kernel import KernelTables
from dmsfw.enforce.lock import XtablesLock
from dmsfw.enforce.render import TABLES, TableKey
from dmsfw.enforce.tables import Tables
from tests.contract.fake import FakeTables, foreign_entry, fresh
from tests.contract.wire import Wire

PATIENCE_S = 20.0
"""How long another program may take: it waits only for the xtables lock, which is held for milliseconds."""

INCOMING = 21
"""The port that no rule of a test is about: what the wires use for packets that only count."""


class Bench(Protocol):
    """Tables, and what somebody else can do to them and see of them."""

    tables: Tables

    def foreign(self, key: TableKey, *commands: str) -> None:
        """Somebody else's commands in iptables's tongue: `-N X`, `-A X ...`, `-I X 1 ...`, `-D X 1`, `-F X`."""

    def made(self) -> set[TableKey]:
        """The tables that the kernel has."""

    def saved(self, key: TableKey) -> list[str]:
        """The rules as iptables-save prints them, with counters, sorted by chain and place."""

    def pass_one(self, key: TableKey) -> None:
        """One packet meets every rule of FORWARD that has no condition, until one accepts it."""


class FakeBench:
    """Tables in memory."""

    def __init__(self) -> None:
        self.tables: FakeTables = FakeTables()

    def foreign(self, key: TableKey, *commands: str) -> None:
        chains = self.tables.tables.setdefault(key, fresh(key))
        for command in commands:
            flag, chain, *rest = command.split(" ", 2)
            text = rest[0] if rest else ""
            entries = chains.get(chain, ())
            if flag == "-A":
                chains[chain] = (*entries, foreign_entry(text))
            elif flag == "-I":
                number, _, rule = text.partition(" ")
                at = int(number) - 1
                chains[chain] = (*entries[:at], foreign_entry(rule), *entries[at:])
            elif flag == "-D":
                at = int(text) - 1
                chains[chain] = (*entries[:at], *entries[at + 1 :])
            else:
                chains[chain] = ()

    def made(self) -> set[TableKey]:
        return set(self.tables.tables)

    def saved(self, key: TableKey) -> list[str]:
        return [
            f"[{entry.packets}:{entry.octets}] -A {name} {entry.text}"
            for name, entries in sorted(self.tables.tables.get(key, {}).items())
            for entry in entries
        ]

    def pass_one(self, key: TableKey) -> None:
        for index, entry in enumerate(self.tables.tables[key]["FORWARD"]):
            if not entry.text.partition("-m comment")[0]:
                self.tables.count(key, "FORWARD", index, 1)


class KernelBench:
    """The tables of the network namespace that the test runs in."""

    def __init__(self) -> None:
        self.lock = XtablesLock()
        self.tables: KernelTables = KernelTables(self.lock)

    def close(self) -> None:
        self.lock.close()

    def foreign(self, key: TableKey, *commands: str) -> None:
        for command in commands:
            iptables(key, *shlex.split(command))

    def made(self) -> set[TableKey]:
        return {key for key in TABLES if self.tables.exists(key)}

    def saved(self, key: TableKey) -> list[str]:
        lines = save(key, "-c").splitlines()
        rules = [line for line in lines if line.startswith("[")]
        return sorted(rules, key=lambda line: line.split(" ", 3)[2])

    def pass_one(self, key: TableKey) -> None:
        assert key.version == 4
        with Wire("in0", 1) as incoming, Wire("out0", 2) as outgoing:
            enable_forwarding()
            subprocess.run(["ip", "route", "add", "192.0.2.0/24", "dev", "out0"], check=True)
            subprocess.run(["ip", "route", "add", "198.51.100.0/24", "dev", "in0"], check=True)
            incoming.arrive("198.51.100.7", "192.0.2.7", "udp", INCOMING, b"one")
            outgoing.leaves(b"one")


def iptables(key: TableKey, *words: str) -> None:
    subprocess.run([f"{key.command}-legacy", "-w", "-t", key.name, *words], check=True, timeout=PATIENCE_S)


def save(key: TableKey, *words: str) -> str:
    command = [f"{key.command}-legacy-save", "-t", key.name, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S).stdout


def restore(key: TableKey, text: str) -> None:
    subprocess.run([f"{key.command}-legacy-restore", "-w"], input=text, check=True, text=True, timeout=PATIENCE_S)


def enable_forwarding() -> None:
    for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        with open(f"/proc/sys/net/{name}", "w", encoding="ascii") as switch:  # noqa: PTH123 - a switch, not a file
            switch.write("1")
    for name in ("all", "default"):
        with open(f"/proc/sys/net/ipv4/conf/{name}/rp_filter", "w", encoding="ascii") as switch:  # noqa: PTH123
            switch.write("0")


def own_rules(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if "DMSFW-" in line or '"dmsfw:' in line]


def foreign_rules(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if line not in own_rules(lines)]
