"""The packets of an investigation followed through the tables: a container's, its questions for names, the host's."""

from __future__ import annotations

from ipaddress import ip_address

from dmsfw.doctor import dns, leaving, policies
from dmsfw.doctor.findings import Question, Trial
from dmsfw.doctor.target import Address, Target
from dmsfw.doctor.ways import Passage, Ways, first_packet, own_passage, ways
from dmsfw.errors import DmsfwError
from dmsfw.model import Network, Snapshot, version_of
from dmsfw.report.text import clean
from dmsfw.trace import Host


def followed(trial: Trial, target: Target, host: Host, snapshot: Snapshot | None) -> Trial:
    """The trial with its packet's way there and back, and what dmsfw is configured to allow; or why there is none."""
    left = trial.leaving
    if left is None or left.source is None or left.network is None or not left.network.device:
        return trial.having(fault=_no_way(left))
    if _stays_in_bridge(left.network, trial.address, host):
        within = f"it stays within the bridge {left.network.device}"
        return trial.having(fault=f"{within}: no rule of this router sees it")
    try:
        way = ways(first_packet(left.network.device, left.source, target.at(trial.address)), host)
    except DmsfwError as error:
        return trial.having(fault=str(error))
    return trial.having(ways=way, policies=_policies(snapshot, left.network, target.at(trial.address), way))


def question(left: leaving.Leaving, host: Host) -> Question | None:
    """The way of a question to a name server; None where it leaves by no bridge of Docker's."""
    if left.source is None or left.network is None or not left.network.device:
        return None
    try:
        asked = Target(str(left.destination), dns.PORT, "udp", left.destination)
        way = ways(first_packet(left.network.device, left.source, asked), host)
    except DmsfwError:
        return None
    return Question(str(left.destination), way)


def own(address: Address, target: Target, host: Host) -> Passage | None:
    """The way of the host's own packet; None where it sends none, or its way cannot be followed."""
    source = leaving.own_source(address)
    try:
        return own_passage(source, target.at(address), host) if source else None
    except DmsfwError:
        return None


def _stays_in_bridge(network: Network, address: Address, host: Host) -> bool:
    """Containers of one network send to each other by their bridge, past all rules unless it has them asked."""
    near = any(address in subnet for subnet in network.subnets)
    is_ours = host.address_kind(address) == "LOCAL"
    return near and not is_ours and host.sees_bridge_ports(version_of(address)) is False


def _policies(snapshot: Snapshot | None, network: Network, target: Target, way: Ways) -> policies.Policies | None:
    if snapshot is None or target.address is None:
        return None
    there = way.there
    packet = policies.Asked(target.proto, ip_address(there.destination), there.port or target.port)
    return policies.look(snapshot, network, packet, way.there.device)


def _no_way(left: leaving.Leaving | None) -> str:
    """Why there is no way through this router's tables to follow."""
    if left is None or left.source is None:
        return "the container has no route there"
    if left.network is None:
        return f"it leaves from {left.source}, which is on no network of Docker's"
    return f"it leaves by network {clean(left.network.name)} of the driver {clean(left.network.driver)}, by no bridge"
