"""Tables in every state that people and accidents bring them into, for the tests of enforce/."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path

from hypothesis import strategies as st

from dmsfw.enforce.render import RuleSpec, TableKey, hook, render
from dmsfw.enforce.tables import Entry
from dmsfw.model import Grant, PortRange
from tests.contract.fake import Chains, entry_of, foreign_entry, fresh

FILTER, NAT, FILTER6, NAT6 = TableKey(4, "filter"), TableKey(4, "nat"), TableKey(6, "filter"), TableKey(6, "nat")


def grant(
    port: int = 465, bridge: str = "br-a", subnet: str = "10.1.0.0/24", *, masquerade: bool = True, why: str = "why"
) -> Grant:
    ports = (PortRange(port, port),)
    return Grant("a", bridge, ip_network(subnet), "wan0", "tcp", ports, masquerade=masquerade, whys=(why,))


def library_head(bits: int | None = None, machine: int | None = None) -> bytes:
    """The head of a shared library without segments, for this processor unless told otherwise. `bits`: 1 is 32."""
    head = bytearray(Path("/proc/self/exe").read_bytes()[:20].ljust(64, b"\0"))
    if bits is not None:
        head[4] = bits
    if machine is not None:
        head[18:20] = machine.to_bytes(2, "little")
    return bytes(head)


FW3 = '-m comment --comment "!fw3"'
AHEAD = (
    f'-m comment --comment "!fw3: Custom forwarding rule chain" -j forwarding_rule',  # noqa: F541 - one of a row
    f"-m conntrack --ctstate RELATED,ESTABLISHED {FW3} -j FLOWOFFLOAD",
    f"-m conntrack --ctstate RELATED,ESTABLISHED {FW3} -j ACCEPT",
    f"-m conntrack --ctstate INVALID {FW3} -j DROP",
)
"""firewall3's rules that stand ahead of its zones, in their order."""

ZONES = (f"-i eth-lan {FW3} -j zone_lan_forward", f"-i pppoe-wan {FW3} -j zone_wan_forward", f"{FW3} -j reject")
NAT_ZONES = (f"{FW3} -j postrouting_rule", f"-o eth-lan {FW3} -j zone_lan_postrouting")
OWNERS = (
    "-i eth7 -j DROP",
    "-j DOCKER-USER",
    "-j DOCKER-FORWARD",
    "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    '-m comment --comment "dmsfw is good" -j ACCEPT',
    '-m comment --comment "dmsfw:tooshort" -j ACCEPT',
)
STRAYS = (
    '-i eth8 -m comment --comment "dmsfw:0123456789ab old" -j ACCEPT',
    '-m comment --comment "dmsfw:ba9876543210" -j DROP',
)

GRANTS = (grant(465), grant(587), grant(465, "br-b", "10.2.0.0/24"), grant(465, masquerade=False))
SPECS: dict[TableKey, tuple[RuleSpec, ...]] = {
    **render(GRANTS),
    FILTER6: render([grant(subnet="fd00::/64"), grant(587, subnet="fd00::/64")])[FILTER6],
}


@dataclass(frozen=True)
class State:
    """A table as somebody left it. `ahead` and `behind`: firewall3's rules that a hook has to stand between."""

    key: TableKey
    chains: Chains
    ahead: tuple[str, ...]
    behind: tuple[str, ...]
    wanted: tuple[RuleSpec, ...]

    @property
    def foreign(self) -> dict[str, list[Entry]]:
        return foreign(self.key, self.chains)


def foreign(key: TableKey, chains: Chains) -> dict[str, list[Entry]]:
    """Everything that is not ours, told by what the tests put there."""
    return {
        name: [entry for entry in entries if not planted(key, entry)]
        for name, entries in chains.items()
        if name != key.own
    }


def planted(key: TableKey, entry: Entry) -> bool:
    return isinstance(entry.key, RuleSpec) or entry.key in STRAYS or str(entry.key).endswith(f"-j {key.own}")


def altered(spec: RuleSpec) -> RuleSpec:
    return replace(spec, comment=f"{spec.comment} altered")


def _merged(draw: st.DrawFn, frame: Sequence[Entry], others: Sequence[Entry]) -> tuple[Entry, ...]:
    """The frame in its order, and others anywhere between."""
    result = list(frame)
    for entry in others:
        result.insert(draw(st.integers(0, len(result))), entry)
    return tuple(result)


def _counted(draw: st.DrawFn, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    return tuple(replace(entry, packets=draw(st.integers(0, 99))) for entry in entries)


@st.composite
def states(draw: st.DrawFn) -> State:
    """Any table: with firewall3 or without, our rules there, half there, doubled, altered, astray, hooks anywhere."""
    key = draw(st.sampled_from([FILTER, NAT, FILTER6]))
    hooks = [hook(key), altered(hook(key))]
    own = [entry_of(spec) for spec in SPECS[key]] + [entry_of(altered(spec)) for spec in SPECS[key]]
    own += [foreign_entry(text) for text in OWNERS]
    jumps = [entry_of(spec) for spec in hooks] + [foreign_entry(f"-i eth9 -j {key.own}")]
    strays = [foreign_entry(text) for text in STRAYS] + jumps

    ahead: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    if draw(st.booleans()):
        if key.name == "filter":
            offload, invalid = draw(st.sampled_from([(), AHEAD[1:2]])), draw(st.sampled_from([(), AHEAD[3:]]))
            ahead = (AHEAD[0], *offload, AHEAD[2], *invalid)
            behind = ZONES
        else:
            ahead = NAT_ZONES
    frame = [foreign_entry(text) for text in (*ahead, *behind)]
    there = [*map(foreign_entry, draw(st.lists(st.sampled_from(OWNERS), max_size=3)))]
    there += draw(st.lists(st.sampled_from([*strays, *jumps]), max_size=3))
    chains = fresh(key)
    chains[key.builtin] = _counted(draw, _merged(draw, frame, there))
    if draw(st.booleans()):
        chains[key.own] = _counted(draw, draw(st.lists(st.sampled_from(own), max_size=6)))
    elsewhere = [*map(foreign_entry, OWNERS), *strays]
    chains["zone_wan"] = _counted(draw, draw(st.lists(st.sampled_from(elsewhere), max_size=4)))
    chains["INPUT"] = _counted(draw, draw(st.lists(st.sampled_from(elsewhere), max_size=2)))
    if key.own not in chains:  # nothing can jump to a chain that is not there
        chains = {name: tuple(e for e in entries if e.target != key.own) for name, entries in chains.items()}
    wanted = tuple(draw(st.lists(st.sampled_from(SPECS[key]), unique=True)))
    return State(key, chains, ahead, behind, wanted)
