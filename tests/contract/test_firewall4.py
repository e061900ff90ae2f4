"""The enforcer for firewall4 against a real nft and a real kernel: what stands there, and what passes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from dmsfw.decide.grants import grants
from dmsfw.errors import TableChanged, TableRefused
from dmsfw.firewall4.enforcer import Firewall4
from dmsfw.firewall4.netlink import Question
from dmsfw.firewall4.program import Nft, NotSupported
from dmsfw.model import Grant, PortRange
from tests.contract.benches import enable_forwarding
from tests.contract.firewall4_bench import NOWHERE, elements, foreign, listing, nft, ours, reload
from tests.contract.test_packets import LAST, sent
from tests.contract.wire import Wire
from tests.lab.nft import INCLUDES, folder
from tests.unit.decide_support import Case, Packet, cases

MAIL = Grant(
    "mail", "br-mail", ip_network("172.18.0.0/16"), "pppoe-wan", "tcp", (PortRange(465, 465),), whys=("smtps: mail",)
)
MAIL6 = replace(MAIL, subnet=ip_network("fd00:18::/64"))
THERE = replace(MAIL, destination=ip_network("192.0.2.0/24"))
ALL = (MAIL, MAIL6, THERE, replace(MAIL, bridge="br-web", subnet=ip_network("172.19.0.0/16"), proto="all", ports=()))

DAMAGES = {
    "a reload without include files": reload,
    "a restart": lambda: (nft("delete table inet fw4"), reload()),
    "everything is flushed": lambda: (nft("flush ruleset"), reload()),
    "an element is deleted": lambda: nft("flush set inet fw4 dmsfw1_nat4"),
    "an element is added": lambda: nft(
        'add element inet fw4 dmsfw1_nat4 { "br-x" . "wan" . 10.0.0.0/8 . tcp . 1-65535 }'
    ),
    "an element of another form is added": lambda: nft(
        'add element inet fw4 dmsfw1_outall4 { "br*" . "w*" . 1.2.3.4 . 0-9 }'
    ),
    "an element is added that JSON cannot name": lambda: nft(
        'add element inet fw4 dmsfw1_nat4 { "tcp" . "@wan" . 10.0.0.0/8 . tcp . 1-65535 }'
    ),
    "an element that holds everything is added": lambda: nft("add element inet fw4 dmsfw1_nat4 { * }"),
    "the jump is removed": lambda: drop("forward"),
    "the jump in nat is removed": lambda: drop("srcnat"),
    "the jump is doubled": lambda: nft("add rule inet fw4 forward jump dmsfw1_forward"),
    "the jump stands behind the zones": lambda: (
        drop("forward"),
        nft('add rule inet fw4 forward ct state new jump dmsfw1_forward comment "dmsfw: networks of Docker"'),
    ),
    "the jump in nat stands first": lambda: (
        drop("srcnat"),
        nft('insert rule inet fw4 srcnat jump dmsfw1_srcnat comment "dmsfw: networks of Docker"'),
    ),
    "the jump is widened": lambda: (
        drop("forward"),
        nft('insert rule inet fw4 forward jump dmsfw1_forward comment "dmsfw: networks of Docker"'),
    ),
    "the own chain is flushed": lambda: nft("flush chain inet fw4 dmsfw1_forward"),
    "a rule is added to the own chain": lambda: nft("add rule inet fw4 dmsfw1_forward accept"),
    "a rule is widened": lambda: (
        nft("flush chain inet fw4 dmsfw1_srcnat"),
        nft('add rule inet fw4 dmsfw1_srcnat masquerade comment "dmsfw: dmsfw1_nat4"'),
    ),
    "a rule of ours stands in input": lambda: nft('insert rule inet fw4 input accept comment "dmsfw: somebody"'),
    "another version was here": lambda: nft(
        "table inet fw4 { set dmsfw0_out4 { type ifname . ipv4_addr; flags interval; elements = { x . 1.2.3.4 }; }\n"
        "chain dmsfw0_forward { iifname . ip saddr @dmsfw0_out4 accept; }\n"
        'chain forward { ct state new jump dmsfw0_forward comment "dmsfw: old"; }; }'
    ),
    "a set is of another make": lambda: (
        nft("flush chain inet fw4 dmsfw1_forward; delete set inet fw4 dmsfw1_outall4"),
        nft("add set inet fw4 dmsfw1_outall4 { type ipv4_addr; elements = { 1.2.3.4 }; }"),
    ),
}


@pytest.fixture
def fw4(namespace: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # noqa: ARG001 - needed, not looked at
    """A loaded firewall4, and nft on the PATH."""
    monkeypatch.setenv("PATH", folder(), prepend=":")
    reload()
    yield
    while MADE:
        MADE.pop().close()


MADE: list[Firewall4] = []


def enforcer(include: Path = NOWHERE, program: Nft | None = None) -> Firewall4:
    MADE.append(Firewall4(program or Nft(), include=include))
    return MADE[-1]


def drop(chain: str) -> None:
    """Delete the jump to us from a chain of firewall4's."""
    for entry in listing("chain", "inet", "fw4", chain):
        if "dmsfw1_" in str(entry.get("rule", "")):
            nft(f"delete rule inet fw4 {chain} handle {entry['rule']['handle']}")


