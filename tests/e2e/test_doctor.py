"""`dmsfw doctor`: the field case refused, mended by what was printed, and open; and every other fault told from it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.e2e.support import NAME, SHIPPED, Dmsfw, config, create, field_network, opens, with_uci
from tests.lab import NETWORKS, RESOLVER, SERVER, SERVER6, Lab, paths
from tests.lab.engine import IMAGE

NETWORK = NETWORKS["label"]
PATIENCE = ("--timeout", "1")
NO_POLICY = config()
ROUTER_ADDRESS = "192.168.100.1"
REJECT = "firewall rule FORWARD #6 (!fw3 reject) refuses it"
PASTE = "Paste this into a root shell of the router, then ask again:"
TLS_SERVER = paths.ROOT / "tests" / "e2e" / "big_hello.py"
PROXY = paths.ROOT / "tests" / "e2e" / "transparent.py"


class Told(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    text: str
    errors: str

    @property
    def verdict(self) -> str:
        """The sentence of the last step, and all advice; in one line."""
        return " ".join(self.text.partition("6. Verdict\n")[2].partition(PASTE)[0].split())

    @property
    def remedy(self) -> str:
        """The lines to paste."""
        return self.text.partition(f"{PASTE}\n")[2]

    @property
    def flat(self) -> str:
        """All of it, without its line breaks."""
        return " ".join(self.text.split())


def doctor(lab: Lab, *arguments: str) -> Told:
    """Ask it, with little patience: nothing here takes longer than milliseconds unless it is lost."""
    done = lab.dmsfw("doctor", *PATIENCE, *arguments)
    return Told(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def router(lab: Lab) -> Iterator[Lab]:
    """The lab with `uci` and `dmsfw` on its PATH, as on a router."""
    shim = lab.folder / "bin" / "dmsfw"
    options = "--config /etc/config/dmsfw --run-dir /run/dmsfw"
    path = f"PYTHONPATH={paths.ROOT / 'daemon'}"
    shim.write_text(f'#!/bin/sh\n{path} exec "{sys.executable}" -m dmsfw {options} "$@"\n')
    shim.chmod(0o755)
    with with_uci(lab):
        yield lab
    shim.unlink()


# The field case


def test_the_field_case_is_refused_by_a_rule_that_is_named_and_what_is_printed_mends_it(
    router: Lab, dmsfw: Dmsfw
) -> None:
    router.compose("up", "-d")
    dmsfw.start(NO_POLICY)
    told = doctor(router, "app", f"{NAME}:465", "-4")
    assert (told.code, told.errors) == (1, "")
    assert told.verdict == f"{REJECT}: no policy of dmsfw selects network {NETWORK}"
    assert f"{SERVER}:465: refused in" in told.text
    dmsfw.paste(told.remedy)
    router.wait(lambda: router.connect("app", SERVER, 465) == "open")
    again = doctor(router, "dms-service-app-1", f"{NAME}:465")
    assert (again.code, again.verdict) == (0, f"dms-service-app-1 connects to tcp {NAME}:465")
    assert router.connect("app", SERVER, 587) == "refused"


def test_a_rule_that_keeps_the_router_itself_from_it_says_nothing_of_the_container(router: Lab, dmsfw: Dmsfw) -> None:
    router.compose("up", "-d")
    dmsfw.start(NO_POLICY)
    router.sh("iptables -I OUTPUT -p tcp --dport 465 -j DROP")
    told = doctor(router, "app", f"{SERVER}:465")
    assert told.code == 1
    assert told.verdict == (
        f"{REJECT}: no policy of dmsfw selects network {NETWORK} "
        "the host is no witness: firewall rule OUTPUT #1 (DROP) drops its own packets"
    )
    dmsfw.paste(told.remedy)
    router.wait(lambda: router.connect("app", SERVER, 465) == "open")
    assert doctor(router, "app", f"{SERVER}:465").code == 0
    own = router.dmsfw("explain", "--own", "--src", ROUTER_ADDRESS, "--dst", SERVER, "--dport", "465")
    assert (own.returncode, "rule OUTPUT #1" in own.stdout) == (1, True)


def test_a_container_on_the_routers_own_network_meets_the_rules_for_its_packets(router: Lab) -> None:
    router.docker("run", "-d", "--name", "hosted", "--network", "host", IMAGE, "sleep", "infinity")
    router.sh("iptables -I OUTPUT -p tcp --dport 465 -j REJECT --reject-with tcp-reset")
    told = doctor(router, "hosted", f"{SERVER}:465")
    router.docker("rm", "-f", "hosted")
    assert told.code == 1
    assert "firewall rule OUTPUT #1 (REJECT) refuses the host's packets" in told.verdict


WRONG = ("forbids", "answers to", "the answer")
"""What a verdict may not say where nothing of the router keeps a packet from anywhere."""

OF_THE_ROUTER = [
    (
        "iptables -I INPUT -p tcp --sport 465 -j DROP",
        "firewall rule INPUT #1 (DROP) drops the answers to {} packets",
        REJECT,
    ),
    (
        "iptables -t nat -I OUTPUT -p tcp --dport 465 -j REDIRECT --to-ports 1",
        "rule nat OUTPUT #1 (REDIRECT), which leads to a program on the router, sends {} packets to 127.0.0.1",
        REJECT,
    ),
    (
        f"ip route add prohibit {SERVER}",
        "a rule or a route of the router forbids {} packets",
        f"the router has no route for the container's packets to {SERVER}: they stop at its routing ",
    ),
]


@pytest.mark.parametrize(("made", "kept", "stopped"), OF_THE_ROUTER)
def test_whatever_of_the_router_keeps_it_from_the_server_is_told_of_it_alone(
    router: Lab, made: str, kept: str, stopped: str
) -> None:
    router.compose("up", "-d")
    router.docker("run", "-d", "--name", "hosted", "--network", "host", IMAGE, "sleep", "infinity")
    router.sh(made)
    told, hosted = doctor(router, "app", f"{SERVER}:465"), doctor(router, "hosted", f"{SERVER}:465")
    router.docker("rm", "-f", "hosted")
    router.sh(made.replace(" -I ", " -D ").replace("route add", "route del"))
    assert (told.code, hosted.code) == (1, 1)
    assert told.verdict.startswith(stopped)
    assert f"the host is no witness: {kept.format('its own')}" in told.verdict
    assert kept.format("the host's") in hosted.verdict


@pytest.mark.parametrize(
    "asked", [("--udp", "198.51.100.255:1900"), ("--udp", "239.255.255.250:1900"), ("[fe80::1]:465",)]
)
def test_what_is_for_many_or_for_one_link_is_not_said_to_be_forbidden(router: Lab, asked: tuple[str, ...]) -> None:
    router.compose("up", "-d")
    router.docker("run", "-d", "--name", "hosted", "--network", "host", IMAGE, "sleep", "infinity")
    told = doctor(router, "hosted", *asked), doctor(router, "app", *asked)
    router.docker("rm", "-f", "hosted")
    for one in told:
        assert "not allowed to send" not in one.text
        assert not [word for word in WRONG if word in one.verdict]
    if "--udp" in asked:
        assert (told[0].code, "many services answer no stranger" in told[0].verdict) == (2, True)


def test_a_router_without_ipv6_forbids_it_and_what_it_says_of_ipv4_is_told(router: Lab) -> None:
    """As OpenWrt's netifd has it: a last rule of the routing's policy forbids what no route was found for."""
    router.docker("run", "-d", "--name", "hosted", "--network", "host", IMAGE, "sleep", "infinity")
    router.sh("ip -6 route del default; ip -6 rule add iif lo prohibit pref 4000000001")
    told = doctor(router, "hosted", f"{NAME}:9999"), doctor(router, "hosted", f"[{SERVER6}]:465")
    router.docker("rm", "-f", "hosted")
    router.sh("ip -6 rule del pref 4000000001; ip -6 route add default via fe80::1 dev pppoe-wan metric 512")
    assert "[2001:db8:205::205]:9999: not allowed to send" in told[0].text
    assert "the host does not connect (refused): not the router's firewall" in told[0].verdict
    assert "forbids the host's packets, as OpenWrt has one where there is no IPv6" in told[1].verdict


def test_without_a_configuration_and_a_daemon_the_lines_make_both_count(router: Lab) -> None:
    router.compose("up", "-d", spelling="name")
    told = doctor(router, "app", f"{SERVER}:465")
    assert told.code == 1
    assert "there is no /etc/config/dmsfw: no policy of dmsfw allows anything" in told.text
    assert f"selects network {NETWORKS['name']}" in told.verdict
    router.sh(told.remedy)
    assert doctor(router, "app", f"{SERVER}:465").code == 0
    router.dmsfw("clean", check=True)


def test_without_uci_the_lines_write_the_section_themselves(router: Lab) -> None:
    router.compose("up", "-d")
    (router.folder / "bin" / "uci").unlink()
    told = doctor(router, "app", f"{NAME}:465")
    assert told.remedy.startswith("cat >>/etc/config/dmsfw <<'END'\n")
    router.sh(told.remedy)
    assert doctor(router, "app", f"{NAME}:465").code == 0
    router.dmsfw("clean", check=True)


def test_the_remedy_selects_by_composes_labels_and_says_no_address_bridge_or_subnet(router: Lab) -> None:
    router.compose("up", "-d")
    network = field_network(router)
    remedy = doctor(router, "app", f"{NAME}:465").remedy
    assert "label='com.docker.compose.project=dms-service'" in remedy
    assert "label='com.docker.compose.network=dms-network'" in remedy
    for word in (network.bridge, network.subnet, network.id[:12], SERVER, "dest_ip"):
        assert word not in remedy


def test_nothing_is_done_by_itself(router: Lab) -> None:
    router.compose("up", "-d")
    router.configure(NO_POLICY)
    before = router.rules(4), router.rules(4, "nat"), (router.config / "dmsfw").read_text()
    doctor(router, "app", f"{NAME}:465")
    assert (router.rules(4), router.rules(4, "nat"), (router.config / "dmsfw").read_text()) == before
    assert not router.path("/run/dmsfw").exists()


def test_a_policy_for_another_port_is_told_from_none(router: Lab, dmsfw: Dmsfw) -> None:
    router.compose("up", "-d")
    dmsfw.start()
    told = doctor(router, "app", f"{SERVER}:587")
    assert told.code == 1
    assert told.verdict.endswith(f"policy smtps of dmsfw selects network {NETWORK} and does not allow tcp 587")
    dmsfw.paste(told.remedy)
    router.wait(lambda: router.connect("app", SERVER, 587) == "open")


def test_a_policy_whose_rules_are_not_in_the_kernel_asks_for_the_daemon_to_be_started(router: Lab) -> None:
    router.compose("up", "-d")
    router.configure(SHIPPED)
    told = doctor(router, "app", f"{SERVER}:465")
    assert "policy smtps of dmsfw allows it, and its rules are not in the kernel" in told.verdict
    assert told.remedy == "dmsfw apply\n"
    router.sh(told.remedy)
    assert doctor(router, "app", f"{SERVER}:465").code == 0
    router.dmsfw("clean", check=True)


def test_a_rule_of_somebody_else_that_goes_first_is_named(router: Lab, dmsfw: Dmsfw) -> None:
    router.compose("up", "-d")
    dmsfw.start()
    router.sh("iptables -w -I forwarding_rule -p tcp --dport 465 -j REJECT --reject-with tcp-reset")
    told = doctor(router, "app", f"{SERVER}:465")
    assert told.code == 1
    assert "(!fw3: Custom forwarding rule chain forwarding_rule)" in told.verdict
    assert "policy smtps of dmsfw allows it, but this rule goes first" in told.verdict
    assert told.remedy == ""


def test_a_rule_that_drops_is_told_from_one_that_refuses(router: Lab) -> None:
    router.compose("up", "-d")
    bridge = field_network(router).bridge
    router.sh(f"iptables -w -I FORWARD -i {bridge} -p tcp -j DROP")
    told = doctor(router, "app", f"{SERVER}:465")
    assert told.code == 1
    assert f"{SERVER}:465: no answer" in told.text
    assert told.verdict.startswith("firewall rule FORWARD #1 (DROP) drops it: no policy")


# Not the router's firewall


def test_where_the_host_does_not_connect_the_firewall_is_not_to_blame(router: Lab) -> None:
    router.compose("up", "-d")
    told = doctor(router, "app", f"{SERVER}:466")
    assert told.code == 1
    blame = "not the router's firewall, but its line, the provider or the server"
    assert told.verdict.startswith(f"the host itself cannot connect to {SERVER}:466 (refused): {blame}")
    assert told.remedy == ""


def test_a_name_that_nobody_knows_is_no_fault_of_the_firewall(router: Lab) -> None:
    router.compose("up", "-d")
    told = doctor(router, "app", "nowhere.example.com:465")
    assert told.code == 1
    assert told.verdict.startswith("nowhere.example.com does not resolve on the host either (")


def test_a_line_that_is_down_is_said_of_the_host(router: Lab) -> None:
    router.compose("up", "-d")
    router.wan.down()
    told = doctor(router, "app", f"{SERVER}:465")
    assert told.code == 1
    assert told.verdict.startswith(f"the host itself cannot connect to {SERVER}:465 (no route)")


# Names


def test_a_resolver_on_loopback_is_asked_by_docker_from_the_host(router: Lab) -> None:
    router.compose("up", "-d")
    told = doctor(router, "app", f"{NAME}:465")
    assert "asks 127.0.0.11 (answer), Docker's own resolver, which asks 127.0.0.1 from the host" in told.flat


def test_questions_to_an_outside_resolver_meet_forward_and_the_lines_open_both_ports(router: Lab, dmsfw: Dmsfw) -> None:
    router.set_resolver(RESOLVER)
    router.compose("up", "-d")
    dmsfw.start(NO_POLICY)
    told = doctor(router, "app", f"{NAME}:465", "-4")
    assert told.code == 1
    assert f"which asks {RESOLVER} from inside the container: udp and tcp 53 pass FORWARD" in told.flat
    assert told.verdict == (
        f"{NAME} does not resolve in the container: firewall rule FORWARD #6 (!fw3 reject) refuses its questions to "
        f"{RESOLVER} (udp 53)"
    )
    assert "dns='1'" in told.remedy
    dmsfw.paste(told.remedy)
    router.wait(lambda: router.connect("app", NAME, 465) == "open")
    assert doctor(router, "app", f"{NAME}:465").code == 0


def test_a_policy_of_its_own_that_lacks_only_the_names_is_given_them(router: Lab, dmsfw: Dmsfw) -> None:
    router.set_resolver(RESOLVER)
    router.compose("up", "-d")
    dmsfw.start(opens(NETWORK))
    told = doctor(router, "app", f"{NAME}:465", "-4")
    assert told.verdict.endswith("policy smtps selects this network alone: the lines change it")
    assert told.remedy == "uci set dmsfw.smtps.dns='1'\nuci commit dmsfw\n"
    dmsfw.paste(told.remedy)
    router.wait(lambda: router.connect("app", NAME, 465) == "open")


def test_a_policy_of_other_networks_too_stays_and_only_the_one_asked_for_gets_names(router: Lab, dmsfw: Dmsfw) -> None:
    router.set_resolver(RESOLVER)
    router.compose("up", "-d")
    create(router, "bystander", container="by")
    dmsfw.start(opens("*"))
    told = doctor(router, "app", f"{NAME}:465", "-4")
    assert "policy smtps may select other networks too and stays as it is" in told.verdict
    dmsfw.paste(told.remedy)
    router.wait(lambda: router.connect("app", NAME, 465) == "open")
    assert [router.connect("by", where, 53) for where in (RESOLVER, SERVER)] == ["refused", "refused"]
    assert router.connect("by", SERVER, 465) == "open"


def test_questions_to_the_router_itself_meet_input(router: Lab, dmsfw: Dmsfw) -> None:
    create(router, "net")
    router.container("asks-router", "net", "--dns", ROUTER_ADDRESS)
    dmsfw.start(opens("net"))
    good = doctor(router, "asks-router", f"{NAME}:465", "-4")
    assert good.code == 0
    assert f"which asks {ROUTER_ADDRESS}, the router itself: udp and tcp 53 meet INPUT" in good.flat
    router.sh(f"iptables -w -I INPUT -i {router.network('net').bridge} -p udp --dport 53 -j REJECT")
    told = doctor(router, "asks-router", f"{NAME}:465", "-4")
    assert told.code == 1
    refused = "firewall rule INPUT #1 (REJECT) refuses its questions to the router itself"
    assert f"{refused}, {ROUTER_ADDRESS} (udp 53)" in told.verdict


def test_the_containers_hosts_file_goes_before_its_resolver(router: Lab) -> None:
    create(router, "net")
    router.container("told", "net", "--add-host", f"mail.example.org:{SERVER}")
    told = doctor(router, "told", "mail.example.org:465")
    assert f"mail.example.org is {SERVER} to the container (from /etc/hosts of the container)" in told.flat


def test_a_resolv_conf_that_leads_out_of_the_container_is_not_followed(router: Lab) -> None:
    """A container that would show us the host's files gets nothing read."""
    create(router, "net")
    router.container("hostile", "net", "--add-host", "x:192.0.2.1")
    router.sh("echo nameserver 203.0.113.99 >/run/secret")
    pid = router.container_pid("hostile")
    inside = f"nsenter -t {pid} -m /bin/busybox"
    router.sh(f"{inside} umount /etc/resolv.conf; {inside} ln -sf /run/secret /etc/resolv.conf")
    told = doctor(router, "hostile", f"{NAME}:465", "-4")
    assert "203.0.113.99" not in told.text
    assert "it has no name server" in told.flat


