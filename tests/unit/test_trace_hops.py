"""A route with several next hops: `ip route get` shows one of them, another connection may take another."""

from __future__ import annotations

import pytest

from dmsfw.doctor.ways import ways
from dmsfw.trace import Verdict
from dmsfw.trace.hops import NOT_LISTED, NOT_SHOWN
from dmsfw.trace.host import Hop
from dmsfw.trace.route import ask
from dmsfw.trace.shell import Said
from dmsfw.trace.text import sentence, step_text
from tests.unit.trace_support import Texts, filter_, host, packet, table, way

GET, FIBMATCH, LISTED = "ip -4 route get", "ip -4 route get fibmatch", "ip -4 route show table all"
PLAIN = "192.0.2.25 from 10.1.0.2 via 192.0.2.254 dev wan0 \n    cache iif br-a\n"
TWO = """\
default \n\tnexthop via 192.0.2.254 dev wan0 weight 1 \n\tnexthop via 198.51.100.1 dev wan1 weight 2 linkdown \n"""
ONE_DEVICE = (
    "default \n\tnexthop via 192.0.2.254 dev wan0 weight 1 \n\tnexthop via 192.0.2.253 dev wan0 weight 1 onlink \n"
)
WANS = {
    FIBMATCH: Said(0, TWO),
    "ip -o -4 addr show dev wan1": Said(0, "5: wan1    inet 198.51.100.2/24 scope global wan1\n"),
}
HOPS = (Hop("wan0", "192.0.2.254"), Hop("wan1", "198.51.100.1"))
NOTE = (
    "its route has several next hops (by wan0 to 192.0.2.254, by wan1 to 198.51.100.1): another connection may take "
    "another"
)


@pytest.mark.parametrize(
    ("said", "hops"),
    [
        (TWO, HOPS),
        (TWO.replace(" linkdown", " dead linkdown"), ()),
        (ONE_DEVICE, (HOPS[0], Hop("wan0", "192.0.2.253"))),
        ("9.9.9.0/24 nhid 10 \n\tnexthop via inet6 fe80::1 dev w0 weight 1 \n\tnexthop dev w1 weight 1 \n",
         (Hop("w0", "fe80::1"), Hop("w1"))),
        ("default via 192.0.2.254 dev wan0 proto static \n", ()),
        ("192.0.2.25 dev wan0 scope link \n", ()),
        ("default nexthop nexthop dev", ()),
    ],
)  # fmt: skip
def test_the_route_itself_shows_its_next_hops(said: str, hops: tuple[Hop, ...]) -> None:
    texts = Texts({FIBMATCH: Said(0, said)}, {})
    found = ask(texts, packet())
    assert (found.device, found.hops, found.doubt) == ("wan0", hops, "")
    assert LISTED not in texts.asked


NOT_UNDERSTOOD = (Said(0, PLAIN), Said(1, "", "Error: any valid prefix is expected\n"), Said(0, ""), Said(None))


@pytest.mark.parametrize("said", NOT_UNDERSTOOD)
@pytest.mark.parametrize(
    ("listed", "doubt"),
    [
        (Said(0, "default via 192.0.2.254 dev wan0\nunreachable 192.0.2.0/24\n10.1.0.0/24 dev br-a\n"), ""),
        (Said(0, "default \n10.1.0.0/24 dev br-a\n"), NOT_SHOWN),
        (Said(0, "10.1.0.0/24 dev br-a\ndefault \n\tnexthop via 192.0.2.254 dev wan0\n"), NOT_SHOWN),
        (Said(0, "198.51.100.0/24 \nlocal 10.1.0.1 dev br-a\nodd\n"), ""),
        (Said(1, "", "odd"), NOT_LISTED),
    ],
)
def test_an_ip_that_does_not_show_the_route_is_asked_whether_there_is_such_a_one(
    said: Said, listed: Said, doubt: str
) -> None:
    """That of busybox answers as if the word were not there, an old one refuses it."""
    found = ask(Texts({GET: Said(0, PLAIN), FIBMATCH: said, LISTED: listed}, {}), packet())
    assert (found.device, found.hops, found.doubt) == ("wan0", (), doubt)


def test_each_device_is_followed_and_where_they_fare_alike_it_passes() -> None:
    found = way(packet(), table("nat", "POSTROUTING -j MASQUERADE"), said=WANS)
    assert (found.verdict, found.exit_code, found.notes) == (Verdict.PASSES, 0, (NOTE,))
    assert [end.packet.out_device for end in found.ends] == ["wan0", "wan1"]
    assert sentence(found).endswith("it leaves by wan0 from 192.0.2.1 or it leaves by wan1 from 198.51.100.2.")
    routed = next(step for step in found.steps if step.hook == "routing")
    assert step_text(routed).startswith("  ? sends it out by wan0 to 192.0.2.254, or by wan1 to 198.51.100.1: ")


def test_where_they_fare_differently_it_is_not_known() -> None:
    found = way(packet(), filter_("FORWARD -o wan0 -j ACCEPT", "FORWARD -j REJECT"), said=WANS)
    assert (found.verdict, found.exit_code, found.notes) == (Verdict.UNCERTAIN, 2, (NOTE,))
    assert sentence(found).endswith("rule FORWARD #2 refuses it or rule FORWARD #1 accepts it.")
    none = way(packet(), filter_("FORWARD -j REJECT"), said=WANS)
    assert (none.verdict, none.exit_code) == (Verdict.REJECTED, 1)


def test_by_one_device_nothing_hangs_on_it_and_it_is_said() -> None:
    found = way(packet(), filter_("FORWARD -o wan0 -j ACCEPT", policy="DROP"), said={FIBMATCH: Said(0, ONE_DEVICE)})
    assert (found.verdict, found.end.sure) == (Verdict.PASSES, True)
    assert found.notes == (NOTE.replace("wan1 to 198.51.100.1", "wan0 to 192.0.2.253"),)


def test_next_hops_that_are_not_shown_leave_it_open() -> None:
    found = way(packet(), said={FIBMATCH: Said(0, PLAIN), LISTED: Said(0, "default \n")})
    assert found.exit_code == 2
    assert f"{NOT_SHOWN}, which may send it elsewhere" in sentence(found)


def test_a_device_that_was_asked_for_is_taken_and_the_others_are_said() -> None:
    found = way(packet(out_device="wan1"), said=WANS)
    assert (found.verdict, found.end.packet.out_device, found.notes) == (Verdict.PASSES, "wan1", (NOTE,))
    other = way(packet(out_device="wan2"), said=WANS)
    assert other.notes == ("the host would send it out by wan0, not by wan2",)


def test_what_one_of_them_does_not_translate_counts_and_whose_answer_is_followed_is_said() -> None:
    one = ways(packet(dst="8.8.8.8"), host(table("nat", "POSTROUTING -o wan0 -j MASQUERADE"), said=WANS))
    assert (one.there.device, one.untranslated, one.exit_code) == ("wan1", True, 2)
    both = ways(packet(dst="8.8.8.8"), host(table("nat", "POSTROUTING -j MASQUERADE"), said=WANS))
    assert (both.untranslated, both.exit_code) == (False, 0)
    assert both.back
    assert both.back.notes[-1] == "the answer is followed as it comes by wan0, not by wan1"