@contextmanager
def wires(*names: str) -> Iterator[dict[str, Wire]]:
    with ExitStack() as stack:
        found = {name: stack.enter_context(Wire(name, number)) for number, name in enumerate(names, 1)}
        enable_forwarding()
        nft("flush chain inet fw4 srcnat_wan; flush chain inet fw4 forward_lan")  # so that only ours counts
        for version, (source, destination) in LAST.items():
            ip = "ip" if version == 4 else "ip6"
            nft(f"insert rule inet fw4 forward {ip} saddr {source} {ip} daddr {destination} accept")
        yield found


class Old(Nft):
    """nft on a kernel that knows no sets with ranges in concatenations."""

    def commit(self, commands: Sequence[dict[str, dict[str, object]]]) -> None:
        if any("set" in command.get("add", {}) for command in commands):
            raise NotSupported("this kernel does not take it")
        super().commit(commands)


@pytest.mark.parametrize("program", [Nft, Old])
@pytest.mark.parametrize("case", cases(), ids=repr)
@pytest.mark.usefixtures("fw4")
def test_the_kernel_gives_every_first_packet_the_verdict_of_the_table(case: Case, program: type[Nft]) -> None:
    first = [(packet, verdict) for packet, verdict in case.packets if packet.state == "NEW"]
    names = {name for packet, _ in first for name in (packet.device, packet.out)}
    with wires(*sorted(names)) as there:
        enforcer(NOWHERE, program()).converge(grants(case.snapshot))
        wrong = {}
        for packet, verdict in first:
            sources = sent(there, packet)
            seen = ("open" if packet.source in sources else "masq") if sources else "shut"
            if seen != verdict.replace("nat-only", "shut"):
                wrong[packet] = (seen, verdict)
        assert not wrong


@pytest.mark.parametrize("program", [Nft, Old])
@pytest.mark.parametrize("masquerade", [True, False])
@pytest.mark.usefixtures("fw4")
def test_a_destination_is_open_on_all_ports_and_no_other_is(program: type[Nft], *, masquerade: bool) -> None:
    to = ip_network("192.0.2.0/28")
    grant = Grant("a", "dms0", ip_network("10.1.0.0/24"), "wan0", "all", (), to, masquerade=masquerade)
    with wires("dms0", "wan0") as there:
        enforcer(NOWHERE, program()).converge([grant])
        mine = Packet("dms0", "10.1.0.2", "wan0", "192.0.2.5", "udp", 53)
        assert [source == "10.1.0.2" for source in sent(there, mine)] == [not masquerade]
        assert sent(there, mine._replace(destination="192.0.2.25")) == []


@pytest.mark.parametrize("other", ["dms2", "dms00", "dms", "dmsx0"])
@pytest.mark.parametrize("destination", [None, "192.0.2.0/24"])
@pytest.mark.usefixtures("fw4")
def test_an_element_for_one_device_lets_no_other_through(other: str, destination: str | None) -> None:
    to = ip_network(destination) if destination else None
    grant = Grant("a", "dms0", ip_network("10.1.0.0/24"), "wan0", "tcp", (PortRange(465, 465),), to, masquerade=False)
    with wires("dms0", other, "wan0", "wan2") as there:
        enforcer().converge([grant])
        mine = Packet("dms0", "10.1.0.2", "wan0", "192.0.2.25", "tcp", 465)
        assert sent(there, mine) == ["10.1.0.2"]
        assert sent(there, mine._replace(device=other)) == []
        assert sent(there, mine._replace(out="wan2")) == []
        assert sent(there, mine._replace(port=466)) == []
        assert sent(there, mine._replace(proto="udp")) == []


