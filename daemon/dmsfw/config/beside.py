"""The foreign files beside ours, `firewall` and `network`. What is wrong with them costs a warning, never the pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dmsfw.config import files, values
from dmsfw.config.uci import Section, intact
from dmsfw.config.wording import nearest, shown, whole
from dmsfw.model import Settings, Zone

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dmsfw.config.problems import Problems

WAN = "wan"
"""The zone whose members are the ways out, by firewall3's own defaults."""


def wan_zone(folder: Path, problems: Problems, last: Zone) -> Zone:
    """Read who belongs to the firewall's zone `wan`; where there is none to be read, it is the `last` one.

    A file that is gone, empty or cut off says nothing: what stands must not fall for it.
    """
    zones = [zone for zone in _sections(folder / "firewall", "zone", problems) if _is_wan(zone)]
    if not zones and last != Zone():
        problems.warnings.append(f"firewall: no zone '{WAN}' can be read: its members stay as they were read last")
        return last
    return Zone(
        interfaces=_members(zones, "network", values.interface, problems),
        devices=_members(zones, "device", values.device, problems),
    )


def interfaces(folder: Path, problems: Problems) -> frozenset[str]:
    """Read the names of the interfaces that `network` defines; empty where that cannot be read."""
    return frozenset(
        section.name
        for section in _sections(folder / "network", "interface", problems)
        if not section.name.startswith("@")
    )


def warn_of_strangers(settings: Settings, known: frozenset[str], problems: Problems) -> None:
    """Note a warning for each uplink that no interface bears the name of. Without any interfaces nothing is known."""
    if not known:
        return
    _warn(settings.uplinks, "dmsfw 'main'", known, problems)
    for policy in settings.policies:
        _warn(policy.uplinks, f"egress {shown(policy.name)}", known, problems)


def _warn(uplinks: tuple[str, ...], where: str, known: frozenset[str], problems: Problems) -> None:
    for uplink in uplinks:
        parent, _, child = uplink.rpartition("_")
        is_dynamic = parent in known and child in {"4", "6"}  # netifd: wan_6 is made by wan
        if uplink not in known and not is_dynamic and not problems.is_talkative:
            problems.warnings.append(
                f"{where}: uplink {shown(uplink)} is no interface of /etc/config/network, {nearest(uplink, known)}"
            )


def _sections(path: Path, kind: str, problems: Problems) -> list[Section]:
    try:
        sections, warnings = intact(files.read(path))
    except FileNotFoundError:  # a host without netifd or firewall3: nothing to warn of
        return []
    except files.Unusable as reason:
        problems.warnings.append(f"{path.name}: {whole(path)} {reason}")
        return []
    problems.warnings += (f"{path.name}: {warning}" for warning in warnings)
    return [section for section in sections if section.type == kind]


def _is_wan(zone: Section) -> bool:
    name, enabled = zone.options.get("name"), zone.options.get("enabled")
    off = enabled is not None and enabled.values[-1] in {"0", "no", "off", "false", "disabled"}
    return name is not None and name.values == [WAN] and not off


def _members(zones: list[Section], name: str, parse: Callable[[str], str], problems: Problems) -> tuple[str, ...]:
    members: dict[str, None] = {}
    for option in (zone.options[name] for zone in zones if name in zone.options):
        for text in (word for value in option.values for word in value.split()):
            if _is(text, parse):
                members[text] = None
            else:
                problems.warnings.append(f"firewall: zone '{WAN}': {name} {shown(text)} is skipped: no name dmsfw uses")
    return tuple(members)


def _is(text: str, parse: Callable[[str], str]) -> bool:
    try:
        parse(text)
    except values.NotAllowed:
        return False
    return True
