"""Which code serves a `-m NAME`. A match that is not known here is followed both ways: it never counts for a guess."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dmsfw.errors import InvalidValue
from dmsfw.trace.answer import assumed, unknown
from dmsfw.trace.matches import icmp, marks, places, ports, tracking
from dmsfw.trace.matches.option import Option, Test
from dmsfw.trace.packet import Family

Factory = Callable[[Sequence[Option], Family], list[Test]]

FACTORIES: dict[str, Factory] = {
    "tcp": lambda options, _: ports.plain(options),
    "udp": lambda options, _: ports.plain(options),
    "udplite": lambda options, _: ports.plain(options),
    "sctp": lambda options, _: ports.plain(options),
    "dccp": lambda options, _: ports.plain(options),
    "multiport": lambda options, _: ports.multiport(options),
    "icmp": lambda options, _: icmp.types(options),
    "icmp6": lambda options, _: icmp.types(options),
    "conntrack": tracking.conntrack,
    "state": tracking.state,
    "mark": lambda options, _: marks.mark(options),
    "connmark": lambda options, _: marks.connmark(options),
    "comment": lambda *_: [],
    "addrtype": places.addrtype,
    "iprange": places.iprange,
    "set": places.match_set,
    "physdev": places.physdev,
    "mac": places.mac,
    "pkttype": places.pkttype,
    "limit": lambda *_: [lambda *_: assumed("the limit is assumed not to be reached")],
    "statistic": lambda *_: [lambda *_: assumed("the share that statistic takes is assumed to be met")],
}


def extension(name: str, options: Sequence[Option], family: Family) -> list[Test]:
    """The tests of a match; one that is not known, or whose words are not, gives a test that cannot tell."""
    if name not in FACTORIES:
        return [lambda *_: unknown(f"the match {name} is not known")]
    try:
        return FACTORIES[name](options, family)
    except (ValueError, KeyError, OSError, InvalidValue) as error:
        why = f"the match {name} is not understood here ({error})"
        return [lambda *_: unknown(why)]