@pytest.mark.usefixtures("fw4")
def test_overlapping_grants_are_all_open_whichever_comes_first() -> None:
    narrow = Grant("a", "br-a", ip_network("10.1.0.0/24"), "wan0", "tcp", (PortRange(465, 465),), masquerade=False)
    wide, widest = replace(narrow, ports=(PortRange(1, 1000),)), replace(narrow, proto="all", ports=())
    with wires("br-a", "wan0") as there:
        for given in ([narrow, wide], [wide, narrow], [narrow, replace(narrow, masquerade=True)]):
            firewall = enforcer()
            firewall.converge(given)
            assert not firewall.converge(given).changes
            assert sent(there, Packet("br-a", "10.1.0.2", "wan0", "192.0.2.25", "tcp", 465))
        enforcer().converge([narrow, widest])
        assert sent(there, Packet("br-a", "10.1.0.2", "wan0", "192.0.2.25", "gre"))


@pytest.mark.usefixtures("fw4")
def test_a_pass_brings_everything_and_the_next_one_nothing() -> None:
    before = foreign()
    firewall = enforcer()
    planned = firewall.plan(ALL)
    assert ours() == []  # a plan writes nothing
    done = firewall.converge(ALL)
    assert done == planned
    assert [len(elements(f"dmsfw1_{name}")) for name in ("nat4", "nat6", "from4", "natto4", "natall4")] == [1] * 5
    assert firewall.converge(ALL).changes == enforcer().converge(ALL).changes == ()
    assert foreign() == before


@pytest.mark.usefixtures("fw4")
def test_nothing_is_left_where_nothing_is_due() -> None:
    before = foreign()
    firewall = enforcer()
    firewall.converge(ALL)
    firewall.converge(())
    assert ours() == []
    assert foreign() == before


@pytest.mark.parametrize("fresh", [False, True], ids=["by the same process", "by another one"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.usefixtures("fw4")
def test_it_is_healed_when(damage: object, *, fresh: bool) -> None:
    firewall = enforcer()
    firewall.converge(ALL)
    sound, others = ours(), foreign()
    damage()  # type: ignore[operator]
    assert firewall.changed()
    healer = enforcer() if fresh else firewall
    assert healer.converge(ALL)
    assert (sorted(ours()), foreign_rules(foreign())) == (sorted(sound), foreign_rules(others))
    assert not healer.changed()
    assert not healer.converge(ALL)


def foreign_rules(found: list[dict[str, object]]) -> list[str]:
    """Without handles, which a reload gives anew."""
    return sorted(str({**entry, kind: {**body, "handle": 0}}) for entry in found for kind, body in entry.items())  # type: ignore[dict-item]


@pytest.mark.usefixtures("fw4")
def test_what_the_package_includes_is_what_is_made_without_it() -> None:
    enforcer().converge([MAIL])
    made = ours()
    reload(includes=True)  # it loads over what dmsfw has made itself
    assert not enforcer(INCLUDES).converge([MAIL])
    nft("delete table inet fw4")
    reload(includes=True)
    firewall = enforcer(INCLUDES)
    changes = firewall.converge([MAIL]).changes
    assert {change.text.split()[1] for change in changes} == {"element"}
    assert sorted(ours()) == sorted(made)


@pytest.mark.usefixtures("fw4")
def test_elements_outlive_reloads_with_the_include_files() -> None:
    reload(includes=True)
    firewall = enforcer(INCLUDES)
    firewall.converge(ALL)
    before = ours()
    for _ in range(3):
        reload(includes=True)
        assert ours() == before
    assert not firewall.converge(ALL)


@pytest.mark.usefixtures("fw4")
def test_with_the_include_files_a_clean_leaves_their_empty_sets() -> None:
    reload(includes=True)
    empty = ours()
    firewall = enforcer(INCLUDES)
    firewall.converge(ALL)
    firewall.converge(())
    assert ours() == empty
    enforcer().converge(())  # the files are gone
    assert ours() == []


@pytest.mark.usefixtures("fw4")
def test_the_include_files_load_beside_those_of_another_version() -> None:
    nft(
        "table inet fw4 { set dmsfw0_out4 { type ipv4_addr; elements = { 1.2.3.4 }; }\n"
        "chain dmsfw0_forward { ip saddr @dmsfw0_out4 accept; }; }"
    )
    reload(includes=True)
    enforcer(INCLUDES).converge([MAIL])
    assert not [line for line in ours() if "dmsfw0" in line]


@pytest.mark.usefixtures("fw4")
def test_a_set_of_another_version_that_somebody_uses_is_emptied_and_stays() -> None:
    nft(
        "table inet fw4 { set dmsfw0_out4 { type ipv4_addr; elements = { 1.2.3.4 }; }\n"
        'chain input { ip saddr @dmsfw0_out4 accept comment "mine"; }; }'
    )
    firewall = enforcer()
    firewall.converge([MAIL])
    assert elements("dmsfw0_out4") == []
    assert not firewall.converge([MAIL])


@pytest.mark.usefixtures("fw4")
def test_a_stopped_firewall_is_left_alone_and_said() -> None:
    nft("delete table inet fw4")
    firewall = enforcer()
    plan = firewall.converge([MAIL])
    assert not plan
    assert "firewall4 is stopped" in plan.notes[0]
    assert listing("ruleset") == []
    reload()
    assert firewall.changed()
    assert firewall.converge([MAIL]).notes == ()


@pytest.mark.usefixtures("fw4")
def test_a_dormant_table_is_served_and_said() -> None:
    firewall = enforcer()
    firewall.converge([MAIL])
    nft("add table inet fw4 { flags dormant; }")
    assert firewall.changed()
    assert "is dormant" in firewall.converge([MAIL]).notes[0]
    reload()
    assert firewall.changed()
    assert firewall.converge([MAIL]).notes == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("chain elsewhere { type filter hook forward priority 0; }", "no chain forward of type filter"),
        ("chain forward { type filter hook input priority 0; }", "no chain forward of type filter"),
        ("chain forward { type filter hook forward priority 0; }", "no chain srcnat of type nat"),
    ],
)
@pytest.mark.usefixtures("fw4")
def test_a_table_that_firewall4_did_not_make_is_refused_and_left(text: str, reason: str) -> None:
    nft(f"delete table inet fw4; add table inet fw4; add {text.replace('chain ', 'chain inet fw4 ')}")
    before = listing("ruleset")
    with pytest.raises(TableRefused, match=reason):
        enforcer().converge([MAIL])
    assert listing("ruleset") == before