def test_fake_ips_are_named(router: Lab) -> None:
    router.compose("up", "-d")
    zone = router.folder / "zone"
    known = zone.read_text()
    zone.write_text(known + "proxied.example.com 198.18.0.7\n")
    try:
        told = doctor(router, "app", "proxied.example.com:465")
    finally:
        zone.write_text(known)
    assert "198.18.0.7 is a fake-ip: a proxy on the router" in told.flat


# Ways


def test_a_container_of_two_networks_is_judged_by_the_one_that_it_leaves_by(router: Lab, dmsfw: Dmsfw) -> None:
    create(router, "aa-default")
    create(router, "mail", container="two")
    router.docker("network", "connect", "aa-default", "two")
    pid = router.container_pid("two")
    gateway = router.docker("network", "inspect", "aa-default", "-f", "{{(index .IPAM.Config 0).Gateway}}").stdout
    router.sh(f"nsenter -t {pid} -n ip route replace default via {gateway.strip()}")
    dmsfw.start(opens("mail"))
    told = doctor(router, "two", f"{SERVER}:465")
    assert told.code == 1
    assert "no policy of dmsfw selects network aa-default, by which the container leaves" in told.verdict
    assert "(policy smtps selects network mail, by which it does not)" in told.verdict
    dmsfw.paste(told.remedy)
    router.wait(lambda: router.connect("two", SERVER, 465) == "open")


