"""The field case on a router with firewall4, and all that befalls its table: with a real Docker, real connections."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import restore_docker, restore_network
from tests.e2e.support import NAME, SHIPPED, WAN_ADDRESS, Dmsfw, create, existing, field_network, named
from tests.e2e.test_doctor import NO_POLICY, doctor, router
from tests.lab import NETWORKS, SERVER, SERVER6, Lab

__all__ = ["router"]

SIX = SHIPPED.replace("list proto 'tcp'", "list network 'six'\n\tlist proto 'tcp'")
UNMASQUERADED = "table inet fw4\nflush chain inet fw4 srcnat_wan\n"


@pytest.fixture(scope="module")
def shared(_compiled: None) -> Iterator[Lab]:
    with Lab(firewall4=True) as lab:
        yield lab


@pytest.fixture
def lab(shared: Lab) -> Iterator[Lab]:
    yield shared
    restore_docker(shared)
    restore_network(shared)
    shared.firewall4.exclude()
    shared.sh("rm -rf /run/dmsfw /etc/config/dmsfw; nft flush ruleset; for t in filter nat; do :; done")
    shared.firewall4.restart()


def nft(lab: Lab, text: str) -> None:
    lab.run(["nft", "-f", "-"], text=text)


def ours(lab: Lab) -> list[str]:
    """Every line of the ruleset that names us, counters left out."""
    return [line.strip() for line in lab.run(["nft", "-s", "list", "ruleset"]).stdout.splitlines() if "dmsfw" in line]


def is_open(lab: Lab) -> bool:
    return bool(lab.connect("app", SERVER, 465) == "open")


def test_the_shipped_configuration_opens_the_port_and_no_other(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    assert lab.connect("app", SERVER, 465) == "refused"
    dmsfw.start()
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS
    assert lab.connect("app", SERVER, 587) == "refused"
    code, status = dmsfw.status()
    assert (code, status["state"], status["firewalls"]) == (0, "in sync", ["firewall4 (nftables)"])
    assert "info firewall chosen firewall=" in "\n".join(dmsfw.lines)
    assert existing(lab, 4) == existing(lab, 6) == []  # no table of iptables was made
    with open(f"/proc/{dmsfw.running.pid}/maps") as maps:  # noqa: PTH123 - of a process
        assert "xtables" not in maps.read()  # nor was python-iptables loaded


def test_compose_may_recreate_the_network(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    before = field_network(lab).bridge
    lab.compose("down", "-t", "0")
    lab.compose("up", "-d")
    assert field_network(lab).bridge != before
    lab.wait(lambda: is_open(lab), "the port of the new network")
    lab.wait(lambda: not [line for line in ours(lab) if before in line], "the end of the old elements")


def test_without_the_zones_masquerade_ours_translates(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    nft(lab, UNMASQUERADED)
    dmsfw.start()
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS


def test_ipv6_is_served(lab: Lab, dmsfw: Dmsfw) -> None:
    create(lab, "six", "--ipv6", "--subnet", "fd00:6::/64", *named("dms6"), container="c6")
    # The bridge is in no zone, and its neighbours' questions for the router meet INPUT, which is the owner's to open.
    nft(lab, "insert rule inet fw4 input iifname dms6 meta l4proto ipv6-icmp accept")
    assert lab.connect("c6", SERVER6, 465) != "open"
    dmsfw.start(SIX)
    assert lab.connect("c6", SERVER6, 465) == "open"
    assert lab.connect("c6", SERVER6, 587) != "open"


def test_over_reloads_with_the_include_files_no_element_is_ever_missing(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.firewall4.include()
    lab.firewall4.restart()
    lab.compose("up", "-d")
    dmsfw.start()
    before, passes = ours(lab), dmsfw.document["passes"]
    for _ in range(5):
        lab.firewall4.reload()
        assert is_open(lab)
    assert ours(lab) == before
    assert dmsfw.document["passes"] >= passes
    assert "rules repaired" not in dmsfw.log


DEEDS: dict[str, Callable[[Lab], object]] = {
    "reload": lambda lab: lab.firewall4.reload(),
    "restart": lambda lab: lab.firewall4.restart(),
    "stop, start": lambda lab: (lab.firewall4.stop(), lab.firewall4.start()),
    "flush, start": lambda lab: (lab.firewall4.flush(), lab.firewall4.start()),
    "nft flush ruleset, reload": lambda lab: (lab.run(["nft", "flush", "ruleset"]), lab.firewall4.reload()),
}


@pytest.mark.parametrize("included", [True, False], ids=["with include files", "without"])
@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_the_port_is_open_again_after(lab: Lab, dmsfw: Dmsfw, deed: Callable[[Lab], object], *, included: bool) -> None:
    if included:
        lab.firewall4.include()
        lab.firewall4.restart()
    lab.compose("up", "-d")
    dmsfw.start()
    before = sorted(ours(lab))
    deed(lab)
    lab.wait(lambda: sorted(ours(lab)) == before, "all of it again")
    assert is_open(lab)
    dmsfw.wait_for("in sync")


def test_a_stopped_firewall_is_said_until_it_starts(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    lab.firewall4.stop()
    dmsfw.wait_for("degraded", "firewall4 is stopped")
    lab.firewall4.start()
    dmsfw.wait_for("in sync")
    assert is_open(lab)


def test_boot_and_reload_with_the_include_files_need_no_daemon(lab: Lab) -> None:
    lab.firewall4.include()
    for deed in DEEDS.values():
        deed(lab)
    lab.compose("up", "-d")
    assert lab.connect("app", SERVER, 465) == "refused"


def test_clean_leaves_nothing(lab: Lab, dmsfw: Dmsfw) -> None:
    before = lab.run(["nft", "-s", "list", "ruleset"]).stdout
    lab.compose("up", "-d")
    dmsfw.start().stop()
    assert is_open(lab)  # the rules stay
    lab.dmsfw("clean", check=True)
    assert lab.run(["nft", "-s", "list", "ruleset"]).stdout == before


def test_where_legacy_rules_filter_too_both_are_served(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    lab.sh("iptables -P FORWARD DROP; iptables -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT")
    try:
        lab.wait(lambda: is_open(lab), "both firewalls to be open")
        lab.wait(lambda: dmsfw.document["firewalls"] == ["iptables", "firewall4 (nftables)"], "both in the status")
    finally:
        lab.sh("iptables -P FORWARD ACCEPT; iptables -F FORWARD")
    lab.wait(lambda: dmsfw.document["firewalls"] == ["firewall4 (nftables)"], "only one in the status")
    lab.wait(lambda: not [line for line in lab.rules() if "DMSFW" in line], "the end of our rules there")


def test_a_hostile_bridge_opens_nothing(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.docker("network", "create", "-o", 'com.docker.network.bridge.name=x"accept#', "evil")
    dmsfw.start(SHIPPED.replace("list proto 'tcp'", "list network 'evil'\n\tlist proto 'tcp'"))
    assert "accept#" not in json.dumps(ours(lab))
    assert "network skipped" in dmsfw.log


def bare(lab: Lab) -> str:
    """The ruleset of a firewall4 that knows nothing of us."""
    lab.firewall4.exclude()
    lab.run(["nft", "flush", "ruleset"])
    lab.firewall4.start()
    return lab.run(["nft", "-s", "list", "ruleset"]).stdout


@pytest.fixture
def nft_program(lab: Lab) -> Iterator[Path]:
    """The router's nft, which a test may replace."""
    program = lab.folder / "bin" / "nft"
    target = program.readlink()
    yield program
    program.unlink(missing_ok=True)
    program.symlink_to(target)


