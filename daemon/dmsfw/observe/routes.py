"""The devices of the default routes, from /proc/net: how hosts without netifd find their way out."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dmsfw.errors import ObserveError
from dmsfw.model import is_device_name

RTF_UP: Final = 0x1
RTF_REJECT: Final = 0x200
"""Flags of a route (linux/route.h, linux/ipv6_route.h)."""

PROC: Final = Path("/proc/net")
DEVICES: Final = Path("/sys/class/net")

COLUMNS_4: Final = 8
COLUMNS_6: Final = 10

Default = tuple[int, str]
"""Metric and device of a default route."""


def parse_routes4(text: str) -> tuple[Default, ...]:
    """The default routes in /proc/net/route: Iface Destination Gateway Flags RefCnt Use Metric Mask ..., a line each.

    Lines that cannot be read are no default routes.
    """
    found = []
    for columns in map(str.split, text.splitlines()[1:]):
        if len(columns) < COLUMNS_4 or {columns[1], columns[7]} != {"00000000"}:
            continue
        found.append(_default(columns[0], flags=columns[3], metric=columns[6], base=10))
    return tuple(route for route in found if route is not None)


def parse_routes6(text: str) -> tuple[Default, ...]:
    """The default routes in /proc/net/ipv6_route.

    Its columns: target, length, source, length, next hop, metric, two counts, flags, device.
    """
    found = []
    for columns in map(str.split, text.splitlines()):
        if len(columns) < COLUMNS_6 or (columns[0].strip("0"), columns[1]) != ("", "00"):
            continue
        found.append(_default(columns[9], flags=columns[8], metric=columns[5], base=16))
    return tuple(route for route in found if route is not None)


def _default(device: str, *, flags: str, metric: str, base: int) -> Default | None:
    try:
        bits, cost = int(flags, 16), int(metric, base)
    except ValueError:
        return None
    usable = bits & RTF_UP and not bits & RTF_REJECT and device != "lo" and is_device_name(device)
    return (cost, device) if usable else None


def default_devices(proc: Path = PROC) -> tuple[str, ...]:
    """The devices of the default routes of both families, the cheapest first, each once.

    Raises: ObserveError when the kernel does not say.
    """
    try:
        four = (proc / "route").read_text(errors="replace")
        six = _read_if_there(proc / "ipv6_route")
    except OSError as error:
        raise ObserveError("routes", f"{error.filename} cannot be read: {error.strerror}") from error
    return tuple(dict.fromkeys(device for _, device in sorted({*parse_routes4(four), *parse_routes6(six)})))


def devices(folder: Path = DEVICES) -> frozenset[str]:
    """The names of all devices that there are.

    Raises: ObserveError when the kernel does not say.
    """
    try:
        return frozenset(entry.name for entry in folder.iterdir() if is_device_name(entry.name))
    except OSError as error:
        raise ObserveError("routes", f"{folder} cannot be read: {error.strerror}") from error


def _read_if_there(path: Path) -> str:
    """A kernel without IPv6 has no such file."""
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
