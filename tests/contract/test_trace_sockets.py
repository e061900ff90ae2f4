"""Real connections between real hosts through the rules of firewall3, Docker's on top: as `explain` says they end."""

from __future__ import annotations

import errno
import subprocess
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from dmsfw.trace import Packet, ThisHost, Verdict, Way, reply, trace
from tests.contract.tracing.hosts import PLACES, Host, error_of, is_pending, switch_on

CASES = Path(__file__).parents[1] / "cases"
TOOLS = {4: "iptables-legacy", 6: "ip6tables-legacy"}
PUBLISHED = {4: ("192.0.2.1", 8080)}
"""Docker's published port, which is the container's port 80."""

PATIENCE_S = 5.0


@pytest.fixture
def hosts(namespace: None) -> Iterator[dict[str, Host]]:  # noqa: ARG001 - it is needed, not looked at
    made = {name: Host(name) for name in PLACES}
    switch_on()
    yield made
    for host in made.values():
        host.close()


def load(family: int, *, docker: bool) -> None:
    recorded = (CASES / "openwrt" / f"fw3.ip{'' if family == 4 else '6'}tables-save.txt").read_text()
    subprocess.run([f"{TOOLS[family]}-restore"], input=recorded, text=True, check=True)
    if docker:
        more = (CASES / "trace" / "docker.rules").read_text()
        subprocess.run([f"{TOOLS[family]}-restore", "-n"], input=more, text=True, check=True)


def way_of(device: str, src: str, dst: str, port: int) -> Way:
    return trace(Packet(ip_address(src), ip_address(dst), "tcp", device, dport=port), ThisHost())


def packets_of(way: Way) -> int:
    """The counter of the rule that decides, now."""
    step = way.end.decides
    assert step is not None
    assert step.place is not None
    place, family = step.place, way.packet.family
    for ruleset in ThisHost().rulesets(family):
        chain = ruleset.tables[place.table].chains[place.chain]
        return chain.rules[place.number - 1].packets if place.number else chain.packets
    return 0


def holds(source: Host, target: Host | None, family: int, dst: str, port: int) -> str:
    """Connect, and hold what comes of it against what is said; tells what that was."""
    way = way_of(source.place.device, source.address(family), dst, port)
    assert len(way.ends) == 1, way
    before = packets_of(way) if way.verdict is Verdict.DROPPED else 0
    one = source.connecting(family, dst, port)
    try:
        if way.verdict is Verdict.REJECTED:
            assert error_of(one) == errno.ECONNREFUSED
        elif way.verdict is Verdict.DROPPED:
            until = time.monotonic() + PATIENCE_S
            while packets_of(way) == before:
                assert time.monotonic() < until, "its rule has not met it"
            assert is_pending(one)
        elif way.end.local or target is None:
            assert error_of(one) == errno.ECONNREFUSED  # nobody listens on the router
            return "to the host"
        else:
            assert trace(reply(way), ThisHost()).verdict is Verdict.PASSES
            assert error_of(one) == 0
            assert target.accepted(family, way.end.packet.dport or 0) == str(way.end.packet.src)
    finally:
        one.close()
    return way.verdict.value


@pytest.mark.parametrize(("family", "docker"), [(4, False), (4, True), (6, False)])
def test_connections_end_as_explain_says(hosts: dict[str, Host], family: int, *, docker: bool) -> None:
    load(family, docker=docker)
    seen = {
        (here, there, port): holds(hosts[here], hosts[there], family, hosts[there].address(family), port)
        for here in hosts
        for there in hosts
        for port in (80, 465)
        if here != there
    }
    assert seen["container", "server", 465] == "passes"
    assert seen["mail", "server", 465] == "rejected"  # the field case
    assert seen["server", "container", 465] == "rejected"


def test_a_published_port_of_docker_leads_to_its_container(hosts: dict[str, Host]) -> None:
    load(4, docker=True)
    address, port = PUBLISHED[4]
    assert holds(hosts["server"], hosts["container"], 4, address, port) == "passes"
    assert holds(hosts["container"], None, 4, address, port) == "to the host"


def test_the_three_rules_by_hand_open_the_field_case(hosts: dict[str, Host]) -> None:
    load(4, docker=False)
    for rule in (
        "-I FORWARD 1 -i br-4e4eb4db3fbd -p tcp --dport 465 -j ACCEPT",
        "-I FORWARD 1 -o pppoe-wan -p tcp --sport 465 -j ACCEPT",
        "-t nat -I POSTROUTING 1 -s 172.18.0.0/16 -o pppoe-wan -j MASQUERADE",
    ):
        subprocess.run([TOOLS[4], *rule.split()], check=True)
    assert holds(hosts["mail"], hosts["server"], 4, "192.0.2.25", 465) == "passes"
    assert holds(hosts["mail"], hosts["server"], 4, "192.0.2.25", 80) == "rejected"


def test_a_drop_leaves_a_connection_waiting(hosts: dict[str, Host]) -> None:
    load(4, docker=False)
    subprocess.run([TOOLS[4], "-I", "FORWARD", "-p", "tcp", "-j", "DROP"], check=True)
    assert holds(hosts["container"], hosts["server"], 4, "192.0.2.25", 465) == "dropped"


def test_the_answer_to_what_is_kept_from_tracking_belongs_to_no_connection(hosts: dict[str, Host]) -> None:
    for rule in (
        "-t raw -A PREROUTING -i docker0 -j CT --notrack",
        "-A FORWARD -i docker0 -j ACCEPT",
        "-A FORWARD -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT",
        "-A FORWARD -j DROP",
    ):
        subprocess.run([TOOLS[4], *rule.split()], check=True)
    there = way_of("docker0", hosts["container"].address(4), "192.0.2.25", 465)
    assert there.verdict is Verdict.PASSES
    back = trace(reply(there), ThisHost())
    assert back.verdict is Verdict.DROPPED
    before = packets_of(back)
    one = hosts["container"].connecting(4, "192.0.2.25", 465)
    until = time.monotonic() + PATIENCE_S
    while packets_of(back) == before:
        assert time.monotonic() < until, "the rule that drops the answer has not met it"
    assert is_pending(one)
    one.close()
