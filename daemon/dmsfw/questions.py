"""Commands that answer a question and change nothing. Each returns its exit code and raises DmsfwError."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from collections.abc import Callable
from ipaddress import ip_address
from typing import TypeVar

from dmsfw.errors import InvalidValue, Unanswered, WrongUsage
from dmsfw.question_options import EXPLAIN_OPTIONS
from dmsfw.report.text import clean, colour_wanted
from dmsfw.trace import Packet, ThisHost, Way, icmp_type, trace
from dmsfw.trace import text as written
from dmsfw.trace.packet import STATES, WITH_PORTS, State, protocol

NEEDED = {"in_device": "--in", "src": "--src", "dst": "--dst"}
"""Options without which there is no packet."""

Value = TypeVar("Value")


def explain(arguments: argparse.Namespace) -> int:
    """Which rules a packet meets, and which of them decides. 0 it passes, 1 it does not, 2 that is not known."""
    if arguments.all_networks or arguments.container is not None:
        return _of_docker(arguments)
    packet = packet_of(arguments)
    _require_root()
    for device in filter(None, (packet.in_device, packet.out_device)):
        _require_device(device)
    return show(trace(packet, ThisHost()), as_json=arguments.json)


def _of_docker(arguments: argparse.Namespace) -> int:
    """The two forms that are about Docker's containers and networks. Raises: WrongUsage for a mixture."""
    given = [option for option, name, *_ in EXPLAIN_OPTIONS if getattr(arguments, name) is not None]
    if given or arguments.own or (arguments.all_networks and arguments.container is not None):
        raise WrongUsage("explain is asked by CONTAINER HOST:PORT, by a packet, or by --all-networks: one of them")
    from dmsfw import diagnosis  # noqa: PLC0415 - Docker's library takes its time, which a packet need not wait for

    if arguments.all_networks:
        return diagnosis.explain_networks(arguments)
    if arguments.target is None:
        raise WrongUsage("explain CONTAINER needs a HOST:PORT too")
    return diagnosis.explain_container(arguments)


def show(way: Way, *, as_json: bool) -> int:
    """Print a packet's way, and tell its exit code."""
    if as_json:
        print(json.dumps(way.as_dict(), indent=2))
    else:
        colour = sys.stdout.isatty() and colour_wanted()
        print("\n".join(written.render(way, colour=colour)))
    return way.exit_code


def packet_of(arguments: argparse.Namespace) -> Packet:
    """The packet that the options describe. Raises: WrongUsage."""
    missing = [option for name, option in NEEDED.items() if not getattr(arguments, name)]
    if arguments.own and arguments.in_device:
        raise WrongUsage("explain: --own is a packet that comes in by no device: leave --in away")
    if arguments.own:
        missing.remove("--in")
    if missing:
        raise WrongUsage(f"explain needs {', '.join(missing)}: which packet is it? see dmsfw explain --help")
    src = _read(ip_address, "--src", arguments.src, "an IPv4 or IPv6 address")
    dst = _read(ip_address, "--dst", arguments.dst, "an IPv4 or IPv6 address, not a name")
    proto = _proto(arguments, src.version)
    try:
        return Packet(
            *(src, dst, proto, arguments.in_device or "", arguments.out_device or ""),
            sport=_number("--sport", arguments.sport),
            dport=_number("--dport", arguments.dport),
            icmp=_icmp(arguments.icmp_type, proto),
            ctstate=_state(arguments.ctstate),
            mark=_number("--mark", arguments.mark) or 0,
        )
    except InvalidValue as error:
        raise WrongUsage(str(error)) from error


def _proto(arguments: argparse.Namespace, version: int) -> str:
    """The protocol; `icmp` means that of the packet's family. Raises: WrongUsage where a port is missing."""
    default = "tcp" if arguments.icmp_type is None else "icmp"
    proto = _read(protocol, "--proto", arguments.proto or default, "tcp, udp, icmp, icmpv6, sctp, or a number")
    if proto in WITH_PORTS and arguments.dport is None:
        raise WrongUsage(f"explain needs --dport with {proto}")
    return "icmpv6" if proto == "icmp" and version == 6 else proto  # noqa: PLR2004 - IPv6


def _icmp(text: str | None, proto: str) -> tuple[int, int] | None:
    return None if text is None else _read(lambda t: icmp_type(t, proto), "--icmp-type", text, "a type, as 8 or 3/4")


def _state(text: str | None) -> State:
    wanted = (text or "NEW").upper()
    for state in STATES:
        if state == wanted:
            return state
    raise WrongUsage(f"--ctstate {clean(text)}: one of {', '.join(STATES)}")


def _number(option: str, text: str | None) -> int | None:
    return None if text is None else _read(lambda digits: int(digits, 0), option, text, "a number")


def _read(how: Callable[[str], Value], option: str, text: str, allowed: str) -> Value:
    """Raises: WrongUsage."""
    try:
        return how(text)
    except (ValueError, InvalidValue) as error:
        raise WrongUsage(f"{option} {clean(text)}: {allowed}") from error


def _require_root() -> None:
    """Raises: Unanswered for anybody but root."""
    if os.geteuid() != 0:
        raise Unanswered("only root may read the firewall: run dmsfw as root")


def _require_device(name: str) -> None:
    """Raises: Unanswered for a device that is not there."""
    if name not in (device for _, device in socket.if_nameindex()):
        raise Unanswered(f"there is no device {clean(name)} here: see ip link")
