"""A packet that cannot be is not made."""

from __future__ import annotations

from typing import Any

import pytest

from dmsfw.errors import InvalidValue
from dmsfw.trace.packet import FRESH, Connection, protocol
from tests.unit.trace_support import packet


@pytest.mark.parametrize(
    "given",
    [
        {"dst": "2001:db8::1"},
        {"ctstate": "new"},
        {"mark": -1},
        {"mark": 1 << 32},
        {"dport": 65536},
        {"sport": -1},
        {"proto": "icmp", "dport": 5},
        {"proto": "gre", "sport": 5},
        {"proto": "tcp", "icmp": (8, 0)},
        {"proto": "what"},
        {"proto": "256"},
        {"proto": "²"},
        {"in_device": "a" * 16},
        {"in_device": "a b"},
        {"in_device": "a/b"},
        {"out_device": "a\x1b"},
    ],
)
def test_a_packet_that_cannot_be_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        packet(**given)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("tcp", "tcp"),
        ("TCP", "tcp"),
        ("6", "tcp"),
        ("ipv6-icmp", "icmpv6"),
        ("58", "icmpv6"),
        ("89", "89"),
        ("132", "sctp"),
    ],
)
def test_a_protocol_has_one_name(text: str, name: str) -> None:
    assert protocol(text) == name


def test_numbers_are_told_from_names() -> None:
    assert [packet(proto=proto).number for proto in ("tcp", "gre", "89")] == [6, 47, 89]


def test_a_first_packet_begins_a_connection_and_a_later_one_belongs_to_one_that_is_not_known() -> None:
    assert packet().connection == FRESH
    assert packet(ctstate="ESTABLISHED").connection == Connection()


def test_an_icmp_packet_is_an_echo_request_unless_said() -> None:
    assert [packet(proto="icmp").icmp, packet(six=True, proto="icmpv6").icmp, packet().icmp] == [(8, 0), (128, 0), None]


def test_what_is_not_known_can_be_known_again() -> None:
    doubtful = packet().not_known("src", "mark")
    assert doubtful.known("src").unknown == {"mark"}
    assert packet().ends.turned().turned() == packet().ends