def test_what_leaves_untranslated_is_a_missing_masquerade(router: Lab, dmsfw: Dmsfw) -> None:
    router.compose("up", "-d")
    dmsfw.start(NO_POLICY)
    router.sh("iptables -w -t nat -F zone_wan_postrouting; iptables -w -I FORWARD -p tcp -j ACCEPT")
    told = doctor(router, "app", f"{SERVER}:465")
    assert told.code == 1
    assert "leaves by pppoe-wan with the container's own address " in told.verdict
    assert "no rule translates it (masquerading)" in told.verdict
    dmsfw.paste(told.remedy)
    router.wait(lambda: router.connect("app", SERVER, 465) == "open")


def test_a_policy_of_other_networks_too_stays_and_only_the_one_asked_for_is_translated(
    router: Lab, dmsfw: Dmsfw
) -> None:
    router.compose("up", "-d")
    create(router, "bystander", container="by")
    dmsfw.start(config("list network '*'", "list dest_port '465'", "option masq '0'"))
    router.sh("iptables -w -t nat -F zone_wan_postrouting")
    told = doctor(router, "app", f"{SERVER}:465")
    assert "no rule translates it (masquerading)" in told.verdict
    assert "policy smtps may select other networks too and stays as it is" in told.verdict
    dmsfw.paste(told.remedy)
    router.wait(lambda: router.connect("app", SERVER, 465) == "open")
    assert router.connect("by", SERVER, 465) == "timeout"


