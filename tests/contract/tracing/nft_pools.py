"""What generated rules of nftables are made of. Each is meant to match now and then."""

from __future__ import annotations

from tests.contract.tracing.pools import DESTINATIONS, SOURCES

__all__ = ["DESTINATIONS", "SOURCES"]

PRIORITIES = {
    ("filter", "prerouting"): (-300, -250, -150, -120, -90, 0, 5),
    ("filter", "input"): (-150, -1, 0, 10, 99, 120),
    ("filter", "forward"): (-150, -10, 0, 0, 1, 50, 60),
    ("filter", "postrouting"): (-150, 0, 90, 110, 300),
    ("nat", "prerouting"): (-199, -101, -100, -50, 0),
    ("nat", "input"): (50, 100, 101),
    ("nat", "postrouting"): (0, 99, 100, 101),
}
OF_IPTABLES = frozenset({-300, -150, -100, 0, 50, 100})
SEEN = {
    "iif": ("prerouting", "input", "forward", "postrouting"),
    "oif": ("prerouting", "forward", "postrouting"),
}
NAMES = ("br-lan", "wan0", "wan1", "lo", "wan", "wan00")
PATTERNS = ("w*", "br*", "wan0*", "br-la*")
ADDRESSES = {
    4: ("10.1.0.2", "10.1.0.0/24", "10.0.0.0/8", "192.0.2.25", "192.0.2.0/24", "198.51.100.7", "198.18.0.0/15",
        "192.0.2.1", "10.1.0.1", "128.0.0.0/1", "10.1.0.2-10.1.0.3", "10.1.0.3-192.0.2.25", "0.0.0.0-127.255.255.255"),
    6: ("fd00:1::2", "fd00:1::/64", "fd00::/8", "2001:db8:2::25", "2001:db8:2::/64", "2001:db8:9::7", "2001:db8::/32",
        "2001:db8:2::1", "fd00:1::1", "8000::/1", "fd00:1::2-fd00:1::3", "2001:db8::-fd00:1::2"),
}  # fmt: skip
APART = {
    4: ("10.1.0.2", "10.1.0.3-10.1.0.9", "192.0.2.0/24", "198.51.100.0/25", "198.18.0.0/15", "10.2.0.0/16"),
    6: ("fd00:1::2", "fd00:1::3-fd00:1::9", "2001:db8:2::/64", "2001:db8:9::/64", "2001:db8:3::/64", "fd00:2::/64"),
}
"""Addresses that do not overlap: elements of one set."""

MASKS = {
    4: (("255.0.0.255", "10.0.0.2"), ("0.0.0.1", "0.0.0.1"), ("0.0.0.255", "0.0.0.25")),
    6: (("::f", "::2"), ("ffff::ff", "2001::25"), ("::1", "::1")),
}
PORTS = ("25", "465", "53", "80", "400-450", "1000-30000", "30001-65535")
"""Apart as well."""

FLAGS = ("syn", "!= syn", "& (fin|syn|rst|ack) == syn", "& (syn|ack) != syn", "& ack == ack", "syn,ack",
         "{ syn, ack }", "! ack")  # fmt: skip
ICMP = {
    4: ("icmp type echo-request", "icmp type { echo-request, echo-reply }", "icmp type != echo-reply", "icmp code 3",
        "icmp type destination-unreachable", "meta l4proto icmp", "icmp type . icmp code { echo-request . 0, 3 . 3 }"),
    6: ("icmpv6 type echo-request", "icmpv6 type { echo-request, echo-reply }", "icmpv6 type != echo-reply",
        "icmpv6 type destination-unreachable", "meta l4proto ipv6-icmp", "icmpv6 code 4"),
}  # fmt: skip
STATES = ("new", "established,related", "invalid", "untracked", "!= new", "{ new, established }", "new,invalid",
          "!= { established, related }", "related", "!= established,related", "! new,established")  # fmt: skip
TRACKING = (
    "ct direction original", "ct direction reply", "ct direction != original", "ct status dnat", "ct status snat",
    "ct status snat,dnat", "ct status ! dnat", "ct status != snat", "ct status seen-reply", "ct status confirmed",
    "ct status { dnat, snat }", "ct protocol 6", "meta l4proto tcp ct original proto-dst 465",
    "meta l4proto udp ct reply proto-src 25", "ct status & dnat == dnat",
)  # fmt: skip
MARKS = ("0x0", "0x1", "!= 0x1", "& 0x1 == 0x1", "& 0x10 != 0x0", "{ 0x0, 0x10 }", "> 0x1", "0x1-0x10", "<= 0x2",
         "& 0x3 == { 0x1, 0x2 }")  # fmt: skip
CHANGES = (
    "meta mark set 0x1", "meta mark set 0x10", "meta mark set meta mark | 0x10", "meta mark set meta mark & 0x1",
    "meta mark set meta mark ^ 0x3", "ct mark set meta mark", "meta mark set ct mark", "ct mark set 0x1",
    "ct mark set ct mark | 0x2", "meta mark set meta mark & 0xffffff00 | 0x11", 'log prefix "x"', "meta priority set 1",
    "meta mark set ct mark & 0xff", "ct mark set meta mark & 0x3",
)  # fmt: skip
OTHERS = ("meta length 0-60", "meta cpu 0", "meta length > 30", "ct expiration > 1s", "meta skuid 0", "ct id 5",
          'ct helper "ftp"', "meta pkttype host", "meta pkttype != broadcast")  # fmt: skip
COMMENTS = ("!fw4: it", "plain", "drop", "# handle 5", "\\x1b[31m", "a; b", "} accept")
TRANSPORT = ("meta l4proto", "ip protocol", "ip6 nexthdr")
"""Words that say for which transport a rule is: nft refuses two that differ."""

MATCHES = (
    "device", "device", "address", "address", "address", "protocol", "family_of", "state", "state", "tracking", "mark",
    "concat", "concat", "fib", "other", "assumed",
)  # fmt: skip