@pytest.mark.usefixtures("fw4")
def test_other_peoples_elements_and_sets_do_not_wake() -> None:
    nft("add set inet fw4 theirs { type ipv4_addr; }; add table ip other")
    firewall = enforcer()
    firewall.converge([MAIL])
    assert not firewall.changed()
    nft("add element inet fw4 theirs { 192.0.2.1 }; add set ip other x { type ipv4_addr; }")
    assert not firewall.changed()
    nft("add chain ip other forward { type filter hook forward priority 0; policy drop; }")
    assert firewall.changed()
    assert firewall.changed()  # until there was a pass
    firewall.converge([MAIL])
    nft("flush set inet fw4 dmsfw1_nat4")
    assert firewall.changed()


@pytest.mark.parametrize("program", [Nft, Old])
@pytest.mark.parametrize("name", ["@evil", "@dmsfw1_nat4", "@", "tcp", "redirect"])
@pytest.mark.usefixtures("fw4")
def test_a_name_that_nft_would_misread_is_refused_aloud_and_shuts_nobody_else_out(
    name: str, program: type[Nft]
) -> None:
    firewall = enforcer(NOWHERE, program())
    firewall.converge([MAIL])
    sound = ours()
    for grant in (replace(MAIL, bridge=name), replace(MAIL, uplink=name)):
        plan = firewall.converge([grant, MAIL])
        assert plan.notes == (
            f"nft takes the name of device {name} for something else: nothing is opened for it on firewall4",
        )
        assert ours() == sound
    assert firewall.converge([MAIL]).notes == ()


@pytest.mark.parametrize("name", ["accept", "ip", "label", "any", "465", "10.0.0.1", "true", "-x", "a@b", "x" * 15])
@pytest.mark.usefixtures("fw4")
def test_any_other_name_is_a_name(name: str) -> None:
    firewall, grant = enforcer(), replace(MAIL, bridge=name)
    firewall.converge([grant])
    assert elements("dmsfw1_nat4")[0]["elem"]["val"]["concat"][0] == name
    assert not enforcer().plan([grant])


