"""What a policy means to one network: what it allows, whether it means others, whether it may be added to. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dmsfw.config import options
from dmsfw.config.uci import Section
from dmsfw.decide.grants import DNS, selects
from dmsfw.edit.ports import EVERY, both, joined
from dmsfw.edit.selection import Selection, by_labels, by_name
from dmsfw.model import Network, Policy, Ports, Proto
from dmsfw.report.sentence import joined as listed


def allowed(policy: Policy, network: Network, proto: Proto) -> Ports:
    """Return the ports that `policy` lets `network` reach by `proto`: anywhere, by every way out, all its subnets."""
    versions = {f"ipv{subnet.version}" for subnet in network.subnets}
    whole_family = policy.family == "any" or versions == {policy.family}
    if policy.destinations or policy.uplinks or not whole_family or not selects(policy, network):
        return ()
    return touched(policy, proto)


def touched(policy: Policy, proto: Proto) -> Ports:
    """Return the ports that `policy` opens by `proto`, to whomever and wherever to."""
    plain = (policy.ports or EVERY) if {proto, "all"} & set(policy.protos) else ()
    return joined([plain, DNS if policy.dns and proto in {"tcp", "udp"} else ()])


def means_only(policy: Policy, network: Network, others: Sequence[Network]) -> bool:
    """Tell whether `policy` means `network` and can mean no other: by both of Compose's labels, or this very name."""
    labels, name = by_labels(network), by_name(network.name)
    own_labels = not policy.labels or (labels is not None and set(labels.labels) <= set(policy.labels))
    own_names = not policy.networks or (name is not None and set(policy.networks) == set(name.names))
    return own_labels and own_names and selects(policy, network) and not any(selects(policy, one) for one in others)


def reasons_against(policy: Policy, section: Section, chosen: Selection, proto: Proto) -> Iterator[str]:
    """Yield why a port in this section would mean something else than `proto` from the chosen network to anywhere."""
    if not policy.enabled:
        yield "is switched off"
    if (sorted(policy.labels, key=str), policy.networks) != (sorted(chosen.labels), chosen.names):
        yield "does not select this network alone"
    if policy.protos != (proto,):
        yield f"is for {listed(policy.protos)}"
    if policy.destinations or policy.uplinks or policy.family != "any":
        yield "is for some destinations, uplinks or addresses only"
    if not policy.masq:
        yield "does not masquerade"
    if section.options.keys() - options.names("egress"):
        yield "has options that dmsfw does not know"


def gives(policy: Policy, ports: Ports, protos: Sequence[Proto]) -> bool:
    """Tell whether `policy` opens any of `ports` by any of `protos`; ports empty: anything at all by one of them."""
    return any(both(touched(policy, proto), ports or EVERY) for proto in protos)
