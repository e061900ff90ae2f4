"""What only the kernel's tables can show: other people's programs, firewall3's recorded rules, refusals, races."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from dmsfw.enforce import library, packages, sockopt
from dmsfw.enforce.blob import FINGERPRINT_ENTRIES, Blob
from dmsfw.enforce.build import Builder
from dmsfw.enforce.iptables import Iptables
from dmsfw.enforce.kernel import KernelTables
from dmsfw.enforce.render import TABLES, RuleSpec, TableKey, hook, render
from dmsfw.enforce.rule import parse_rule
from dmsfw.enforce.tables import CreateChain, Insert
from dmsfw.errors import TableChanged, TableRefused
from dmsfw.model import Grant, PortRange
from tests.contract.benches import KernelBench, foreign_rules, iptables, own_rules, restore, save

FILTER, NAT, FILTER6, NAT6 = TableKey(4, "filter"), TableKey(4, "nat"), TableKey(6, "filter"), TableKey(6, "nat")
RECORDED = Path(__file__).parents[1] / "cases" / "openwrt"
REPOSITORY = Path(__file__).parents[2]
WITH_SOURCES = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'daemon'}:{REPOSITORY}"}
FIREWALL3 = {4: "fw3.iptables-save.txt", 6: "fw3.ip6tables-save.txt"}


def grant(port: int = 465, subnet: str = "172.18.0.0/16") -> Grant:
    why = f"smtps: dms-network may reach tcp {port} via wan"
    ports = (PortRange(port, port),)
    return Grant("dms-network", "br-4e4eb4db3fbd", ip_network(subnet), "pppoe-wan", "tcp", ports, whys=(why,))


SIX = grant(subnet="fd00:18::/64")


def load_firewall3(version: int, text: str | None = None) -> str:
    """Load the recorded ruleset of a router, without what needs modules that are seldom there, and return it."""
    recorded = text or (RECORDED / FIREWALL3[version]).read_text(encoding="utf-8")
    restore(TableKey(version, "filter"), recorded)  # type: ignore[arg-type]
    return recorded


def forward(key: TableKey) -> list[str]:
    return [line for line in save(key).splitlines() if line.startswith(f"-A {key.builtin} ")]


def place(key: TableKey) -> int:
    (at,) = (index for index, line in enumerate(forward(key)) if key.own in line)
    return at


@pytest.mark.parametrize("version", [4, 6])
def test_the_hook_stands_behind_firewall3s_accept_of_what_is_established(kernel: KernelBench, version: int) -> None:
    load_firewall3(version)
    key = FILTER if version == 4 else FILTER6
    before = foreign_rules(save(key).splitlines())
    Iptables(kernel.tables).converge([grant() if version == 4 else SIX])
    lines = forward(key)
    assert "RELATED,ESTABLISHED" in lines[place(key) - 1]
    assert "zone_lan_forward" in lines[place(key) + 1]
    assert _without_head(foreign_rules(save(key).splitlines())) == _without_head(before)


def _without_head(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith("#")]


def test_the_hook_stands_behind_firewall3s_drop_of_invalid_packets(kernel: KernelBench) -> None:
    established = '-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment "!fw3" -j ACCEPT\n'
    recorded = (RECORDED / FIREWALL3[4]).read_text(encoding="utf-8")
    assert established in recorded
    drop = '-A FORWARD -m conntrack --ctstate INVALID -m comment --comment "!fw3" -j DROP\n'
    load_firewall3(4, recorded.replace(established, established + drop))
    Iptables(kernel.tables).converge([grant()])
    assert "INVALID" in forward(FILTER)[place(FILTER) - 1]


def test_the_nat_hook_stands_last(kernel: KernelBench) -> None:
    load_firewall3(4)
    Iptables(kernel.tables).converge([grant()])
    assert place(NAT) == len(forward(NAT)) - 1


def test_the_owners_rule_that_was_put_ahead_stays_ahead_and_is_no_drift(kernel: KernelBench) -> None:
    load_firewall3(4)
    enforcer = Iptables(kernel.tables)
    assert enforcer.converge([grant()]).ahead == ()
    iptables(FILTER, "-I", "FORWARD", "1", "-p", "tcp", "!", "--dport", "25", "-j", "DROP")
    iptables(NAT, "-A", "POSTROUTING", "-s", "10.0.0.0/8", "-j", "ACCEPT")
    plan = enforcer.converge([grant()])
    assert not plan.changes
    assert place(FILTER) == 3
    plan = enforcer.plan([grant()])
    assert plan.ahead == ("iptables -t filter -A FORWARD -p tcp ! --dport 25 -j DROP",)


def test_a_hook_that_a_reload_left_on_the_wrong_side_is_moved(kernel: KernelBench) -> None:
    load_firewall3(4)
    enforcer = Iptables(kernel.tables)
    enforcer.converge([grant()])
    at = place(FILTER)
    for key in (FILTER, NAT):
        _reload(key)
    assert (place(FILTER), place(NAT)) == (0, 0)
    changes = [str(change) for change in enforcer.converge([grant()]).changes]
    assert sorted(change.split(" ")[4] for change in changes) == ["-D", "-D", "-I", "-I"]
    assert place(FILTER) == at
    assert place(NAT) == len(forward(NAT)) - 1
    assert not enforcer.converge([grant()])


def _reload(key: TableKey) -> None:
    """Delete firewall3's rules of the built-in chain and append them again."""
    lines = [line for line in forward(key) if "!fw3" in line]
    deletions = "".join(f"{line.replace('-A', '-D', 1)}\n" for line in lines)
    additions = "".join(f"{line}\n" for line in lines)
    text = f"*{key.name}\n{deletions}{additions}COMMIT\n"
    subprocess.run(["iptables-legacy-restore", "-w", "-n"], input=text, text=True, check=True)


