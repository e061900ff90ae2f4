"""What OpenWrt's netifd says about its interfaces: `ubus call network.interface dump`."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from dmsfw.errors import ObserveError
from dmsfw.model import is_device_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMAND: Final = ("ubus", "call", "network.interface", "dump")
TIMEOUT_S: Final = 2.0
OUTPUT_LIMIT: Final = 4 * 2**20
"""Bytes of output at most. An interface takes about 1.5 KB."""

DEFAULTS: Final = {("0.0.0.0", 0), ("::", 0)}  # noqa: S104 - a route's target, nothing is bound


@dataclass(frozen=True, slots=True)
class Interface:
    """A logical interface. `device` is its `l3_device`; empty when it is down, or no name for a rule.

    `zone` is what a dynamic interface says of itself (`data.zone`). `default`: it has a default route.
    """

    name: str
    up: bool
    device: str = ""
    zone: str = ""
    default: bool = False


class NoUbus(ObserveError):
    """There is no program `ubus` on this host at all."""


def read_interfaces(command: Sequence[str] = COMMAND, timeout_s: float = TIMEOUT_S) -> tuple[Interface, ...]:
    """Ask netifd.

    Raises: NoUbus when there is no such program; ObserveError when it fails, hangs or prints nonsense.
    """
    return parse_dump(_run(command, timeout_s))


def parse_dump(text: str) -> tuple[Interface, ...]:
    """Turn the dump into interfaces, in its own order; an entry without a name is none, of two alike the first counts.

    Raises: ObserveError when the text is no dump.
    """
    try:
        dump = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ObserveError("ubus", "it printed no JSON") from error
    entries = dump.get("interface") if isinstance(dump, dict) else None
    if not isinstance(entries, list):
        raise ObserveError("ubus", "it printed no list of interfaces")
    found = [_interface(entry) for entry in entries if isinstance(entry, dict) and _text(entry.get("interface"))]
    return tuple({interface.name: interface for interface in reversed(found)}.values())[::-1]


def _interface(entry: Mapping[str, object]) -> Interface:
    up = entry.get("up") is True
    device = _text(entry.get("l3_device"))
    data = entry.get("data")
    return Interface(
        name=_text(entry.get("interface")),
        up=up,
        device=device if up and is_device_name(device) else "",
        zone=_text(data.get("zone")) if isinstance(data, dict) else "",
        default=_has_default(entry.get("route")),
    )


def _has_default(routes: object) -> bool:
    if not isinstance(routes, list):
        return False
    return any(
        (target, mask) in DEFAULTS
        for target, mask in ((route.get("target"), route.get("mask")) for route in routes if isinstance(route, dict))
        if isinstance(target, str) and isinstance(mask, int)
    )


def _text(raw: object) -> str:
    return raw if isinstance(raw, str) else ""


def _run(command: Sequence[str], timeout_s: float) -> str:
    """The output of a program that has `timeout_s` for all of it, and whose children end with it."""
    try:
        # A session of its own: a script that hangs in a child is ended together with the child.
        program = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
    except FileNotFoundError as error:
        raise NoUbus("ubus", "there is no such program") from error
    except OSError as error:
        raise ObserveError("ubus", f"it cannot be started: {error.strerror}") from error
    with program:
        try:
            output = _collect(program, time.monotonic() + timeout_s)
        finally:
            # Only while nobody has waited for it: afterwards its number may be somebody else's.
            if program.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(program.pid, signal.SIGKILL)
    if program.returncode:
        raise ObserveError("ubus", f"`{' '.join(command)}` ended with {program.returncode}: is netifd running?")
    return output.decode(errors="replace")


def _collect(program: subprocess.Popen[bytes], ends_at: float) -> bytes:
    """All that the program prints, once it has ended by itself.

    Raises: ObserveError when it prints too much, or has not ended in time.
    """
    assert program.stdout is not None  # noqa: S101 - it was asked for
    output = bytearray()
    while piece := _piece(program.stdout, ends_at):
        output += piece
        if len(output) > OUTPUT_LIMIT:
            raise ObserveError("ubus", f"it printed more than {OUTPUT_LIMIT} bytes")
    try:
        program.wait(max(0.0, ends_at - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise ObserveError("ubus", "it does not end") from error
    return bytes(output)


def _piece(stream: IO[bytes], ends_at: float) -> bytes:
    """What comes next; empty at the end."""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        if not selector.select(max(0.0, ends_at - time.monotonic())):
            raise ObserveError("ubus", f"no answer within {TIMEOUT_S:g} s: is netifd running?")
    return os.read(stream.fileno(), 2**16)
