"""Which ways out there are: one reading, and its pure resolution by the settings.

An uplink that is down keeps its last device, so that a redial leaves no gap in the rules. It loses it as soon as
another interface that is up, and is no way out of the same list, has that device: keeping it would open to somebody
else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dmsfw.errors import ObserveError
from dmsfw.model import Settings, Uplink, Uplinks, is_device_name
from dmsfw.observe import netifd, routes
from dmsfw.observe.netifd import Interface, NoUbus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Reach:
    """What one reading gave. `interfaces` None: a host without netifd.

    `devices`: those of the watched devices that exist.
    """

    interfaces: tuple[Interface, ...] | None
    default_devices: tuple[str, ...] = ()
    devices: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Memory:
    """Last devices by interface, and the last devices of default routes."""

    devices: Mapping[str, str] = field(default_factory=dict)
    defaults: tuple[str, ...] = ()


class UplinkReader:
    """Reads netifd, or the routes where there is none. `watched()`: the devices to look for, see `watched_devices`."""

    def __init__(
        self,
        watched: Callable[[], Iterable[str]],
        *,
        interfaces: Callable[[], tuple[Interface, ...]] = netifd.read_interfaces,
        defaults: Callable[[], tuple[str, ...]] = routes.default_devices,
        devices: Callable[[], frozenset[str]] = routes.devices,
    ) -> None:
        self._watched, self._interfaces, self._defaults, self._devices = watched, interfaces, defaults, devices
        self._netifd_seen = False

    def read(self) -> Reach:
        """Read once.

        Raises: ObserveError when what is there does not answer. A `ubus` that has once answered and is gone (an
        upgrade of its package, say) counts as that: the default route may be another than the firewall's zone.
        """
        try:
            interfaces = self._interfaces()
        except NoUbus:
            if self._netifd_seen:
                raise
            return Reach(None, self._defaults(), self._there())
        self._netifd_seen = True
        return Reach(interfaces, self._hint(), self._there())

    def _there(self) -> frozenset[str]:
        watched = frozenset(self._watched())
        return self._devices() & watched if watched else watched

    def _hint(self) -> tuple[str, ...]:
        """With netifd the default routes are only for the advice that is given when nothing is up."""
        try:
            return self._defaults()
        except ObserveError:
            return ()


def named_uplinks(settings: Settings) -> tuple[str, ...]:
    """The uplinks that active policies name, each once."""
    return tuple(dict.fromkeys(name for policy in settings.active for name in policy.uplinks))


def watched_devices(settings: Settings) -> tuple[str, ...]:
    """Whatever may be a device by its own name: what the owner and the firewall's zone name, and policies' uplinks."""
    return tuple(dict.fromkeys((*settings.uplink_devices, *settings.wan_zone.devices, *named_uplinks(settings))))


def resolve(settings: Settings, reach: Reach, memory: Memory) -> tuple[Uplinks, Memory]:
    """Say which uplinks the settings mean, and what to remember for the next time."""
    if reach.interfaces is None:
        return _by_routes(settings, reach, memory)
    return _by_netifd(settings, reach.interfaces, reach, memory)


def _by_netifd(
    settings: Settings, interfaces: tuple[Interface, ...], reach: Reach, memory: Memory
) -> tuple[Uplinks, Memory]:
    names, devices = _whole_list(settings, interfaces)
    wanted = tuple(dict.fromkeys((*names, *named_uplinks(settings))))
    kept = _last_devices(wanted, frozenset(names), interfaces, memory)
    up = {interface.name: interface.device for interface in interfaces if interface.up and interface.device}
    known = {**up, **kept}
    listed = set(names)
    uplinks = Uplinks(
        chosen=(*(Uplink(name, kept[name], name in up) for name in names if name in kept), *_fixed(devices, reach)),
        others=tuple(Uplink(name, known[name], name in up) for name in sorted(known) if name not in listed),
        missing=tuple(name for name in names if name not in kept),
        default_devices=reach.default_devices,
    )
    return uplinks, Memory(kept, memory.defaults)


def _whole_list(settings: Settings, interfaces: tuple[Interface, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The interfaces and the devices that are ways out, each once: the owner's list, or the firewall's zone."""
    if settings.uplinks or settings.uplink_devices:
        names, devices = settings.uplinks, settings.uplink_devices
    else:
        dynamic = sorted(interface.name for interface in interfaces if interface.zone == "wan")
        names, devices = (*settings.wan_zone.interfaces, *dynamic), settings.wan_zone.devices
    return tuple(dict.fromkeys(names)), _usable(devices)


def _usable(devices: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(is_device_name, devices)))


def _last_devices(
    names: tuple[str, ...], listed: frozenset[str], interfaces: tuple[Interface, ...], memory: Memory
) -> dict[str, str]:
    """The device of each name, or the last one it had; names that have none are left out.

    Two of the `listed` ways out may share a device, as `wan` and the `wan_6` over it do: while a line is being torn
    down the one is still up when the other is not, and neither takes the device from the other.
    """
    up = {interface.name: interface.device for interface in interfaces if interface.up and interface.device}
    last = {}
    for name, device in memory.devices.items():
        takers = {taker for taker, taken in up.items() if taken == device}
        if name in names and not (takers - listed if name in listed else takers):
            last[name] = device
    return {**last, **{name: up[name] for name in names if name in up}}


def _fixed(devices: Iterable[str], reach: Reach) -> tuple[Uplink, ...]:
    """Devices that were named as such. One that is not there is down; its rules wait for it and let nothing through."""
    return tuple(Uplink(device, device, device in reach.devices) for device in devices)


def _by_routes(settings: Settings, reach: Reach, memory: Memory) -> tuple[Uplinks, Memory]:
    defaults = reach.default_devices or memory.defaults
    if settings.uplinks or settings.uplink_devices:
        chosen = _fixed(_usable(settings.uplink_devices), reach)
    else:
        chosen = tuple(Uplink(device, device, bool(reach.default_devices)) for device in defaults)
    named = [name for name in named_uplinks(settings) if name in reach.devices or name in memory.devices]
    listed = {uplink.interface for uplink in chosen}
    uplinks = Uplinks(
        chosen=chosen,
        others=tuple(Uplink(name, name, name in reach.devices) for name in sorted(named) if name not in listed),
        missing=tuple(dict.fromkeys(settings.uplinks)),
        default_devices=reach.default_devices,
    )
    return uplinks, Memory({name: name for name in named}, defaults)
