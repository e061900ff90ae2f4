"""The next hops of a route that has several: each connection takes one of them, and `ip route get` shows but one.

`ip route get fibmatch` (iproute2 4.13) shows the route itself. What does not know the word (busybox's ip, older ones,
older kernels) refuses it or answers as without it; then the listed routes tell whether there is such a one at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_network

from dmsfw.trace.host import Hop, Route
from dmsfw.trace.packet import Packet
from dmsfw.trace.shell import Said, Shell

NOT_SHOWN = "a route there has several next hops, of which this `ip` does not show the packet's"
NOT_LISTED = "whether its route has several next hops cannot be asked"
WITHOUT_DEVICE = frozenset({"unreachable", "blackhole", "prohibit", "throw"})


def with_hops(route: Route, packet: Packet, question: Sequence[str], shell: Shell) -> Route:
    """Add to the way that `question` gave its next hops, where they are several, or what is not known of them."""
    said = shell.run("ip", f"-{packet.family}", "route", "get", "fibmatch", *question)
    if _is_understood(said, packet):
        found = tuple(dict.fromkeys(_hops(said.out)))
        return route._replace(hops=found) if len(found) > 1 else route
    listed = shell.run("ip", f"-{packet.family}", "route", "show", "table", "all")
    if listed.code != 0:
        return route._replace(doubt=NOT_LISTED)
    several = any(_has_several(lines) and _leads_to(lines[0], packet) for lines in _routes(listed.out))
    return route._replace(doubt=NOT_SHOWN) if several else route


def gateway(words: list[str]) -> str:
    """`via 192.0.2.1`, or `via inet6 fe80::1`; empty where it lies on the link."""
    found = behind(words, "via")
    return behind(words, found) if found in {"inet", "inet6"} else found


def behind(words: list[str], name: str) -> str:
    """The word behind another one; empty where that is not there."""
    return words[words.index(name) + 1] if name in words[:-1] else ""


def _is_understood(said: Said, packet: Packet) -> bool:
    """A route begins with where it leads; an answer as without the word repeats the packet's two addresses."""
    words = said.out.split()
    repeats = words[:1] == [str(packet.dst)] and behind(words, "from") == str(packet.src)
    return said.code == 0 and bool(words) and not repeats


def _hops(text: str) -> Iterator[Hop]:
    """Those that are alive."""
    for one in text.split("nexthop ")[1:]:
        words = one.split()
        if "dead" not in words and (device := behind(words, "dev")):
            yield Hop(device, gateway(words))


def _routes(text: str) -> Iterator[list[str]]:
    """Each route with the lines of its next hops, which are moved to the right."""
    found: list[str] = []
    for line in filter(str.strip, text.splitlines()):
        if found and not line[0].isspace():
            yield found
            found = []
        found.append(line)
    if found:
        yield found


def _has_several(lines: list[str]) -> bool:
    """Such a route has no device, in busybox's list, or further lines."""
    first = lines[0].split()
    return len(lines) > 1 or ("dev" not in first and first[0] not in WITHOUT_DEVICE)


def _leads_to(line: str, packet: Packet) -> bool:
    words = line.split()
    if words[0] == "default":
        return True
    try:
        return packet.dst in ip_network(words[0])
    except ValueError:  # a local or broadcast address, or a word that is not known
        return False
