"""firewall4's pure parts: boxes, elements, hostile listings, and what a program that fails is said to be."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from ipaddress import ip_network
from itertools import combinations, product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsfw.errors import EnforceError, TableChanged, TableRefused
from dmsfw.firewall4 import rules
from dmsfw.firewall4.boxes import Box, Cutter, Span, disjoint, meet
from dmsfw.firewall4.document import Chain, Rule, definition, parse, parse_sets
from dmsfw.firewall4.keys import box_of, value_of
from dmsfw.firewall4.netlink import messages
from dmsfw.firewall4.program import Nft, NotSupported
from dmsfw.firewall4.render import Renderer, render
from dmsfw.firewall4.sets import PARTS, SETS
from dmsfw.model import Grant, PortRange

SIZES = {"iif": 16, "oif": 16, "saddr": 16, "daddr": 16, "proto": 4, "dport": 4}
GRANT = Grant("a", "br-a", ip_network("10.1.0.0/24"), "wan0", "tcp", (PortRange(465, 465),))
spans = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(lambda pair: Span(min(pair), max(pair)))
boxes = st.lists(st.tuples(st.sampled_from("ab"), spans, spans), max_size=6)


def points(box: Box) -> set[tuple[object, ...]]:
    return set(product(*([part] if isinstance(part, str) else range(part.first, part.last + 1) for part in box)))


@given(boxes)
def test_cut_boxes_hold_the_same_points_and_none_twice(given_boxes: list[Box]) -> None:
    cut = disjoint([(box, str(number)) for number, box in enumerate(given_boxes)])
    assert set().union(*map(points, cut)) == set().union(*map(points, given_boxes))
    assert not any(meet(one, other) for one, other in combinations(cut, 2))


def test_boxes_that_are_many_are_not_each_held_against_each(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("dmsfw.firewall4.boxes.meet", lambda one, other: asked.append((one, other)) or meet(one, other))
    apart = [(("a", Span(9 * n, 9 * n + 8), Span(port, port)), "x") for n in range(50) for port in (25, 465)]
    assert list(disjoint(apart)) == [box for box, _ in apart]
    assert asked == []


def test_a_key_is_no_longer_than_the_kernel_and_nft_can_take() -> None:
    for parts in PARTS.values():
        assert len(parts) <= 5
        assert sum(SIZES[part] for part in parts) <= 64


def test_networks_that_overlap_are_not_opened_together_where_the_two_sets_would_mix_them_up() -> None:
    there = ip_network("192.0.2.0/24")
    first = Grant("a", "br-a", ip_network("10.1.0.0/16"), "wan0", "tcp", (PortRange(1, 1),), there)
    second = Grant("b", "br-b", ip_network("10.1.1.0/24"), "wan0", "tcp", (PortRange(2, 2),), there)
    rendered = render([first, second])
    assert len(rendered.elements["dmsfw1_natto4"]) == 1
    assert "br-b (10.1.1.0/24) and br-a (10.1.0.0/16) overlap" in rendered.refused[0]


def test_networks_are_held_against_each_other_once_however_many_destinations_they_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    meets = Span.meets
    monkeypatch.setattr(Span, "meets", lambda one, other: asked.append(one) or meets(one, other))
    there = [ip_network(f"192.0.2.{number}/32") for number in range(20)]
    networks = [replace(GRANT, bridge=f"br-{n}", subnet=ip_network(f"10.{n}.0.0/16")) for n in range(20)]
    render([replace(grant, destination=one) for grant in networks for one in there])
    assert len(asked) < 1000  # of 79,800 pairs of grants


def test_a_single_flag_may_be_listed_as_it_is_or_in_an_array() -> None:
    types = list(SETS["dmsfw1_from4"].types)
    for flags in ("interval", ["interval"]):
        listed = {"family": "inet", "table": "fw4", "name": "dmsfw1_from4", "type": types, "flags": flags}
        found = parse(json.dumps({"nftables": [{"set": listed}]})).sets["dmsfw1_from4"]
        assert found.definition == definition(SETS["dmsfw1_from4"])


def test_addresses_are_prefixes_where_they_can_be() -> None:
    spec = SETS["dmsfw1_from4"]
    assert value_of(("a", "b", Span(0x0A010000, 0x0A01FFFF)), spec)["concat"][2] == {
        "prefix": {"addr": "10.1.0.0", "len": 16}
    }
    assert value_of(("a", "b", Span(1, 3)), spec)["concat"][2] == {"range": ["0.0.0.1", "0.0.0.3"]}
    assert value_of(("a", "b", Span(7, 7)), spec)["concat"][2] == "0.0.0.7"


@pytest.mark.parametrize("text", ["", "[]", "7", "null", '{"nftables": 7}', '{"nftables": [{"rule": {}}]}', "[" * 9999])
def test_a_listing_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(TableRefused, match="cannot be read"):
        parse(text)


@pytest.mark.parametrize("value", [7, None, "x", {}, {"concat": 7}, {"concat": ["a", "b", {"range": [1]}]}, [[]]])
def test_an_element_of_another_form_is_kept_as_it_was_listed(value: object) -> None:
    listed = {"family": "inet", "table": "fw4", "name": "dmsfw1_from4", "elem": [{"elem": {"val": value}}]}
    (element,) = parse(json.dumps({"nftables": [{"set": listed}]})).sets["dmsfw1_from4"].elements
    assert (element.box, element.value) == (None, value)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ({"flow": {"op": "add", "flowtable": "@ft"}}, False),  # firewall4's own, which has no comment
        ({"counter": {"packets": 1, "bytes": 2}}, False),
        ({"log": None}, False),
        ({"accept": None}, True),
        ({"jump": {"target": "mine"}}, True),
        ({"vmap": {}}, True),
        ("notrack", True),
    ],
)
def test_a_rule_ahead_is_named_if_it_may_decide(statement: object, *, named: bool) -> None:
    chain = Chain("forward", rules=(Rule("forward", 7, "", [{"match": {}}, statement]),))
    assert list(rules.others_ahead(chain)) == ["inet fw4 forward: a rule without a comment (handle 7)"] * named


@pytest.mark.parametrize("name", ["dmsfw1_out4", "dmsfw0_x", "dmsfw12_"])
def test_names_with_a_version_are_ours(name: str) -> None:
    assert rules.is_own_name(name)
    assert not any(map(rules.is_own_name, ("dmsfw", "dmsfw_out", "dmsfwx_out", "xdmsfw1_out", "out4")))


@given(st.binary(max_size=200))
def test_any_bytes_may_come_over_netlink(data: bytes) -> None:
    list(messages(data))


FAILURES = {
    "Error: JSON support not compiled-in": (TableRefused, "nftables-json"),
    "internal:0:0-0: Error: Could not process rule: No such file or directory": (TableChanged, "meanwhile"),
    "internal:0:0-0: Error: Could not process rule: Operation not supported": (NotSupported, "does not take it"),
    "netlink: Error: cache initialization failed: Operation not permitted": (TableRefused, "another program owns"),
    "nft: error while loading libjansson.so.4: No such file or directory": (TableRefused, "nft: nft: error while load"),
    "Error: \x1b[31mevil": (TableRefused, r"nft: \?\[31mevil"),
    "": (TableRefused, "ended with 3"),
}


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "nft"


@pytest.mark.parametrize(("said", "expected"), FAILURES.items(), ids=repr)
def test_a_failure_of_nft_is_one_clear_line(program: Path, said: str, expected: tuple[type[EnforceError], str]) -> None:
    (program.parent / "said").write_text(said)
    copy = 'while IFS= read -r line || [ -n "$line" ]; do echo "$line" >&2; done'
    program.write_text(f"#!/bin/sh\n{copy} <{program.parent}/said\nexit 3\n")
    program.chmod(0o755)
    kind, words = expected
    with pytest.raises(kind, match=words) as raised:
        Nft().commit([])
    assert "\n" not in str(raised.value)


def test_a_loader_that_lacks_a_library_does_not_say_that_there_is_no_table(program: Path) -> None:
    program.write_text(
        "#!/bin/sh\necho 'Error loading shared library libjansson.so.4: No such file or directory' >&2\nexit 127"
    )
    program.chmod(0o755)
    for ask in (Nft().table, lambda: Nft().commit([])):
        with pytest.raises(TableRefused, match="nft: Error loading shared library"):
            ask()


def test_an_nft_that_hangs_is_given_up_and_ended_at_once_when_dmsfw_is_to_stop(program: Path) -> None:
    program.write_text(f"#!/bin/sh\necho $$ >{program.parent}/pid\nexec /bin/sleep 60\n")
    program.chmod(0o755)
    began = time.monotonic()
    with pytest.raises(TableRefused, match="gave up waiting for nft"):
        Nft(lambda: True).commit(["x" * 2**20])
    assert time.monotonic() - began < 1
    assert not Path("/proc", (program.parent / "pid").read_text().strip()).exists()


def test_what_is_long_and_what_takes_long_is_read_whole(program: Path) -> None:
    program.write_text("#!/bin/sh\n/bin/sleep 0.4\n/bin/cat\n/bin/sleep 0.4\n/bin/cat >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(TableRefused, match="ended with 3"):
        Nft().commit(["x" * 2**20])


def test_a_machine_without_nft_is_told_what_to_install(program: Path) -> None:
    del program
    with pytest.raises(TableRefused, match="nft is not installed: opkg install nftables-json"):
        Nft().table()


def test_a_grant_is_one_element_for_each_port_whether_it_is_masqueraded_or_not() -> None:
    there = replace(GRANT, destination=ip_network("192.0.2.0/24"), masquerade=False)
    for grant, expected in (
        (GRANT, {"dmsfw1_nat4": 1}),
        (replace(GRANT, masquerade=False, ports=(PortRange(1, 2), PortRange(9, 9))), {"dmsfw1_out4": 2}),
        (there, {"dmsfw1_from4": 1, "dmsfw1_outto4": 1}),
        (replace(there, masquerade=True, proto="all", ports=()), {"dmsfw1_from4": 1, "dmsfw1_nattoall4": 1}),
        (replace(GRANT, proto="icmp", ports=()), {"dmsfw1_natall4": 1}),
    ):
        assert {name: len(found) for name, found in render([grant]).elements.items() if found} == expected


def test_a_bridge_for_which_all_is_refused_is_told_to_have_no_element() -> None:
    there = replace(GRANT, destination=ip_network("192.0.2.0/24"))
    rendered = render([there, replace(there, bridge="br-b"), replace(GRANT, bridge="tcp")])
    assert rendered.bridges == (("br-a", 2), ("br-b", 0), ("tcp", 0))
    assert (len(rendered.refused), len(rendered.unsaid), len(rendered.said)) == (1, 1, 2)


def test_a_grant_that_is_known_is_not_rendered_anew_and_one_that_is_gone_is_forgotten() -> None:
    renderer, other = Renderer(), replace(GRANT, bridge="br-b", subnet=ip_network("10.2.0.0/24"))
    first = renderer.rendered((GRANT,))
    assert renderer.rendered((GRANT,)) is first
    both = renderer.rendered((GRANT, other))
    assert both == render([GRANT, other])
    assert renderer.rendered((other,)) == render([other])
    assert renderer.rendered((GRANT,)) == first


@given(st.lists(boxes, max_size=4))
def test_what_was_cut_before_changes_nothing_about_what_is_cut_now(courses: list[list[Box]]) -> None:
    cutter = Cutter()
    for course in courses:
        labelled = [(box, str(number)) for number, box in enumerate(course)]
        assert cutter.disjoint(labelled) == disjoint(labelled)


def test_a_listed_key_means_the_same_however_many_were_read_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dmsfw.firewall4.keys.READ_BEFORE", 2)
    spec = SETS["dmsfw1_from4"]
    keys = [{"concat": ["a", "b", f"10.0.0.{number}"]} for number in range(5)]
    assert [box_of(key, spec) for key in keys * 2] == [
        ("a", "b", Span(0x0A000000 + n, 0x0A000000 + n)) for n in range(5)
    ] * 2


def test_only_boxes_whose_names_have_something_new_are_cut_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    cutter, cut = Cutter(), []
    monkeypatch.setattr("dmsfw.firewall4.boxes._apart", lambda boxes: cut.append(boxes[0][1][0]) or iter([boxes]))
    old: list[Box] = [(name, Span(1, 2)) for name in "abc"]
    cutter.disjoint([(box, "x") for box in old])
    cutter.disjoint([(box, "x") for box in [*old[:2], ("c", Span(3, 4)), ("d", Span(1, 2))]])
    assert cut == ["a", "b", "c", "c", "d"]


def test_a_listed_key_means_what_it_does_in_its_own_set() -> None:
    key = {"concat": ["a", "b", "10.0.0.1"]}
    assert box_of(key, SETS["dmsfw1_from4"]) is not None
    assert box_of(key, SETS["dmsfw1_from6"]) is None


def test_the_listing_of_sets_may_be_several_documents() -> None:
    one, two = (
        json.dumps({"nftables": [{"metainfo": {}}, {"set": {"family": "inet", "table": "fw4", "name": name}}]})
        for name in ("dmsfw1_out4", "dmsfw1_nat4")
    )
    assert set(parse_sets(f"{one}\n{two}\n")) == set(parse_sets(one + two)) == {"dmsfw1_out4", "dmsfw1_nat4"}
    for broken in ("", one + "x", one[:-1]):
        with pytest.raises(TableRefused, match="cannot be read"):
            parse_sets(broken)
