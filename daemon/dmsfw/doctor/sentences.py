"""Single findings in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from dmsfw.doctor.containers import Networks
from dmsfw.doctor.findings import Trial
from dmsfw.doctor.names import Asked, Lookup
from dmsfw.doctor.resolv import EMBEDDED
from dmsfw.doctor.resolv import Way as Route
from dmsfw.doctor.target import Address, shown
from dmsfw.model import Network
from dmsfw.report.text import clean

WAYS: dict[Route, str] = {
    "dockerd": "{} from the host: no rule is met",
    "outside": "{} from inside the container: udp and tcp 53 pass FORWARD and need a rule",
    "router": "{}, the router itself: udp and tcp 53 meet INPUT",
}


def resolved(name: str, lookup: Lookup, whom: str) -> str:
    """What a name is to the host or to the container."""
    if not lookup.addresses:
        return f"{name} is unknown {whom}: {clean(lookup.failure)}"
    by = f" (from {clean(lookup.source)})" if whom != "to the host" else ""
    return f"{name} is {', '.join(lookup.addresses)} {whom}{by}"


def asks(asked: Asked) -> str:
    """Whom the container asks, and by which way."""
    what = f"it asks {asked.server}" + (f" ({asked.result})" if asked.result else "")
    if asked.server != EMBEDDED:
        return "; ".join(f"it asks {WAYS[way].format(server)}" for server, way in asked.ways) + _result(asked)
    further = "; ".join(f"which asks {WAYS[way].format(server)}" for server, way in asked.ways)
    return f"{what}, Docker's own resolver" + (f", {further}" if further else "")


def _result(asked: Asked) -> str:
    return f" ({asked.result})" if asked.result else ""


def network(network: Network, known: Networks, gateways: Sequence[Address] = ()) -> str:
    """A network with all that decides about its packets."""
    parts = [f"driver {clean(network.driver)}"]
    if network.device:
        parts.append(f"bridge {network.device}")
    parts.append(", ".join(map(str, network.subnets)) or "no subnet")
    parts += (f"gateway {gateway}" for gateway in gateways)
    if network.internal:
        parts.append("internal")
    if network.driver == "bridge":
        parts.append(f"masquerade option {'on' if known.masquerades(network) else 'off'}")
    return f"network {clean(network.name)}: {', '.join(parts)}"


def leaves(trial: Trial) -> str:
    """By what the container leaves to one address."""
    left, where = trial.leaving, f"to {shown(trial.address)}"
    if left is None or left.source is None:
        return f"{where} it has no route"
    name = clean(left.network.name) if left.network else "nothing that Docker made"
    return f"{where} it leaves from {left.source} by {name}"


def forwards(trial: Trial) -> str:
    """That the bridge and the kernel pass packets on; nothing where one does not, or that is not known."""
    if trial.bridge is None or not trial.bridge.up or trial.switches is None or not trial.switches.forwards:
        return ""
    return f"the bridge is up, and the kernel forwards IPv{trial.switches.version} that comes in by it"


def faults(trial: Trial) -> str:
    """What of the bridge and the kernel keeps packets from being passed on; nothing where all is well."""
    if trial.bridge is not None and not trial.bridge.exists:
        return f"the bridge {trial.bridge.device} does not exist"
    if trial.bridge is not None and not trial.bridge.up:
        return f"the bridge {trial.bridge.device} is down"
    if trial.switches is not None and trial.switches.forwards is False:
        return f"the kernel forwards no IPv{trial.switches.version} that comes in by the bridge"
    return ""
