"""Real connections that the router itself makes, through OUTPUT and POSTROUTING, end as `explain` says."""

from __future__ import annotations

import select
import socket
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from dmsfw.trace import Packet, ThisHost, Verdict, Way, reply, trace
from tests.contract.tracing.hosts import FAMILIES, PLACES, Host, error_of, ip, switch_on
from tests.lab.nft import folder

ROUTER = {4: "192.0.2.1", 6: "2001:db8::1"}
SERVER = {4: "192.0.2.25", 6: "2001:db8::25"}
OTHER = "172.17.0.2"
"""A container's address."""
SECOND = "192.0.2.9"
"""Another one of the router's."""

ECHO = bytes.fromhex("0800f7ff00000000")

ACCEPTED, REFUSED, PENDING = "accepted", "refused", "pending"
WATCHED_S = 0.3
COMES = {Verdict.PASSES: ACCEPTED, Verdict.REJECTED: REFUSED, Verdict.DROPPED: PENDING}
TABLE = "table inet own {{ chain out {{ type {} hook output priority {}; {} }}; }}"


@pytest.fixture
def hosts(namespace: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Host]]:  # noqa: ARG001 - needed
    """The router's neighbours; and an nft to be found."""
    monkeypatch.setenv("PATH", folder(), prepend=":")
    made = {name: Host(name) for name in PLACES}
    ip("link", "set", "lo", "up")
    yield made
    for host in made.values():
        host.close()