@pytest.mark.usefixtures("fw4")
def test_a_set_most_of_which_goes_is_made_anew_since_the_kernel_looks_for_each_that_goes() -> None:
    ports = tuple(PortRange(port, port) for port in range(2, 802, 2))
    firewall = enforcer()
    firewall.converge([MAIL, replace(MAIL, bridge="br-many", ports=ports)])
    done = [change.text for change in firewall.converge([MAIL]).changes]
    assert "delete set inet fw4 dmsfw1_nat4" in done
    assert not [text for text in done if text.startswith("delete element")]
    assert len(elements("dmsfw1_nat4")) == 1
    assert not enforcer().plan([MAIL])


@pytest.mark.usefixtures("fw4")
def test_a_set_that_somebody_uses_is_emptied_where_it_cannot_be_made_anew() -> None:
    firewall = enforcer()
    firewall.converge([MAIL])
    nft("add rule inet fw4 input iifname . oifname . ip saddr . meta l4proto . th dport @dmsfw1_nat4 drop")
    nft('add element inet fw4 dmsfw1_nat4 { "tcp" . "wan" . 10.0.0.0/8 . tcp . 1-65535 }')
    firewall.converge([MAIL])
    assert len(elements("dmsfw1_nat4")) == 1
    assert not enforcer().plan([MAIL])


@pytest.mark.usefixtures("fw4")
def test_a_chain_that_somebodys_verdict_map_leads_to_is_emptied_and_all_else_goes() -> None:
    firewall = enforcer()
    firewall.converge([MAIL])
    nft("add rule inet fw4 input tcp dport vmap { 22 : jump dmsfw1_forward, 23 : accept }")
    firewall.converge(())
    assert len(ours()) == 2  # the chain and the map
    assert [entry for entry in listing("chain", "inet", "fw4", "dmsfw1_forward") if "rule" in entry] == []
    assert not enforcer().converge(())
    assert firewall.converge([MAIL])
    assert not enforcer().plan([MAIL])


@pytest.mark.usefixtures("fw4")
def test_where_nothing_is_due_what_the_include_files_have_not_brought_yet_is_not_made() -> None:
    before = listing("ruleset")
    firewall = enforcer(INCLUDES)
    assert not firewall.converge(())
    assert listing("ruleset") == before
    assert firewall.converge([MAIL])


class Meddler(Nft):
    """nft, and somebody who writes right behind each transaction."""

    def __init__(self, deed: str) -> None:
        super().__init__()
        self.deed = deed

    def commit(self, commands: object) -> None:
        super().commit(commands)  # type: ignore[arg-type]
        nft(self.deed)


@pytest.mark.usefixtures("fw4")
def test_who_writes_right_behind_us_is_noticed_at_once() -> None:
    firewall = enforcer(NOWHERE, Meddler("flush set inet fw4 dmsfw1_nat4"))
    with pytest.raises(TableChanged, match="a moment ago"):
        firewall.converge([MAIL])
    firewall.nft = Nft()
    assert firewall.converge([MAIL])
    assert len(elements("dmsfw1_nat4")) == 1


@pytest.mark.parametrize("deed", ["flush chain inet fw4 forward", "delete table inet fw4", "flush ruleset"])
@pytest.mark.usefixtures("fw4")
def test_who_removes_a_jump_right_behind_a_transaction_of_mere_elements_is_noticed_at_once(deed: str) -> None:
    firewall = enforcer()
    firewall.converge([MAIL])
    firewall.nft = Meddler(deed)
    with pytest.raises(TableChanged, match="a moment ago"):
        firewall.converge([MAIL, MAIL6])


@pytest.mark.usefixtures("fw4")
def test_after_a_transaction_of_mere_elements_only_their_sets_are_read_again() -> None:
    class Frugal(Nft):
        def table(self) -> str:
            raise AssertionError("the whole table was read")

    firewall = enforcer()
    firewall.converge([MAIL])
    firewall.nft = Frugal()
    assert firewall.converge([MAIL, MAIL6])
    assert firewall.converge([MAIL6])
    assert not firewall.changed()
    firewall.nft = Nft()
    assert not enforcer().converge([MAIL6])


