"""The routing decision, as `ip route get` tells it: in plain text, which every `ip` prints, busybox's too."""

from __future__ import annotations

from dmsfw.trace.hops import behind, gateway, with_hops
from dmsfw.trace.host import Route
from dmsfw.trace.packet import Packet
from dmsfw.trace.shell import Said, Shell

TO_MANY = frozenset({"broadcast", "multicast"})
LOCAL = frozenset({"local", "anycast", *TO_MANY})
NOWHERE = frozenset({"unreachable", "blackhole", "prohibit", "throw"})
TAKES_PORTS = frozenset({"tcp", "udp"})
KERNEL_SAYS = "RTNETLINK answers: "


def ask(shell: Shell, packet: Packet) -> Route:
    """Ask for the packet's way. An old `ip` that does not know of ports is asked without them."""
    command = ("ip", f"-{packet.family}", "route", "get")
    question = [str(packet.dst), "from", str(packet.src)]
    question += ["iif", packet.in_device] if packet.in_device else []
    question += ["mark", f"0x{packet.mark:x}"] if packet.mark else []
    ports = _ports(packet)
    said = shell.run(*command, *question, *ports)
    if ports and said.code not in {0, None} and KERNEL_SAYS not in said.err:
        said, ports = shell.run(*command, *question), []
    route = read(said)
    return with_hops(route, packet, [*question, *ports], shell) if route.kind == "forward" else route


def _sent_by(words: list[str]) -> str:
    """What is for many leaves by a device as well, unless that is lo."""
    device = behind(words, "dev")
    return device if words[0] in TO_MANY and device != "lo" else ""


def _ports(packet: Packet) -> list[str]:
    if packet.proto not in TAKES_PORTS:
        return []
    ports = [("sport", packet.sport), ("dport", packet.dport)]
    return ["ipproto", packet.proto, *(word for name, port in ports if port for word in (name, str(port)))]


def read(said: Said) -> Route:
    """What `ip route get` says of a way, or that there is none (the kernel's words), or that it cannot be asked."""
    line = " ".join(said.out.split())
    words = line.split()
    if said.code == 0 and words:
        if words[0] in NOWHERE:
            return Route("none", text=line)
        if words[0] in LOCAL:
            return Route("local", _sent_by(words), text=line)
        if device := behind(words, "dev"):
            return Route("forward", device, gateway(words), line)
    if KERNEL_SAYS in said.err:
        return Route("none", text=said.complaint.removeprefix(KERNEL_SAYS))
    return Route("unknown", text=said.complaint or "ip route get gives no answer")
