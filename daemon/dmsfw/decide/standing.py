"""Which networks the policies meet, and which not: told to the owner, so that nothing stays shut in silence. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dmsfw.decide.grants import obstacle, selects, ways_out
from dmsfw.model import Detour, Grant, Network, Policy, Snapshot


@dataclass(frozen=True, slots=True)
class Standing:
    """How policies and networks stand to each other.

    `selected`: networks that are open to something. `skipped`: selected ones that cannot be opened, and why.
    `unselected`: networks that could be opened and that no policy selects. `idle`: policies that select no network at
    all, or only such as cannot be opened.
    """

    selected: tuple[Network, ...] = ()
    skipped: tuple[tuple[Network, str], ...] = ()
    unselected: tuple[Network, ...] = ()
    idle: tuple[Policy, ...] = ()


def standing(snapshot: Snapshot) -> Standing:
    """Sort networks and policies by what becomes of them."""
    policies = snapshot.settings.active if snapshot.settings.enabled else ()
    meant = [network for network in snapshot.networks if any(selects(policy, network) for policy in policies)]
    selected = tuple(network for network in meant if not obstacle(network))
    return Standing(
        selected=selected,
        skipped=tuple(
            (network, reason) for network in meant if (reason := obstacle(network)) and _is_news(network, policies)
        ),
        unselected=tuple(network for network in snapshot.networks if network not in meant and not obstacle(network)),
        idle=tuple(policy for policy in policies if not any(selects(policy, network) for network in selected)),
    )


def shut_policies(snapshot: Snapshot) -> tuple[Policy, ...]:
    """The active policies none of whose uplinks is up."""
    policies = snapshot.settings.active if snapshot.settings.enabled else ()
    return tuple(policy for policy in policies if not any(uplink.up for uplink in ways_out(policy, snapshot.uplinks)))


def without_grants(snapshot: Snapshot, grants: Sequence[Grant]) -> tuple[Network, ...]:
    """Networks that are selected and could be opened, and got nothing all the same."""
    served = {(grant.network, grant.bridge) for grant in grants}
    return tuple(one for one in standing(snapshot).selected if (one.name, one.device) not in served)


def unserved_detours(detours: Sequence[Detour], stands: Standing) -> tuple[Detour, ...]:
    """Only containers of a network that is open, leaving by one that is not: there a policy does nothing, silently."""
    names = {network.name for network in stands.selected}
    return tuple(one for one in detours if one.network in names and one.leaves_by not in names)


def _is_news(network: Network, policies: Sequence[Policy]) -> bool:
    """Docker lists `host` and `none` among its networks: a policy for all of them means neither, one by name does."""
    return network.driver not in {"host", "null"} or any(network.name in policy.networks for policy in policies)
