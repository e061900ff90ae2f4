"""Grants in words."""

from ipaddress import ip_network

import pytest

from dmsfw.model import Grant, Network, PortRange, Proto
from dmsfw.report.sentence import joined, lines_for_change, ports_of, sentence, sentences

V4, V6 = ip_network("172.18.0.0/16"), ip_network("fd00:1::/64")
MAIL = Network("4e4eb4db3fbd", "dms-service_dms-network", device="br-4e4eb4db3fbd", subnets=(V4,))
HEAD = "dms-service_dms-network (br-4e4eb4db3fbd, 172.18.0.0/16)"


def grant(
    proto: Proto = "tcp",
    ports: tuple[tuple[int, int], ...] = (),
    uplink: str = "pppoe-wan",
    to: str | None = None,
    *,
    subnet: str = "172.18.0.0/16",
    network: Network = MAIL,
) -> Grant:
    ranges = tuple(PortRange(*one) for one in ports)
    destination = None if to is None else ip_network(to)
    return Grant(network.name, network.device, ip_network(subnet), uplink, proto, ranges, destination)


SMTPS = grant(ports=((465, 465),))


@pytest.mark.parametrize(
    ("grants", "said"),
    [
        ([SMTPS], "may reach tcp 465 via pppoe-wan"),
        (
            [
                one
                for way in ("wanb", "pppoe-wan")
                for one in (grant("udp", ((53, 53),), way), grant("tcp", ((465, 465),), way))
            ],
            "may reach tcp 465, udp 53 via pppoe-wan and wanb",
        ),
        ([SMTPS, grant(ports=((587, 587), (1000, 2000)))], "may reach tcp 465,587,1000-2000 via pppoe-wan"),
        (
            [grant("tcp", ((445, 445),), "br-lan", "192.168.100.10/32")],
            "may reach tcp 445 at 192.168.100.10 via br-lan",
        ),
        (
            [grant("tcp", ((445, 445),), "br-lan", f"192.168.{net}.0/24") for net in (1, 2)],
            "may reach tcp 445 at 192.168.1.0/24 and 192.168.2.0/24 via br-lan",
        ),
        ([grant("all")], "may reach everything via pppoe-wan"),
        ([grant("all"), SMTPS, grant("icmp")], "may reach everything via pppoe-wan"),
        (
            [grant("all"), grant("tcp", ((465, 465),), "wanb")],
            "may reach everything via pppoe-wan and tcp 465 via wanb",
        ),
        ([grant("all", to="10.0.0.0/8"), SMTPS], "may reach everything at 10.0.0.0/8, tcp 465 via pppoe-wan"),
        ([grant("icmp"), grant("udp")], "may reach icmp, any udp port via pppoe-wan"),
        ([], "is selected, but nothing is opened for it"),
        ([grant(network=Network("x", MAIL.name, device="br-other"))], "is selected, but nothing is opened for it"),
    ],
)
def test_a_network_is_told_in_one_sentence(grants: list[Grant], said: str) -> None:
    assert sentence(MAIL, grants) == f"{HEAD} {said}"
    assert sentence(MAIL, reversed(grants)) == f"{HEAD} {said}"


def test_subnets_that_may_reach_the_same_share_a_sentence() -> None:
    both = Network(MAIL.id, MAIL.name, device=MAIL.device, subnets=(V4, V6))
    grants = [SMTPS, grant(ports=((465, 465),), subnet=str(V6))]
    assert sentences(both, grants) == (
        "dms-service_dms-network (br-4e4eb4db3fbd, 172.18.0.0/16, fd00:1::/64) may reach tcp 465 via pppoe-wan",
    )


def test_a_subnet_that_may_reach_less_has_its_own_sentence() -> None:
    both = Network(MAIL.id, MAIL.name, device=MAIL.device, subnets=(V4, V6))
    assert sentences(both, [SMTPS]) == (f"{HEAD} may reach tcp 465 via pppoe-wan",)
    assert sentences(both, [SMTPS, grant("icmp", subnet=str(V6))]) == (
        f"{HEAD} may reach tcp 465 via pppoe-wan",
        "dms-service_dms-network (br-4e4eb4db3fbd, fd00:1::/64) may reach icmp via pppoe-wan",
    )


def test_a_hostile_name_is_clean_in_its_sentence() -> None:
    evil = Network("e", "evil\n\x1b[31m", device="br-e", subnets=(V4,))
    assert sentence(evil, [grant("icmp", network=evil)]).startswith("evil\\n\\x1b[31m (br-e, ")
    assert (
        sentence(Network("o", "over", driver="overlay"), [])
        == "over (no bridge) is selected, but nothing is opened for it"
    )


@pytest.mark.parametrize(
    ("grants", "written"),
    [
        ([SMTPS, grant(ports=((587, 587),)), grant("udp", ((53, 53),))], "tcp/465,587 udp/53"),
        ([grant("all")], "all"),
        ([grant("icmp"), grant("tcp")], "icmp tcp/any"),
        ([grant(ports=((445, 445),), to="192.168.100.10/32")], "tcp/445@192.168.100.10"),
    ],
)
def test_ports_are_written_as_the_log_does(grants: list[Grant], written: str) -> None:
    assert ports_of(grants) == written


def test_any_port_beside_one_port_is_any() -> None:
    assert ports_of([SMTPS, grant("tcp")]) == "tcp/any"
    assert sentence(MAIL, [SMTPS, grant("tcp")]) == f"{HEAD} may reach any tcp port via pppoe-wan"


def test_a_recreated_network_is_closed_on_the_old_bridge_and_opened_on_the_new() -> None:
    new = Network("5", MAIL.name, device="br-5")
    after = grant(ports=((465, 465),), subnet="172.19.0.0/16", network=new)
    assert lines_for_change((SMTPS,), (after,)) == [
        (
            "network closed",
            {
                "network": MAIL.name,
                "bridge": MAIL.device,
                "subnet": "172.18.0.0/16",
                "ports": "tcp/465",
                "uplink": "pppoe-wan",
                "rules": 1,
            },
        ),
        (
            "network opened",
            {
                "network": MAIL.name,
                "bridge": "br-5",
                "subnet": "172.19.0.0/16",
                "ports": "tcp/465",
                "uplink": "pppoe-wan",
                "rules": 1,
            },
        ),
    ]


def test_a_network_with_other_grants_is_changed_and_told_once() -> None:
    after = (SMTPS, grant("udp", ((53, 53),), "wanb"), grant("tcp", ((465, 465),), subnet=str(V6)))
    [(message, keys)] = lines_for_change((SMTPS,), after)
    assert message == "network changed"
    assert (keys["subnet"], keys["ports"], keys["uplink"], keys["rules"]) == (
        f"{V4},{V6}",
        "tcp/465 udp/53",
        "pppoe-wan,wanb",
        3,
    )


def test_another_why_or_order_is_no_change() -> None:
    why = Grant(MAIL.name, MAIL.device, V4, "pppoe-wan", "tcp", (PortRange(465, 465),), whys=("smtps: ...",))
    assert lines_for_change((SMTPS, grant("icmp")), (grant("icmp"), why)) == []
    assert lines_for_change((), ()) == []


def test_names_are_joined_as_in_a_sentence() -> None:
    assert [joined(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