@pytest.mark.parametrize(
    "spoil",
    [
        ["-F DMSFW-FORWARD"],
        ["-D FORWARD HOOK", "-F DMSFW-FORWARD", "-X DMSFW-FORWARD"],
        ["-A FORWARD -j DMSFW-FORWARD"],
        ["-I FORWARD -j DMSFW-FORWARD"],
        ["-D DMSFW-FORWARD 1"],
        ["-A DMSFW-FORWARD -j ACCEPT"],
        ["-I DMSFW-FORWARD -s 10.9.0.0/16 -j DROP"],
        ["-R DMSFW-FORWARD 1 -i br-4e4eb4db3fbd -j ACCEPT"],
        ["-N stray", "-A stray -j DMSFW-FORWARD", "-A stray -m comment --comment dmsfw:0123456789ab -j ACCEPT"],
        ["-A FORWARD -g DMSFW-FORWARD"],
    ],
)
def test_whatever_is_spoilt_is_mended_in_one_pass(kernel: KernelBench, spoil: list[str]) -> None:
    load_firewall3(4)
    enforcer = Iptables(kernel.tables)
    enforcer.converge([grant(), grant(25)])
    good = own_rules(save(FILTER).splitlines())
    hook_number = str(place(FILTER) + 1)
    for command in spoil:
        iptables(FILTER, *command.replace("HOOK", hook_number).split())
    assert enforcer.changed()
    assert enforcer.converge([grant(), grant(25)])
    assert sorted(own_rules(save(FILTER).splitlines())) == sorted(good)
    assert not enforcer.converge([grant(), grant(25)])


