"""One packet as a rule sees it, and the connection that it belongs to. Frozen; changed by making another."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, NamedTuple

from dmsfw.errors import InvalidValue
from dmsfw.model import MAX_PORT, Version, version_of

Address = IPv4Address | IPv6Address
Family = Version
State = Literal["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"]

STATES: tuple[State, ...] = ("NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED")

MAX_DEVICE_NAME = 15
"""IFNAMSIZ - 1 (linux/if.h)."""

MAX_MARK = 0xFFFFFFFF

NUMBERS = {
    "icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "dccp": 33, "gre": 47, "esp": 50, "ah": 51, "icmpv6": 58, "sctp": 132,
    "udplite": 136,
}  # fmt: skip
"""Protocol numbers of IANA, by the names that iptables and people write."""

NAMES = {number: name for name, number in NUMBERS.items()}

ALIASES = {"ipv6-icmp": "icmpv6", "icmp6": "icmpv6", "ipv6-esp": "esp", "ipv6-auth": "ah"}

WITH_PORTS = frozenset({"tcp", "udp", "udplite", "sctp", "dccp"})

EPHEMERAL = (32768, 60999)
"""Where a client's own port lies when it is not known: net.ipv4.ip_local_port_range, as Linux has it by default."""

ECHO_REQUEST = {4: (8, 0), 6: (128, 0)}


class Ends(NamedTuple):
    """Source and destination of a packet. A port that is not known, or does not exist, is None."""

    src: Address
    sport: int | None
    dst: Address
    dport: int | None

    def turned(self) -> Ends:
        """The same seen from the other side."""
        return Ends(self.dst, self.dport, self.src, self.sport)


@dataclass(frozen=True, slots=True)
class Connection:
    """What the kernel's connection tracking holds; None where it is not known.

    `original` are the ends of the first packet as it arrived, `reply` those of an answer as it arrives. They differ by
    more than the turn when addresses are translated. `nat` holds SNAT and DNAT as far as they are done. `proto` is that
    of the connection: a RELATED error message has one of its own. `masqueraded`: the device for whose address it was.
    `settled`: sides (SNAT, DNAT) that a rule has decided about, perhaps to leave them as they are: no other is asked.
    """

    proto: str | None = None
    direction: Literal["original", "reply"] | None = None
    original: Ends | None = None
    reply: Ends | None = None
    nat: frozenset[str] | None = None
    mark: int | None = None
    masqueraded: str = ""
    settled: frozenset[str] = frozenset()


FRESH = Connection(direction="original", nat=frozenset(), mark=0)
"""That of a first packet."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet. Raises: InvalidValue for one that cannot be.

    - `proto`: one of NUMBERS, or a number in digits.
    - `in_device`, `out_device`: empty for none, or where the routing is to decide.
    - `sport`, `dport`: None for one of a client's choice (EPHEMERAL). `icmp`: type and code; None: an echo request.
    - `flags`: those of TCP that are set; empty: those that fit the state.
    - `mac`: the sender's; empty: not known.
    - `physdev`: the bridge port that it came in by, "" for none; None: not known.
    - `unknown`: fields whose value only stands for one that is not known (src, dst, sport, dport, mark).
    - `to_host`: a REDIRECT has made it the host's.
    - `changed_sets`: those of nftables that rules on its way have put something into, or taken it out of.
    """

    src: Address
    dst: Address
    proto: str
    in_device: str = ""
    out_device: str = ""
    sport: int | None = None
    dport: int | None = None
    icmp: tuple[int, int] | None = None
    ctstate: State = "NEW"
    mark: int = 0
    flags: frozenset[str] = frozenset()
    mac: str = ""
    physdev: str | None = None
    connection: Connection = field(default_factory=Connection)
    unknown: frozenset[str] = frozenset()
    to_host: bool = False
    changed_sets: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.src.version != self.dst.version:
            raise InvalidValue("destination", str(self.dst), f"an IPv{self.src.version} address, as the source is")
        if self.ctstate not in STATES:
            raise InvalidValue("state", self.ctstate, ", ".join(STATES))
        if not 0 <= self.mark <= MAX_MARK:
            raise InvalidValue("mark", str(self.mark), "0 to 0xffffffff")
        for device in (self.in_device, self.out_device):
            _check_device(device)
        self._check_protocol()
        if self.ctstate == "NEW" and self.connection == Connection():
            object.__setattr__(self, "connection", FRESH)

    def __hash__(self) -> int:
        """Of what tells a packet's forms on its way apart.

        Of all fields it would take twenty times as long, and it is asked for at every rule.
        """
        return hash((self.mark, self.sport, self.dport, self.in_device, self.out_device, self.ctstate))

    def _check_protocol(self) -> None:
        proto = protocol(self.proto)
        object.__setattr__(self, "proto", proto)
        for port in (self.sport, self.dport):
            if port is not None and (proto not in WITH_PORTS or not 0 <= port <= MAX_PORT):
                raise InvalidValue("port", str(port), f"0 to {MAX_PORT}, and none with {proto}")
        is_icmp = proto in {"icmp", "icmpv6"}
        if self.icmp is None and is_icmp:
            object.__setattr__(self, "icmp", ECHO_REQUEST[self.family])
        if self.icmp is not None and not is_icmp:
            raise InvalidValue("icmp type", str(self.icmp), f"none with {proto}")

    @property
    def family(self) -> Family:
        """4 or 6."""
        return version_of(self.src)

    @property
    def number(self) -> int:
        """The protocol's number."""
        return NUMBERS[self.proto] if self.proto in NUMBERS else int(self.proto)

    @property
    def ends(self) -> Ends:
        """Where it comes from and goes to, now."""
        return Ends(self.src, self.sport, self.dst, self.dport)

    @property
    def tcp_flags(self) -> frozenset[str]:
        """Its flags: as said, or those of a packet in its state."""
        return self.flags or frozenset({"SYN"} if self.ctstate == "NEW" else {"ACK"})

    def sent_to(self, dst: Address, dport: int | None) -> Packet:
        """The same to another destination."""
        return replace(self, dst=dst, dport=dport)

    def sent_from(self, src: Address, sport: int | None) -> Packet:
        """The same from another source."""
        return replace(self, src=src, sport=sport)

    def known(self, *fields: str) -> Packet:
        """The same with these fields known."""
        return replace(self, unknown=self.unknown - set(fields))

    def not_known(self, *fields: str) -> Packet:
        """The same with these fields no longer known."""
        return replace(self, unknown=self.unknown | set(fields))


def protocol(text: str) -> str:
    """The protocol that a name or number means. Raises: InvalidValue."""
    name = ALIASES.get(text.lower(), text.lower())
    if name in NUMBERS:
        return name
    if not name.isascii() or not name.isdecimal() or int(name) > 255:  # noqa: PLR2004 - a byte
        raise InvalidValue("protocol", text, ", ".join(NUMBERS) + ", or a number from 0 to 255")
    return NAMES.get(int(name), str(int(name)))


def _check_device(name: str) -> None:
    """Whatever the kernel may call a device is asked about, not only what dmsfw would put into a rule."""
    if len(name.encode(errors="replace")) > MAX_DEVICE_NAME or not name.isprintable() or "/" in name or " " in name:
        raise InvalidValue("device", name, f"at most {MAX_DEVICE_NAME} bytes that can be seen, without / and spaces")
