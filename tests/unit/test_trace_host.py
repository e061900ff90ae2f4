"""What the host is asked, and how its answers are read."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path

import pytest

from dmsfw.trace import ThisHost, addresses
from dmsfw.trace.host import Route
from dmsfw.trace.route import ask, read
from dmsfw.trace.shell import Said, ThisShell
from tests.unit.trace_support import NAMES, Texts, filter_, host, packet

REFUSED = Said(2, "", "RTNETLINK answers: No route to host\n")


@pytest.mark.parametrize(
    ("said", "route"),
    [
        (Said(0, "8.8.8.8 from 10.1.0.5 via 192.0.2.2 dev w0 \n    cache iif br-a\n"), ("forward", "w0", "192.0.2.2")),
        (Said(0, "8.8.8.8 from 10.1.0.5 dev w0 src 10.1.0.1"), ("forward", "w0", "")),
        (Said(0, "8.8.8.8 via inet6 fe80::1 dev w0"), ("forward", "w0", "fe80::1")),
        (Said(0, "local 10.1.0.1 from 10.1.0.5 dev lo"), ("local", "", "")),
        (Said(0, "broadcast 10.1.0.255 from 10.1.0.5 dev lo"), ("local", "", "")),
        (Said(0, "broadcast 10.1.0.255 from 10.1.0.1 dev br-a"), ("local", "br-a", "")),
        (Said(0, "multicast ff02::fb from fe80::1 dev br-a table local proto kernel"), ("local", "br-a", "")),
        (Said(0, "unreachable 2001:db8::1 dev lo error -101"), ("none", "", "")),
        (Said(0, "prohibit 2001:db8::1 dev lo"), ("none", "", "")),
        (REFUSED, ("none", "", "")),
        (Said(0, ""), ("unknown", "", "")),
        (Said(0, "what is that dev"), ("unknown", "", "")),
        (Said(1, "", 'Cannot find device "br-x"\n'), ("unknown", "", "")),
        (Said(None), ("unknown", "", "")),
    ],
)
def test_a_routing_decision_is_read(said: Said, route: tuple[str, str, str]) -> None:
    assert read(said)[:3] == route


def test_the_kernels_words_are_kept() -> None:
    assert read(REFUSED).text == "No route to host"
    assert read(Said(1, "", 'x\nCannot find device "br-x"\n')) == Route("unknown", text='Cannot find device "br-x"')


def test_an_old_ip_is_asked_without_ports() -> None:
    texts = Texts({"ip -4 route get": Said(0, "192.0.2.25 dev wan0")}, {})
    with_ports = "ip -4 route get 192.0.2.25 from 10.1.0.2 iif br-a ipproto tcp sport 40000 dport 465"
    texts.said[with_ports] = Said(1, "", 'Error: either "to" is duplicate, or "ipproto" is a garbage.')
    assert ask(texts, packet()).device == "wan0"
    plain = "192.0.2.25 from 10.1.0.2 iif br-a"
    assert texts.asked == [with_ports, f"ip -4 route get {plain}", f"ip -4 route get fibmatch {plain}"]


def test_no_way_is_no_reason_to_ask_again_and_icmp_has_no_ports() -> None:
    texts = Texts({"ip -4 route get": REFUSED}, {})
    ask(texts, packet())
    ask(texts, packet(proto="icmp"))
    assert len(texts.asked) == 2


ADDR = """\
3: ppp0    inet 10.64.1.2 peer 10.64.1.1/32 scope global ppp0\\       valid_lft forever preferred_lft forever
3: ppp0    inet 192.0.2.1/24 brd 192.0.2.255 scope global ppp0
3: ppp0    inet 192.0.2.2/24 scope global secondary ppp0
3: ppp0    inet 169.254.0.1/16 scope link ppp0
3: ppp0    inet6 2001:db8::1/64 scope global deprecated
3: ppp0    inet6 fe80::1/64 scope link
3: ppp0    inet 300.0.0.1/24 scope global ppp0
3: ppp0    inet 192.0.2.9 scope
odd
"""


def test_a_devices_own_addresses_are_those_that_it_may_send_from() -> None:
    said = {"ip -o -4 addr show dev ppp0": Said(0, ADDR)}
    found = ThisHost(Texts(said, {})).addresses(4, "ppp0")
    assert [str(one) for one in found or ()] == ["10.64.1.2/32", "192.0.2.1/24"]
    assert ThisHost(Texts({}, {})).addresses(4, "ppp0") is None


def test_addresses_have_their_kind_from_the_local_table() -> None:
    texts = Texts(
        {
            "ip -4 route show table local": Said(
                0,
                "local 10.1.0.1 dev a\nbroadcast 10.1.0.255 dev a\nlocal x dev a\n"
                "local 10.1.0.0/24 dev b\nthrow 1.2.3.4 dev a\n",
            )
        },
        {},
    )
    table = addresses.local_table(texts, 4)
    assert table is not None
    kinds = {
        text: addresses.kind(table, ip_address(text))
        for text in ("10.1.0.1", "10.1.0.255", "10.1.0.9", "9.9.9.9", "0.1.2.3")
    }
    assert list(kinds.values()) == ["LOCAL", "BROADCAST", "LOCAL", "UNICAST", "BROADCAST"]
    assert addresses.kind(table, ip_address("10.1.0.1"), "b") == "UNICAST"


def test_each_thing_is_asked_once() -> None:
    texts = Texts({"iptables-legacy-save": Said(0, filter_())}, {NAMES[4]: "filter\n"})
    asked = ThisHost(texts)
    for _ in range(2):
        asked.rulesets(4)
        asked.route(packet())
        asked.address_kind(ip_address("10.1.0.1"))
        asked.base_chains(4)
        asked.nftables()
    assert len(texts.asked) == len(set(texts.asked))


def test_legacy_tables_that_are_not_there_are_not_made() -> None:
    texts = Texts({"iptables-legacy-save": Said(0, filter_())}, {NAMES[4]: "\n"})
    assert ThisHost(texts).rulesets(4) == ()
    assert "iptables-legacy-save -c" not in texts.asked


def test_a_host_with_one_iptables_is_asked_by_its_plain_name() -> None:
    texts = Texts({"ip6tables-save -c": Said(0, f"{filter_()}\nCOMMIT\n")}, {NAMES[6]: "filter\n"})
    (found,) = ThisHost(texts).rulesets(6)
    assert (found.family, found.variant, found.fault) == (6, "", "")


def test_rules_of_nftables_that_iptables_cannot_say_are_told() -> None:
    said = Said(0, "# Table `filter' is incompatible, use 'nft' tool.\n")
    (found,) = ThisHost(Texts({"iptables-nft-save": said}, {})).rulesets(4)
    assert "incompatible" in found.fault
    assert ThisHost(Texts({"iptables-nft-save": Said(0, "# Warning\n")}, {})).rulesets(4) == ()


def test_a_kernel_of_an_odd_version_counts_as_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.release", lambda: "odd")
    assert host().kernel() > (6, 0)


@pytest.mark.parametrize(("text", "forwards"), [("1\n", True), ("0\n", False), (None, None)])
def test_forwarding_is_read(text: str | None, *, forwards: bool | None) -> None:
    files = {} if text is None else {"/proc/sys/net/ipv4/conf/br-a/forwarding": text}
    assert host(files=files).forwards(4, "br-a") is forwards


def test_the_shell_gives_what_a_program_says() -> None:
    said = ThisShell().run("sh", "-c", "echo $LC_ALL; printf 'one\\ntwo \\377\\n' >&2; exit 3")
    assert (said.code, said.out, said.complaint) == (3, "C\n", "two \ufffd")


def test_the_shell_survives_what_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dmsfw.trace.shell.TIMEOUT_S", 0.05)
    assert ThisShell().run("sleep", "5").code is None
    assert "timed out" in ThisShell().run("sleep", "5").err
    assert ThisShell().run("no-program-of-this-name") == Said(None)
    (tmp_path / "there").write_text("text")
    assert ThisShell().read(str(tmp_path / "there")) == "text"
    assert ThisShell().read(str(tmp_path / "away")) is None
    os.chmod(tmp_path / "there", 0)  # noqa: PTH101 - what root may read all the same
    assert ThisShell().read(str(tmp_path)) is None