def test_a_router_that_forwards_nothing_is_told(router: Lab, dmsfw: Dmsfw) -> None:
    router.compose("up", "-d")
    dmsfw.start()
    router.sh("echo 0 >/proc/sys/net/ipv4/ip_forward")
    told = doctor(router, "app", f"{SERVER}:465")
    router.sh(told.remedy)
    assert told.code == 1
    assert "net.ipv4.ip_forward is 0" in told.verdict
    assert doctor(router, "app", f"{SERVER}:465").code == 0


def test_a_bridge_that_is_down_is_told(router: Lab, dmsfw: Dmsfw) -> None:
    router.compose("up", "-d")
    dmsfw.start()
    bridge = field_network(router).bridge
    router.sh(f"ip link set {bridge} down")
    told = doctor(router, "app", f"{SERVER}:465")
    assert (told.code, told.verdict) == (1, f"the bridge {bridge} of network {NETWORK} is down")
    router.sh(told.remedy)
    assert doctor(router, "app", f"{SERVER}:465").code == 0


def test_an_internal_network_has_no_way_out_by_dockers_promise(router: Lab) -> None:
    create(router, "inner", "--internal", container="shut-in")
    told = doctor(router, "shut-in", f"{SERVER}:465")
    assert told.code == 1
    assert told.verdict.startswith("network inner is internal: Docker promises that it has no way out")
    assert told.remedy == ""


