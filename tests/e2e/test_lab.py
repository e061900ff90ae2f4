"""The lab itself: that it shows the field case as it was, and that it leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab import DELEGATED, NETWORKS, RESOLVER, SERVER, SERVER6, Lab, LabError, Network, Router, wait
from tests.lab.folder import CGROUPS, TMP

NAME = "smtp.example.com"
WAN_ADDRESS, WANB_ADDRESS = "198.51.100.2", "198.51.101.7"
FIRST_CONTAINER = "172.18.0.2"


def manual_rules(network: Network, wan: str = "pppoe-wan") -> str:
    """Return the three rules that the field case's owner kept, as he typed them."""
    return f"""
        iptables -I FORWARD 1 -i {network.bridge} -p tcp --dport 465 -j ACCEPT
        iptables -I FORWARD 1 -o {wan} -p tcp --sport 465 -j ACCEPT
        iptables -t nat -I POSTROUTING 1 -s {network.subnet} -o {wan} -j MASQUERADE
    """


@pytest.fixture(scope="module")
def shared() -> Iterator[Lab]:
    """One lab for the tests that put back what they change."""
    with Lab() as lab:
        yield lab


@pytest.fixture
def lab(shared: Lab) -> Iterator[Lab]:
    """The shared lab with the field case's service up and the firewall as recorded."""
    shared.firewall.restart()
    shared.compose("up", "-d")
    yield shared
    shared.compose("down", "-t", "0")


@pytest.fixture
def router() -> Iterator[Router]:
    with Router() as router:
        yield router


# The field case, step by step


def test_the_container_is_refused_by_name_and_by_address_and_the_host_is_not(lab: Lab) -> None:
    assert lab.connect("app", SERVER, 465) == "refused"
    assert lab.connect("app", NAME, 465) == "refused"
    assert lab.connect("router", SERVER, 465).peer == WAN_ADDRESS
    assert lab.connect("router", NAME, 465) == "open"
    assert lab.connect("lan", SERVER, 465).peer == WAN_ADDRESS


def test_a_name_that_does_not_exist_is_told_from_a_refusal(lab: Lab) -> None:
    assert lab.connect("app", "nobody.example.com", 465) == "unresolved"
    assert lab.connect("router", "nobody.example.com", 465) == "unresolved"


def test_the_three_manual_rules_open_the_port_and_no_other(lab: Lab) -> None:
    lab.sh(manual_rules(lab.network(NETWORKS["label"])))
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS
    assert lab.connect("app", NAME, 465) == "open"
    assert lab.connect("app", SERVER, 587) == "refused"


def test_a_restart_of_the_firewall_closes_it_again(lab: Lab) -> None:
    lab.sh(manual_rules(lab.network(NETWORKS["label"])))
    assert lab.connect("app", SERVER, 465) == "open"
    lab.firewall.restart()
    assert lab.connect("app", SERVER, 465) == "refused"


def test_compose_recreates_the_network_with_another_bridge_and_subnet(lab: Lab) -> None:
    old = lab.network(NETWORKS["label"])
    lab.compose("down")
    lab.compose("up", "-d")
    new = lab.network(NETWORKS["label"])
    assert (new.name, new.bridge != old.bridge, new.subnet != old.subnet) == (old.name, True, True)
    assert new.bridge in lab.run(["ip", "-o", "link"]).stdout


def test_both_spellings_bear_the_label_and_the_name_of_the_field_case(lab: Lab) -> None:
    lab.compose("up", "-d", spelling="name")
    label = '{{index .Labels "com.docker.compose.network"}} {{.Name}}'
    shown = [lab.docker("network", "inspect", "-f", label, name).stdout.strip() for name in NETWORKS.values()]
    assert shown == ["dms-network dms-service_dms-network", "dms-service-network dms-service_dms-service-network"]
    lab.compose("down", "-t", "0", spelling="name")


def test_without_masquerade_the_connection_times_out_as_on_the_internet(lab: Lab) -> None:
    network = lab.network(NETWORKS["label"])
    lab.sh("iptables -t nat -F POSTROUTING; " + manual_rules(network) + "iptables -t nat -F POSTROUTING")
    assert lab.connect("app", SERVER, 465, timeout=1) == "timeout"
    lab.isp.route_back(network.subnet, via=WAN_ADDRESS)
    assert str(lab.connect("app", SERVER, 465).peer).startswith(network.subnet.rpartition(".0.0/")[0])