def connects(family: int, address: str, port: int, verdict: Verdict) -> str:
    """Try it, and tell what came of it: accepted, refused, or pending. That it stays so is watched for a while."""
    with socket.socket(FAMILIES[family], socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as one:
        one.connect_ex((address, port))
        if verdict is Verdict.DROPPED:
            _, done, _ = select.select([], [one], [], WATCHED_S)
            if not done:
                return PENDING
        return ACCEPTED if error_of(one) == 0 else REFUSED


def way(family: int, port: int) -> Way:
    packet = Packet(ip_address(ROUTER[family]), ip_address(SERVER[family]), "tcp", dport=port)
    return trace(packet, ThisHost())


def load(rules: str) -> None:
    """Rules of iptables by their program, or a ruleset of nft's."""
    for line in filter(None, map(str.strip, rules.splitlines())):
        words = line.split()
        if words[0] == "table":
            subprocess.run(["nft", "-f", "-"], input=line, text=True, check=True)
        else:
            subprocess.run(words, check=True)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(
    ("rules", "verdict", "by"),
    [
        ("", Verdict.PASSES, ""),
        ("{ipt} -A OUTPUT -p tcp --dport 465 -j REJECT --reject-with tcp-reset", Verdict.REJECTED, "OUTPUT"),
        ("{ipt} -A OUTPUT -o docker0 -p tcp --dport 465 -j DROP", Verdict.PASSES, ""),
        ("{ipt} -A OUTPUT -o pppoe-wan -p tcp --dport 465 -j DROP", Verdict.DROPPED, "OUTPUT"),
        ("{ipt} -N own\n{ipt} -A own ! -i docker0 -j DROP\n{ipt} -A OUTPUT -p tcp -j own", Verdict.DROPPED, "own"),
        ("{ipt} -A OUTPUT -m conntrack --ctstate NEW -p tcp --dport 465 -j DROP", Verdict.DROPPED, "OUTPUT"),
        ("{ipt} -t raw -A OUTPUT -m conntrack --ctstate NEW -p tcp --dport 465 -j DROP", Verdict.PASSES, ""),
        ("{ipt} -t mangle -A POSTROUTING -o pppoe-wan -p tcp --dport 465 -j DROP", Verdict.DROPPED, "POSTROUTING"),
        ("{ipt} -A FORWARD -j DROP", Verdict.PASSES, ""),
        (TABLE.format("filter", "filter", "policy drop;"), Verdict.DROPPED, "out"),
        (TABLE.format("filter", "filter", "tcp dport 465 reject with tcp reset;"), Verdict.REJECTED, "out"),
        (TABLE.format("filter", "raw", "ct state new tcp dport 465 drop;"), Verdict.PASSES, ""),
        (TABLE.format("filter", "filter", "ct state new oifname pppoe-wan drop;"), Verdict.DROPPED, "out"),
        (TABLE.format("route", "mangle", "tcp dport 465 drop;"), Verdict.DROPPED, "out"),
    ],
)
def test_what_the_router_sends_ends_as_explain_says(
    hosts: dict[str, Host], family: int, rules: str, verdict: Verdict, by: str
) -> None:
    load(rules.replace("{ipt}", "iptables-legacy" if family == 4 else "ip6tables-legacy"))
    found = way(family, 465)
    assert found.verdict is verdict, found
    assert connects(family, SERVER[family], 465, verdict) == COMES[verdict]
    if by:
        decides = found.end.decides
        assert decides is not None
        assert decides.place is not None
        assert decides.place.chain == by
    else:
        assert hosts["server"].accepted(family, 465) == str(found.end.packet.src)


@pytest.mark.parametrize(
    "rules",
    [
        f"iptables-legacy -t nat -A OUTPUT -p tcp --dport 465 -j DNAT --to-destination {OTHER}",
        f"table ip own {{ chain out {{ type nat hook output priority -100; tcp dport 465 dnat to {OTHER}; }}; }}",
    ],
)
def test_what_is_sent_elsewhere_is_routed_again(hosts: dict[str, Host], rules: str) -> None:
    """The filter still sees the first decision's device, and POSTROUTING the second one's."""
    load(
        f"""
        {rules}
        iptables-legacy -A OUTPUT -o docker0 -j DROP
        iptables-legacy -t mangle -A POSTROUTING -o pppoe-wan -j DROP
        iptables-legacy -t nat -A POSTROUTING -o docker0 -j MASQUERADE
        """
    )
    found = way(4, 465)
    assert found.verdict is Verdict.PASSES, found
    assert (str(found.end.packet.dst), found.end.packet.out_device) == (OTHER, "docker0")
    assert connects(4, SERVER[4], 465, found.verdict) == ACCEPTED
    assert hosts["container"].accepted(4, 465) == str(found.end.packet.src)


@pytest.mark.parametrize(
    "rules",
    [
        "iptables-legacy -t mangle -A OUTPUT -p tcp --dport 465 -j MARK --set-mark 7",
        "table ip own { chain out { type route hook output priority mangle; tcp dport 465 meta mark set 7; }; }",
    ],
)
def test_a_mark_sends_it_another_way(hosts: dict[str, Host], rules: str) -> None:
    ip("rule", "add", "fwmark", "7", "table", "77")
    ip("route", "add", "default", "via", OTHER, "table", "77")
    load(f"{rules}\niptables-legacy -t mangle -A POSTROUTING -o docker0 -p tcp --dport 465 -j DROP")
    found = way(4, 465)
    assert found.verdict is Verdict.DROPPED, found
    assert found.end.packet.out_device == "docker0"
    assert connects(4, SERVER[4], 465, found.verdict) == PENDING
    assert hosts["server"].accepted(4, 465) == ""


@pytest.mark.parametrize(
    "rules",
    [
        "iptables-legacy -t raw -A OUTPUT -p tcp --dport 465 -j MARK --set-mark 7",
        "iptables-legacy -t nat -A OUTPUT -p tcp --dport 465 -j MARK --set-mark 7",
        "table ip own { chain out { type filter hook output priority mangle; tcp dport 465 meta mark set 7; }; }",
        "table ip own { chain out { type nat hook output priority -100; tcp dport 465 meta mark set 7; }; }",
        """iptables-legacy -t mangle -A OUTPUT -m owner --uid-owner 1 -j MARK --set-mark 7
        iptables-legacy -A OUTPUT -p tcp --dport 465 -j MARK --set-mark 7""",
    ],
)
def test_a_mark_that_is_not_routed_by_is_not_taken_for_one_that_is(hosts: dict[str, Host], rules: str) -> None:
    ip("rule", "add", "fwmark", "7", "table", "77")
    ip("route", "add", "default", "via", OTHER, "table", "77")
    load(f"{rules}\niptables-legacy -t mangle -A POSTROUTING -o docker0 -p tcp --dport 465 -j DROP")
    assert way(4, 465).verdict is Verdict.UNCERTAIN
    assert connects(4, SERVER[4], 465, Verdict.PASSES) == ACCEPTED
    assert hosts["server"].accepted(4, 465) == ROUTER[4]


def test_a_mark_counts_where_nat_sends_it_elsewhere(hosts: dict[str, Host]) -> None:
    ip("rule", "add", "fwmark", "7", "table", "77")
    ip("route", "add", "default", "via", OTHER, "table", "77")
    load(
        """
        iptables-legacy -t nat -A OUTPUT -p tcp --dport 465 -j MARK --set-mark 7
        iptables-legacy -t nat -A OUTPUT -p tcp --dport 465 -j DNAT --to-destination 192.0.2.26
        iptables-legacy -t mangle -A POSTROUTING -o docker0 -p tcp --dport 465 -j DROP
        """
    )
    found = way(4, 465)
    assert (found.verdict, found.end.packet.out_device) == (Verdict.DROPPED, "docker0")
    assert connects(4, SERVER[4], 465, found.verdict) == PENDING
    assert hosts["server"].accepted(4, 465) == ""


@pytest.mark.parametrize(
    "change", [f"ip daddr set {OTHER}", f"ip saddr set {SECOND}", "meta mark set numgen inc mod 1 offset 7"]
)
def test_what_is_changed_into_something_not_known_may_go_another_way(hosts: dict[str, Host], change: str) -> None:
    ip("addr", "add", f"{SECOND}/24", "dev", "pppoe-wan")
    ip("rule", "add", "from", SECOND, "table", "77")
    ip("rule", "add", "fwmark", "7", "table", "77")
    ip("route", "add", "default", "via", OTHER, "table", "77")
    chain = TABLE.format("route", "mangle", f"tcp dport 465 {change};").replace("inet", "ip")
    load(f"{chain}\niptables-legacy -t mangle -A POSTROUTING -o docker0 -p tcp -j DROP")
    assert way(4, 465).verdict is Verdict.UNCERTAIN
    assert connects(4, SERVER[4], 465, Verdict.DROPPED) == PENDING
    assert hosts["server"].accepted(4, 465) == ""


@pytest.mark.parametrize(
    ("address", "out", "fate"),
    [
        ("192.0.2.255", "pppoe-wan", Verdict.DROPPED),
        ("239.255.255.250", "pppoe-wan", Verdict.DROPPED),
        ("239.255.255.250", "lo", Verdict.PASSES),
        ("ff05::1:3", "docker0", Verdict.DROPPED),
        ("127.255.255.255", "lo", Verdict.DROPPED),
    ],
)
def test_what_is_for_many_leaves_by_a_device(hosts: dict[str, Host], address: str, out: str, fate: Verdict) -> None:
    assert hosts
    ip("route", "add", "default", "via", SERVER[4])
    for command in ("iptables-legacy", "ip6tables-legacy"):
        load(f"{command} -A OUTPUT -o {out} -p udp -j DROP")
    to = ip_address(address)
    found = trace(Packet(ip_address(ROUTER[to.version]), to, "udp", dport=1900), ThisHost())
    assert found.verdict is fate, found
    with socket.socket(FAMILIES[to.version], socket.SOCK_DGRAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if fate is Verdict.DROPPED:
            with pytest.raises(PermissionError):
                one.sendto(b"x", (address, 1900))
        else:
            one.sendto(b"x", (address, 1900))


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ("", Verdict.UNREACHABLE),
        ("iptables-legacy -A INPUT -p tcp -j REJECT --reject-with tcp-reset", Verdict.UNREACHABLE),
        ("iptables-legacy -A OUTPUT -o lo -p tcp -j DROP", Verdict.DROPPED),
        ("iptables-legacy -t nat -A OUTPUT -p tcp -j REDIRECT --to-ports 8465", Verdict.PASSES),
    ],
)
def test_what_only_a_route_sends_by_lo_is_nobodys(hosts: dict[str, Host], rules: str, verdict: Verdict) -> None:
    assert hosts
    ip("route", "add", "198.51.100.0/24", "dev", "lo")
    load(rules)
    found = trace(Packet(ip_address(ROUTER[4]), ip_address("198.51.100.9"), "tcp", dport=465), ThisHost())
    assert found.verdict is verdict, found
    waits = Verdict.DROPPED if verdict is Verdict.UNREACHABLE else verdict
    with socket.create_server(("127.0.0.1", 8465)):
        assert connects(4, "198.51.100.9", 465, waits) == COMES[waits]


