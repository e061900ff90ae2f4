"""Docker's list of networks is hostile text until it is parsed."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsfw.errors import ObserveError
from dmsfw.model import Network, is_device_name
from dmsfw.observe.networks import parse_networks
from tests.unit.observe_support import ID, network

OTHER_ID = "ab" * 32


def one(**fields: Any) -> Network:
    (parsed,) = parse_networks([network(**fields)])
    return parsed


def test_the_field_cases_network_is_read_whole() -> None:
    assert one() == Network(
        id=ID,
        name="dms-network",
        device="br-4e4eb4db3fbd",
        subnets=(ip_network("172.18.0.0/16"),),
        labels=(("com.docker.compose.network", "dms-network"),),
    )


@pytest.mark.parametrize(
    ("fields", "device"),
    [
        ({"Options": None}, "br-4e4eb4db3fbd"),
        ({"Options": {"com.docker.network.bridge.name": ""}}, "br-4e4eb4db3fbd"),
        ({"Options": {"com.docker.network.bridge.name": "dms0"}}, "dms0"),
        ({"name": "bridge"}, "docker0"),
        ({"name": "bridge", "Options": {"com.docker.network.bridge.name": "br0"}}, "br0"),
        ({"Driver": "overlay"}, ""),
        ({"Driver": "macvlan", "Options": {"com.docker.network.bridge.name": "eth0"}}, ""),
        ({"name": "host", "Driver": "host"}, ""),
    ],
)
def test_the_bridge_is_the_one_docker_names(fields: dict[str, Any], device: str) -> None:
    parsed = one(**fields)
    assert (parsed.device, parsed.problem) == (device, "")


@pytest.mark.parametrize(
    "name", ["br+", 'x"accept#', "lo", ".", "..", "a b", "br\n", "sixteen-letters-", 7, 0, ["br"], "é"]
)
def test_a_bridge_name_that_may_not_stand_in_a_rule_closes_the_network(name: object) -> None:
    parsed = one(Options={"com.docker.network.bridge.name": name})
    assert "bridge" in parsed.problem
    assert parsed.device == ""


@pytest.mark.parametrize(
    ("subnet", "why"),
    [
        ("0.0.0.0/0", "wider than /8"),
        ("::/0", "wider than /16"),
        ("0.0.0.0/1", "wider than /8"),
        ("fc00::/7", "wider than /16"),
        ("127.0.0.0/8", "not for hosts"),
        ("127.0.0.1/32", "not for hosts"),
        ("0.0.0.0/8", "not for hosts"),
        ("169.254.1.0/24", "not for hosts"),
        ("224.0.0.0/8", "not for hosts"),
        ("255.255.255.255/32", "not for hosts"),
        ("::1/128", "not for hosts"),
        ("::ffff:10.0.0.0/104", "not for hosts"),
        ("fe80::/64", "not for hosts"),
        ("ff02::/16", "not for hosts"),
        ("172.18.0.0", "cannot be read"),
        ("172.18.0.0/33", "cannot be read"),
        ("172.18.0.0/0.0.0.255", "cannot be read"),
        ("172.18.0.0/16\n", "cannot be read"),
        ("172.18.0.0/1٦", "cannot be read"),
        ("fd00::%eth0/64", "cannot be read"),
        ("", "cannot be read"),
        (2886860800, "cannot be read"),
        (None, "cannot be read"),
        (["172.18.0.0/16"], "cannot be read"),
    ],
)
def test_a_subnet_that_would_open_more_than_a_bridge_closes_the_network(subnet: object, why: str) -> None:
    parsed = one(subnet=subnet)
    assert parsed.subnets == ()
    assert why in parsed.problem


def test_one_bad_subnet_does_not_cost_the_good_ones() -> None:
    config = [
        {"Subnet": "fd00:1::/64"},
        {"Subnet": "0.0.0.0/0"},
        {"Subnet": "172.19.0.7/16"},
        {"Subnet": "172.19.0.0/16"},
    ]
    parsed = one(IPAM={"Config": config})
    assert parsed.subnets == (ip_network("172.19.0.0/16"), ip_network("fd00:1::/64"))
    assert parsed.problem == ""


@pytest.mark.parametrize("ipam", [None, {}, {"Config": None}, {"Config": []}, {"Config": "x"}, {"Config": [None]}, []])
def test_a_network_without_a_subnet_says_so(ipam: object) -> None:
    assert one(IPAM=ipam).problem == "it has no subnet"


@pytest.mark.parametrize("id_", ["", "4e4eb4db3fbd", ID.upper().replace("0", "G"), ID + "0", None, 4, ID[:-1] + "\n"])
def test_an_id_that_is_none_closes_the_network(id_: Any) -> None:
    assert "its id" in one(id_=id_).problem


@pytest.mark.parametrize("internal", [True, "false", 0, None, []])
def test_whatever_is_not_plainly_false_is_internal(internal: object) -> None:
    assert one(Internal=internal).internal is True


def test_two_networks_with_one_bridge_are_both_closed() -> None:
    option = {"com.docker.network.bridge.name": "shared0"}
    pair = [
        network("b", Options=option),
        network("a", OTHER_ID, Options=option, Internal=True),
        network("c", "12" * 32),
    ]
    assert [(each.name, bool(each.problem)) for each in parse_networks(pair)] == [
        ("a", True),
        ("b", True),
        ("c", False),
    ]


def test_networks_are_sorted_by_name_then_id_and_keep_hostile_names() -> None:
    names = ["evil\n\x1b[31m", "b", "b", "a'\""]
    parsed = parse_networks([network(name, f"{index:064x}"[::-1]) for index, name in enumerate(names)])
    assert [each.name for each in parsed] == sorted(names)
    assert [each.id for each in parsed if each.name == "b"] == sorted(each.id for each in parsed if each.name == "b")


def test_labels_of_a_wrong_type_are_dropped() -> None:
    assert one(Labels={"a": "1", "b": 2, "c": None}).labels == (("a", "1"),)
    assert one(Labels=None).labels == ()
    assert one(Labels=["a=1"]).labels == ()


@pytest.mark.parametrize("answer", [None, {}, "x", 3, [None], [network(), 3], {"message": "page not found"}])
def test_what_is_no_list_of_networks_is_an_unreadable_docker_and_not_an_empty_one(answer: object) -> None:
    with pytest.raises(ObserveError):
        parse_networks(answer)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([ID, "bridge", "10.0.0.0/8"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["Name", "Id", "Driver", "Internal", "IPAM", "Options", "Labels"]
IPAM = st.fixed_dictionaries({"Config": st.lists(st.fixed_dictionaries({"Subnet": JSON}) | JSON, max_size=3)})
OPTIONS = st.fixed_dictionaries({"com.docker.network.bridge.name": JSON})
NETWORKS = st.lists(
    st.dictionaries(st.sampled_from(KEYS), JSON, max_size=7).flatmap(
        lambda junk: st.builds(lambda ipam, options: {**network(), **junk, **ipam, **options},
                               st.just({}) | st.builds(lambda ipam: {"IPAM": ipam}, IPAM),
                               st.just({}) | st.builds(lambda options: {"Options": options}, OPTIONS)))
    | JSON, max_size=4)  # fmt: skip


@given(JSON | NETWORKS)
def test_parsing_never_raises_anything_but_an_observe_error_and_opens_nothing_hostile(answer: object) -> None:
    try:
        parsed = parse_networks(answer)
    except ObserveError:
        return
    for each in parsed:
        if not each.problem and each.driver == "bridge":
            assert is_device_name(each.device)
            assert each.subnets
            assert all(subnet.prefixlen >= 8 for subnet in each.subnets)