def test_a_resolver_off_the_loopback_is_asked_through_the_wan(lab: Lab) -> None:
    lab.set_resolver(RESOLVER)
    lab.compose("up", "-d", "--force-recreate", "-t", "0")
    network = lab.network(NETWORKS["label"])
    lab.sh(manual_rules(network))
    assert lab.connect("app", NAME, 465, timeout=1) == "unresolved"
    lab.sh(f"iptables -I FORWARD -i {network.bridge} -p udp --dport 53 -j ACCEPT")
    assert lab.connect("app", NAME, 465) == "open"
    lab.set_resolver("127.0.0.1")


def test_ipv6_is_refused_until_a_rule_opens_it_and_a_delegated_prefix_needs_no_masquerade(lab: Lab) -> None:
    subnet = DELEGATED.replace("::/48", ":7::/64")
    lab.docker("network", "create", "--ipv6", "--subnet", subnet, "-o", "com.docker.network.bridge.name=dms6", "six")
    lab.container("c6", "six")
    assert lab.connect("c6", SERVER6, 465) == "refused"
    lab.sh("ip6tables -I FORWARD -i dms6 -p tcp --dport 465 -j ACCEPT")
    answer = lab.connect("c6", SERVER6, 465)
    assert (answer, str(answer.peer)[:15]) == ("open", subnet[:15])
    assert lab.connect("c6", "smtp6.example.com", 465) == "open"
    lab.docker("rm", "-f", "c6")
    lab.docker("network", "rm", "six")


# Docker's ways to fail


def test_a_killed_dockerd_leaves_its_containers_and_starts_again(lab: Lab) -> None:
    lab.sh(manual_rules(lab.network(NETWORKS["label"])))
    lab.engine.kill()
    assert lab.engine.version() is None
    assert lab.connect("app", SERVER, 465) == "open"
    lab.engine.restart()
    assert lab.engine.version()
    lab.compose("up", "-d")
    assert lab.connect("app", SERVER, 465) == "open"


def test_a_frozen_dockerd_does_not_answer_and_a_thawed_one_does(lab: Lab) -> None:
    lab.engine.freeze()
    assert lab.engine.version() is None
    assert lab.connect("app", SERVER, 465) == "refused"
    lab.engine.thaw()
    assert lab.engine.version()


def test_what_containerd_says_at_its_end_stays_in_the_lab(lab: Lab) -> None:
    """Asked for its stacks, as by a dockerd that ends one that it does not hear of, it writes them to a file."""
    (pid_file,) = lab.folder.rglob("containerd.pid")
    before = set(Path(tempfile.gettempdir()).glob("containerd.*"))
    lab.sh(f"kill -USR1 {pid_file.read_text()}")
    lab.wait(lambda: list(lab.folder.rglob("containerd.*.stacks.log")), "the stacks")
    assert set(Path(tempfile.gettempdir()).glob("containerd.*")) == before


def test_a_frozen_dockerd_can_be_killed_and_started_again(lab: Lab) -> None:
    lab.engine.freeze()
    lab.engine.kill()
    lab.engine.start()
    assert lab.engine.version()


def test_with_its_iptables_handling_docker_opens_everything_until_the_firewall_is_flushed() -> None:
    with Lab(docker_iptables=True) as lab:
        lab.compose("up", "-d")
        assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS
        assert lab.connect("app", SERVER, 8443) == "open"
        lab.firewall.restart()
        assert lab.connect("app", SERVER, 465) == "refused"


def test_a_router_whose_docker_comes_up_late_has_no_socket_before() -> None:
    with Lab(docker=False, internet=False) as lab:
        assert not lab.path("/run/docker.sock").exists()
        lab.engine.start()
        assert lab.engine.version()


# The router without Docker


def test_the_recorded_ruleset_is_loaded_unchanged(router: Router) -> None:
    recorded = Path("tests/cases/openwrt/fw3.iptables-save.txt").read_text().split("*filter\n")[1]
    rules = [line for line in recorded.splitlines() if line.startswith("-A")]
    assert [line for line in router.rules() if line.startswith("-A")] == rules


@pytest.mark.parametrize("family", [4, 6])
def test_a_reload_keeps_foreign_rules_chains_and_counters_and_lifts_them_up(router: Router, family: int) -> None:
    tool = "iptables" if family == 4 else "ip6tables"
    mine = ["-N mine", "-A mine -j RETURN", "-A FORWARD -j mine", "-A FORWARD -j ACCEPT -c 7 9"]
    router.sh("\n".join(f"{tool} {command}" for command in mine))
    before = router.rules(family)
    router.firewall.reload()
    after = router.rules(family)
    assert sorted(after) == sorted(before)
    lifted = [line for line in after if line.startswith("-A FORWARD")][:2]
    assert lifted == ["-A FORWARD -j mine", "-A FORWARD -j ACCEPT"]
    assert "[7:9] -A FORWARD -j ACCEPT" in router.rules(family, counters=True)