@pytest.mark.parametrize("looks", [("uidrange", "7-9"), ("tos", "0x10"), ("ipproto", "tcp", "sport", "7-9")])
def test_whom_a_rule_of_the_routing_looks_at_is_not_known(hosts: dict[str, Host], looks: tuple[str, ...]) -> None:
    assert hosts
    ip("rule", "add", *looks, "table", "77")
    ip("route", "add", "prohibit", "default", "table", "77")
    assert way(4, 465).verdict is Verdict.UNCERTAIN
    there = Packet(ip_address(OTHER), ip_address(SERVER[4]), "tcp", "docker0", sport=40000, dport=465)
    switch_on()
    expected = Verdict.UNCERTAIN if "tos" in looks else Verdict.PASSES
    assert trace(there, ThisHost()).verdict is expected


@pytest.mark.parametrize(("proto", "verdict"), [("icmp", Verdict.UNCERTAIN), ("sctp", Verdict.PASSES)])
def test_a_protocol_may_have_a_way_of_its_own(hosts: dict[str, Host], proto: str, verdict: Verdict) -> None:
    """A ping leaves by docker0, whatever `ip route get` says of its address."""
    assert hosts
    ip("rule", "add", "ipproto", "icmp", "table", "77")
    ip("route", "add", "default", "via", OTHER, "table", "77")
    load("iptables-legacy -t mangle -A POSTROUTING -o docker0 -j DROP")
    ends = ip_address(ROUTER[4]), ip_address(SERVER[4])
    assert trace(Packet(*ends, proto), ThisHost()).verdict is verdict
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as one, pytest.raises(PermissionError):
        one.sendto(ECHO, (SERVER[4], 0))