def test_a_route_by_a_device_that_is_no_uplink_is_named_and_the_lines_allow_it_there(router: Lab, dmsfw: Dmsfw) -> None:
    router.compose("up", "-d")
    router.wanb.up()
    router.sh(f"ip route add {SERVER} via {router.wanb.line.gateway}")
    router.isp.route_back("172.16.0.0/12", router.wanb.line.address)
    dmsfw.start()
    told = doctor(router, "app", f"{SERVER}:465", "-4")
    assert told.code == 1
    assert "the route leads by eth2, which is no uplink of dmsfw (pppoe-wan)" in told.flat
    assert told.verdict.endswith("dmsfw allows tcp 465 by pppoe-wan, and the route leads by eth2")
    dmsfw.paste(told.remedy)
    router.wait(lambda: router.connect("app", SERVER, 465) == "open")


def test_a_route_with_several_next_hops_is_followed_by_each_of_them(router: Lab, dmsfw: Dmsfw) -> None:
    """Which one a connection takes is the kernel's choice: while one of them is shut, nothing is promised."""
    router.compose("up", "-d")
    router.wanb.up()
    hops = [f"nexthop via {line.gateway} dev {line.device}" for line in (router.wan.line, router.wanb.line)]
    router.sh(f"ip route add {SERVER} {' '.join(hops)}")
    dmsfw.start()
    shut = router.dmsfw("explain", "app", f"{SERVER}:465")
    said = " ".join(shut.stdout.split())
    note = "its route has several next hops (by pppoe-wan to 198.51.100.1, by eth2 to 198.51.101.1): another connection"
    assert (shut.returncode, note in said) == (2, True)
    assert "It is not known whether it passes: " in said
    told = doctor(router, "app", f"{SERVER}:465")
    assert note in told.flat
    assert told.code == 0 or told.verdict.startswith("it may be stopped by firewall rule FORWARD #7 (!fw3 reject)")
    dmsfw.paste("uci add_list dmsfw.main.uplink='wan'; uci add_list dmsfw.main.uplink='wanb'; uci commit dmsfw")
    router.wait(lambda: any("-o eth2" in rule for rule in router.rules(4)))
    open_ = router.dmsfw("explain", "app", f"{SERVER}:465")
    assert (open_.returncode, note in " ".join(open_.stdout.split())) == (0, True)
    assert "leaves by eth2 from 198.51.101.7" in open_.stdout


