"""Targets that translate addresses. What is read of the kernel's: net/netfilter/nf_nat_core.c and its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Literal, NamedTuple

from dmsfw.trace.effect import Effect, Kind
from dmsfw.trace.packet import WITH_PORTS, Address, Packet
from dmsfw.trace.scene import Scene
from dmsfw.trace.tracked import TO_OTHERS

Side = Literal["SNAT", "DNAT"]

LOOPBACK: dict[int, Address] = {4: ip_address("127.0.0.1"), 6: ip_address("::1")}
"""Where REDIRECT sends what the host itself sends (nf_nat_redirect)."""


class Wanted(NamedTuple):
    """What to translate to; None: what it has. A range: the kernel chooses, and what is used stands for it."""

    first: Address | None = None
    last: Address | None = None
    ports: tuple[int, int] | None = None
    random: bool = False


def translated(packet: Packet, side: Side, wanted: Wanted) -> Packet:
    """The packet with another source or destination. Its connection counts as translated if that changes anything."""
    old, port = (packet.src, packet.sport) if side == "SNAT" else (packet.dst, packet.dport)
    address = wanted.first or old
    new_port, known = _port(port, packet, wanted)
    changed = packet.sent_from(address, new_port) if side == "SNAT" else packet.sent_to(address, new_port)
    fields = ("src", "sport") if side == "SNAT" else ("dst", "dport")
    if wanted.first is not None:
        changed = changed.known(fields[0]) if wanted.last in {None, wanted.first} else changed.not_known(fields[0])
    if new_port is not None or not known:
        changed = changed.known(fields[1]) if known else changed.not_known(fields[1])
    connection = replace(packet.connection, settled=packet.connection.settled | {side})
    if changed != packet:
        connection = replace(connection, nat=(packet.connection.nat or frozenset()) | {side})
    return replace(changed, connection=connection)


def _port(port: int | None, packet: Packet, wanted: Wanted) -> tuple[int | None, bool]:
    """The port then, and whether it is known. One that lies in the wanted range is kept (get_unique_tuple)."""
    if packet.proto not in WITH_PORTS:
        return port, True
    if wanted.random:
        return port, False
    if wanted.ports is None:
        return port, True
    low, high = wanted.ports
    if low == high:
        return low, True
    return (port, True) if port is not None and low <= port <= high else (low, False)


def read_wanted(options: Sequence[str], name: str) -> Wanted:
    """Read `--to-destination 10.0.0.1-10.0.0.9:80-90 --random`. Raises: ValueError, IndexError."""
    wanted = Wanted()
    at = 0
    while at < len(options):
        if options[at] == name:
            wanted = _ends(options[at + 1])
            at += 2
        elif options[at] in {"--random", "--random-fully", "--persistent"}:
            wanted = wanted._replace(random=wanted.random or options[at] != "--persistent")
            at += 1
        else:
            raise ValueError(f"{options[at]} is not known")
    return wanted


def _ends(text: str) -> Wanted:
    addresses, ports = text, ""
    if text.startswith("["):
        addresses, _, ports = text[1:].partition("]")
        ports = ports.removeprefix(":")
    elif text.count(":") == 1:
        addresses, _, ports = text.partition(":")
    first, _, last = addresses.partition("-")
    start = ip_address(first) if first else None
    return Wanted(start, ip_address(last) if last else start, read_ports(ports) if ports else None)


def read_ports(text: str) -> tuple[int, int]:
    """Read `80` or `80-90`; what follows a slash is where the kernel begins. Raises: ValueError."""
    first, _, last = text.partition("/")[0].partition("-")
    return int(first), int(last or first)


def _done(packet: Packet, does: str, why: str = "") -> tuple[Effect, ...]:
    return (Effect(Kind.ACCEPTED, packet, does, why),)


def _where(address: Address | None, ports: tuple[int, int] | None) -> str:
    port = "" if ports is None else f" port {ports[0]}" + (f"-{ports[1]}" if ports[0] != ports[1] else "")
    return f"{address or ''}{port}".strip()


def _dnat(packet: Packet, options: Sequence[str], _: Scene) -> tuple[Effect, ...]:
    wanted = read_wanted(options, "--to-destination")
    return _chosen(packet, "DNAT", wanted, f"sends it to {_where(wanted.first, wanted.ports)}")


def _snat(packet: Packet, options: Sequence[str], _: Scene) -> tuple[Effect, ...]:
    wanted = read_wanted(options, "--to-source")
    return _chosen(packet, "SNAT", wanted, f"makes its source {_where(wanted.first, wanted.ports)}")


def _chosen(packet: Packet, side: Side, wanted: Wanted, does: str) -> tuple[Effect, ...]:
    """One effect; of several addresses the kernel may choose the one that the packet has, which translates nothing."""
    if wanted.first == wanted.last or wanted.first is None or wanted.last is None:
        return _done(translated(packet, side, wanted), does)
    why = "the kernel chooses one of several addresses"
    old = packet.src if side == "SNAT" else packet.dst
    effects = _done(translated(packet, side, wanted), does, why)
    if int(wanted.first) <= int(old) <= int(wanted.last):
        effects += _done(translated(packet, side, wanted._replace(first=old, last=old)), does, why)
    return effects


def _redirect(packet: Packet, options: Sequence[str], scene: Scene) -> tuple[Effect, ...]:
    wanted = read_wanted([], "")
    if tuple(options[:1]) == ("--to-ports",):
        wanted = Wanted(ports=read_ports(options[1]), random="--random" in options)
    elif "--random" in options:
        wanted = Wanted(random=True)
    address = LOOPBACK[packet.family] if scene.hook == "OUTPUT" else _own(packet, packet.in_device, scene)
    changed = translated(packet, "DNAT", wanted._replace(first=address, last=address))
    changed = replace(changed, to_host=True, connection=replace(changed.connection, nat=_with_dnat(changed)))
    why = ""
    if address is None:
        changed, why = changed.not_known("dst"), "the device's own address is not known"
    return _done(changed, f"turns it to this host, {_where(address, wanted.ports)}".rstrip(", "), why)


def _own(packet: Packet, device: str, scene: Scene) -> Address | None:
    """The device's own address; None where it has several, of which the kernel chooses, or none that is known."""
    found = scene.host.addresses(packet.family, device) or ()
    return found[0].ip if len(found) == 1 else None


