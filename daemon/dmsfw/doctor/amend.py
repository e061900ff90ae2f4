"""A policy allows it, and lacks name resolution or masquerading: lines that add it for one network alone. Pure.

A policy that means this network and can mean no other is changed. Any other one stays as it is, since more would be
opened than was said: the network gets a policy of its own beside it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple

from dmsfw.decide.grants import DNS, ways_out
from dmsfw.doctor.policies import Policies
from dmsfw.doctor.remedies import Means, Remedy, by_device, complete, section_of, taken
from dmsfw.doctor.target import Transport
from dmsfw.doctor.ways import Passage
from dmsfw.edit import remedy
from dmsfw.edit.policies import means_only
from dmsfw.errors import Refused
from dmsfw.model import Network, Policy, PortRange, Ports
from dmsfw.report.hints import quoted
from dmsfw.report.text import clean

_SECTION = re.compile(r"[A-Za-z0-9_]+|@egress\[[0-9]+\]")


class _New(NamedTuple):
    """A policy beside others, for one network. `why`: what keeps `others` from being changed."""

    network: Network
    proto: Transport
    ports: Ports
    others: Sequence[str]
    why: str = "may select other networks too"


def to_add_dns(policies: Policies, network: Network, question: Passage, means: Means) -> Remedy:
    """Let the network ask the name server to which `question` leads; `policies` allow it the rest."""
    own = _own(policies, network, means)
    if fit := next((policy for policy in own if _would_let(policy, question, means)), None):
        return _changed(fit, "dns", means)
    new = _New(network, "udp", DNS, policies.allowing)
    if own:
        new = new._replace(why="is for other ways out or addresses")
    device = question.device if policies.is_foreign(question.device) else ""
    return _beside(new, [("add_list", "proto", "tcp")], means, device)


def to_translate(policies: Policies, network: Network, proto: Transport, port: int, means: Means) -> Remedy:
    """Have masqueraded what `policies` let the network reach, all of it or by this one port."""
    if own := _own(policies, network, means):
        return _changed(own[0], "masq", means)
    new = _New(network, proto, (PortRange(port, port),), policies.allowing)
    limits = next((_limits(policy) for policy in means.settings.active if policy.name in policies.allowing), ())
    return _beside(new, limits, means)


def _own(policies: Policies, network: Network, means: Means) -> list[Policy]:
    """The policies that mean this network and can mean no other."""
    others = [one for one in means.networks if one.id != network.id]
    allowing = (policy for policy in means.settings.active if policy.name in policies.allowing)
    return [policy for policy in allowing if means_only(policy, network, others)]


def _would_let(policy: Policy, question: Passage, means: Means) -> bool:
    """Whether name resolution in this policy would let such a question out."""
    devices = {uplink.device for uplink in ways_out(policy, means.uplinks)}
    family = f"ipv{ip_address(question.destination).version}"
    return policy.family in {"any", family} and (not question.device or question.device in devices)


def _limits(policy: Policy) -> tuple[tuple[str, str, str], ...]:
    """Where a policy leads, and by what: calls of uci, which keep another one from leading anywhere else."""
    family = (("set", "family", policy.family),) if policy.family != "any" else ()
    destinations = (("add_list", "dest_ip", str(there)) for there in policy.destinations)
    return (*destinations, *(("add_list", "uplink", one) for one in policy.uplinks), *family)


def _changed(policy: Policy, option: str, means: Means) -> Remedy:
    """Switch an option on in a policy that is there."""
    what = f"policy {clean(policy.name)} selects this network alone"
    if not _SECTION.fullmatch(policy.name):
        return Remedy(why_not=f"{what}: set option {option} '1' in egress '{clean(policy.name)}' in {means.config}")
    lines = [f"uci set {shlex.quote(f'dmsfw.{policy.name}.{option}')}='1'", "uci commit dmsfw"]
    return complete(lines, means, f"{what}: the lines change it")


def _beside(new: _New, more: Sequence[tuple[str, str, str]], means: Means, device: str = "") -> Remedy:
    """The lines of the new policy. `device`: one that is no uplink, for it alone."""
    kept = f"policy {', '.join(map(clean, new.others))} {new.why} and stays as it is"
    try:
        *lines, commit = remedy(new.network, new.ports, new.proto, networks=means.networks, taken=taken(means))
    except Refused as error:
        return Remedy(why_not=f"{kept}; {error}")
    section = section_of(lines)
    lines += [f"uci {verb} {section}.{option}={quoted(value)}" for verb, option, value in more]
    lines += by_device(section, device, means) if device else ()
    return complete([*lines, commit], means, f"{kept}: the lines make one for this network alone")