class Interrupted(Question):
    """The kernel, and somebody who writes right behind the answer to one question for its generation."""

    def __init__(self, number: int, deed: str) -> None:
        super().__init__()
        self.left, self.deed = number, deed

    def generation(self) -> int:
        answer = super().generation()
        self.left -= 1
        if self.left == 0:
            nft(self.deed)
        return answer


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.usefixtures("fw4")
def test_who_writes_at_any_moment_of_a_pass_is_noticed(number: int) -> None:
    firewall = enforcer()
    firewall.converge([MAIL])
    sound = len(ours())
    firewall.kernel.close()
    firewall.kernel = Interrupted(number, "flush chain inet fw4 forward")
    try:
        firewall.converge([MAIL, MAIL6])
        again = firewall.changed()
    except TableChanged:
        again = True
    if again:
        firewall.converge([MAIL, MAIL6])
    assert len(ours()) == sound + 1


@pytest.mark.parametrize("ask", [Firewall4.changed, Firewall4.touched])
@pytest.mark.usefixtures("fw4")
def test_a_repair_that_failed_is_still_due_whoever_looked_meanwhile(ask: Callable[[Firewall4], bool]) -> None:
    class Failing(Nft):
        def commit(self, commands: object) -> None:
            raise TableRefused(f"nft does not answer: {len(str(commands))} bytes")

    firewall = enforcer()
    firewall.converge([MAIL])
    sound = ours()
    reload()
    firewall.nft = Failing()
    with pytest.raises(TableRefused):
        firewall.converge([MAIL])
    ask(firewall)
    firewall.nft = Nft()
    assert firewall.converge([MAIL])
    assert sorted(ours()) == sorted(sound)


@pytest.mark.parametrize("somebody_writes", [True, False])
@pytest.mark.usefixtures("fw4")
def test_half_a_listing_is_a_lost_race_only_if_somebody_wrote_meanwhile(*, somebody_writes: bool) -> None:
    class Half(Nft):
        def table(self) -> str:
            return self.half(super().table())

        def sets(self, names: Sequence[str]) -> str:
            return self.half(super().sets(names))

        def half(self, text: str) -> str:
            if somebody_writes:
                nft("add table ip another; delete table ip another")
            return text[:-40]

    expected = TableChanged if somebody_writes else TableRefused
    with pytest.raises(expected, match="meanwhile" if somebody_writes else "cannot be read"):
        enforcer(NOWHERE, Half()).converge([MAIL])
    firewall = enforcer()
    firewall.converge([MAIL])
    firewall.nft = Half()
    with pytest.raises(expected):
        firewall.converge([MAIL, MAIL6])


@pytest.mark.usefixtures("fw4")
def test_who_writes_between_reading_and_writing_is_a_lost_race() -> None:
    class Early(Nft):
        def commit(self, commands: object) -> None:
            nft("flush set inet fw4 dmsfw1_nat4")
            super().commit(commands)  # type: ignore[arg-type]

    enforcer().converge([MAIL])
    firewall = enforcer(NOWHERE, Early())
    with pytest.raises(TableChanged, match="written meanwhile"):
        firewall.converge([replace(MAIL, ports=(PortRange(587, 587),))])
    firewall.nft = Nft()
    firewall.converge([])
    assert ours() == []


@pytest.mark.usefixtures("fw4")
def test_a_comment_is_cut_where_nft_would_refuse_it_and_may_hold_anything() -> None:
    hostile = 'x"accept#\n\x1b[31m' + "w" * 300
    firewall = enforcer()
    firewall.converge([replace(MAIL, whys=(hostile,))])
    (element,) = elements("dmsfw1_nat4")
    assert len(element["elem"]["comment"]) == 128
    assert not firewall.converge([replace(MAIL, whys=(hostile,))])
    firewall.converge([replace(MAIL, whys=("another",))])
    (element,) = elements("dmsfw1_nat4")
    assert element["elem"]["comment"] == f"dmsfw:{MAIL.id} another"


VARIED = (
    *ALL,
    replace(MAIL, ports=(PortRange(25, 25), PortRange(1000, 2000)), proto="udp", bridge="br-udp"),
    replace(MAIL, bridge="br-icmp", proto="icmp", ports=()),
    replace(MAIL6, bridge="br-six", proto="icmp", ports=()),
    replace(MAIL6, bridge="br-gua", subnet=ip_network("2001:db8::/64"), destination=ip_network("2001:db8:1::1/128")),
    replace(MAIL, bridge="br-sctp", proto="sctp", destination=ip_network("192.0.2.25/32"), masquerade=False),
)