def test_a_flush_wipes_everybody_and_removes_the_state_file(router: Router) -> None:
    assert router.path("/run/fw3.state").exists()
    router.sh("iptables -N mine; iptables -t nat -A POSTROUTING -j ACCEPT")
    router.firewall.flush()
    assert router.rules() == [":INPUT ACCEPT", ":FORWARD ACCEPT", ":OUTPUT ACCEPT"]
    assert not [line for line in router.rules(table="nat") if line.startswith("-A")]
    assert not router.path("/run/fw3.state").exists()


def test_the_owners_script_runs_at_a_restart_and_not_at_a_reload(router: Router) -> None:
    router.sh("echo 'iptables -I FORWARD -j ACCEPT -m comment --comment mine; echo . >>/run/ran' >/etc/firewall.user")
    router.firewall.restart()
    router.firewall.reload()
    assert router.path("/run/ran").read_text() == ".\n"
    assert not Path("/etc/firewall.user").exists()


def test_two_uplinks_a_redial_and_a_rename_show_in_kernel_and_netifd(router: Router) -> None:
    router.firewall.zone_wan("pppoe-wan", "eth2", "ppp1")
    router.firewall.reload()
    router.wanb.up()
    router.run(["ip", "route", "replace", f"{SERVER}/32", "via", "198.51.101.1"])
    assert router.connect("lan", SERVER, 465).peer == WANB_ADDRESS
    router.wanb.down()
    assert router.connect("lan", SERVER, 465).peer == WAN_ADDRESS
    router.wan.redial("ppp1")
    assert router.connect("lan", SERVER, 465).peer == WAN_ADDRESS
    router.wan.rename("pppoe-wan")
    assert router.connect("lan", SERVER, 465).peer == WAN_ADDRESS
    assert router.connect("router", SERVER6, 465).peer == "2001:db8:100::2"


def test_ubus_shows_the_edited_dump_hangs_fails_and_goes(router: Router) -> None:
    dump = ["ubus", "call", "network.interface", "dump"]
    router.netifd.up("wanb", "eth2")
    assert '"l3_device": "eth2"' in router.run(dump).stdout
    router.netifd.down("wanb")
    assert '"l3_device": "eth2"' not in router.run(dump).stdout
    router.netifd.behave("fail")
    assert router.run(dump, check=False).returncode == 255
    router.netifd.behave("hang")
    with pytest.raises(LabError, match=r"took more than 0\.2 s"):
        router.run(dump, timeout=0.2)
    router.netifd.uninstall()
    with pytest.raises(LabError, match="127"):
        router.sh("ubus list")


