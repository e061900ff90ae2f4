"""Complete commands to paste: what would open a network, or name the way out. Pure.

A command is printed for a root shell, so every foreign name in it is quoted, and a name that cannot be written exactly
gives no command at all.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from dmsfw.model import Network, Policy, Settings, Uplinks, is_device_name
from dmsfw.report.text import is_clean

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_NAME = 255
"""Longest name, in characters, that is put into a command."""

_NAMED = re.compile(r"[A-Za-z0-9_]+")
_ANONYMOUS = re.compile(r"@egress\[[0-9]+\]")
_GLOB = re.compile(r"([*?[])")


def commands_to_select(settings: Settings, network: Network, idle: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the lines that make a policy select `network`: an idle one (names in `idle`), else the first active one.

    Without any active policy the lines make a new one for tcp 465. Empty: the name cannot be written in UCI.
    A policy that is switched off is left off: switching it on might open other networks too.
    """
    if not 0 < len(network.name) <= MAX_NAME or not is_clean(network.name) or network.name != network.name.strip():
        return ()
    value = quoted(_GLOB.sub(r"[\1]", network.name))  # the option takes shell globs: only this very name is meant
    policy = _policy_to_extend(settings.active, idle)
    if policy is None:
        return _commands_for_a_new_policy(_free_name({policy.name for policy in settings.policies}), value)
    if not (_NAMED.fullmatch(policy.name) or _ANONYMOUS.fullmatch(policy.name)):
        return ()
    return (f"uci add_list {shlex.quote(f'dmsfw.{policy.name}.network')}={value}; uci commit dmsfw",)


def commands_to_name_the_uplink(uplinks: Uplinks) -> tuple[str, ...]:
    """Return the lines that would name the way out that the default routes use, when no uplink is up: one per device.

    By its interface where one is known (`uplink`), else by its device.
    """
    by_device: dict[str, str] = {}
    for uplink in (*uplinks.chosen, *uplinks.others):
        if _NAMED.fullmatch(uplink.interface):  # the first one that has the device: `wan`, not the `wan_6` over it
            by_device.setdefault(uplink.device, uplink.interface)
    return tuple(
        f"uci add_list dmsfw.main.{_uplink_option(device, by_device)}; uci commit dmsfw"
        for device in uplinks.default_devices
        if is_device_name(device)
    )


def _commands_for_a_new_policy(section: str, network: str) -> tuple[str, ...]:
    return (
        f"uci set dmsfw.{section}=egress",
        f"uci add_list dmsfw.{section}.network={network}",
        f"uci add_list dmsfw.{section}.proto='tcp'",
        f"uci add_list dmsfw.{section}.dest_port='465'",
        "uci commit dmsfw",
    )


def _uplink_option(device: str, by_device: dict[str, str]) -> str:
    return f"uplink='{by_device[device]}'" if device in by_device else f"uplink_device={quoted(device)}"


def _policy_to_extend(active: Sequence[Policy], idle: Sequence[str]) -> Policy | None:
    return next((policy for policy in active if policy.name in idle), active[0] if active else None)


def _free_name(taken: set[str]) -> str:
    names = ("smtps", *(f"smtps{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def quoted(text: str) -> str:
    """Quote for the shell always, also where it is not needed: a reader sees where the value ends."""
    quoted = shlex.quote(text)
    return quoted if quoted.startswith(("'", '"')) else f"'{quoted}'"
