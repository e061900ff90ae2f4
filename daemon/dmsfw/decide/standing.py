"""Which networks the policies meet, and which not: told to the owner, so that nothing stays shut in silence. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dmsfw.decide.grants import obstacle, selects
from dmsfw.model import Network, Policy, Snapshot


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


def _is_news(network: Network, policies: Sequence[Policy]) -> bool:
    """Docker lists `host` and `none` among its networks: a policy for all of them means neither, one by name does."""
    return network.driver not in {"host", "null"} or any(network.name in policy.networks for policy in policies)
