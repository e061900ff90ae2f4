"""Rulesets of nftables by chance, in nft's own tongue, of all that the model follows and some that it does not.

Jumps lead to later chains only, and a chain belongs to one base chain: what has no place on a hook is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from tests.contract.tracing import nft_pools as pools
from tests.contract.tracing.chance import Chance


class Place(NamedTuple):
    """The chain that a rule is made for. `later`: the chains that it may lead to."""

    hook: str
    kind: str
    priority: int
    later: tuple[str, ...]


class NftGenerator(Chance):
    """One ruleset of one family of packets, from one source of chance.

    `beside`: tables of iptables are there too; which of two with one priority is asked first cannot be seen.
    """

    def __init__(self, random: Random, family: int, *, beside: bool = False) -> None:
        self._taken = pools.OF_IPTABLES if beside else frozenset()
        super().__init__(random)
        self._six = family == 6
        self._family = family
        self._ip = "ip6" if self._six else "ip"
        self._inet = True

    def ruleset(self) -> str:
        """A text for `nft -f`."""
        names = [f"t{n}" for n in range(self._number(1, 2))]
        return "".join(self._table(name) for name in names)

    def _table(self, name: str) -> str:
        self._inet = self._chance(0.75)
        lines = [f"table {'inet' if self._inet else self._ip} {name} {{", *self._sets()]
        for number in range(self._number(2, 6)):
            lines += self._base(number)
        return "\n".join([*lines, "}", ""])

    def _sets(self) -> list[str]:
        return [
            f"set addresses {{ type {self._address_type}; flags interval; {self._elements(self._some_addresses())} }}",
            f"set ports {{ type inet_service; flags interval; {self._elements(self._some(pools.PORTS))} }}",
            f"set names {{ type ifname; {self._elements(self._some(pools.NAMES, quoted=True))} }}",
            f"set grants {{ type {self._grant_type}; flags interval; {self._elements(self._grants())} }}",
        ]

    @property
    def _address_type(self) -> str:
        return "ipv6_addr" if self._six else "ipv4_addr"

    @property
    def _grant_type(self) -> str:
        return f"ifname . {self._address_type} . inet_proto . inet_service"

    def _elements(self, among: Sequence[str]) -> str:
        marked = [f'{one} comment "dmsfw:{at} it"' if self._chance(0.5) else one for at, one in enumerate(among)]
        return f"elements = {{ {', '.join(marked)} }}"

    def _some_addresses(self) -> list[str]:
        return self._some(pools.APART[self._family])

    def _grants(self) -> list[str]:
        return [
            " . ".join((f'"{device}"', address, self._one(("tcp", "udp")), self._one(pools.PORTS)))
            for device in self._some(("br-lan", "wan0", "wan1"))
            for address in self._some_addresses()
        ]

    def _base(self, number: int) -> list[str]:
        hook = self._one(("prerouting", "prerouting", "input", "forward", "forward", "forward", "postrouting"))
        kind = "nat" if hook != "forward" and self._chance(0.5) else "filter"
        priority = self._one([one for one in pools.PRIORITIES[kind, hook] if one not in self._taken])
        policy = "drop" if kind == "filter" and self._chance(0.1) else "accept"
        users = [f"u{number}-{n}" for n in range(self._number(0, 3))]
        lines = []
        for at, user in reversed(list(enumerate(users))):
            place = Place(hook, kind, priority, tuple(users[at + 1 :]))
            lines += [f"chain {user} {{", *self._rules(place), "}"]
        place = Place(hook, kind, priority, tuple(users))
        head = f"type {kind} hook {hook} priority {priority}; policy {policy};"
        return [*lines, f"chain b{number} {{", head, *self._rules(place), "}"]

    def _rules(self, place: Place) -> list[str]:
        return [self._rule(place) for _ in range(self._number(0, 4))]

    def _rule(self, place: Place) -> str:
        """A transport perhaps, a few matches, a counter, and what is done."""
        proto = self._one(("", "", "tcp", "tcp", "udp", "icmp"))
        words = _as_listed([self._match(place, proto) for _ in range(self._number(0, 2))])
        words.append({"": "", "icmp": self._icmp()}.get(proto, f"meta l4proto {proto}"))
        words += [self._ports(proto)] if proto in {"tcp", "udp"} and self._chance(0.5) else []
        words += [self._flags()] if proto == "tcp" and self._chance(0.15) else []
        done = self._done(place, proto)
        words.append("counter")
        comment = f'comment "{self._one(pools.COMMENTS)}"' if self._chance(0.2) else ""
        return " ".join(filter(None, (*words, done, comment)))

    # Matches.

    def _match(self, place: Place, proto: str) -> str:
        kind = self._one(pools.MATCHES)
        found: str = getattr(self, f"_{kind}")(place, proto)
        return "" if proto and any(word in found for word in pools.TRANSPORT) else found

    def _device(self, place: Place, _: str) -> str:
        ways = [way for way, hooks in pools.SEEN.items() if place.hook in hooks]
        way = self._one(ways)
        if self._chance(0.3):
            return f"{way[0]}if {self._not()}{self._one(('br-lan', 'wan0', 'wan1', 'lo'))}"
        value = f'"{self._one(pools.NAMES + pools.PATTERNS)}"'
        if self._chance(0.3):
            value = self._one(("@names", '{ "br-lan", "wan1" }', '{ "br*", "wan0" }'))
        return f"{way[0]}ifname {self._not()}{value}"

    def _address(self, _: Place, __: str) -> str:
        end = f"{self._ip} {self._one(('saddr', 'daddr'))}"
        if self._chance(0.15):
            mask, value = self._one(pools.MASKS[self._family])
            return f"{end} & {mask} {self._one(('==', '!='))} {value}"
        value = self._one(("@addresses", f"{{ {', '.join(self._some_addresses())} }}", *pools.ADDRESSES[self._family]))
        return f"{end} {self._not()}{value}"

    def _protocol(self, _: Place, __: str) -> str:
        field = self._one(("meta l4proto", "ip6 nexthdr" if self._six else "ip protocol"))
        return f"{field} {self._not()}{self._one(('tcp', 'udp', '{ tcp, udp }', '{ udp, sctp, gre }', '47'))}"

    def _family_of(self, _: Place, __: str) -> str:
        if not self._inet:
            return ""
        return self._one(("meta nfproto ipv4", "meta nfproto ipv6", "meta protocol ip", "meta nfproto != ipv4"))

    def _ports(self, proto: str) -> str:
        end = f"{self._one((proto, 'th'))} {self._one(('dport', 'dport', 'sport'))}"
        if self._chance(0.2):
            return f"{end} {self._one(('<', '<=', '>', '>='))} {self._one((25, 465, 1024))}"
        value = self._one(("@ports", "{ 25, 465 }", "{ 53, 400-500 }", *pools.PORTS))
        return f"{end} {self._not()}{value}"

    def _flags(self) -> str:
        return f"tcp flags {self._one(pools.FLAGS)}"

    def _icmp(self) -> str:
        return self._one(pools.ICMP[self._family])

    def _state(self, _: Place, __: str) -> str:
        return f"ct state {self._one(pools.STATES)}"

    def _tracking(self, _: Place, __: str) -> str:
        end = self._one(("saddr", "daddr"))
        of_ends = f"ct {self._one(('original', 'reply'))} {self._ip} {end} {self._one(pools.ADDRESSES[self._family])}"
        return self._one((*pools.TRACKING, of_ends, of_ends))

    def _mark(self, _: Place, __: str) -> str:
        return f"{self._one(('meta mark', 'ct mark'))} {self._one(pools.MARKS)}"

    def _concat(self, place: Place, _: str) -> str:
        if place.hook == "postrouting" and self._chance(0.5):
            return f"oifname . {self._ip} daddr . meta l4proto . th dport @grants"
        if self._chance(0.5):
            return f"iifname . {self._ip} saddr . meta l4proto . th dport @grants"
        pairs = [f"{address} . {self._one(pools.PORTS)}" for address in self._some_addresses()]
        return f"{self._ip} daddr . th dport {self._not()}{{ {', '.join(pairs)} }}"

    def _fib(self, place: Place, __: str) -> str:
        end = "saddr" if place.hook == "postrouting" else self._one(("saddr", "daddr"))
        return f"fib {end} type {self._not()}{self._one(('local', 'unicast', 'multicast', 'broadcast'))}"

    def _other(self, _: Place, __: str) -> str:
        return self._one(pools.OTHERS)

    def _assumed(self, _: Place, __: str) -> str:
        return "limit rate 10000/second burst 10000 packets"

    # What is done.

    def _done(self, place: Place, proto: str) -> str:
        """Words behind the counter."""
        if place.later and self._chance(0.3):
            return f"{self._one(('jump', 'jump', 'jump', 'goto'))} {self._one(place.later)}"
        if self._chance(0.15):
            return self._vmap(place)
        if place.kind == "nat" and self._chance(0.6):
            return self._translation(place, proto)
        return self._one((self._verdict, self._verdict, self._change, self._change, self._refusal))(place, proto)

    def _verdict(self, place: Place, _: str) -> str:
        ends = ("accept", "accept", "return", "continue", "", *(["drop"] if place.kind == "filter" else []))
        return self._one(ends)

    def _refusal(self, place: Place, proto: str) -> str:
        if place.hook not in {"input", "forward"} or place.kind == "nat":
            return ""
        if proto == "tcp" and self._chance(0.5):
            return "reject with tcp reset"
        icmp = "icmpv6" if self._six else "icmp"
        return self._one(("reject", f"reject with {icmp} type admin-prohibited" if not self._inet else "reject"))

    def _change(self, place: Place, _: str) -> str:
        if place.priority < -200:
            return self._one(("notrack", "meta mark set 0x1"))
        end = self._one(("", "", "accept", "return"))
        return f"{self._one(pools.CHANGES)} {end}".strip()

    def _vmap(self, place: Place) -> str:
        ends = ["accept", "return", "continue", *(["drop"] if place.kind == "filter" else [])]
        ends += [f"{self._one(('jump', 'goto'))} {later}" for later in place.later]
        keys = self._one((
            ("ct state", ("new", "established", "related", "invalid", "untracked")),
            (f"{self._ip} saddr", tuple(self._some_addresses())),
            ("meta l4proto", ("tcp", "udp", "47", "132")),
            ("meta mark", ("0x0", "0x1", "0x10")),
            ("iifname", ('"br-lan"', '"wan0"', '"wan*"')[: self._number(1, 2)]),
        ))  # fmt: skip
        pairs = [f"{key} : {self._one(ends)}" for key in self._some(keys[1])]
        return f"{keys[0]} vmap {{ {', '.join(pairs)} }}"

    def _translation(self, place: Place, proto: str) -> str:
        """A translation of the hook's own."""
        ported = proto in {"tcp", "udp"}
        kinds = {"prerouting": ("dnat", "dnat", "redirect"), "postrouting": ("snat", "masquerade", "masquerade")}
        kind = self._one(kinds.get(place.hook, ("snat",)))
        if kind in {"redirect", "masquerade"}:
            ports = self._one(("", "8080", "8000-8009", "1024-65535")) if ported else ""
            return kind + (f" to :{ports}" if ports else "")
        address = self._one((pools.DESTINATIONS if kind == "dnat" else pools.SOURCES)[self._family])
        port = self._one(("", "", ":8080", ":25", ":400-500")) if ported and not (self._six and "-" in address) else ""
        where = f"[{address}]" if port and self._six else address
        return f"{kind} {self._ip + ' ' if self._inet else ''}to {where}{port}"

    # Chance.

    def _not(self) -> str:
        return "!= " if self._chance(0.2) else ""

    def _some(self, among: Sequence[str], *, quoted: bool = False) -> list[str]:
        found = self._random.sample(list(among), self._number(1, min(4, len(among))))
        return [f'"{one}"' for one in found] if quoted else found


def _as_listed(words: list[str]) -> list[str]:
    """What nft 1.0.6 lists: no protocol ahead of `th`, nor a family ahead of a `ct protocol`."""
    hidden = ["ct protocol", "ip protocol", "ip6 nexthdr"] if any(" th " in f" {word}" for word in words) else []
    if any(word.startswith("ct protocol") for word in words):
        hidden += ["meta protocol", "meta nfproto"]
    return [word for word in words if not word.startswith(tuple(hidden))]