UNTRACKED = "iptables-legacy -A INPUT -m conntrack --ctstate UNTRACKED -j DROP\niptables-legacy -t raw -A PREROUTING -j"
TURNED = "iptables-legacy -t nat -A OUTPUT -p tcp --dport 465 -j REDIRECT --to-ports 8465"


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        (TURNED, Verdict.PASSES),
        (f"{TURNED}\niptables-legacy -A OUTPUT -o lo -p tcp --dport 8465 -j DROP", Verdict.PASSES),
        (f"{TURNED}\niptables-legacy -A INPUT -i lo -p tcp --dport 8465 -j DROP", Verdict.DROPPED),
        (f"{TURNED}\niptables-legacy -A INPUT -i lo -p tcp --dport 465 -j DROP", Verdict.PASSES),
        (f"{TURNED}\niptables-legacy -t mangle -A POSTROUTING -o lo -p tcp -j DROP", Verdict.DROPPED),
        (f"{TURNED}\niptables-legacy -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 99", Verdict.PASSES),
        (f"{TURNED}\niptables-legacy -t raw -A PREROUTING -m conntrack --ctstate NEW -j DROP", Verdict.DROPPED),
    ],
)
def test_what_is_turned_to_the_router_itself_comes_back_by_lo(
    hosts: dict[str, Host], rules: str, verdict: Verdict
) -> None:
    assert hosts
    load(rules)
    found = way(4, 465)
    assert found.verdict is verdict, found
    with socket.create_server(("127.0.0.1", 8465)):
        assert connects(4, SERVER[4], 465, found.verdict) == COMES[verdict]
    if verdict is Verdict.PASSES:
        assert found.end.local
        assert (str(found.end.packet.dst), found.end.packet.dport) == ("127.0.0.1", 8465)


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ("", Verdict.PASSES),
        ("iptables-legacy -A OUTPUT -o lo -p tcp --dport 465 -j REJECT --reject-with tcp-reset", Verdict.REJECTED),
        ("iptables-legacy -A INPUT -i lo -p tcp --dport 465 -j REJECT --reject-with tcp-reset", Verdict.REJECTED),
        ("iptables-legacy -A INPUT -i pppoe-wan -p tcp --dport 465 -j DROP", Verdict.PASSES),
        (f"{UNTRACKED} NOTRACK", Verdict.PASSES),
        (f"{UNTRACKED} CT --notrack", Verdict.PASSES),
        (f"{UNTRACKED} NOTRACK".replace("PREROUTING", "OUTPUT"), Verdict.DROPPED),
        ("table netdev own { chain in { type filter hook ingress device lo priority 0; drop; }; }", Verdict.UNCERTAIN),
    ],
)
def test_what_the_router_sends_to_itself(hosts: dict[str, Host], rules: str, verdict: Verdict) -> None:
    assert hosts
    load(rules)
    own = ip_address(ROUTER[4])
    found = trace(Packet(own, own, "tcp", dport=465), ThisHost())
    assert found.verdict is verdict, found
    with socket.create_server((ROUTER[4], 465)):
        expected = Verdict.DROPPED if verdict is Verdict.UNCERTAIN else verdict
        assert connects(4, ROUTER[4], 465, expected) == COMES[expected]


def test_the_routers_answer_meets_the_rules_for_its_own_packets(hosts: dict[str, Host]) -> None:
    load("iptables-legacy -A OUTPUT -o docker0 -p tcp --sport 8465 -j DROP")
    there = trace(Packet(ip_address(OTHER), ip_address("172.17.0.1"), "tcp", "docker0", dport=8465), ThisHost())
    assert there.verdict is Verdict.PASSES
    back = trace(reply(there), ThisHost())
    assert back.verdict is Verdict.DROPPED
    with socket.create_server(("172.17.0.1", 8465)):
        one = hosts["container"].connecting(4, "172.17.0.1", 8465)
        _, done, _ = select.select([], [one], [], WATCHED_S)
        assert not done
        one.close()