NO_JSON = """#!/bin/sh
case " $* " in *" -j "*) echo 'Error: JSON support not compiled-in' >&2; exit 1; esac
exec {nft} "$@"
"""


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("", "nft is not installed: opkg install nftables-json"),
        (NO_JSON, "this nft speaks no JSON: opkg install nftables-json"),
        ("#!/bin/sh\necho '{{'\n", "nft's list of table inet fw4 cannot be read"),
        ("#!/bin/sh\nkill -SEGV $$\n", "nft: it ended with -11"),
    ],
    ids=["no nft", "nft without JSON", "nft prints half a document", "nft crashes"],
)
def test_an_nft_that_is_of_no_use_is_one_clear_line_and_nothing_is_written(
    lab: Lab, dmsfw: Dmsfw, nft_program: Path, script: str, said: str
) -> None:
    before = bare(lab)
    lab.compose("up", "-d")
    target = nft_program.readlink()
    nft_program.unlink()
    if script:
        nft_program.write_text(script.format(nft=target))
        nft_program.chmod(0o755)
    dmsfw.launch()
    dmsfw.wait_for("starting", said)
    assert [said in line for line in dmsfw.lines if " error " in f" {line}"].count(True) == 1
    assert not [line for line in dmsfw.lines if "Traceback" in line]
    nft_program.unlink(missing_ok=True)
    nft_program.symlink_to(target)
    assert lab.run(["nft", "-s", "list", "ruleset"]).stdout == before
    dmsfw.wait_for("in sync")
    assert is_open(lab)


