"""Packets through the real kernel: what dmsfw's rules let pass, and with which source."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from ipaddress import ip_network

import pytest

from dmsfw.decide.grants import grants
from dmsfw.enforce.iptables import Iptables
from dmsfw.enforce.render import TableKey
from dmsfw.model import Grant, PortRange
from tests.contract.benches import KernelBench, enable_forwarding, iptables, save
from tests.contract.wire import Wire
from tests.unit.decide_support import Case, Packet, cases

FILTER, FILTER6 = TableKey(4, "filter"), TableKey(6, "filter")
FINAL = b"the last one"
LAST = {4: ("198.18.0.1", "198.18.9.1"), 6: ("2001:db8:18::1", "2001:db8:18:9::1")}
"""From and to where the packet goes that everybody lets pass and that tells that all before it are through."""


@contextmanager
def wires(*names: str) -> Iterator[dict[str, Wire]]:
    with ExitStack() as stack:
        found = {name: stack.enter_context(Wire(name, number)) for number, name in enumerate(names, 1)}
        enable_forwarding()
        for key in (FILTER, FILTER6):
            iptables(key, "-P", "FORWARD", "DROP")
            source, destination = LAST[key.version]
            iptables(key, "-A", "FORWARD", "-s", source, "-d", destination, "-j", "ACCEPT")
        yield found


def route(destination: str, device: str) -> None:
    family = "-6" if ":" in destination else "-4"
    subprocess.run(["ip", family, "route", "replace", destination, "dev", device], check=True)


def sent(there: dict[str, Wire], packet: Packet) -> list[str]:
    """The sources with which a packet leaves; none when it is shut out."""
    version = 6 if ":" in packet.source else 4
    source, last = LAST[version]
    route(packet.destination, packet.out)
    route(last, packet.out)
    there[packet.device].arrive(packet.source, packet.destination, packet.proto, packet.port, b"question")
    there[packet.device].arrive(source, last, "udp", 9, FINAL)
    return [seen.source for seen in there[packet.out].leaves(FINAL)[:-1]]


@pytest.mark.parametrize("case", cases(), ids=repr)
def test_the_kernel_gives_every_first_packet_the_verdict_of_the_table(kernel: KernelBench, case: Case) -> None:
    first = [(packet, verdict) for packet, verdict in case.packets if packet.state == "NEW"]
    names = {name for packet, _ in first for name in (packet.device, packet.out)}
    with wires(*sorted(names)) as there:
        Iptables(kernel.tables).converge(grants(case.snapshot))
        wrong = {}
        for packet, verdict in first:
            sources = sent(there, packet)
            kept = packet.source in sources
            seen = ("open" if kept else "masq") if sources else "shut"
            if seen != verdict.replace("nat-only", "shut"):
                wrong[packet] = (seen, verdict)
        assert not wrong


@pytest.mark.parametrize("version", [4, 6])
def test_replies_pass_and_unasked_packets_do_not(kernel: KernelBench, version: int) -> None:
    ours, theirs = ("10.1.0.2", "192.0.2.25") if version == 4 else ("2001:db8:1::2", "2001:db8:2::25")
    subnet = "10.1.0.0/24" if version == 4 else "2001:db8:1::/64"
    grant = Grant("a", "br-a", ip_network(subnet), "wan0", "udp", (PortRange(465, 465),), masquerade=False)
    with wires("br-a", "wan0") as there:
        Iptables(kernel.tables).converge([grant])
        unasked = Packet("wan0", theirs, "br-a", ours, "udp", 40000)
        assert sent(there, unasked) == []
        assert sent(there, Packet("br-a", ours, "wan0", theirs, "udp", 465)) == [ours]
        assert sent(there, unasked) == []  # a connection of its own, no reply
        there["br-a"].arrive(ours, theirs, "udp", 465, b"question")
        (question,) = there["wan0"].leaves(b"question")
        there["wan0"].arrive(theirs, ours, "udp", int.from_bytes(question.payload[:2], "big"), b"reply", here=465)
        assert there["br-a"].leaves(b"reply")
        assert sent(there, Packet("wan0", theirs, "br-a", ours, "icmp" if version == 4 else "ipv6-icmp")) == []


@pytest.mark.parametrize("subnet", ["10.1.0.0/24", "fd00:1::/64"])
@pytest.mark.parametrize("other", ["dms2", "dms00", "dms", "dmsx0", "xms0"])
def test_a_rule_for_one_device_lets_no_other_through(kernel: KernelBench, subnet: str, other: str) -> None:
    source = str(ip_network(subnet)[2])
    there_ = "192.0.2.25" if ip_network(subnet).version == 4 else "2001:db8:2::25"
    grant = Grant("a", "dms0", ip_network(subnet), "wan0", "tcp", (PortRange(465, 465),), masquerade=False)
    with wires("dms0", other, "wan0", "wan2") as there:
        Iptables(kernel.tables).converge([grant])
        ours = Packet("dms0", source, "wan0", there_, "tcp", 465)
        assert sent(there, ours) == [source]
        assert sent(there, ours._replace(device=other)) == []
        assert sent(there, ours._replace(out="wan2")) == []


@pytest.mark.parametrize("subnet", ["10.1.0.0/24", "fd00:1::/64"])
def test_rules_that_stay_keep_their_counters_and_tell_what_passed(kernel: KernelBench, subnet: str) -> None:
    source = str(ip_network(subnet)[2])
    theirs = "192.0.2.25" if ip_network(subnet).version == 4 else "2001:db8:2::25"
    first = Grant("a", "br-a", ip_network(subnet), "wan0", "udp", (PortRange(465, 465),), masquerade=False)
    enforcer = Iptables(kernel.tables)
    with wires("br-a", "wan0") as there:
        enforcer.converge([first])
        for _ in range(3):
            sent(there, Packet("br-a", source, "wan0", theirs, "udp", 465))
        assert enforcer.packets()[first.id] == 3
        enforcer.converge([first, replace(first, ports=(PortRange(25, 25),)), replace(first, uplink="wan1")])
        assert enforcer.packets()[first.id] == 3
        enforcer.converge([first])
        assert enforcer.packets()[first.id] == 3
        key = FILTER if ip_network(subnet).version == 4 else FILTER6
        assert any(line.startswith("[3:") and first.id in line for line in save(key, "-c").splitlines())
