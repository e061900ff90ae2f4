"""Tests that every rule may have: addresses, devices, the protocol, fragments."""

from __future__ import annotations

import socket

from dmsfw.errors import InvalidValue
from dmsfw.trace.answer import NO, YES, Answer, told, unknown
from dmsfw.trace.matches.option import Test, turned
from dmsfw.trace.packet import Family, Packet, protocol
from dmsfw.trace.scene import Scene

BITS = {4: 32, 6: 128}
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


def builtin(word: str, value: str, family: Family, *, invert: bool) -> Test:
    """The test of one of -s -d -i -o -p -f. Raises: ValueError, OSError for a word or value that is not understood."""
    test = _test(word, value, family)
    return turned(test) if invert else test


def _test(word: str, value: str, family: Family) -> Test:
    if word == "-s":
        return _source(*network(value, family))
    if word == "-d":
        return _destination(*network(value, family))
    if word == "-i":
        return _device_in(value)
    if word == "-o":
        return _device_out(value)
    if word == "-p":
        return _protocol(value)
    if word == "-f" and family == 4:  # noqa: PLR2004 - IPv6 has an extension for it
        return _fragment
    raise ValueError(f"{word} is not known")


def network(text: str, family: Family) -> tuple[int, int]:
    """Address and mask as numbers; a mask may have any bits. Raises: ValueError, OSError."""
    address, found, mask = text.partition("/")
    bits = BITS[family]
    whole = (1 << bits) - 1
    if not found:
        wanted = whole
    elif mask.isdecimal():
        if int(mask) > bits:
            raise ValueError(f"{text} is no network")
        wanted = whole ^ (whole >> int(mask))
    else:
        wanted = number_of(mask, family)
    return number_of(address, family) & wanted, wanted


def number_of(address: str, family: Family) -> int:
    """An address as a number. Raises: ValueError, OSError."""
    return int.from_bytes(socket.inet_pton(FAMILIES[family], address), "big")


def _source(address: int, mask: int) -> Test:
    def test(packet: Packet, _: Scene) -> Answer:
        if packet.unknown and "src" in packet.unknown and mask:
            return unknown("the packet's source address is not known here")
        return YES if int(packet.src) & mask == address else NO

    return test


def _destination(address: int, mask: int) -> Test:
    def test(packet: Packet, _: Scene) -> Answer:
        if packet.unknown and "dst" in packet.unknown and mask:
            return unknown("the packet's destination address is not known here")
        return YES if int(packet.dst) & mask == address else NO

    return test


def _device_in(name: str) -> Test:
    if name.endswith("+"):
        return lambda packet, _: told(packet.in_device.startswith(name[:-1]))
    return lambda packet, _: YES if packet.in_device == name else NO


def _device_out(name: str) -> Test:
    if name.endswith("+"):
        return lambda packet, _: told(packet.out_device.startswith(name[:-1]))
    return lambda packet, _: YES if packet.out_device == name else NO


def _protocol(text: str) -> Test:
    try:
        wanted = _protocol_of(text)
    except OSError:
        return lambda *_: unknown(f"the protocol {text} is not known")
    return lambda packet, _: YES if packet.proto == wanted else NO


def _protocol_of(text: str) -> str:
    """A protocol as iptables prints it: by its name in /etc/protocols. Raises: OSError for one that is not there."""
    try:
        return protocol(text)
    except InvalidValue:
        return protocol(str(socket.getprotobyname(text)))


def _fragment(_: Packet, __: Scene) -> Answer:
    """A packet is followed whole: connection tracking puts its fragments together before any rule sees them."""
    return NO
