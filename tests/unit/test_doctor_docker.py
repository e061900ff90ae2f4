"""Whom Docker's answers name: the container that is meant, its networks; and what is open for all of them."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from dmsfw.doctor import policies
from dmsfw.doctor.choice import Listed, choose
from dmsfw.doctor.containers import Endpoint, Networks, find, listed, networks
from dmsfw.doctor.everyone import Row, as_dict, exit_code, packet_of, rows
from dmsfw.doctor.leaving import network_of
from dmsfw.doctor.policies import Asked, configuration, covers, look
from dmsfw.errors import CannotTell
from dmsfw.model import Grant, Network, Plan, Policy, PortRange, Settings, Snapshot, Uplink, Uplinks
from dmsfw.trace.host import BaseChain
from tests.unit.doctor_support import BRIDGE, FIRST_ZONE, NETWORK, OPEN, SERVER, SOURCE, UPLINKS, WAN, FakeHost

ID, OTHER_ID = "ab" * 32, "cd" * 32
KNOWN = (
    Listed(ID, "dms-service-app-1", "dms-service", "app", "running"),
    Listed(OTHER_ID, "db", "shop", "app", "exited"),
    Listed("ef" * 32, "web-1", "shop", "web", "running"),
    Listed("fe" * 32, "web-2", "blog", "web", "paused"),
    Listed("0a" * 32, "ab", "", "", "running"),
)


@pytest.mark.parametrize(
    ("meant", "name"),
    [
        ("dms-service-app-1", "dms-service-app-1"),
        ("/dms-service-app-1", "dms-service-app-1"),
        ("app", "dms-service-app-1"),
        ("ab", "ab"),
        ("aba", "dms-service-app-1"),
        ("cd", "db"),
        ("db", "db"),
    ],
)
def test_a_container_is_meant_by_name_then_service_then_id(meant: str, name: str) -> None:
    assert choose(KNOWN, meant).name == name


@pytest.mark.parametrize(
    ("meant", "line"),
    [
        ("web", "web may be any of 2 containers: say one of web-1, web-2"),
        ("nobody", "no container is called nobody; running are dms-service-app-1, web-1, web-2, ab"),
        ("dms-service-ap-1", "no container is called dms-service-ap-1; there is dms-service-app-1"),
        ("x\n\x1b[31m", "no container is called x\\n\\x1b[31m; running are dms-service-app-1, web-1, web-2, ab"),
        ("9", "no container is called 9; running are dms-service-app-1, web-1, web-2, ab"),
    ],
)
def test_a_container_that_is_not_there_is_told_with_those_that_are(meant: str, line: str) -> None:
    with pytest.raises(CannotTell) as told:
        choose(KNOWN, meant)
    assert str(told.value) == line
    assert told.value.exit_code == 2


def test_where_none_runs_it_is_said() -> None:
    with pytest.raises(CannotTell, match="none is running"):
        choose((), "app")


class FakeDocker:
    """Answers as Docker does, or as it should not."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def get(self, path: str) -> object:
        found = self.answers[path.strip("/").replace("/", "_").replace("?", "_").replace("=", "_")]
        if isinstance(found, Exception):
            raise found
        return json.loads(json.dumps(found))


LIST = [
    {"Id": ID, "Names": ["/db/alias", "/app"], "Labels": {"com.docker.compose.service": "s"}, "State": "running"},
    {"Id": OTHER_ID, "Names": None, "Labels": None, "State": 7},
    {"Id": "no id"},
    "nonsense",
]
INSPECT: dict[str, Any] = {
    "Name": "/app",
    "State": {"Pid": 42},
    "HostConfig": {"NetworkMode": "net", "Dns": ["192.0.2.53", "evil", 7]},
    "NetworkSettings": {
        "Networks": {
            "net": {
                "NetworkID": NETWORK.id,
                "IPAddress": "172.18.0.2",
                "IPPrefixLen": 16,
                "GlobalIPv6Address": "",
                "Gateway": "172.18.0.1",
                "IPv6Gateway": "fd00:18::1",
            },
            "worse": {"NetworkID": "x", "Gateway": "evil\n", "IPv6Gateway": 7},
            "odd": [],
        }
    },
}


def docker(**inspect: Any) -> Any:
    return FakeDocker(containers_json_all_1=LIST, **{f"containers_{ID}_json": {**INSPECT, **inspect}})


def test_a_container_is_read_from_what_docker_says() -> None:
    found = find(docker(), "app")
    assert (found.pid, found.mode, found.dns) == (42, "net", ("192.0.2.53",))
    assert found.endpoints == (
        Endpoint(NETWORK.id, "net", (SOURCE,), (ip_address("172.18.0.1"), ip_address("fd00:18::1"))),
        Endpoint("x", "worse"),
    )
    assert listed(docker())[0] == Listed(OTHER_ID, "")


