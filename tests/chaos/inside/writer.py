"""A writer of foreign rules: edits chains of its own through iptables, as fast as the lock lets it, and keeps count.

Runs inside the router. Every edit is one process that takes the lock (-w); only what that process acknowledged counts.
At the end, after COUNT edits or as soon as the file STOP is there, it prints one JSON line: the number of edits, those
that were refused, and what its chains must hold now.

Usage: writer.py NAME COUNT SEED STOP
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

TABLES = ("filter", "nat")
FULL = 40
"""Rules in one chain at most: beyond it deletes become likelier than appends."""


class Writer:
    """One chain in each table, and what must be in it."""

    def __init__(self, name: str, seed: str) -> None:
        self.chain, self.dice = f"writer-{name}", random.Random(seed)
        self.rules: dict[str, list[str]] = {table: [] for table in TABLES}
        self.edits, self.number = 0, 0
        self.refused: list[str] = []

    def run(self, *argv: str, text: str = "") -> bool:
        """Make one edit; tell whether it was acknowledged."""
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
        self.edits += 1
        if done.returncode:
            self.refused.append(f"{' '.join(argv)} {text}: {done.returncode} {done.stderr}")
        return done.returncode == 0

    def prepare(self) -> None:
        """Make the chains, empty."""
        for table in TABLES:
            self.run("iptables", "-w", "-t", table, "-N", self.chain)

    def rule(self) -> str:
        """A rule that is not there yet, as iptables shows it."""
        self.number += 1
        return f"-s 10.{self.number >> 16 & 255}.{self.number >> 8 & 255}.{self.number & 255}/32 -j ACCEPT"

    def edit(self) -> None:
        """Make one edit at random."""
        table = self.dice.choice(TABLES)
        rules = self.rules[table]
        kinds = [self.append, self.insert, self.restore]
        if rules:
            kinds += [self.replace, self.delete] * (3 if len(rules) > FULL else 1)
        self.dice.choice(kinds)(table, rules)

    def append(self, table: str, rules: list[str]) -> None:
        rule = self.rule()
        if self.run("iptables", "-w", "-t", table, "-A", self.chain, *rule.split()):
            rules.append(rule)

    def insert(self, table: str, rules: list[str]) -> None:
        rule, at = self.rule(), self.dice.randint(0, len(rules))
        if self.run("iptables", "-w", "-t", table, "-I", self.chain, str(at + 1), *rule.split()):
            rules.insert(at, rule)

    def replace(self, table: str, rules: list[str]) -> None:
        rule, at = self.rule(), self.dice.randrange(len(rules))
        if self.run("iptables", "-w", "-t", table, "-R", self.chain, str(at + 1), *rule.split()):
            rules[at] = rule

    def delete(self, table: str, rules: list[str]) -> None:
        at = self.dice.randrange(len(rules))
        if self.run("iptables", "-w", "-t", table, "-D", self.chain, str(at + 1)):
            del rules[at]

    def restore(self, table: str, rules: list[str]) -> None:
        """Several edits in one commit."""
        new, gone = [self.rule() for _ in range(self.dice.randint(1, 3))], rules[:1]
        lines = [f"-D {self.chain} {rule}" for rule in gone] + [f"-A {self.chain} {rule}" for rule in new]
        text = "\n".join([f"*{table}", *lines, "COMMIT", ""])
        if self.run("iptables-restore", "-w", "--noflush", text=text):
            rules[:] = rules[len(gone) :] + new


def main() -> None:
    """Edit until the count is reached or somebody says stop."""
    name, count, seed, stop = sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    writer = Writer(name, seed)
    writer.prepare()
    print("ready", flush=True)
    while writer.edits < count and not stop.exists():
        writer.edit()
    print(json.dumps({"edits": writer.edits, "refused": writer.refused[:20], "rules": writer.rules}), flush=True)


main()
