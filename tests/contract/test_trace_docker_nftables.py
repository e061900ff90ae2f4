"""`explain`'s model held against the kernel on what Docker 29 writes by its firewall backend for nftables."""

from __future__ import annotations

import subprocess
from ipaddress import ip_address
from pathlib import Path
from random import Random

import pytest

from dmsfw.trace import Packet, ThisHost, Verdict, reply, trace
from tests.contract.test_trace_nft import DEVICES, GRANTS, comparison, nft, ruleset
from tests.contract.test_trace_own import COMES, connects, hosts
from tests.contract.tracing.compare import Comparison
from tests.contract.tracing.flows import flows
from tests.contract.tracing.hosts import Host, switch_on
from tests.contract.tracing.router import LAN, WAN
from tests.lab.docker_nftables import Net, Published, tables

__all__ = ["comparison", "hosts", "nft"]

SUBNETS = {4: "10.1.0.0/24", 6: "fd00:1::/64"}
CONTAINERS = {4: ("10.1.0.2", "10.1.0.3"), 6: ("fd00:1::2", "fd00:1::3")}
WANS = {4: "192.0.2.1", 6: "2001:db8:2::1"}
LOOPBACKS = {4: "127.0.0.1", 6: "::1"}


def published(family: int) -> tuple[Published, ...]:
    first, second = CONTAINERS[family]
    return (
        Published(first, 465, 8080),
        Published(second, 80, 80, at=WANS[family]),
        Published(second, 53, 53, "udp"),
        Published(first, 25, 25, at=LOOPBACKS[family]),
    )


def net(family: int, **options: object) -> Net:
    return Net(LAN, SUBNETS[family], published(family), **options)  # type: ignore[arg-type] # by name


def shapes(family: int) -> dict[str, str]:
    return {
        "as usual": tables(net(family)),
        "without its proxy": tables(net(family), proxy=False),
        "policy drop": tables(net(family), policy="drop"),
        "no communication within": tables(net(family, icc=False), Net("br-other", "10.7.0.0/24")),
        "its own address": tables(net(family, snat=WANS[family])),
        "a mark": tables(net(family, mark="0x10")),
        "with a device to trust": tables(net(family, trusted=(WAN,))),
        "routed": tables(net(family, mode="routed")),
        "unprotected": tables(net(family, mode="nat-unprotected")),
        "internal": tables(Net(LAN, SUBNETS[family], internal=True)),
        "of another bridge": tables(Net("br-other", SUBNETS[family], published(family))),
    }


def firewall4(family: int) -> str:
    """The recorded rules for this router, which leave the containers' bridge to a grant of dmsfw."""
    text = ruleset(includes=True)
    for theirs, ours in DEVICES.items():
        text = text.replace(theirs, ours if ours != LAN else "docker9")
    out, subnet, nat, client = GRANTS[family]
    grants = ((out, subnet, "tcp . 465"), (nat, client, "tcp . 465"))
    return text + "".join(
        f'add element inet fw4 dmsfw1_{name} {{ "{LAN}" . "{WAN}" . {whom} . {what} comment "dmsfw:0a it" }}\n'
        for name, whom, what in grants
    )


@pytest.mark.parametrize("shape", shapes(4))
@pytest.mark.parametrize("family", [4, 6])
def test_kernel_and_model_agree_on_dockers_own_tables(comparison: Comparison, family: int, shape: str) -> None:
    hold(comparison, family, shapes(family)[shape], 12)
    assert not [kind for kind in comparison.tally.seen if kind.startswith("unsure")]
    assert comparison.tally.seen["sure dropped" if shape == "internal" else "through"]


@pytest.mark.parametrize("docker_last", [False, True])
@pytest.mark.parametrize("shape", ["as usual", "without its proxy", "internal"])
@pytest.mark.parametrize("family", [4, 6])
def test_kernel_and_model_agree_where_firewall4_and_docker_both_decide(
    comparison: Comparison, family: int, shape: str, *, docker_last: bool
) -> None:
    parts = [firewall4(family), shapes(family)[shape]]
    hold(comparison, family, "\n".join(parts if docker_last else parts[::-1]), 12)
    assert comparison.tally.seen["sure dropped" if shape == "internal" else "through"]
    assert comparison.tally.seen["sure rejected"]


def hold(comparison: Comparison, family: int, text: str, times: int) -> None:
    for seed in range(times):
        random = Random(seed)
        listed = comparison.load(text, "", family)
        comparison.hold_flows(list(flows(random, family, 8)), listed, family)


ON_DOCKER0 = (
    Net("docker0", "172.17.0.0/16", (Published("172.17.0.2", 465, 8465),)),
    Net("docker0", "fd00:17::/64", (Published("fd00:17::2", 465, 8465),)),
)
OWN = [
    # the router's address, through the proxy or not, and where the container sees it come from
    ("192.0.2.1", True, "192.0.2.1"),
    ("192.0.2.1", False, "172.17.0.1"),
    ("172.17.0.1", True, "172.17.0.1"),
    ("127.0.0.1", True, ""),
    ("127.0.0.1", False, "172.17.0.1"),
    ("2001:db8::1", True, "2001:db8::1"),
    ("2001:db8::1", False, "fd00:17::1"),
    ("::1", True, ""),
]


@pytest.mark.parametrize(("address", "proxy", "peer"), OWN)
def test_the_routers_own_connection_to_a_published_port_goes_as_explain_says(
    hosts: dict[str, Host], address: str, peer: str, *, proxy: bool
) -> None:
    to = ip_address(address)
    subprocess.run(["nft", "-f", "-"], input=tables(*ON_DOCKER0, proxy=proxy), text=True, check=True)
    switch_on()
    Path("/proc/sys/net/ipv4/conf/docker0/route_localnet").write_text(str(int(not proxy)))  # as Docker does
    found = trace(Packet(to, to, "tcp", dport=8465), ThisHost())
    assert (found.verdict, found.end.local, len(found.ends)) == (Verdict.PASSES, not peer, 1)
    if not peer:  # the proxy's to answer, and there is none
        return
    assert connects(to.version, address, 8465, found.verdict) == COMES[Verdict.PASSES]
    assert hosts["container"].accepted(to.version, 465) == str(found.end.packet.src) == peer
    assert trace(reply(found), ThisHost()).verdict is Verdict.PASSES