def test_a_port_that_dnat_makes_another_is_opened_as_that_one(router: Lab, dmsfw: Dmsfw) -> None:
    router.compose("up", "-d")
    dmsfw.start(NO_POLICY)
    rule = f"-p tcp -d {SERVER} --dport 8465 -j DNAT --to-destination {SERVER}:465"
    for chain in ("PREROUTING", "OUTPUT"):
        router.sh(f"iptables -w -t nat -I {chain} {rule}")
    told = doctor(router, "app", f"{SERVER}:8465")
    assert (told.code, told.verdict) == (1, f"{REJECT}: no policy of dmsfw selects network {NETWORK}")
    dmsfw.paste(told.remedy)
    router.wait(lambda: router.connect("app", SERVER, 8465) == "open")
    again = doctor(router, "app", f"{SERVER}:8465")
    for chain in ("PREROUTING", "OUTPUT"):
        router.sh(f"iptables -w -t nat -D {chain} {rule}")
    assert (again.code, "allows tcp 465" in again.flat) == (0, True)


def test_a_redirection_into_a_local_port_is_named(router: Lab) -> None:
    router.compose("up", "-d")
    bridge = field_network(router).bridge
    router.sh(f"iptables -w -t nat -I PREROUTING -i {bridge} -p tcp --dport 465 -j REDIRECT --to-ports 7892")
    told = doctor(router, "app", f"{SERVER}:465")
    assert told.code == 1
    assert "rule nat PREROUTING #1 (REDIRECT) gives the connection to a program on the router" in told.verdict


def test_tproxy_is_named_whether_its_program_answers_or_not(router: Lab) -> None:
    """A proxy as OpenClash sets one up: a mark, a table that takes what bears it for this host, a program."""
    router.compose("up", "-d")
    bridge = field_network(router).bridge
    rule = f"-i {bridge} -p tcp --dport 465 -j TPROXY --on-port 7892 --tproxy-mark 0x1/0x1"
    router.sh("ip rule add fwmark 0x1/0x1 lookup 100; ip route add local default dev lo table 100")
    router.sh(f"iptables -w -t mangle -I PREROUTING {rule}; iptables -w -I INPUT -i {bridge} -j ACCEPT")
    try:
        told = doctor(router, "app", f"{SERVER}:465")
        named = "rule mangle PREROUTING #1 (TPROXY)"
        assert told.code == 1
        assert told.verdict.startswith(f"{named} gives the connection to a program on the router, a proxy (no answer")
        proxy = router.popen([sys.executable, "-I", "-S", PROXY, "7892"], name="proxy")
        proxy.wait_for("ready")
        told = doctor(router, "app", f"{SERVER}:465")
        proxy.kill()
        assert told.code == 0
        assert f"a program on the router takes the connection over ({named})" in told.verdict
    finally:
        router.sh(f"iptables -w -t mangle -D PREROUTING {rule}")
        router.sh("ip rule del lookup 100; ip route flush table 100")


def test_an_mtu_black_hole_is_told_from_success(router: Lab, dmsfw: Dmsfw) -> None:
    """The line takes less than the bridge, and nobody lowers the segments: firewall3's own mtu_fix is taken away."""
    router.compose("up", "-d")
    dmsfw.start(opens(NETWORK, port="993"))
    router.sh("iptables -w -t mangle -F FORWARD; ip link set pppoe-wan mtu 1400")
    server = router.popen([sys.executable, "-I", "-S", TLS_SERVER, SERVER, "993"], netns="isp", name="big-hello")
    server.wait_for("ready")
    try:
        told = doctor(router, "app", f"{SERVER}:993", "-4")
        assert told.code == 1
        assert "connected, then silence" in told.text
        assert told.verdict.startswith("small packets pass and large ones do not: an MTU black hole")
        router.sh(told.remedy)
        mended = doctor(router, "app", f"{SERVER}:993", "-4")
        assert (mended.code, "it says: a TLS hello" in mended.text) == (0, True)
    finally:
        server.kill()
        router.sh("ip link set pppoe-wan mtu 1500")


