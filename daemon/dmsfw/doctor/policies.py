"""What dmsfw is configured to allow, for one question: which policies select the network, and whether it stands.

A missing configuration is no error here: then there are no policies. A broken one is said, and counts as none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from dmsfw.backend import Backend
from dmsfw.config import load
from dmsfw.config.beside import wan_zone
from dmsfw.config.problems import Problems
from dmsfw.decide.grants import grants, selects
from dmsfw.doctor.target import Address, Transport
from dmsfw.errors import EnforceError, ObserveError, SettingsError
from dmsfw.model import Grant, Network, Settings, Snapshot, Zone
from dmsfw.observe.world import World
from dmsfw.report.sentence import grants_of


class Asked(NamedTuple):
    """What a packet is to a policy."""

    proto: Transport
    address: Address
    port: int


@dataclass(frozen=True, slots=True)
class Configured:
    """The configuration as it was found. `remark`: why it is not what it may seem, or empty.

    `usable` False: it is a broken one.
    """

    settings: Settings
    remark: str = ""
    usable: bool = True


@dataclass(frozen=True, slots=True)
class Policies:
    """How the configuration stands to one network and one packet.

    `selecting`: policies that select the network; `allowing`: those that allow just this by the device that it leaves
    by, `untranslated` without masquerading; `elsewhere`: devices by which it would be allowed. `uplinks`: the devices
    that are ways out. `installed`: whether the rules for it are in the kernel; None: none are due, or not known.
    """

    selecting: tuple[str, ...] = ()
    allowing: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    untranslated: bool = False
    uplinks: tuple[str, ...] = ()
    installed: bool | None = None

    def is_foreign(self, device: str) -> bool:
        """Tell whether a device is no way out, as far as they are known."""
        return bool(device and self.uplinks) and device not in self.uplinks


def configuration(path: Path) -> Configured:
    """Read the configuration, whatever state it is in."""
    if not path.exists():
        zone = wan_zone(path.parent, Problems(), Zone())
        return Configured(Settings(wan_zone=zone), f"there is no {path}: no policy of dmsfw allows anything")
    try:
        return Configured(load(path).settings)
    except SettingsError as error:
        first = error.problems[0]
        return Configured(Settings(), f"the configuration cannot be used ({first}): look at dmsfw check", usable=False)


def snapshot(settings: Settings) -> Snapshot | None:
    """The world as the daemon would see it; None when Docker or netifd does not answer."""
    try:
        return World.read_once(settings)
    except ObserveError:
        return None


def look(seen: Snapshot, network: Network, packet: Asked, device: str) -> Policies:
    """Say how the policies stand to a packet of `network`; nothing is written.

    `device`: what it leaves by; empty where it gets nowhere: then any will do.
    """
    active = seen.settings.active if seen.settings.enabled else ()
    due = tuple(grant for grant in grants_of(network, grants(seen)) if covers(grant, packet))
    here = tuple(grant for grant in due if grant.uplink == device or not device)
    return Policies(
        selecting=tuple(policy.name for policy in active if selects(policy, network)),
        allowing=tuple(dict.fromkeys(why.partition(":")[0] for grant in here for why in grant.whys)),
        elsewhere=tuple(dict.fromkeys(grant.uplink for grant in due if grant.uplink != device)),
        untranslated=bool(here) and not any(grant.masquerade for grant in here),
        uplinks=tuple(dict.fromkeys(uplink.device for uplink in seen.uplinks.chosen)),
        installed=_are_installed(here, seen.settings) if here else None,
    )


def covers(grant: Grant, packet: Asked) -> bool:
    """Tell whether a grant is for such a packet, whatever device it leaves by."""
    if grant.proto not in {packet.proto, "all"} or grant.subnet.version != packet.address.version:
        return False
    if grant.destination is not None and packet.address not in grant.destination:
        return False
    return not grant.ports or any(first <= packet.port <= last for first, last in grant.ports)


def _are_installed(due: Sequence[Grant], settings: Settings) -> bool | None:
    """Whether nothing would have to be added for these grants; None when they cannot be read."""
    try:
        plan = Backend.of_this_host(lambda: settings.backend).plan(due)
        return not any(change.sign == "+" for change in plan.changes)
    except EnforceError:
        return None
