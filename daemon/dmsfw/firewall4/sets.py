"""The sets inside firewall4's table: what each is for, and what its keys are made of.

1. A set's type can never be changed: firewall4 would not load a definition that differs from what is there. So a
   change here takes another `VERSION`, and the package's include files change with it (a test holds them together).
2. A key has at most five parts (nft 1.0.6 keeps six bits of each part's type in 32) and 64 bytes. So where a grant
   names a destination, its bridge is looked up in a set of its own.
3. A grant is one element, whether it is masqueraded or not: the kernel's time to remove one grows with their number
   (16 ms among 2,000 on Linux 6.18). So a look-up behind routing asks for the incoming device; Linux 5.7 and later know
   it there, and firewall4 came with 5.10.
4. No counters, no `typeof`: nft programs differ in what they make of these, and then rule 1 strikes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dmsfw.model import VERSIONS, Version

VERSION = 1

Part = Literal["iif", "oif", "saddr", "daddr", "proto", "dport"]

PREFIX = f"dmsfw{VERSION}_"
"""What the names of all sets and chains of this version begin with."""

PARTS: dict[str, tuple[Part, ...]] = {
    "out": ("iif", "oif", "saddr", "proto", "dport"),
    "outall": ("iif", "oif", "saddr", "proto"),
    "nat": ("iif", "oif", "saddr", "proto", "dport"),
    "natall": ("iif", "oif", "saddr", "proto"),
    "from": ("iif", "oif", "saddr"),
    "outto": ("oif", "saddr", "daddr", "proto", "dport"),
    "outtoall": ("oif", "saddr", "daddr", "proto"),
    "natto": ("oif", "saddr", "daddr", "proto", "dport"),
    "nattoall": ("oif", "saddr", "daddr", "proto"),
}
"""What is in a set named `nat` is accepted and masqueraded, in one named `out` only accepted. `all`: whatever the port.
`to`: to some place only; a packet must be in `from` as well."""

LIMITS: dict[Part, int] = {"proto": 0xFF, "dport": 0xFFFF}
"""Highest value of a part that is a number."""


MAX_ADDRESS: dict[Version, int] = {4: 2**32 - 1, 6: 2**128 - 1}


@dataclass(frozen=True, slots=True)
class SetSpec:
    """One set."""

    kind: str
    version: Version

    @property
    def name(self) -> str:
        """Its name in the table: `dmsfw1_out4`."""
        return f"{PREFIX}{self.kind}{self.version}"

    @property
    def parts(self) -> tuple[Part, ...]:
        """What a key is made of."""
        return PARTS[self.kind]

    @property
    def types(self) -> tuple[str, ...]:
        """The same in nft's words."""
        return tuple(_type(part, self.version) for part in self.parts)

    def highest(self, part: Part) -> int:
        """The highest value of a part that is a number or an address."""
        return LIMITS.get(part, MAX_ADDRESS[self.version])


def _type(part: Part, version: Version) -> str:
    if part in {"saddr", "daddr"}:
        return f"ipv{version}_addr"
    return {"iif": "ifname", "oif": "ifname", "proto": "inet_proto"}.get(part, "inet_service")


def _specs() -> Iterator[SetSpec]:
    for version in VERSIONS:
        for kind in PARTS:
            yield SetSpec(kind, version)


SETS: dict[str, SetSpec] = {spec.name: spec for spec in _specs()}
"""All of them, by name."""