def test_ipv6_is_judged_by_its_own_tables(router: Lab, dmsfw: Dmsfw) -> None:
    create(router, "six", "--ipv6", "--subnet", "fd00:6::/64", container="both")
    dmsfw.start(NO_POLICY)
    told = doctor(router, "both", f"[{SERVER6}]:465")
    assert told.code == 1
    assert "(!fw3 reject) refuses it: no policy of dmsfw selects network six" in told.verdict
    dmsfw.paste(told.remedy)
    router.wait(lambda: router.connect("both", SERVER6, 465) == "open")
    assert doctor(router, "both", f"{NAME}:465", "-6").code == 0


def test_a_container_without_ipv6_is_not_blamed_on_the_firewall(router: Lab) -> None:
    router.compose("up", "-d")
    told = doctor(router, "app", f"[{SERVER6}]:465")
    assert told.code == 1
    assert told.verdict == (
        f"the container has no route to [{SERVER6}]: its networks ({NETWORK}) give it no way out by IPv6"
    )


def test_a_container_with_ipv6_alone_is_asked_by_that_alone(router: Lab, dmsfw: Dmsfw) -> None:
    """What Docker 28 makes with --ipv4=false; this one is older."""
    create(router, "six", "--ipv6", "--subnet", "fd00:6::/64", container="lonely")
    router.sh("nsenter -t $(docker inspect -f '{{.State.Pid}}' lonely) -n ip -4 address flush dev eth0")
    dmsfw.start(NO_POLICY)
    told = doctor(router, "lonely", f"{SERVER}:465")
    assert told.code == 1
    assert told.verdict == (f"the container has no route to {SERVER}: its networks (six) give it no way out by IPv4")
    dmsfw.paste(doctor(router, "lonely", f"[{SERVER6}]:465").remedy)
    router.wait(lambda: router.connect("lonely", SERVER6, 465) == "open")
    told = doctor(router, "lonely", f"{NAME}:465")
    assert (told.code, told.verdict.startswith("lonely connects to tcp")) == (0, True)


def test_a_datagram_is_answered_refused_or_left_without_an_answer(router: Lab, dmsfw: Dmsfw) -> None:
    router.compose("up", "-d")
    dmsfw.start(config(f"list network '{NETWORK}'", "list proto 'udp'", "list dest_port '465'", "list dest_port '9'"))
    assert doctor(router, "--udp", "app", f"{SERVER}:465").code == 0
    refused = doctor(router, "--udp", "app", f"{SERVER}:587")
    assert (refused.code, "refuses it" in refused.verdict) == (1, True)
    router.sh(f"ip netns exec isp iptables -w -I INPUT -d {SERVER} -p udp --dport 9 -j DROP")
    silent = doctor(router, "--udp", "app", f"{SERVER}:9")
    router.sh("ip netns exec isp iptables -w -F INPUT")
    assert (silent.code, "many services answer no stranger" in silent.verdict) == (2, True)


# Who is asked about


def test_the_hosts_network_meets_no_rule_for_containers(router: Lab) -> None:
    router.container("on-host", "host")
    told = doctor(router, "on-host", f"{SERVER}:465")
    assert told.code == 0
    assert told.verdict.startswith("on-host shares the host's network (network_mode: host), and the host connects")


def test_a_container_without_a_network_connects_to_nothing(router: Lab) -> None:
    router.container("alone", "none")
    told = doctor(router, "alone", f"{SERVER}:465")
    assert told.code == 1
    assert told.verdict.startswith("alone has no network (network_mode: none): it connects to nothing")


def test_a_container_on_anothers_network_is_judged_by_that(router: Lab) -> None:
    create(router, "net", container="owner")
    router.container("guest", "container:owner")
    told = doctor(router, "guest", f"{SERVER}:465")
    assert told.code == 1
    assert "Does container guest (on the network of owner) reach" in told.text
    assert "no policy of dmsfw selects network net" in told.verdict


def test_a_paused_container_is_said_to_be_so_and_not_laid_to_a_firewall(router: Lab, dmsfw: Dmsfw) -> None:
    router.compose("up", "-d")
    dmsfw.start()
    router.docker("pause", "dms-service-app-1")
    said = "dms-service-app-1 is paused, so nothing in it connects (`docker unpause dms-service-app-1`)"
    told = doctor(router, "app", f"{NAME}:465", "-4")
    assert (told.code, told.verdict) == (1, f"{said}; from its network tcp {NAME}:465 is reached")
    assert told.remedy == "docker unpause dms-service-app-1\n"
    shut = doctor(router, "app", f"{SERVER}:587")
    assert (shut.code, shut.verdict.startswith(f"{said}; besides, {REJECT.replace('#6', '#7')}")) == (1, True)
    router.sh(told.remedy)
    assert doctor(router, "app", f"{NAME}:465", "-4").code == 0


