"""What generated rules are made of: addresses, devices, ports, states, targets. Each is meant to match now and then."""

from __future__ import annotations

HOOKS = {
    "raw": ("PREROUTING",),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD"),
    "security": ("INPUT", "FORWARD"),
}
WEIGHTS = {"raw": 0.3, "mangle": 0.6, "nat": 0.75, "filter": 1.0, "security": 0.1}
"""How many rulesets have the table."""

DEVICES = ("br-lan", "wan0", "wan1", "w+", "br+", "+", "lo", "wan", "wan00", "br-la+", "wan0+")
ADDRESSES = {
    4: (
        "10.1.0.2", "10.1.0.3", "10.1.0.0/24", "10.0.0.0/8", "192.0.2.25", "192.0.2.0/24", "198.51.100.7", "0.0.0.0/0",
        "198.18.0.0/15", "10.0.0.2/255.0.0.255", "0.0.0.1/0.0.0.1", "192.0.2.1", "10.1.0.1", "128.0.0.0/1", "10.2.0.9",
        "10.1.0.3/255.255.0.3",
    ),
    6: (
        "fd00:1::2", "fd00:1::3", "fd00:1::/64", "fd00::/8", "2001:db8:2::25", "2001:db8:2::/64", "2001:db8:9::7",
        "::/0", "2001:db8::/32", "::2/::f", "2001:db8:2::1", "fd00:1::1", "8000::/1", "fd00:2::9", "::1/::1",
    ),
}  # fmt: skip
RANGES = {
    4: (
        "10.1.0.2-10.1.0.2",
        "10.1.0.0-10.1.0.2",
        "192.0.2.1-192.0.2.24",
        "0.0.0.0-127.255.255.255",
        "10.1.0.3-192.0.2.25",
    ),
    6: (
        "fd00:1::2-fd00:1::2",
        "fd00:1::-fd00:1::2",
        "2001:db8:2::1-2001:db8:2::24",
        "::-7fff::",
        "2001:db8::-fd00:1::2",
    ),
}
PORTS = ("25", "465", "24:26", ":464", "465:", "0:65535", "53", "1024:", ":30000", "20000:40000", "80")
LISTS = ("25,465", "24:26", "53,80,400:500", "25", "1:52,54:65535", "8080", "1024:65535")
PROTOCOLS = ("tcp", "udp", "icmp", "sctp", "gre", "esp", "1", "! tcp", "! udp", "! icmp", "132")
STATES = (
    "NEW",
    "ESTABLISHED",
    "RELATED",
    "INVALID",
    "UNTRACKED",
    "NEW,ESTABLISHED",
    "INVALID,NEW",
    "RELATED,UNTRACKED",
)
CT_STATES = (*STATES, "DNAT", "SNAT", "NEW,DNAT", "SNAT,DNAT", "ESTABLISHED,SNAT", "INVALID,DNAT")
MARKS = ("0x0", "0x1", "0x1/0x1", "0x10/0x10", "0x0/0x10", "0x2/0x3", "0x1/0xff", "0x11")
FLAGS = (
    "SYN SYN",
    "SYN,ACK SYN",
    "FIN,SYN,RST,ACK SYN",
    "SYN,RST SYN",
    "ACK ACK",
    "ALL NONE",
    "SYN,ACK SYN,ACK",
    "ALL SYN,FIN",
)
TYPES = {
    4: ("8", "0", "3", "8/0", "8/1", "255", "3/4"),
    6: ("128", "129", "1", "128/0", "128/1", "2"),
}
UNKNOWN = (
    "-m length --length 0:60", "-m length --length 30:2000", "-m u32 --u32 0x0&0xf0000000=0x40000000",
    "-m connbytes --connbytes 0 --connbytes-dir both --connbytes-mode packets", "-m cpu --cpu 0",
    "-m dscp --dscp 0x00", "-m dscp ! --dscp 0x00", "-m helper --helper ftp", "-m recent --name x --rcheck",
    "-m connlimit --connlimit-above 3", "-m quota --quota 100000",
)  # fmt: skip
"""Matches that the model does not know."""


STATUSES = ("NONE", "SEEN_REPLY", "CONFIRMED", "ASSURED", "EXPECTED")
COMMENTS = (
    '"!fw3: Zone wan"', "plain", r'"with \"quotes\" in it"', '"-j DROP"', "--dport", r'"it\'s \\ odd"',
    '"\x1b[31m red"', '"! -s 10.0.0.0/8"', "!",
)  # fmt: skip
DESTINATIONS = {
    4: ("10.1.0.3", "192.0.2.25", "198.51.100.7", "10.1.0.1", "192.0.2.1", "10.1.0.2-10.1.0.3", "198.18.0.9"),
    6: ("fd00:1::3", "2001:db8:2::25", "2001:db8:9::7", "fd00:1::1", "2001:db8:2::1", "fd00:1::2-fd00:1::3"),
}
SOURCES = {
    4: ("192.0.2.1", "192.0.2.99", "198.18.0.1", "10.1.0.1", "192.0.2.98-192.0.2.99"),
    6: ("2001:db8:2::1", "2001:db8:2::99", "2001:db8:3::1", "fd00:1::1"),
}
NETMAPS = {4: ("10.1.0.2/31", "192.0.2.0/24"), 6: ("fd00:1::2/127", "2001:db8:2::/64")}
MARKINGS = (
    "MARK --set-xmark 0x1/0xffffffff", "MARK --set-mark 0x10/0x10", "MARK --set-xmark 0x3/0x0", "MARK --and-mark 0x1",
    "MARK --or-mark 0x2", "MARK --xor-mark 0x1", "CONNMARK --set-xmark 0x1/0xff", "CONNMARK --save-mark",
    "CONNMARK --restore-mark", "CONNMARK --save-mark --nfmask 0x1 --ctmask 0x3",
    "CONNMARK --restore-mark --nfmask 0x10 --ctmask 0x11", "CONNMARK --set-mark 0x10",
)  # fmt: skip
HARMLESS = {4: ("TTL --ttl-set 33", "TOS --set-tos 0x10/0x3f"), 6: ("HL --hl-set 33", "TOS --set-tos 0x10/0x3f")}
REFUSALS = {
    4: ("icmp-port-unreachable", "icmp-admin-prohibited", "icmp-net-unreachable"),
    6: ("icmp6-port-unreachable", "icmp6-adm-prohibited"),
}
TRACKING = "-A OUTPUT -m conntrack --ctstate NEW"
"""The kernel tracks nothing, and asks no nat table, as long as no rule needs it."""
REFUSED = {
    4: ("-A OUTPUT -p tcp", "-A OUTPUT -p icmp -m icmp --icmp-type 3", TRACKING),
    6: ("-A OUTPUT -p tcp", "-A OUTPUT -p ipv6-icmp -m icmp6 --icmpv6-type 1", TRACKING),
}
"""They count what REJECT sends, and have the kernel track connections."""
PORTED = frozenset({"tcp", "udp", "sctp"})
