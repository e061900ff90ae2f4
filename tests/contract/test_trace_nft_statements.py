"""Statements of nftables that are rare, one by one: explain's model and the kernel, as test_trace_nft.py does it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.contract.conftest import own_network
from tests.contract.tracing.compare import Comparison
from tests.contract.tracing.flows import flows
from tests.contract.tracing.nft_tables import NftTables
from tests.contract.tracing.router import Router
from tests.lab.nft import folder

FLOWS = 16
"""Connections that are tried with each statement."""

MORE = """
    set some4 { type ipv4_addr; elements = { 10.1.0.2 } }
    set some6 { type ipv6_addr; elements = { fd00:1::2 } }
    set learnt4 { type ipv4_addr; flags dynamic; }
    set learnt6 { type ipv6_addr; flags dynamic; timeout 1m; }
    set bridges { type ifname; flags interval; elements = { "br-*" } }
    set places { type ifname . ipv4_addr . inet_service; flags interval;
                 elements = { "br-*" . 10.1.0.0/24 . 400-500, "wan*" . 192.0.2.0-192.0.2.99 . 25 } }
    set passing { type ipv4_addr; timeout 1h; elements = { 10.1.0.2 timeout 10m expires 9m, 10.1.0.3 } }
    set none { type ipv4_addr; }
    map marks { type ipv4_addr : mark; flags interval; elements = { 10.1.0.0/31 : 0x5, 10.1.0.2/31 : 0x1 } }
    map ways { type inet_service : verdict; elements = { 25 : continue, 465 : drop, 53 : jump inner } }
    limit above { rate over 1/day burst 1 packets }
    limit below { rate 10000/second burst 10000 packets }
    counter named { }