BAD = {
    "nobody": "no container is called nobody; running are dms-service-app-1",
    "dms-service-app": "no container is called dms-service-app; there is dms-service-app-1",
    "stopped": "container stopped is exited: start it, then ask again",
}


def test_a_container_that_cannot_be_asked_about_is_one_clear_line(router: Lab) -> None:
    router.compose("up", "-d")
    router.docker("run", "--name", "stopped", "busybox:local", "true")
    for meant, line in BAD.items():
        told = doctor(router, meant, f"{SERVER}:465")
        assert (told.code, told.text, told.errors) == (2, "", f"dmsfw: {line}\n")


def test_a_docker_that_is_away_or_hangs_is_one_clear_line(router: Lab) -> None:
    router.compose("up", "-d")
    router.engine.freeze()
    told = doctor(router, "app", f"{SERVER}:465")
    router.engine.thaw()
    hangs = "dmsfw: docker: no answer on /var/run/docker.sock within 2 s: look at: logread -e dockerd\n"
    assert (told.code, told.text, told.errors) == (2, "", hangs)
    router.engine.kill()
    told = doctor(router, "app", f"{SERVER}:465")
    assert (told.code, told.text) == (2, "")
    assert told.errors.startswith("dmsfw: docker: Docker is not running")
    assert len(told.errors.splitlines()) == 1


def test_a_broken_configuration_is_said_and_does_not_keep_it_from_looking(router: Lab) -> None:
    router.compose("up", "-d")
    router.configure("config dmsfw 'main'\n option log_level 'loud'\n")
    told = doctor(router, "app", f"{SERVER}:465")
    assert (told.code, REJECT in told.verdict) == (1, True)
    assert "the configuration cannot be used (" in told.flat


def test_json_has_everything_and_nothing_beside(router: Lab) -> None:
    router.compose("up", "-d")
    told = doctor(router, "app", f"{NAME}:465", "--json")
    found: dict[str, Any] = json.loads(told.text)
    assert (told.code, found["exit_code"], found["connects"]) == (1, 1, False)
    assert found["verdict"].startswith(REJECT)
    assert found["remedy"][-1] == "dmsfw apply"
    first = found["addresses"][0]
    assert (first["host"]["outcome"], first["container"]["outcome"]) == ("connects", "refused")
    assert (first["address"], first["network"]) == (SERVER, NETWORK)
    assert first["ways"]["there"]["verdict"] == "rejected"


def test_all_that_is_said_without_a_terminal_is_plain(router: Lab) -> None:
    router.compose("up", "-d")
    assert "\x1b" not in doctor(router, "app", f"{NAME}:465").text


# explain


def test_explain_follows_a_containers_packet_there_and_back(router: Lab, dmsfw: Dmsfw) -> None:
    router.compose("up", "-d")
    refused = router.dmsfw("explain", "app", f"{NAME}:465", "-4")
    assert refused.returncode == 1
    assert "filter reject #1" in refused.stdout
    dmsfw.start()
    done = router.dmsfw("explain", "app", f"{NAME}:465", "-4")
    assert done.returncode == 0
    assert done.stdout.count("It passes: ") == 2
    assert "DMSFW-FORWARD #1" in done.stdout


def test_explain_shows_for_all_networks_what_is_open_and_by_which_rule_what_is_not(router: Lab, dmsfw: Dmsfw) -> None:
    router.compose("up", "-d")
    create(router, "bystander")
    dmsfw.start()
    table = router.dmsfw("explain", "--all-networks")
    assert table.returncode == 0
    rows = [line.split(maxsplit=1) for line in table.stdout.splitlines()]
    assert dict(rows)[NETWORK].split() == ["tcp", "465", "pppoe-wan", "open"]
    assert dict(rows)["bystander"].endswith("no policy selects it")
    dmsfw.running.kill()
    router.firewall.restart()
    shut = router.dmsfw("explain", "--all-networks", "--json")
    assert shut.returncode == 1
    (row,) = [row for row in json.loads(shut.stdout)["networks"] if row["network"] == NETWORK]
    assert (row["state"], row["why"]) == ("refused", "rule FORWARD #6 (!fw3 reject) refuses it")


def test_list_gives_names_to_choose_from(router: Lab) -> None:
    router.compose("up", "-d")
    assert router.dmsfw("list", "containers").stdout == "app\ndms-service-app-1\n"
    assert NETWORK in router.dmsfw("list", "networks").stdout.splitlines()
