"""Rulesets by chance: what iptables-legacy-restore takes, of all matches and targets that this kernel has.

Jumps lead to later chains only, and a chain of a user's belongs to one hook: the kernel refuses loops, and matches and
targets where they have no place. How it refuses is none of our business here: every ruleset loads.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from tests.contract.tracing.chance import Chance
from tests.contract.tracing.pools import (
    ADDRESSES,
    COMMENTS,
    CT_STATES,
    DESTINATIONS,
    DEVICES,
    FLAGS,
    HARMLESS,
    HOOKS,
    LISTS,
    MARKINGS,
    MARKS,
    NETMAPS,
    PORTED,
    PORTS,
    PROTOCOLS,
    RANGES,
    REFUSALS,
    REFUSED,
    SOURCES,
    STATES,
    STATUSES,
    TYPES,
    UNKNOWN,
    WEIGHTS,
)

Family = int


class Place(NamedTuple):
    """The chain that a rule is made for. `later`: the chains that it may lead to."""

    table: str
    hook: str
    chain: str
    later: tuple[str, ...]

    @property
    def sees_in(self) -> bool:
        return self.chain != "POSTROUTING"

    @property
    def sees_out(self) -> bool:
        return self.chain not in {"PREROUTING", "INPUT"}


class Generator(Chance):
    """One ruleset of one family after another, from one source of chance.

    `distinct`: no rule has one match twice. iptables-nft-save 1.8.9 prints only the last of two `-m udp`.
    """

    def __init__(self, random: Random, family: int, *, distinct: bool = False) -> None:
        self._distinct = distinct
        super().__init__(random)
        self._family = family

    def ruleset(self) -> str:
        """A text for iptables-legacy-restore."""
        lines = []
        for table, weight in WEIGHTS.items():
            lines += self._table(table, used=self._chance(weight))
        return "\n".join(lines) + "\n"

    def _table(self, table: str, *, used: bool) -> list[str]:
        chains = dict.fromkeys(HOOKS[table], "ACCEPT")
        rules: list[str] = []
        for hook in HOOKS[table] if used else ():
            if self._chance(0.2):
                continue
            chains[hook] = "DROP" if table != "nat" and self._chance(0.1) else "ACCEPT"
            users = [f"{hook[:4]}-{n}" for n in range(self._number(0, 3))]
            chains.update(dict.fromkeys(users, "-"))
            for at, chain in enumerate((hook, *users)):
                place = Place(table, hook, chain, tuple(users[at:]))
                rules += [self._rule(place) for _ in range(self._number(0, 4))]
        if table == "raw":
            chains["OUTPUT"] = "DROP"  # what the router sends of itself would meet POSTROUTING
            rules += REFUSED[self._family]
        return [f"*{table}", *(f":{chain} {policy} [0:0]" for chain, policy in chains.items()), *rules, "COMMIT"]

    def _rule(self, place: Place) -> str:
        """A rule: a protocol perhaps, a few matches, a target. Many match much, so that packets come far."""
        proto = self._one(("", "", "tcp", "tcp", "udp", "icmp", "other"))
        words = [f"-A {place.chain}"]
        if self._chance(0.25):
            words.append(self._not(f"-s {self._one(ADDRESSES[self._family])}"))
        if self._chance(0.25):
            words.append(self._not(f"-d {self._one(ADDRESSES[self._family])}"))
        if place.sees_in and self._chance(0.2):
            words.append(self._not(f"-i {self._one(DEVICES)}", "+"))
        if place.sees_out and self._chance(0.2):
            words.append(self._not(f"-o {self._one(DEVICES)}", "+"))
        words += self._protocol(proto)
        if self._family == 4 and self._chance(0.03):
            words.append(self._not("-f"))
        for _ in range(self._number(0, 2)):
            match = self._one(EXTENSIONS)(self, place, proto)
            if not self._distinct or not set(match.split()[1:2]) & set(" ".join(words).split()):
                words.append(match)
        if self._chance(0.15):
            words.append(f"-m comment --comment {self._one(COMMENTS)}")
        target = self._target(place, proto)
        return " ".join(word for word in (*words, target) if word)

    def _protocol(self, proto: str) -> list[str]:
        if proto == "icmp":
            return ["-p icmp" if self._family == 4 else "-p ipv6-icmp"]
        if proto == "other":
            return [f"-p {one}" if one[0] != "!" else f"! -p {one[2:]}" for one in (self._one(PROTOCOLS),)]
        return [f"-p {proto}"] if proto else []

    # Matches: a text, or none where it has no place.

    def _ports(self, _: Place, proto: str) -> str:
        if proto not in PORTED:
            return ""
        return f"-m {proto} " + self._not(
            f"{self._one(('--dport', '--dport', '--sport'))} {self._one(PORTS)}", "0:65535"
        )

    def _multiport(self, _: Place, proto: str) -> str:
        if proto not in PORTED:
            return ""
        option = self._one(("--dports", "--dports", "--sports", "--ports"))
        return "-m multiport " + self._not(f"{option} {self._one(LISTS)}")

    def _flags(self, _: Place, proto: str) -> str:
        return "-m tcp " + self._not(f"--tcp-flags {self._one(FLAGS)}") if proto == "tcp" else ""

    def _type(self, _: Place, proto: str) -> str:
        if proto != "icmp":
            return ""
        kind = self._one(TYPES[self._family])
        return (
            f"-m icmp {self._not(f'--icmp-type {kind}', '255')}"
            if self._family == 4
            else f"-m icmp6 {self._not(f'--icmpv6-type {kind}')}"
        )

    def _state(self, _: Place, __: str) -> str:
        if self._chance(0.3):
            return "-m state " + self._not(f"--state {self._one(STATES)}")
        return "-m conntrack " + self._not(f"--ctstate {self._one(CT_STATES)}")

    def _tracking(self, _: Place, __: str) -> str:
        asked = self._one((
            f"--ctproto {self._one(('tcp', 'udp', '1'))}",
            f"--ctorigsrc {self._one(ADDRESSES[self._family])}",
            f"--ctorigdst {self._one(ADDRESSES[self._family])}",
            f"--ctreplsrc {self._one(ADDRESSES[self._family])}",
            f"--ctrepldst {self._one(ADDRESSES[self._family])}",
            f"--ctorigdstport {self._one(('25', '465', '1:1000'))}",
            f"--ctreplsrcport {self._one(('25', '465', '1:1000'))}",
            f"--ctstatus {self._one(STATUSES)}",
            "--ctexpire 0:100000",
        ))  # fmt: skip
        if self._chance(0.15):
            return f"-m conntrack --ctdir {self._one(('ORIGINAL', 'REPLY'))}"
        state = f" --ctstate {self._one(CT_STATES)}" if self._chance(0.3) else ""
        return f"-m conntrack{state} {self._not(asked)}"

    def _mark(self, _: Place, __: str) -> str:
        return f"-m {self._one(('mark', 'connmark'))} " + self._not(f"--mark {self._one(MARKS)}")

    def _range(self, _: Place, __: str) -> str:
        return "-m iprange " + self._not(
            f"{self._one(('--src-range', '--dst-range'))} {self._one(RANGES[self._family])}"
        )

    def _addrtype(self, place: Place, __: str) -> str:
        kinds = ("LOCAL", "UNICAST", "MULTICAST", "BROADCAST", "LOCAL,BROADCAST")
        kind = self._one(kinds if self._family == 4 else kinds[:3])
        limit = " --limit-iface-in" if self._family == 4 and place.hook == "PREROUTING" and self._chance(0.2) else ""
        return "-m addrtype " + self._not(f"{self._one(('--dst-type', '--src-type'))} {kind}") + limit

    def _physdev(self, place: Place, __: str) -> str:
        if place.hook == "POSTROUTING":
            return ""
        asked = self._one(("--physdev-in port0", "--physdev-in po+", "--physdev-in eth0", "--physdev-is-in",
                           "--physdev-is-bridged"))  # fmt: skip
        return "-m physdev " + self._not(asked)

    def _mac(self, place: Place, __: str) -> str:
        if place.hook == "POSTROUTING":
            return ""
        return "-m mac " + self._not(f"--mac-source {self._one(('02:00:00:00:00:02', '02:00:00:00:00:03'))}")

    def _pkttype(self, _: Place, __: str) -> str:
        return "-m pkttype " + self._not(f"--pkt-type {self._one(('unicast', 'broadcast', 'multicast'))}")

    def _assumed(self, _: Place, __: str) -> str:
        return self._one((
            "-m limit --limit 10000/sec --limit-burst 10000",
            "-m statistic --mode random --probability 1.0",
            "-m statistic --mode nth --every 1 --packet 0",
        ))  # fmt: skip

    def _unknown(self, _: Place, __: str) -> str:
        return self._one(UNKNOWN) if self._chance(0.4) else ""

    # Targets.

    def _target(self, place: Place, proto: str) -> str:
        if place.later[1 if place.chain != place.hook else 0 :] and self._chance(0.35):
            later = place.later[1:] if place.chain != place.hook else place.later
            return f"{self._one(('-j', '-j', '-j', '-g'))} {self._one(later)}"
        return self._one(TARGETS)(self, place, proto)

    def _ends(self, place: Place, _: str) -> str:
        ends = ("ACCEPT", "ACCEPT", "RETURN", *(["DROP"] if place.table != "nat" else []))
        return f"-j {self._one(ends)}"

    def _nothing(self, _: Place, __: str) -> str:
        return self._one(("", "", "-j LOG --log-prefix x", "-j NFLOG --nflog-group 5"))

    def _own(self, place: Place, proto: str) -> str:
        """A target of the table's own."""
        found: str = getattr(self, f"_of_{place.table}")(place, proto)
        return f"-j {found}" if found else ""

    def _of_raw(self, _: Place, __: str) -> str:
        return self._one(("CT --notrack", "ACCEPT", ""))

    def _of_mangle(self, place: Place, proto: str) -> str:
        if self._chance(0.15):
            return self._one(HARMLESS[self._family])
        if place.hook == "PREROUTING" and proto in {"tcp", "udp"} and self._chance(0.1):
            return (
                "TPROXY --on-port 4000 --on-ip 0.0.0.0 --tproxy-mark 0x1/0x1"
                if self._family == 4
                else "TPROXY --on-port 4000 --on-ip :: --tproxy-mark 0x1/0x1"
            )
        if self._chance(0.04):
            return "NFQUEUE --queue-num 7 --queue-bypass"
        return self._one(MARKINGS)

    def _of_filter(self, _: Place, proto: str) -> str:
        if proto == "tcp" and self._chance(0.5):
            return "REJECT --reject-with tcp-reset"
        return f"REJECT --reject-with {self._one(REFUSALS[self._family])}"

    def _of_security(self, _: Place, __: str) -> str:
        return self._one(("ACCEPT", "DROP"))

    def _of_nat(self, place: Place, proto: str) -> str:
        ported = proto in PORTED
        if place.hook == "PREROUTING":
            kinds: tuple[str, ...] = ("DNAT", "DNAT", "REDIRECT", "NETMAP")
        else:
            kinds = ("SNAT", "MASQUERADE", "MASQUERADE", "NETMAP") if place.hook == "POSTROUTING" else ("SNAT",)
        kind = self._one(kinds)
        if kind == "NETMAP":
            return f"NETMAP --to {self._one(NETMAPS[self._family])}"
        if kind in {"REDIRECT", "MASQUERADE"}:
            ports = self._one(("", "8080", "8000-8009", "1024-65535")) if ported else ""
            return kind + (f" --to-ports {ports}" if ports else "")
        option, pool = ("--to-destination", DESTINATIONS) if kind == "DNAT" else ("--to-source", SOURCES)
        address = self._one(pool[self._family])
        port = self._one(("", "", ":8080", ":25", ":400-500")) if ported else ""
        return f"{kind} {option} {f'[{address}]' if port and self._family == 6 else address}{port}"

    # Chance.

    def _not(self, text: str, always: str = "\0") -> str:
        """Sometimes the opposite; not of what always matches, which iptables refuses."""
        _, _, word = text.rpartition(" ")
        return f"! {text}" if word != always and self._chance(0.2) else text


EXTENSIONS = (
    Generator._ports, Generator._ports, Generator._multiport, Generator._flags, Generator._type, Generator._type,
    Generator._state, Generator._state, Generator._tracking, Generator._mark, Generator._range, Generator._addrtype,
    Generator._physdev, Generator._mac, Generator._pkttype, Generator._assumed, Generator._unknown,
)  # fmt: skip
TARGETS = (Generator._ends, Generator._ends, Generator._nothing, Generator._own, Generator._own)