"""

FORWARD = (
    "reject with icmp host-unreachable",
    "reject with icmpv6 no-route",
    "add @learnt4 { ip saddr } accept",
    "update @learnt6 { ip6 saddr } drop",
    "delete @learnt4 { ip saddr } drop",
    "add @learnt4 { ip saddr }; ip saddr @learnt4 counter drop",
    "add @some4 { ip daddr }; ip saddr != @some4 counter drop",
    "meta mark set ip saddr map { 10.1.0.2 : 1 } counter drop",
    "meta mark set ip saddr map @marks counter drop",
    "meta mark set ip saddr map @marks; meta mark 1 counter drop",
    "meta mark set ip saddr . tcp dport map { 10.1.0.2 . 465 : 1 } counter drop",
    "meta mark set jhash ip saddr mod 2 counter drop",
    "meta mark set numgen inc mod 2 counter drop",
    "meta mark set meta mark << 8 counter accept",
    "ct mark set ip6 saddr map { fd00:1::2 : 1 } counter drop",
    "ip dscp set cs1 counter accept",
    "ip ttl set 60 counter drop",
    "ip6 hoplimit set 60 counter drop",
    "tcp dport set 8081 counter drop",
    "udp sport set 8081 counter drop",
    "ct state vmap { new : continue } counter drop",
    "ct state vmap { new : continue, established : accept } counter drop",
    "tcp dport vmap @ways counter drop",
    "tcp dport vmap { 25 : accept, * : drop }",
    "th dport vmap { 25 : accept, 465 : jump inner } counter",
    'limit name "above" drop',
    'limit name "below" drop',
    'limit name tcp dport map { 25 : "below" } counter drop',
    'counter name tcp dport map { 25 : "named" } drop',
    'counter name "named" drop',
    "ip saddr != { 10.1.0.2, 10.1.0.9 } drop",
    "ip saddr @none drop",
    "ip saddr != @none drop",
    "ip saddr @passing drop",
    "iifname @bridges drop",
    "iifname != @bridges drop",
    "iifname . ip saddr . tcp dport @places drop",
    "iifname . ip saddr . tcp dport != @places drop",
    'iifname { "br-*", "wan0" } drop',
    'iifname != "br-*" drop',
    "meta nfproto 1-3 counter drop",
    "meta protocol { ip, arp } counter drop",
    "meta protocol != arp counter drop",
    "meta protocol 0x0700-0x0900 counter drop",
    "meta l4proto != { tcp, udp } drop",
    "ip6 nexthdr != tcp drop",
    "ip protocol vmap { tcp : drop, udp : jump inner }",
    "tcp option maxseg exists drop",
    "tcp option maxseg size set 1400 counter drop",
    "exthdr frag exists drop",
    'osf name "Linux" drop',
    "fib saddr . iif oif missing drop",
    "fib saddr . iif oif != 0 drop",
    "fib daddr . iif type local drop",
    "ip saddr & 255.255.255.0 == 10.1.0.0 drop",
    "ip saddr & 255.255.255.254 @some4 drop",
    "meta mark & 0xff vmap { 0x0 : continue } counter drop",
    "tcp flags != 0 counter drop",
    "tcp flags == 0 counter drop",
    "ct original ip saddr 10.1.0.2 drop",
    "ct status == 0 counter drop",
    "ct status & (snat|dnat) == 0 counter drop",
    "ct count 5 drop",
    "ct count over 5 drop",
    "quota over 10 mbytes drop",
    "synproxy mss 1460 wscale 7",
    "meta priority set 1:2 counter drop",
    'log prefix "a b" group 5 drop',
    "ct zone 0 drop",
    "ct bytes > 1000 drop",
    'meta time > "2020-01-01 00:00:00" drop',
    "@th,16,16 465 drop",
    "@nh,96,32 0x0a010002 drop",
    "meta iifgroup 0 counter drop",
    "meter m { ip saddr limit rate 5/second } drop",
    "add @learnt4 { ip saddr limit rate over 5/second } drop",
    "icmp type . icmp code { 8 . 0 } drop",
    "goto inner",
    "meta pkttype host jump inner",
    "return",
    'meta iifname "@x" drop',
    "ip saddr 10.1.0.2 ip daddr != { 192.0.2.0/25, 198.51.100.7 } th dport { 25, 400-500 } drop",
)

PREROUTING = (
    "meta l4proto tcp tproxy to :1234 meta mark set 1 counter accept",
    "tcp dport 465 dnat ip to ip saddr map { 10.1.0.2 : 192.0.2.77 }",
    "dnat ip to tcp dport map { 465 : 192.0.2.77, 25 : 192.0.2.78 }",
    "dnat ip addr . port to tcp dport map { 465 : 192.0.2.77 . 99 }",
    "meta l4proto tcp redirect to :8080-8090",
    "meta l4proto tcp redirect to tcp dport map { 465 : 8080 }",
    "dnat ip to 192.0.2.76/30",
    "dnat ip to 192.0.2.77 persistent",
    "dnat ip6 to fd00:1::3",
    "meta l4proto { tcp, udp } dnat ip to 192.0.2.77:1000-1010",
    "accept; dnat ip to 192.0.2.77",
)
POSTROUTING = (
    "meta l4proto tcp masquerade to :1024-2048",
    "meta l4proto { tcp, udp } masquerade to :1024-2048 random",
    "masquerade fully-random,persistent",
    "snat ip to ip saddr map { 10.1.0.2 : 192.0.2.77 }",
    "snat ip prefix to ip saddr map { 10.1.0.0/24 : 192.0.2.0/24 }",
    "snat ip to 192.0.2.70-192.0.2.79",
    "meta l4proto tcp snat to :5000",
)
RAW = (
    "notrack counter accept",
    "ct state new drop",
    "ct state invalid counter",
    "ct mark 0 counter drop",
    "ip daddr set 192.0.2.99 counter accept",
    "udp dport set 99 counter accept",
)


def _text(rules: str, hook: str, kind: str = "filter", priority: int = 0) -> str:
    lines = "\n".join(rule.strip() for rule in rules.split(";"))
    return f"""table inet t {{
{MORE}
    chain inner {{
        tcp dport 53 counter drop
        udp dport 53 counter return
        counter
    }}
    chain base {{
        type {kind} hook {hook} priority {priority};
        {lines}
        ct state new counter
        counter
    }}
}}
"""


CASES = [
    *(_text(one, "forward") for one in FORWARD),
    *(_text(one, "prerouting", "nat", -100) for one in PREROUTING),
    *(_text(one, "postrouting", "nat", 100) for one in POSTROUTING),
    *(_text(one, "prerouting", "filter", -300) for one in RAW),
]
NAMES = [*FORWARD, *PREROUTING, *POSTROUTING, *RAW]


@pytest.fixture(scope="module")
def comparison() -> Iterator[Comparison]:
    """One for all of them: a router takes longer to make than a ruleset to try."""
    own_network()
    with tempfile.TemporaryDirectory() as where, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", folder(), prepend=":")
        router, tables = Router(), NftTables(Path(where))
        yield Comparison(router, tables)
        tables.close()
        router.close()


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("text", CASES, ids=NAMES)
def test_kernel_and_model_agree_on(comparison: Comparison, text: str, family: int) -> None:
    listed = comparison.load(text, "", family)
    comparison.hold_flows(list(flows(Random(family), family, FLOWS)), listed, family)