@pytest.mark.usefixtures("fw4")
def test_on_a_kernel_without_such_sets_rules_stand_in_their_place_and_are_known_again() -> None:
    before = foreign()
    firewall = enforcer(NOWHERE, Old())
    assert firewall.converge(VARIED)
    assert not [line for line in ours() if line.startswith("set ")]
    assert not firewall.converge(VARIED).changes
    assert not firewall.changed()
    for fresh in (
        enforcer(NOWHERE, Old()),
        enforcer(),
    ):  # the second one is asked for a plan: it has refused nothing yet
        assert not fresh.plan(VARIED).changes
    assert foreign() == before
    text = [change.text for change in firewall.converge(VARIED[:1]).changes]
    assert any(
        line.endswith(
            'dmsfw1_forward iifname "br-mail" oifname "pppoe-wan" ip saddr 172.18.0.0/16 tcp dport 465 counter accept'
        )
        for line in text
    )
    firewall.converge(())
    assert ours() == []


@pytest.mark.parametrize("damage", [d for name, d in DAMAGES.items() if "element" not in name and "set" not in name])
@pytest.mark.usefixtures("fw4")
def test_on_such_a_kernel_it_is_healed_as_well(damage: Callable[[], object]) -> None:
    firewall = enforcer(NOWHERE, Old())
    firewall.converge(ALL)
    sound = ours()
    with suppress(subprocess.CalledProcessError):  # somebody who names a set that is not there
        damage()
    firewall.converge(ALL)
    assert sorted(ours()) == sorted(sound)
    assert not enforcer().plan(ALL)


@pytest.mark.usefixtures("fw4")
def test_on_a_newer_kernel_the_rules_of_an_older_one_give_way_after_a_restart_of_the_firewall() -> None:
    enforcer(NOWHERE, Old()).converge(ALL)
    nft("delete table inet fw4")
    reload(includes=True)
    firewall = enforcer(INCLUDES)
    firewall.converge(ALL)
    assert len(elements("dmsfw1_nat4")) == 1


@pytest.mark.usefixtures("fw4")
def test_a_kernel_that_refuses_rules_too_is_said() -> None:
    class Never(Nft):
        def commit(self, commands: object) -> None:
            raise NotSupported(f"this kernel does not take it: {len(str(commands))} bytes")

    before = listing("ruleset")
    with pytest.raises(TableRefused, match="does not take it"):
        enforcer(NOWHERE, Never()).converge([MAIL])
    assert listing("ruleset") == before


@pytest.mark.usefixtures("fw4")
def test_what_is_refused_without_a_set_being_made_does_not_make_the_kernel_an_old_one() -> None:
    class Unwilling(Nft):
        def commit(self, commands: object) -> None:
            raise NotSupported(f"this kernel does not take it: {len(str(commands))} bytes")

    firewall = enforcer()
    firewall.converge([MAIL])
    firewall.nft = Unwilling()
    with pytest.raises(TableRefused, match="does not take it"):
        firewall.converge([MAIL, MAIL6])
    firewall.nft = Nft()
    firewall.converge([MAIL, MAIL6])
    assert len(elements("dmsfw1_nat6")) == 1


def is_whole() -> bool:
    """Tell whether the owner's table has both chains. Listed while it is being made, half a document may come."""
    try:
        return len(listing("ruleset")) == 3
    except ValueError:
        return False


@pytest.mark.usefixtures("fw4")
def test_a_table_that_another_program_owns_is_left_to_it_and_that_is_said() -> None:
    nft("delete table inet fw4")
    with subprocess.Popen(["nft", "-i"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdin is not None
        owner.stdin.write("add table inet fw4 { flags owner; }\n")
        for name, kind in (
            ("forward", "filter hook forward priority 0"),
            ("srcnat", "nat hook postrouting priority 100"),
        ):
            owner.stdin.write(f"add chain inet fw4 {name} {{ type {kind}; }}\n")
        owner.stdin.flush()
        deadline = time.monotonic() + 10
        while not is_whole() and time.monotonic() < deadline:
            pass
        before = listing("ruleset")
        with pytest.raises(TableRefused, match="or another program owns the table"):
            enforcer().converge([MAIL])
        assert listing("ruleset") == before
        owner.terminate()


@pytest.mark.usefixtures("fw4")
def test_asking_for_the_table_counts_no_generation() -> None:
    kernel = enforcer().kernel
    before = kernel.generation()
    assert kernel.has_table()
    assert kernel.generation() == before
    subprocess.run(["nft", "add table ip another"], check=True)
    assert kernel.generation() == before + 1