def test_udp_is_answered_and_recorded(router: Router) -> None:
    assert router.connect("lan", SERVER, 465, proto="udp").peer == WAN_ADDRESS
    assert [(seen.proto, seen.port, seen.peer) for seen in router.isp.seen] == [("udp", 465, WAN_ADDRESS)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_program_in_the_background_gets_signals_itself_and_its_log_is_its_own(
    router: Router, number: signal.Signals
) -> None:
    first = router.popen(["sh", "-c", "echo one; exec sleep infinity"], name="program")
    first.wait_for("one\n")
    first.signal(number)
    assert (first.wait(), first.log()) == (-number, "one\n")
    second = router.popen(["sh", "-c", "echo two; exit 3"], name="program")
    assert (second.wait(), second.log()) == (3, "two\n")


# What it leaves behind


@dataclass(frozen=True)
class Traces:
    """What one lab has on this machine: all of it bears its name, but processes: these are known by pid and start."""

    name: str
    processes: frozenset[tuple[int, str]]

    @classmethod
    def of(cls, name: str, holder: int) -> Traces:
        """Return the traces of a running lab: all in its pid namespace, and their children in the containers' ones."""
        alive = {int(path.name): stat(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()}
        found = {pid for pid in alive if pid_namespace(pid) == pid_namespace(holder)}
        while more := {pid for pid, (parent, _) in alive.items() if parent in found} - found:
            found |= more
        return cls(name, frozenset((pid, alive[pid][1]) for pid in found))

    def left(self) -> list[str]:
        """Return what is still there. Namespaces live by their processes and mounts."""
        name = self.name
        processes = [f"process {pid}" for pid, start in self.processes if stat(pid)[1] == start]
        folders = [str(path) for path in (TMP / name, *CGROUPS.glob(f"**/{name}")) if path.exists()]
        tables = [Path("/proc/self/mounts"), Path("/proc/net/unix")]
        return processes + folders + [line for table in tables for line in lines_with(table, name)]


def lines_with(table: Path, name: str) -> list[str]:
    return [line for line in table.read_text().splitlines() if name in line]


def stat(pid: int) -> tuple[int, str]:
    """Return a process's parent and its start time, (0, "") when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0, ""
    return int(fields[1]), fields[19]


def pid_namespace(pid: int) -> str:
    """Return what names a process's pid namespace, "" when it is gone."""
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""


def assert_nothing_is_left(traces: Traces) -> None:
    try:
        wait(lambda: not traces.left())
    except LabError:
        pytest.fail("left: " + "\n".join(traces.left()))


def machine() -> dict[str, object]:
    """Return what a lab must not touch."""
    return {
        "mounts": Path("/proc/self/mounts").read_text(),
        "links": {path.name for path in Path("/sys/class/net").iterdir()},
        "routes": Path("/proc/net/route").read_text(),
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        "files": [
            path for path in map(Path, ("/run/xtables.lock", "/run/docker.sock", "/etc/docker")) if path.exists()
        ],
        "resolver": Path("/etc/resolv.conf").read_text(),
    }


def test_a_running_lab_does_not_touch_the_machine_and_a_stop_leaves_nothing() -> None:
    before = machine()
    with Lab(internet=False) as lab:
        lab.compose("up", "-d")
        lab.popen(["sleep", "infinity"])
        traces = Traces.of(lab.folder.name, lab.pid)
        expected = (
            "tini",
            "cat",
            "sh",
            "dockerd",
            "containerd",
            "containerd-shim",
            "docker-init",
            "sh",
            "sleep",
            "sleep",
        )
        assert len(traces.processes) >= len(expected)
        assert any(str(CGROUPS) in left for left in traces.left())
        assert machine() == before
    assert_nothing_is_left(traces)
    assert machine() == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_nothing(error: type[BaseException]) -> None:
    traces: list[Traces] = []

    def interrupted() -> None:
        with Lab(internet=False) as lab:
            lab.compose("up", "-d")
            lab.engine.freeze()
            traces.append(Traces.of(lab.folder.name, lab.pid))
            raise error

    with pytest.raises(error):
        interrupted()
    assert_nothing_is_left(traces[0])


def test_a_failed_start_says_why_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    traces: list[Traces] = []

    def fail(lab: Lab) -> None:
        traces.append(Traces.of(lab.folder.name, lab.pid))
        lab.docker("import", "/nowhere", "busybox:local")

    monkeypatch.setattr(Lab, "load_image", fail)
    with pytest.raises(LabError, match="docker import /nowhere"), Lab():
        pytest.fail("started")
    assert_nothing_is_left(traces[0])


def test_a_paused_container_does_not_keep_the_lab_from_ending() -> None:
    with Lab(internet=False) as lab:
        lab.compose("up", "-d")
        lab.docker("pause", "dms-service-app-1")
        traces = Traces.of(lab.folder.name, lab.pid)
    assert_nothing_is_left(traces)


def test_dockerd_ends_with_a_paused_container_and_removes_it_when_it_is_back() -> None:
    with Lab(internet=False) as lab:
        lab.compose("up", "-d")
        lab.docker("pause", "dms-service-app-1")
        lab.engine.restart()
        lab.docker("rm", "-f", "dms-service-app-1")
        assert lab.docker("ps", "-aq").stdout == ""


OWNER = """
from tests.lab import Lab
with Lab(internet=False) as lab:
    lab.compose("up", "-d")
    lab.docker("pause", "dms-service-app-1")
    lab.engine.freeze()
    print(lab.folder.name, lab.pid, flush=True)
    input()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_what_a_killed_owner_leaves_ends_at_once_and_is_swept_by_the_next_start(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, stdin=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        name, holder = owner.stdout.readline().decode().split()
        traces = Traces.of(name, int(holder))
        owner.send_signal(number)
        owner.wait()
    wait(lambda: not any("process" in left for left in traces.left()), "the end of its processes")
    with Router(internet=False, firewall=False):
        assert_nothing_is_left(traces)


def test_what_is_frozen_and_outlives_its_holder_is_swept_by_the_next_start() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, stdin=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        name, holder = owner.stdout.readline().decode().split()
        traces = Traces.of(name, int(holder))
        os.kill(int(holder), signal.SIGKILL)
        owner.kill()
    assert any("process" in left for left in traces.left())
    with Router(internet=False, firewall=False):
        assert_nothing_is_left(traces)


def test_a_living_owners_lab_is_not_swept() -> None:
    with Router(internet=False) as first, Router(internet=False):
        assert first.folder.exists()
        assert first.rules()