def test_a_foreign_edit_without_the_lock_between_reading_and_committing_is_not_lost(kernel: KernelBench) -> None:
    iptables(FILTER, "-A", "FORWARD", "-i", "eth1", "-j", "DROP")
    tables = kernel.tables
    with tables.locked():
        image = tables.read(FILTER)
        # iptables without -w ends at once when the lock is held; a lock of its own is what a careless writer has.
        environment = {"XTABLES_LOCKFILE": "/run/other.lock", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        command = ["iptables-legacy", "-R", "FORWARD", "1", "-i", "eth2", "-j", "DROP"]
        subprocess.run(command, env=environment, check=True)
        with pytest.raises(TableChanged):
            tables.commit(FILTER, image, [CreateChain(FILTER.own)])
    assert forward(FILTER) == ["-A FORWARD -i eth2 -j DROP"]
    Iptables(tables).converge([grant()])
    assert forward(FILTER)[1:] == ["-A FORWARD -i eth2 -j DROP"]


def test_a_table_that_changes_while_it_is_edited_is_reported_as_changed(
    kernel: KernelBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = kernel.tables
    apply = KernelTables._apply

    def disturbed(self: KernelTables, table: Any, edit: Any) -> None:
        environment = {"XTABLES_LOCKFILE": "/run/other.lock", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        subprocess.run(["iptables-legacy", "-A", "FORWARD", "-j", "DROP"], env=environment, check=True)
        apply(self, table, edit)

    monkeypatch.setattr(KernelTables, "_apply", disturbed)
    with tables.locked(), pytest.raises(TableChanged):
        tables.commit(FILTER, tables.read(FILTER), [CreateChain(FILTER.own)])
    assert forward(FILTER) == ["-A FORWARD -j DROP"]


@contextmanager
def no_such_table(monkeypatch: pytest.MonkeyPatch, key: TableKey) -> Iterator[None]:
    """Ask the kernel for a table that it has not, in the place of one that it has."""
    getsockopt = sockopt._getsockopt

    def asked(of: TableKey, sock: Any, option: int, request: bytes, size: int, **skip: int) -> bytes:
        return getsockopt(of, sock, option, request.replace(b"nat", b"zat") if of == key else request, size, **skip)

    with monkeypatch.context() as patched:
        patched.setattr(sockopt, "_getsockopt", asked)
        yield


def test_a_missing_table_says_what_to_install_and_keeps_its_family_shut(
    kernel: KernelBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with no_such_table(monkeypatch, NAT6), pytest.raises(TableRefused, match="opkg install kmod-ipt-nat6"):
        Iptables(kernel.tables).converge([grant(), SIX])
    assert len(own_rules(save(FILTER).splitlines())) == 4
    assert own_rules(save(FILTER6).splitlines()) == []


def test_a_table_that_python_iptables_cannot_open_is_refused(kernel: KernelBench) -> None:
    """No package would help: the table is there, and the edit is about no match or target."""
    with pytest.raises(
        TableRefused, match=r"^iptables table filter was not changed: can't create chain x+: 'Invalid argument'$"
    ):
        kernel.tables.commit(FILTER, kernel.tables.read(FILTER), [CreateChain("x" * 40)])


def test_a_match_that_the_kernel_does_not_know_names_the_package_of_its_module(
    kernel: KernelBench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its name is altered in the bytes, so that the kernel refuses it, and in the kernel's list."""
    builder_raw = Builder.raw
    monkeypatch.setattr(Builder, "raw", lambda self, spec: builder_raw(self, spec).replace(b"conntrack", b"conntruck"))
    known = tmp_path / "known"
    known.write_text("\n".join(sockopt.extensions(4) - {"conntrack"}))
    monkeypatch.setitem(sockopt.EXTENSIONS, 4, (known,))
    with pytest.raises(TableRefused, match=r"^iptables table filter: .*opkg install kmod-ipt-conntrack\)$"):
        Iptables(kernel.tables).converge([grant()])
    assert own_rules(save(FILTER).splitlines()) == []


def test_the_kernel_tells_the_matches_and_targets_of_ours(kernel: KernelBench) -> None:
    """After rules that use them have been written: it loads their modules by then."""
    Iptables(kernel.tables).converge([grant(), SIX, replace(grant(25), ports=(PortRange(25, 25), PortRange(587, 587)))])
    for version in (4, 6):
        assert set(packages.MODULES) <= sockopt.extensions(version)
    assert [{"icmp", "icmp6"} & sockopt.extensions(version) for version in (4, 6)] == [{"icmp"}, {"icmp6"}]


@pytest.mark.parametrize(
    ("in_kernel", "package"), [("comment conntrack", "libiptext"), ("tcp conntrack", "kmod-ipt-core")]
)
def test_a_match_that_is_not_found_names_the_package_of_library_or_module(
    kernel: KernelBench,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    in_kernel: str,
    package: str,
) -> None:
    known = tmp_path / "known"
    known.write_text(in_kernel.replace(" ", "\n"))
    monkeypatch.setitem(sockopt.EXTENSIONS, 4, (known,))
    xtables = library.load().xtables.xtables
    find = xtables.find_match
    monkeypatch.setattr(xtables, "find_match", lambda self, name: None if name == "comment" else find(self, name))
    spec = RuleSpec(4, "filter", "DMSFW-FORWARD", "ACCEPT", comment="dmsfw:0123456789ab")
    with pytest.raises(TableRefused) as refused:
        kernel.tables.key_of(spec)
    said = (
        f"iptables table filter lacks what a rule uses: can't find match comment (on OpenWrt: opkg install {package})"
    )
    assert str(refused.value) == said


def test_a_large_table_is_told_by_its_size(kernel: KernelBench) -> None:
    numbers = range(FINGERPRINT_ENTRIES)
    rules = "".join(f"-A FORWARD -s 10.0.{number >> 8}.{number & 255} -j DROP\n" for number in numbers)
    restore(FILTER, f"*filter\n:FORWARD ACCEPT [0:0]\n{rules}COMMIT\n")
    enforcer = Iptables(kernel.tables)
    enforcer.converge([grant()])
    assert not enforcer.changed()
    iptables(FILTER, "-A", "FORWARD", "-j", "DROP")
    assert enforcer.changed()
    assert len(kernel.tables.read(FILTER).chain("FORWARD") or ()) == FINGERPRINT_ENTRIES + 2


def test_an_edit_of_equal_size_in_a_large_table_is_seen_by_the_close_look_only(kernel: KernelBench) -> None:
    rules = "-A FORWARD -i eth7 -j DROP\n" * (FINGERPRINT_ENTRIES + 1)
    restore(FILTER, f"*filter\n:FORWARD ACCEPT [0:0]\n{rules}COMMIT\n")
    enforcer = Iptables(kernel.tables)
    enforcer.converge([grant()])
    assert not enforcer.touched()
    iptables(FILTER, "-R", "FORWARD", "7", "-i", "eth8", "-j", "DROP")
    assert not enforcer.changed()
    assert enforcer.touched()


def test_rules_with_matches_and_targets_of_every_kind_are_read(kernel: KernelBench) -> None:
    rules = [
        "! -s 10.0.0.0/8 ! -d 192.0.2.1/32 ! -i eth+ ! -o eth1 ! -p udp -j DROP",
        "-p tcp -m tcp --sport 1:2 ! --dport 25 -j DROP",
        "-p udp -m udp ! --sport 53 --dport 1000:2000",
        "-p tcp -m multiport ! --dports 1,2:3,5 -j RETURN",
        "-p tcp -m multiport --sports 1 -j RETURN",
        "-p tcp -m multiport --ports 9,10 -j RETURN",
        "-m conntrack ! --ctstate INVALID -j ACCEPT",
        "-m conntrack --ctstate INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED -j ACCEPT",
        "-m conntrack --ctstate DNAT -j ACCEPT",
        "-m limit --limit 3/min -j LOG --log-prefix hello",
        "-i br+ -p 47 -j REJECT",
        "-m mark --mark 0x1 -j QUEUE",
    ]
    for rule in rules:
        iptables(FILTER, "-A", "FORWARD", *rule.split())
    entries = kernel.tables.read(FILTER).chain("FORWARD") or ()
    assert [entry.text for entry in entries] == [
        "! -s 10.0.0.0/8 ! -d 192.0.2.1/32 ! -i eth+ ! -o eth1 ! -p udp -j DROP",
        "-p tcp --sport 1:2 ! --dport 25 -j DROP",
        "-p udp ! --sport 53 --dport 1000:2000",
        "-p tcp -m multiport ! --dports 1,2:3,5 -j RETURN",
        "-p tcp -m multiport --sports 1 -j RETURN",
        "-p tcp -m multiport --ports 9,10 -j RETURN",
        "-m conntrack -j ACCEPT",
        "-m conntrack --ctstate INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED -j ACCEPT",
        "-m conntrack --ctstate DNAT -j ACCEPT",
        "-m limit -j LOG",
        "-i br+ -p gre -j REJECT",
        "-m mark -j QUEUE",
    ]
    assert entries[6].states == frozenset()
    assert [entry.target for entry in entries[1:3]] == ["DROP", ""]
    Iptables(kernel.tables).converge([grant()])
    assert [entry.text for entry in kernel.tables.read(FILTER).chain("FORWARD") or ()][1:] == [e.text for e in entries]


@pytest.mark.parametrize("key", TABLES, ids=lambda key: f"{key.command}-{key.name}")
def test_iptables_itself_finds_our_rules_to_be_what_they_say(kernel: KernelBench, key: TableKey) -> None:
    Iptables(kernel.tables).converge([grant(), SIX])
    for line in own_rules(save(key).splitlines()):
        if line.startswith("-A"):
            text = f"*{key.name}\n{line.replace('-A', '-C', 1)}\nCOMMIT\n"
            subprocess.run([f"{key.command}-legacy-restore", "-w", "-n"], input=text, text=True, check=True)


def test_what_iptables_writes_from_our_text_is_in_sync(kernel: KernelBench) -> None:
    wanted = [grant(), grant(25), SIX]
    for key, specs in render(wanted).items():
        rules = "".join(f"{spec.text}\n" for spec in (*specs, hook(key)))
        restore(key, f"*{key.name}\n:{key.own} - [0:0]\n{rules}COMMIT\n")
    assert not Iptables(kernel.tables).converge(wanted)


def test_what_we_write_survives_saving_and_restoring(kernel: KernelBench) -> None:
    enforcer = Iptables(kernel.tables)
    enforcer.converge([grant(), SIX])
    for key in TABLES:
        restore(key, save(key))
    assert not enforcer.converge([grant(), SIX])


WORKER = """
import sys
from ipaddress import ip_network
from dmsfw.enforce.iptables import Iptables
from dmsfw.enforce.kernel import KernelTables
from dmsfw.enforce.lock import XtablesLock
from tests.contract.test_kernel import grant
enforcer = Iptables(KernelTables(XtablesLock()))
for number in range(int(sys.argv[1])):
    enforcer.converge([grant(), grant(25)] if number % 2 else [grant(), grant(26)])
"""
APPENDER = """
for number in $(seq 500); do
    iptables-legacy -w -A FORWARD -s 10.0.$((number / 256)).$((number % 256)) -j DROP || exit 1
done
"""


@contextmanager
def running(*commands: list[str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    started = [subprocess.Popen(command, env=WITH_SOURCES) for command in commands]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_no_edit_is_lost_beside_another_program_and_another_dmsfw(kernel: KernelBench) -> None:
    iptables(FILTER, "-A", "FORWARD", "-i", "eth1", "-j", "DROP")
    python = [sys.executable, "-W", "ignore", "-c"]
    enforcer = Iptables(kernel.tables)
    with running(["sh", "-c", APPENDER], [*python, WORKER, "250"]) as started:
        for number in range(250):
            enforcer.converge([grant(), grant(25 + number % 2)])
        assert [process.wait(50) for process in started] == [0, 0]
    appended = [line for line in forward(FILTER) if " -s 10.0." in line]
    assert appended == [f"-A FORWARD -s 10.0.{n // 256}.{n % 256}/32 -j DROP" for n in range(1, 501)]
    enforcer.converge([grant()])
    assert len(own_rules(save(FILTER).splitlines())) == 4
    assert forward(FILTER)[1] == "-A FORWARD -i eth1 -j DROP"


def test_python_iptables_stays_usable_after_many_bad_values() -> None:
    spec = RuleSpec(4, "filter", "DMSFW-FORWARD", "ACCEPT", proto="tcp", ports=(PortRange(70000, 70000),))
    for _ in range(600):
        with pytest.raises(TableRefused, match="python-iptables refuses a rule"):
            Builder().raw(spec)
    good = RuleSpec(4, "filter", "DMSFW-FORWARD", "ACCEPT", proto="tcp", ports=(PortRange(465, 465),))
    assert parse_rule(4, Builder().raw(good)).text == "-p tcp --dport 465 -j ACCEPT"


def test_rules_that_are_no_longer_wanted_are_forgotten(kernel: KernelBench) -> None:
    specs = render([grant()])[FILTER]
    for spec in specs:
        kernel.tables.key_of(spec)
    kernel.tables.keep_only(specs[:1])
    assert [*kernel.tables._builder._built] == [*kernel.tables._keys] == [specs[0]]


def test_a_kernel_that_keeps_changing_is_reported_as_changed(
    kernel: KernelBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    iptables(FILTER, "-A", "FORWARD", "-j", "DROP")
    ask = sockopt._info
    monkeypatch.setattr(sockopt, "_info", lambda key, sock: ask(key, sock)._replace(size=8))
    with pytest.raises(TableChanged, match="changes all the time"):
        kernel.tables.read(FILTER)


def test_a_layout_that_changed_between_two_questions_is_asked_for_again(
    kernel: KernelBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    iptables(FILTER, "-A", "INPUT", "-j", "DROP")
    ask, asked = sockopt._info, 0

    def moving(key: TableKey, sock: Any) -> sockopt.Info:
        nonlocal asked
        asked += 1
        if asked == 2:  # the rule goes to another chain: the table is as large as before
            iptables(FILTER, "-D", "INPUT", "1")
            iptables(FILTER, "-A", "OUTPUT", "-j", "DROP")
        return ask(key, sock)

    monkeypatch.setattr(sockopt, "_info", moving)
    image = kernel.tables.read(FILTER)
    assert isinstance(image, Blob)
    assert [len(image.chain(name) or ()) for name in ("INPUT", "OUTPUT")] == [0, 1]


def test_without_the_right_to_read_it_says_so(kernel: KernelBench) -> None:  # noqa: ARG001 - its namespace
    program = (
        "import os\nfrom dmsfw.enforce import sockopt\nfrom dmsfw.enforce.render import TableKey\n"
        "from dmsfw.errors import TableRefused\nos.setuid(65534)\n"
        "for ask in (sockopt.exists, sockopt.read):\n"
        "    try:\n        ask(TableKey(4, 'filter'))\n"
        "    except TableRefused as error:\n        print(error)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=WITH_SOURCES, capture_output=True, check=True
    )
    assert re.search(rb"not permitted.*root", answer.stdout), answer


def test_iptables_is_imported_once_and_knows_no_more_tables_than_two() -> None:
    iptc = library.load()
    assert library.load() is iptc
    known = iptc.Table.existing_table_names
    assert {name for name, made in known.items() if made} == {"filter", "nat"}


def test_an_insertion_into_a_chain_that_is_not_there_is_refused(kernel: KernelBench) -> None:
    spec = render([grant()])[FILTER][0]
    with pytest.raises(TableRefused, match="iptables table filter"):
        kernel.tables.commit(FILTER, kernel.tables.read(FILTER), [Insert(spec)])


def test_the_enforcer_of_this_host_works_on_this_namespace(kernel: KernelBench) -> None:
    assert Iptables.of_this_host().converge([grant()])
    assert not Iptables(kernel.tables).converge([grant()])