def test_a_table_that_is_not_as_firewall4_makes_it_is_left_and_said(lab: Lab, dmsfw: Dmsfw) -> None:
    nft(lab, "flush ruleset\ntable inet fw4 { chain elsewhere { type filter hook forward priority 0; }; }")
    before = lab.run(["nft", "list", "ruleset"]).stdout
    lab.compose("up", "-d")
    dmsfw.launch()
    dmsfw.wait_for("starting", "table inet fw4 has no chain forward of type filter on hook forward")
    assert lab.run(["nft", "list", "ruleset"]).stdout == before
    lab.firewall4.restart()
    dmsfw.wait_for("in sync")
    assert is_open(lab)


# doctor and explain

REJECTED = (
    "firewall rule inet fw4 forward #5 (jump handle_reject), by inet fw4 handle_reject #1 (!fw4: Reject TCP traffic)"
)


def test_doctor_names_firewall4s_rule_that_refuses_and_its_lines_open_the_port(router: Lab, dmsfw: Dmsfw) -> None:
    router.compose("up", "-d")
    dmsfw.start(NO_POLICY)
    told = doctor(router, "app", f"{NAME}:465", "-4")
    assert (told.code, told.errors) == (1, "")
    assert told.verdict == f"{REJECTED} refuses it: no policy of dmsfw selects network {NETWORKS['label']}"
    dmsfw.paste(told.remedy)
    router.wait(lambda: is_open(router))
    again = doctor(router, "dms-service-app-1", f"{NAME}:465", "-4")
    assert (again.code, again.verdict) == (0, f"dms-service-app-1 connects to tcp {NAME}:465")


def test_explain_names_the_element_that_opens_the_port_and_the_policy_in_it(router: Lab, dmsfw: Dmsfw) -> None:
    router.compose("up", "-d")
    dmsfw.start(SHIPPED)
    shut = router.dmsfw("explain", "app", f"{SERVER}:587")
    assert (shut.returncode, "(!fw4: Reject TCP traffic)" in flat(shut.stdout)) == (1, True), shut.stdout
    told = router.dmsfw("explain", "app", f"{SERVER}:465")
    assert told.returncode == 0, told.stdout
    element = re.search(r"dmsfw1_forward #\d+: [^(]*\(element ([^)]*)\)", flat(told.stdout))
    assert element is not None, told.stdout
    assert re.search(r'pppoe-wan . [0-9./]+ . tcp . 465 comment "dmsfw:[0-9a-f]+ [^"]*smtps', element[1]), element[1]
    assert f"from {WAN_ADDRESS}" in flat(told.stdout)


def flat(text: str) -> str:
    """Without the line breaks of a terminal."""
    return " ".join(text.split())


def test_all_networks_are_judged_by_firewall4s_own_rules(router: Lab, dmsfw: Dmsfw) -> None:
    router.compose("up", "-d")
    router.configure(SHIPPED)
    shut = router.dmsfw("explain", "--all-networks")
    assert (shut.returncode, "refused" in shut.stdout) == (1, True), shut.stdout
    dmsfw.start(SHIPPED)
    router.wait(lambda: is_open(router))
    told = router.dmsfw("explain", "--all-networks")
    assert told.returncode == 0, told.stdout
