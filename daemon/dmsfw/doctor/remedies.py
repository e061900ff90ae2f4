"""Complete lines to paste, as far as lines can help. Pure: nothing is done by itself."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from dmsfw.doctor.target import Transport
from dmsfw.edit import remedy
from dmsfw.errors import Refused
from dmsfw.model import Network, PortRange, Settings, Uplink, Uplinks, is_device_name
from dmsfw.report.hints import quoted

_EVERYWHERE = "uci add_list dmsfw.main.uplink_device="
_INTERFACE = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Means:
    """What a remedy may use. `config`: our file, `written`: it is there. `uci`: there is such a program.

    `start`: the lines that make dmsfw take the change, where it does not run; empty where it runs.
    """

    networks: tuple[Network, ...] = ()
    settings: Settings = field(default_factory=Settings)
    uplinks: Uplinks = field(default_factory=Uplinks)
    config: str = "/etc/config/dmsfw"
    written: bool = True
    uci: bool = True
    start: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Remedy:
    """Lines to paste, or why there are none. `says`: what the lines do, where that is not plain to see."""

    lines: tuple[str, ...] = ()
    why_not: str = ""
    says: tuple[str, ...] = ()


def to_open(
    network: Network, proto: Transport, port: int, means: Means, *, device: str = "", dns: bool = False
) -> Remedy:
    """Give the network a policy for one port, for the name resolution beside it where `dns` is set.

    `device`: one that is no uplink; the policy is then for it alone.
    """
    try:
        *lines, commit = remedy(network, (PortRange(port, port),), proto, networks=means.networks, taken=taken(means))
    except Refused as error:
        return Remedy(why_not=str(error))
    section = section_of(lines)
    if dns:
        lines.append(f"uci set {section}.dns='1'")
    if device:
        lines += by_device(section, device, means)
    return complete([*lines, commit], means)


def section_of(lines: Sequence[str]) -> str:
    """Where lines that make a section make it: `dmsfw.name`."""
    return lines[0].partition("=")[0].removeprefix("uci set ")


def taken(means: Means) -> set[str]:
    """Names that a new section cannot have."""
    return {policy.name for policy in means.settings.policies}


def by_device(section: str, device: str, means: Means) -> list[str]:
    """Name the way out: by its interface for this policy alone, else by its device for all, beside those there are."""
    known = (*means.uplinks.chosen, *means.uplinks.others)
    named = next((one.interface for one in known if one.device == device and _INTERFACE.fullmatch(one.interface)), "")
    if named:
        return [f"uci add_list {section}.uplink={quoted(named)}"]
    if not is_device_name(device):
        return []
    own = bool(means.settings.uplinks or means.settings.uplink_devices)
    kept = [] if own else [_kept(one) for one in means.uplinks.chosen if _INTERFACE.fullmatch(one.interface)]
    return [*dict.fromkeys(kept), f"uci add_list dmsfw.main.uplink_device={quoted(device)}"]


def _kept(uplink: Uplink) -> str:
    """A list of one's own takes the place of what was found: so what was found goes into it."""
    option = "uplink_device" if uplink.interface == uplink.device else "uplink"
    return f"uci add_list dmsfw.main.{option}={quoted(uplink.interface)}"


def complete(lines: list[str], means: Means, *says: str) -> Remedy:
    """Add what is missing for the lines to take effect; without `uci` they are written into the file by hand.

    What counts for other policies too is said.
    """
    said = [*says]
    if any(line.startswith(_EVERYWHERE) for line in lines):
        said.append("netifd names no interface for that device, so every policy without an uplink of its own gets it")
    if not means.settings.enabled:
        lines.insert(-1, "uci set dmsfw.main.enabled='1'")
        others = len(means.settings.active)
        said += ["dmsfw is switched off: the lines switch it on, with all policies that are there"] if others else []
    if not means.uci:
        return Remedy((*_by_hand(lines, means.config), *means.start), says=tuple(said))
    first = () if means.written else (f"touch {shlex.quote(means.config)}",)
    return Remedy((*first, *lines, *means.start), says=tuple(said))


def _by_hand(lines: list[str], config: str) -> tuple[str, ...]:
    """Write a new section as a file has it. UCI's quoting is the shell's. Options of other sections cannot be added."""
    sections: dict[str, list[str]] = {}
    for line in lines:
        words = shlex.split(line)
        if words[:2] == ["uci", "commit"]:
            continue
        path, _, value = words[2].partition("=")
        _, section, *option = path.split(".")
        if not option:
            sections[section] = [f"config {value} '{section}'"]
        elif section in sections:
            kind = "list" if words[1] == "add_list" else "option"
            sections[section].append(f"\t{kind} {option[0]} {quoted(value)}")
        else:
            kind = "list" if words[1] == "add_list" else "option"
            sections.setdefault(f"#{section}", [f"# and in section '{section}':"]).append(
                f"#\t{kind} {option[0]} {quoted(value)}"
            )
    body = [line for section in sections.values() for line in ("", *section)]
    return (f"cat >>{shlex.quote(config)} <<'END'", *body, "END")