@pytest.mark.parametrize("state", [{}, {"Pid": 0}, {"Pid": "1"}, {"Pid": -1}, None])
def test_a_container_without_a_process_does_not_run(state: object) -> None:
    with pytest.raises(CannotTell, match="container app is not running: start it"):
        find(docker(State=state), "app")


def test_a_container_on_anothers_network_is_judged_by_that_one() -> None:
    other = {**INSPECT, "Name": "/owner"}
    shared = docker(HostConfig={"NetworkMode": f"container:{OTHER_ID}"}, NetworkSettings={})
    shared.answers[f"containers_{OTHER_ID}_json"] = other
    found = find(shared, "app")
    assert (found.shares, found.mode, found.pid) == ("owner", "net", 42)
    assert found.endpoints[0].network == "net"
    odd = find(docker(HostConfig={"NetworkMode": "container:../../x"}), "app")
    assert (odd.shares, odd.mode) == ("", "container:../../x")


def test_a_list_that_is_none_is_a_fault_of_dockers() -> None:
    with pytest.raises(CannotTell, match="its list of containers is none"):
        listed(FakeDocker(containers_json_all_1={"message": "no"}))  # type: ignore[arg-type]


def test_networks_keep_what_only_a_diagnosis_asks_of_them() -> None:
    raw = {
        "Id": NETWORK.id,
        "Name": "dms",
        "Driver": "bridge",
        "IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}]},
        "Options": {"com.docker.network.bridge.enable_ip_masquerade": "false"},
    }
    found = networks(FakeDocker(networks=[raw]))  # type: ignore[arg-type]
    known = found.by_id(NETWORK.id)
    assert known is not None
    assert not found.masquerades(known)
    assert Networks().masquerades(known)
    assert found.by_id("x") is None
    assert network_of(SOURCE, (), found) == known
    assert network_of(ip_address("10.9.9.9"), (), found) is None
    assert network_of(SOURCE, (Endpoint("x", "gone", (SOURCE,)),), found) is None
    elsewhere = Endpoint("x", "other", (ip_address("172.19.0.2"),))
    assert network_of(SOURCE, (elsewhere, Endpoint(NETWORK.id, "dms", (SOURCE,))), found) == known


# What is open for all


def grant(**given: Any) -> Grant:
    ports = (PortRange(465, 465),)
    found = Grant("dms", BRIDGE, NETWORK.subnets[0], WAN, "tcp", ports, whys=("smtps: dms may reach",))
    return replace(found, **given)


def snapshot(*policies_: Policy, uplinks: Uplinks = UPLINKS, networks_: tuple[Network, ...] = (NETWORK,)) -> Snapshot:
    return Snapshot(Settings(policies=policies_), networks_, uplinks)


SMTPS = Policy("smtps", networks=("dms",), ports=(PortRange(465, 465),))


def table(host: FakeHost, seen: Snapshot) -> list[tuple[str, str, str]]:
    return [(row.what, row.state, row.why) for row in rows(seen, host)]


def test_what_is_open_and_what_is_not_is_told_by_rule() -> None:
    assert table(FakeHost(extra=OPEN), snapshot(SMTPS)) == [("tcp 465", "open", "")]
    refused = ("tcp 465", "refused", "rule FORWARD #6 (!fw3 reject) refuses it")
    assert table(FakeHost(), snapshot(SMTPS)) == [refused]
    dropping = FakeHost(extra={FIRST_ZONE: f"-A FORWARD -i {BRIDGE} -j DROP"})
    assert table(dropping, snapshot(SMTPS)) == [("tcp 465", "refused", "rule FORWARD #3 (DROP) drops it")]
    chain = (BaseChain("inet fw4", "forward", "forward", "drop"),)
    ((_, state, why),) = table(FakeHost(extra=OPEN, chains=chain), snapshot(SMTPS))
    assert (state, "its chain inet fw4 forward drops" in why) == ("not known", True)


def test_what_leaves_untranslated_is_not_open() -> None:
    opened = FakeHost(extra={FIRST_ZONE: f"-A FORWARD -i {BRIDGE} -j ACCEPT"})
    by_vpn = replace(SMTPS, uplinks=("vpn",))
    assert table(opened, snapshot(by_vpn)) == [
        ("tcp 465", "refused", "it passes, but no rule masquerades it: no answer comes back")
    ]
    assert table(opened, snapshot(replace(by_vpn, masq=False))) == [("tcp 465", "open", "")]


def test_networks_that_nobody_wants_open_are_in_the_table_too() -> None:
    assert table(FakeHost(), snapshot()) == [("", "-", "no policy selects it")]
    inner = replace(NETWORK, internal=True)
    ((_, state, why),) = table(FakeHost(), snapshot(SMTPS, networks_=(inner,)))
    assert (state, why.startswith("policy smtps selects it, but it is internal")) == ("-", True)
    off = replace(snapshot(SMTPS), settings=Settings(enabled=False, policies=(SMTPS,)))
    assert table(FakeHost(), off) == [("", "-", "dmsfw is off")]