def _with_dnat(packet: Packet) -> frozenset[str] | None:
    nat = packet.connection.nat
    return nat if "dst" not in packet.unknown else (nat or frozenset()) | {"DNAT"}


def _masquerade(packet: Packet, options: Sequence[str], scene: Scene) -> tuple[Effect, ...]:
    ports = read_ports(options[1]) if tuple(options[:1]) == ("--to-ports",) else None
    address = _own(packet, packet.out_device, scene)
    random = bool({"--random", "--random-fully"} & set(options))
    changed = translated(packet, "SNAT", Wanted(address, address, ports, random))
    if address is None:
        nat = (changed.connection.nat or frozenset()) | {"SNAT"}
        changed = replace(changed, connection=replace(changed.connection, nat=nat)).not_known("src")
    does = f"makes its source {_where(address, ports)}" if address else "makes its source the device's address"
    return _done(replace(changed, connection=replace(changed.connection, masqueraded=packet.out_device)), does)


def _netmap(packet: Packet, options: Sequence[str], scene: Scene) -> tuple[Effect, ...]:
    network = ip_network(options[1], strict=False)
    side: Side = "DNAT" if scene.hook in TO_OTHERS else "SNAT"
    old = packet.dst if side == "DNAT" else packet.src
    number = int(network.network_address) | (int(old) & int(network.hostmask))
    address = type(old)(number)
    does = f"sends it to {address}" if side == "DNAT" else f"makes its source {address}"
    return _done(translated(packet, side, Wanted(address, address)), does)


def _fullcone(packet: Packet, options: Sequence[str], scene: Scene) -> tuple[Effect, ...]:
    """A foreign target (iStoreOS): going out it masquerades; coming in it may know where to."""
    why = "FULLCONENAT is no part of the kernel: taken for a MASQUERADE"
    if scene.hook == "POSTROUTING":
        return tuple(replace(effect, why=why) for effect in _masquerade(packet, options, scene))
    why = "FULLCONENAT may know an inner host that waits for it"
    sent = replace(packet.not_known("dst", "dport"), connection=replace(packet.connection, nat=frozenset({"DNAT"})))
    return (
        Effect(Kind.CONTINUES, packet, "knows nobody who waits for it, and goes on", why),
        Effect(Kind.UNCERTAIN, sent, "may send it to an inner host", why),
    )


TRANSLATIONS: dict[str, Callable[[Packet, Sequence[str], Scene], tuple[Effect, ...]]] = {
    "DNAT": _dnat,
    "SNAT": _snat,
    "REDIRECT": _redirect,
    "MASQUERADE": _masquerade,
    "NETMAP": _netmap,
    "FULLCONENAT": _fullcone,
}
