"""What each match answers: yes, no, or that it cannot be told."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from dmsfw.trace.packet import Connection, Ends, Packet
from dmsfw.trace.shell import Said
from tests.unit.trace_support import answer, host, packet

TCP = packet()
UDP = packet(proto="udp", dport=53)
SCTP = packet(proto="sctp", dport=9)
PING = packet(proto="icmp")
PONG = packet(proto="icmp", icmp=(0, 0))
GRE = packet(proto="gre")
SIX = packet(six=True)
PING6 = packet(six=True, proto="icmpv6")
OUT = packet(out_device="wan0")
SOME_PORT = packet(sport=None)
MARKED = packet(mark=0x11)
LATER = packet(ctstate="ESTABLISHED")
ACK = packet(ctstate="ESTABLISHED", flags=frozenset({"ACK"}))
RELATED = packet(ctstate="RELATED", proto="icmp", icmp=(3, 3))
INVALID = packet(ctstate="INVALID")
UNTRACKED = packet(ctstate="UNTRACKED")
TO_HOST = packet(dst="10.1.0.1")
TO_ALL = packet(dst="10.1.0.255", proto="udp")
TO_GROUP = packet(dst="224.0.0.251", proto="udp")
MASKED_DST = TCP.not_known("dst", "dport")
MASKED_SRC = TCP.not_known("src", "sport", "mark")
FROM_PORT = packet(physdev="veth1", mac="02:00:00:00:00:02")
FROM_NONE = packet(physdev="")
FIRST = replace(TCP, connection=replace(TCP.connection, original=TCP.ends))
SENT_ON = replace(TCP, connection=replace(TCP.connection, nat=frozenset({"DNAT"})))
ENDS = Ends(ip_address("10.1.0.2"), 40000, ip_address("192.0.2.25"), 465)
OLD = packet(
    ctstate="ESTABLISHED",
    connection=Connection("tcp", "reply", ENDS, ENDS.turned(), frozenset({"SNAT"}), 0x5),
)

YES, NO, UNKNOWN = True, False, None

CASES: list[tuple[str, Packet, Any]] = [
    # addresses: any mask, both families
    ("-s 10.1.0.2/32", TCP, YES),
    ("-s 10.1.0.0/24", TCP, YES),
    ("-s 10.1.1.0/24", TCP, NO),
    ("! -s 10.1.1.0/24", TCP, YES),
    ("-s 10.0.0.2/255.0.0.255", TCP, YES),
    ("-s 10.0.0.3/255.0.0.255", TCP, NO),
    ("-d 192.0.2.25", TCP, YES),
    ("! -d 192.0.2.25", TCP, NO),
    ("-s fd00:1::/64", SIX, YES),
    ("-d 2001:db8::/ffff:ffff::", SIX, YES),
    ("-d fd00::/8", SIX, NO),
    ("-s 0.0.0.0/0", MASKED_SRC, YES),
    ("-s 10.1.0.2", MASKED_SRC, UNKNOWN),
    ("-d 192.0.2.25", MASKED_DST, UNKNOWN),
    ("-s 10.1.0.2/33", TCP, UNKNOWN),
    ("-s 10.1.0.1000", TCP, UNKNOWN),
    # devices
    ("-i br-a", TCP, YES),
    ("-i br-", TCP, NO),
    ("-i br+", TCP, YES),
    ("-i +", TCP, YES),
    ("! -i br-a", TCP, NO),
    ("! -i wan+", TCP, YES),
    ("-o wan0", OUT, YES),
    ("-o wan0", TCP, NO),
    ("-o w+", OUT, YES),
    ("! -o w+", TCP, YES),
    # protocols and fragments
    ("-p tcp", TCP, YES),
    ("-p 6", TCP, YES),
    ("! -p tcp", TCP, NO),
    ("-p udp", TCP, NO),
    ("-p ipv6-icmp", PING6, YES),
    ("-p esp", GRE, NO),
    ("-p 47", GRE, YES),
    ("-p nobody-knows-it", GRE, UNKNOWN),
    ("-f", TCP, NO),
    ("! -f", TCP, YES),
    ("-f", SIX, UNKNOWN),
    ("-x 5", TCP, UNKNOWN),
    # ports
    ("-p tcp -m tcp --dport 465", TCP, YES),
    ("-p tcp -m tcp --dport 1:464", TCP, NO),
    ("-p tcp -m tcp --dport 465:", TCP, YES),
    ("-p tcp -m tcp ! --dport 465", TCP, NO),
    ("-p tcp -m tcp --sport 40000 --dport 465", TCP, YES),
    ("-p tcp -m tcp --sport 1:1023", SOME_PORT, NO),
    ("-p tcp -m tcp --sport 1024:65535", SOME_PORT, YES),
    ("-p tcp -m tcp --sport 40000", SOME_PORT, UNKNOWN),
    ("-p tcp -m tcp --dport 465", MASKED_DST, UNKNOWN),
    ("-p tcp -m tcp --dport 0:65535", MASKED_DST, YES),
    ("-p udp -m udp --dport 53", UDP, YES),
    ("-p sctp -m sctp --dport 9", SCTP, YES),
    ("-p sctp -m sctp --chunk-types any INIT", SCTP, UNKNOWN),
    ("-p tcp -m tcp --dport 70000", TCP, UNKNOWN),
    ("-p tcp -m tcp --dport 9:5", TCP, UNKNOWN),
    ("-m tcp --dport 465", PING, NO),
    ("-p tcp -m multiport --dports 25,465", TCP, YES),
    ("-p tcp -m multiport --dports 25,400:500", TCP, YES),
    ("-p tcp -m multiport ! --dports 25,465", TCP, NO),
    ("-p tcp -m multiport --sports 25,465", TCP, NO),
    ("-p tcp -m multiport --ports 40000", TCP, YES),
    ("-p tcp -m multiport --ports 465", SOME_PORT, YES),
    ("-p tcp -m multiport --ports 50000", SOME_PORT, UNKNOWN),
    ("-p tcp -m multiport --new 50000", TCP, UNKNOWN),
    # flags of TCP
    ("-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN", TCP, YES),
    ("-p tcp -m tcp --syn", TCP, YES),
    ("-p tcp -m tcp ! --syn", TCP, NO),
    ("-p tcp -m tcp --tcp-flags SYN,RST SYN", ACK, NO),
    ("-p tcp -m tcp --tcp-flags SYN,RST SYN", LATER, UNKNOWN),
    ("-p tcp -m tcp --tcp-flags ACK ACK", LATER, YES),
    ("-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN", LATER, NO),
    ("-p tcp -m tcp --tcp-flags ALL NONE", TCP, NO),
    ("-p tcp -m tcp --tcp-flags SYN SYN,ACK", TCP, NO),
    ("-p tcp -m tcp --tcp-flags SYN SYN", INVALID, UNKNOWN),
    ("-p tcp -m tcp --tcp-flags ODD SYN", TCP, UNKNOWN),
    ("-p tcp -m tcp --tcp-option 3", TCP, UNKNOWN),
    # ICMP
    ("-p icmp -m icmp --icmp-type 8", PING, YES),
    ("-p icmp -m icmp --icmp-type echo-request", PING, YES),
    ("-p icmp -m icmp --icmp-type 8/0", PING, YES),
    ("-p icmp -m icmp --icmp-type 8/1", PING, NO),
    ("-p icmp -m icmp --icmp-type any", PONG, YES),
    ("-p icmp -m icmp ! --icmp-type 8", PONG, YES),
    ("-p icmp -m icmp --icmp-type 3/3", RELATED, YES),
    ("-p icmp -m icmp --icmp-type 3/0", RELATED, NO),
    ("-p ipv6-icmp -m icmp6 --icmpv6-type 128", PING6, YES),
    ("-p ipv6-icmp -m icmp6 --icmpv6-type 129", PING6, NO),
    ("-m icmp --icmp-type 8", TCP, NO),
    ("-p icmp -m icmp --icmp-type what", PING, UNKNOWN),
    ("-p icmp -m icmp --icmp-type 256", PING, UNKNOWN),
    ("-p icmp -m icmp --new 8", PING, UNKNOWN),
    # connection tracking
    ("-m conntrack --ctstate NEW", TCP, YES),
    ("-m conntrack --ctstate RELATED,ESTABLISHED", TCP, NO),
    ("-m conntrack ! --ctstate RELATED,ESTABLISHED", TCP, YES),
    ("-m conntrack --ctstate INVALID", INVALID, YES),
    ("-m conntrack --ctstate UNTRACKED", UNTRACKED, YES),
    ("-m conntrack --ctstate DNAT", TCP, NO),
    ("-m conntrack --ctstate DNAT", SENT_ON, YES),
    ("-m conntrack ! --ctstate DNAT", SENT_ON, NO),
    ("-m conntrack --ctstate SNAT", LATER, UNKNOWN),
    ("-m conntrack --ctstate SNAT,ESTABLISHED", LATER, YES),
    ("-m conntrack --ctstate SNAT", OLD, YES),
    ("-m conntrack --ctstate DNAT", INVALID, NO),
    ("-m conntrack --ctstate ODD", TCP, UNKNOWN),
    ("-m conntrack --ctproto tcp", TCP, YES),
    ("-m conntrack --ctproto 17", TCP, NO),
    ("-m conntrack --ctproto tcp", RELATED, UNKNOWN),
    ("-m conntrack --ctorigsrc 10.1.0.0/16", FIRST, YES),
    ("-m conntrack ! --ctorigdst 192.0.2.0/24", FIRST, NO),
    ("-m conntrack --ctorigsrc 10.1.0.0/16", LATER, UNKNOWN),
    ("-m conntrack --ctreplsrc 192.0.2.25", TCP, YES),
    ("-m conntrack --ctrepldst 10.1.0.2", TCP, YES),
    ("-m conntrack --ctrepldst 10.1.0.2", OLD, YES),
    ("-m conntrack --ctrepldst 10.1.0.2", LATER, UNKNOWN),
    ("-m conntrack --ctreplsrc 192.0.2.25", MASKED_DST, UNKNOWN),
    ("-m conntrack --ctorigdstport 465", FIRST, YES),
    ("-m conntrack --ctorigdstport 1:464", FIRST, NO),
    ("-m conntrack --ctorigdstport 465", LATER, UNKNOWN),
    ("-m conntrack --ctreplsrcport 465", OLD, YES),
    ("-m conntrack --ctreplsrcport 465", PING, UNKNOWN),
    ("-m conntrack --ctorigdstport 465", RELATED, UNKNOWN),
    ("-m conntrack --ctdir ORIGINAL", TCP, YES),
    ("-m conntrack --ctdir REPLY", TCP, NO),
    ("-m conntrack --ctdir REPLY", OLD, YES),
    ("-m conntrack --ctdir REPLY", LATER, UNKNOWN),
    ("-m conntrack --ctdir ASIDE", TCP, UNKNOWN),
    ("-m conntrack --ctstatus CONFIRMED", TCP, NO),
    ("-m conntrack ! --ctstatus CONFIRMED", TCP, YES),
    ("-m conntrack --ctstatus SEEN_REPLY", LATER, YES),
    ("-m conntrack --ctstatus ASSURED", LATER, UNKNOWN),
    ("-m conntrack --ctstatus NONE", LATER, NO),
    ("-m conntrack --ctstatus ODD", LATER, UNKNOWN),
    ("-m conntrack --ctexpire 5", TCP, UNKNOWN),
    # a packet without a connection: nothing more is asked of it than its state
    ("-m conntrack --ctproto tcp", INVALID, NO),
    ("-m conntrack ! --ctproto tcp", INVALID, NO),
    ("-m conntrack --ctproto udp --ctstate INVALID", INVALID, YES),
    ("-m conntrack --ctproto udp --ctstate NEW", INVALID, NO),
    ("-m state --state NEW", TCP, YES),
    ("-m state ! --state NEW", TCP, NO),
    ("-m state --state DNAT", TCP, UNKNOWN),
    ("-m state --ctstate NEW", TCP, UNKNOWN),
    # marks
    ("-m mark --mark 0x11", MARKED, YES),
    ("-m mark --mark 0x1/0x1", MARKED, YES),
    ("-m mark ! --mark 0x10/0x10", MARKED, NO),
    ("-m mark --mark 0x11/0x1", MARKED, NO),
    ("-m mark --mark 0x1", MASKED_SRC, UNKNOWN),
    ("-m mark --new 0x1", TCP, UNKNOWN),
    ("-m connmark --mark 0x0", TCP, YES),
    ("-m connmark ! --mark 0x0", TCP, NO),
    ("-m connmark --mark 0x5", OLD, YES),
    ("-m connmark --mark 0x0", LATER, UNKNOWN),
    ("-m connmark ! --mark 0x9", UNTRACKED, NO),
    # places
    ("-m iprange --src-range 10.1.0.1-10.1.0.9", TCP, YES),
    ("-m iprange ! --src-range 10.1.0.1-10.1.0.9", TCP, NO),
    ("-m iprange --dst-range 192.0.2.26-192.0.2.30", TCP, NO),
    ("-m iprange --dst-range 192.0.2.25", TCP, YES),
    ("-m iprange --dst-range 2001:db8::1-2001:db8::ff", SIX, YES),
    ("-m iprange --dst-range 192.0.2.1-192.0.2.30", MASKED_DST, UNKNOWN),
    ("-m iprange --new 10.1.0.1", TCP, UNKNOWN),
    ("-m addrtype --dst-type LOCAL", TO_HOST, YES),
    ("-m addrtype --dst-type LOCAL", TCP, NO),
    ("-m addrtype ! --dst-type LOCAL", TCP, YES),
    ("-m addrtype --dst-type UNICAST", TO_HOST, NO),
    ("-m addrtype --dst-type UNICAST", TCP, YES),
    ("-m addrtype --src-type UNICAST --dst-type LOCAL", TO_HOST, YES),
    ("-m addrtype --dst-type LOCAL,BROADCAST", TO_ALL, YES),
    ("-m addrtype --dst-type MULTICAST", TO_GROUP, YES),
    ("-m addrtype --dst-type BROADCAST", packet(dst="255.255.255.255"), YES),
    ("-m addrtype --dst-type LOCAL --limit-iface-in", TO_HOST, YES),
    ("-m addrtype --dst-type LOCAL --limit-iface-in", replace(TO_HOST, in_device="wan0"), NO),
    ("-m addrtype --dst-type LOCAL", packet(src="fd00:1::2", dst="fd00:1::1"), YES),
    ("-m addrtype --dst-type UNICAST", packet(src="fd00:1::2", dst="fd00:1::1"), YES),
    ("-m addrtype --dst-type MULTICAST", packet(src="fd00:1::2", dst="ff02::1"), YES),
    ("-m addrtype --dst-type UNREACHABLE", TCP, UNKNOWN),
    ("-m addrtype --dst-type LOCAL", MASKED_DST, UNKNOWN),
    ("-m addrtype --new LOCAL", TCP, UNKNOWN),
    ("-m physdev --physdev-in veth1", FROM_PORT, YES),
    ("-m physdev --physdev-in veth+", FROM_PORT, YES),
    ("-m physdev ! --physdev-in eth0", FROM_PORT, YES),
    ("-m physdev --physdev-is-in", FROM_PORT, YES),
    ("-m physdev --physdev-is-in", FROM_NONE, NO),
    ("-m physdev --physdev-in veth1", TCP, UNKNOWN),
    ("-m physdev --physdev-is-bridged", FROM_PORT, NO),
    ("-m physdev ! --physdev-is-out", FROM_PORT, YES),
    ("-m physdev --physdev-out eth0", FROM_PORT, NO),
    ("-m physdev --physdev-out +", FROM_PORT, UNKNOWN),
    ("-m physdev --new eth0", TCP, UNKNOWN),
    ("-m mac --mac-source 02:00:00:00:00:02", FROM_PORT, YES),
    ("-m mac ! --mac-source 02:00:00:00:00:02", FROM_PORT, NO),
    ("-m mac --mac-source 02:00:00:00:00:02", TCP, UNKNOWN),
    ("-m mac --new 02:00:00:00:00:02", TCP, UNKNOWN),
    ("-m pkttype --pkt-type unicast", TCP, YES),
    ("-m pkttype --pkt-type broadcast", TCP, NO),
    ("-m pkttype --pkt-type multicast", TO_GROUP, UNKNOWN),
    ("-m pkttype --pkt-type odd", TCP, UNKNOWN),
    # what is assumed, and what is not known
    ("-m limit --limit 25/sec", TCP, YES),
    ("-m statistic --mode random --probability 0.5", TCP, YES),
    ("-m hashlimit --hashlimit-upto 5/sec --hashlimit-name x", TCP, UNKNOWN),
    ("-m u32 --u32 0x0=0x1", TCP, UNKNOWN),
    ('-m string --string "-j ACCEPT" --algo bm', TCP, UNKNOWN),
    ("-m time --timestart 03:00 ! --weekdays Sa", TCP, UNKNOWN),
    # one no outweighs whatever is not known
    ("-m u32 --u32 0x0=0x1 -m tcp --dport 25", TCP, NO),
    ("-m limit --limit 25/sec -m u32 --u32 0x0=0x1", TCP, UNKNOWN),
    ("", TCP, YES),
]

BRIDGED = {
    "/proc/sys/net/bridge/bridge-nf-call-iptables": "1\n",
    "/proc/sys/net/bridge/bridge-nf-call-ip6tables": "1\n",
}


@pytest.mark.parametrize(("words", "given", "wanted"), CASES)
def test_a_match_answers_as_the_kernel_does(words: str, given: Packet, wanted: Any) -> None:
    found = answer(words, given, at=host(files=BRIDGED))
    assert found.matches is wanted
    assert bool(found.why) is (wanted is None or "-m limit" in words or "-m statistic" in words)


def test_no_bridge_port_is_seen_where_rules_are_not_asked_about_bridged_packets() -> None:
    assert answer("-m physdev --physdev-in veth1", FROM_PORT, at=host()).matches is False
    off = {"/proc/sys/net/bridge/bridge-nf-call-iptables": "0\n"}
    assert answer("-m physdev --physdev-is-in", TCP, at=host(files=off)).matches is False


@pytest.mark.parametrize("words", ["-m addrtype --dst-type LOCAL", "-m addrtype ! --src-type LOCAL"])
def test_what_the_host_does_not_tell_is_not_guessed(words: str) -> None:
    silent = host(said={"ip -4 route show table local": Said(None)})
    assert answer(words, TCP, at=silent).matches is None


LISTED = {"ipset list -terse": Said(0, "Name: x\nType: hash:ip\n")}
PORTS = {"ipset list -terse": Said(0, "Name: x\nType: hash:ip,port\n")}
INSIDE, OUTSIDE = Said(0, "", "10.1.0.2 is in set x."), Said(1, "", "10.1.0.2 is NOT in set x.")


@pytest.mark.parametrize(
    ("words", "said", "wanted"),
    [
        ("--match-set x src", {**LISTED, "ipset test x 10.1.0.2": INSIDE}, YES),
        ("! --match-set x src", {**LISTED, "ipset test x 10.1.0.2": INSIDE}, NO),
        ("--match-set x dst", {**LISTED, "ipset test x 192.0.2.25": OUTSIDE}, NO),
        ("--match-set x src,dst", {**PORTS, "ipset test x 10.1.0.2,tcp:465": INSIDE}, YES),
        ("--match-set x src,dst", {**LISTED, "ipset test x 10.1.0.2": INSIDE}, YES),
        ("--match-set x src", {**PORTS, "ipset test x 10.1.0.2": INSIDE}, UNKNOWN),
        ("--match-set x src", {"ipset list -terse": Said(0, "Name: x\nType: hash:net,iface\n")}, UNKNOWN),
        ("--match-set x src", {"ipset list -terse": Said(0, "Name: x\nType: hash:mac\n")}, UNKNOWN),
        (
            "--match-set x src,src",
            {"ipset list -terse": Said(0, "Type: hash:net,iface"), "ipset test x 10.1.0.2,br-a": INSIDE},
            YES,
        ),
        ("--match-set x src", {**LISTED, "ipset test": Said(1, "", "The set does not exist")}, UNKNOWN),
        ("--match-set x src", {"ipset list": Said(1)}, UNKNOWN),
        ("--match-set x src", {}, UNKNOWN),
        ("--match-set x odd", LISTED, UNKNOWN),
        ("--match-set -x src", LISTED, UNKNOWN),
        ("--match-set x src --return-nomatch", {**LISTED, "ipset test x 10.1.0.2": INSIDE}, UNKNOWN),
    ],
)
def test_a_set_is_asked_by_the_entry_that_its_type_wants(words: str, said: dict[str, Said], wanted: Any) -> None:
    assert answer(f"-m set {words}", TCP, at=host(said=said)).matches is wanted


def test_a_set_is_not_asked_about_what_is_not_known() -> None:
    silent = host(said={**LISTED, "ipset test": INSIDE})
    assert answer("-m set --match-set x dst", MASKED_DST, at=silent).matches is None
