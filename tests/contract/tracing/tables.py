"""The kernel's tables: loaded and listed by the real programs, counted without a process of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from dmsfw.enforce import sockopt
from dmsfw.enforce.render import TableKey
from dmsfw.enforce.rule import COUNTERS, LAYOUTS
from dmsfw.trace import Place
from dmsfw.trace.ruleset import parse
from tests.contract.tracing.pools import HOOKS

PREFIX = {4: "iptables", 6: "ip6tables"}

LOOP = """
while read -r tool; do
    if $tool-restore <"$1/given" 2>"$1/refusal" &&
        { [ ! -s "$1/more" ] || $tool-restore -n <"$1/more" 2>"$1/refusal"; } &&
        $tool-save -c >"$1/listed"; then echo taken; else echo refused; fi
done
"""
"""A shell of its own forks in a fraction of the time that a process of 40 MB needs for it."""


class Refused(AssertionError):
    """The kernel does not take a ruleset."""


class Loader:
    """A shell that runs `loop`: for each line it loads what lies in `folder`, lists it there, and tells how it went."""

    def __init__(self, folder: Path, loop: str) -> None:
        self._folder = folder
        self._shell = subprocess.Popen(
            ["sh", "-c", loop, "sh", str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def close(self) -> None:
        self._shell.communicate(timeout=10)

    def _load(self, line: str, text: str) -> str:
        """What is listed once it is loaded. Raises: Refused, with `text`, which was to be loaded."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{line}\n")
        if self._shell.stdout.readline() != "taken\n":
            raise Refused(f"{(self._folder / 'refusal').read_text()}\n{text}")
        return (self._folder / "listed").read_text(errors="replace")


class Tables(Loader):
    """One shell that loads and lists. `folder`: a place for its files; `variant`: legacy or nft."""

    def __init__(self, folder: Path, variant: str = "legacy") -> None:
        super().__init__(folder, LOOP)
        self._variant = variant

    def load(self, text: str, family: int, more: str = "") -> str:
        """Put these rules into the kernel, and more upon them; list them. Raises: Refused."""
        (self._folder / "given").write_text(text, errors="surrogateescape")
        (self._folder / "more").write_text(more)
        return self._load(f"{PREFIX[family]}-{self._variant}", text)

    def counted(self, family: int) -> dict[Place, int]:
        """How many packets each rule, and each policy (number 0), has counted."""
        return counted(family) if self._variant == "legacy" else _listed(self.tool(family))

    def answers(self, listed: str, family: int) -> dict[str, str]:
        """What programs that list say."""
        return {self.tool(family): listed}

    def tool(self, family: int) -> str:
        """The program that lists."""
        return f"{PREFIX[family]}-{self._variant}-save"


def _listed(tool: str) -> dict[Place, int]:
    text = subprocess.run([tool, "-c"], capture_output=True, text=True, check=True, errors="replace").stdout
    found = {}
    for table in parse(text, 4).tables.values():
        for chain in table.chains.values():
            found |= {Place(table.name, chain.name, rule.number): rule.packets for rule in chain.rules}
            if chain.policy:
                found[Place(table.name, chain.name, 0)] = chain.packets
    return found


def counted(family: Any) -> dict[Place, int]:
    """The same from the kernel's own bytes, without a process."""
    found = {}
    for key in (TableKey(family, table) for table in HOOKS):
        if not sockopt.exists(key):  # to read it would make it
            continue
        blob = sockopt.read(key)
        starts, at = blob._walk[0], LAYOUTS[family].counters_at
        for chain, (first, last) in blob._chains.items():
            for index in range(first, last + 1):
                is_policy = index == last
                if is_policy and chain not in blob.hooks:
                    continue
                packets, _ = COUNTERS.unpack_from(blob.raw, starts[index] + at)
                found[Place(key.name, chain, 0 if is_policy else index - first + 1)] = packets
    return found