def test_a_line_that_is_down_leaves_what_should_be_open_closed() -> None:
    down = Uplinks((Uplink("wan", WAN, up=False),))
    assert table(FakeHost(extra=OPEN), snapshot(SMTPS, uplinks=down)) == [("tcp 465", "closed", "pppoe-wan is down")]
    ((_, state, why),) = table(FakeHost(), snapshot(SMTPS, uplinks=Uplinks()))
    assert (state, why) == ("closed", "policy smtps selects it, and no uplink is known")


def test_both_ends_of_each_range_are_followed_and_protocols_without_ports_once() -> None:
    wide = replace(SMTPS, ports=(PortRange(465, 465), PortRange(1000, 2000)))
    found = [what for what, _, _ in table(FakeHost(extra=OPEN), snapshot(wide))]
    assert found == ["tcp 465", "tcp 1000", "tcp 2000"]
    everything = Policy("all", networks=("*",), protos=("all", "icmp"))
    assert [what for what, _, _ in table(FakeHost(), snapshot(everything))] == ["everything", "icmp"]
    at = replace(SMTPS, destinations=(ip_network("192.0.2.0/24"),))
    assert [what for what, _, _ in table(FakeHost(), snapshot(at))] == ["tcp 465 at 192.0.2.0/24"]


def test_the_packet_of_a_grant_is_one_that_it_is_for() -> None:
    packet = packet_of(grant(destination=ip_network("192.0.2.0/24")), 465)
    assert (str(packet.src), str(packet.dst), packet.in_device, packet.out_device) == (
        *("172.18.0.2", "192.0.2.0", BRIDGE, WAN),
    )
    six = packet_of(grant(subnet=ip_network("fd00:8::/64"), proto="icmp", ports=()), None)
    assert (six.proto, six.icmp, str(six.src)) == ("icmpv6", (128, 0), "fd00:8::2")
    assert str(packet_of(grant(subnet=ip_network("10.0.0.1/32")), 1).src) == "10.0.0.1"


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (("open", "-"), 0),
        ((), 0),
        (("open", "refused"), 1),
        (("closed",), 1),
        (("not known", "open"), 2),
        (("not known", "refused"), 1),
    ],
)
def test_the_exit_code_is_a_health_check(states: tuple[str, ...], code: int) -> None:
    found = tuple(Row("n", "", "", state) for state in states)  # type: ignore[arg-type]
    assert exit_code(found) == code
    assert as_dict(found)["exit_code"] == code


# The configuration


@pytest.mark.parametrize(
    ("given", "covered"),
    [
        ({}, True),
        ({"proto": "all", "ports": ()}, True),
        ({"ports": ()}, True),
        ({"proto": "udp"}, False),
        ({"ports": (PortRange(466, 500),)}, False),
        ({"ports": (PortRange(400, 500),)}, True),
        ({"destination": ip_network("192.0.2.0/24")}, False),
        ({"destination": ip_network("220.197.33.0/24")}, True),
        ({"subnet": ip_network("fd00:8::/64")}, False),
    ],
)
def test_a_grant_is_for_a_packet_or_not(given: dict[str, Any], covered: bool) -> None:  # noqa: FBT001
    assert covers(grant(**given), Asked("tcp", SERVER, 465)) is covered


def test_how_the_policies_stand_to_a_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    class Kernel:
        @classmethod
        def of_this_host(cls, *_: object) -> Kernel:
            return cls()

        def plan(self, _: object) -> Plan:
            return Plan()

    monkeypatch.setattr(policies, "Backend", Kernel)
    asked = Asked("tcp", SERVER, 465)
    here = look(snapshot(SMTPS), NETWORK, asked, WAN)
    assert (here.selecting, here.allowing, here.elsewhere, here.installed) == (("smtps",), ("smtps",), (), True)
    there = look(snapshot(SMTPS), NETWORK, asked, "wg0")
    assert (there.allowing, there.elsewhere, there.installed, there.uplinks) == ((), (WAN,), None, (WAN,))
    nowhere = look(snapshot(SMTPS), NETWORK, asked, "")
    assert nowhere.allowing == ("smtps",)
    assert look(snapshot(replace(SMTPS, masq=False)), NETWORK, asked, WAN).untranslated
    assert look(snapshot(), NETWORK, asked, WAN).selecting == ()


def test_a_configuration_that_is_missing_or_broken_is_no_end(tmp_path: Any) -> None:
    path = tmp_path / "dmsfw"
    missing = configuration(path)
    assert (missing.settings.policies, missing.remark) == (
        (),
        f"there is no {path}: no policy of dmsfw allows anything",
    )
    path.write_text("config dmsfw 'main'\n\toption log_level 'loud'\n")
    broken = configuration(path)
    assert broken.settings.policies == ()
    assert "look at dmsfw check" in broken.remark
    path.write_text("config dmsfw 'main'\n")
    assert configuration(path).remark == ""
