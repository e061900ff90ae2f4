"""A glance at Docker's events, however the stream is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsfw.observe.glance import LONGEST, Glance

CONNECT = b'{"Type":"network","Action":"connect","Actor":{"Attributes":{"name":"a"}}}\n'
DISCONNECT = CONNECT.replace(b"connect", b"disconnect")
CREATE = CONNECT.replace(b"connect", b"create")
DESTROY = CONNECT.replace(b"connect", b"destroy")


@pytest.mark.parametrize(
    ("piece", "minor"),
    [
        (CONNECT, True),
        (DISCONNECT + CONNECT, True),
        (CREATE, False),
        (CONNECT + DESTROY, False),
        (b'{"Action": "connect"}\n', False),
        (b"\n", False),
        (b"\x00\xff\n", False),
        (CREATE.replace(b'"a"', rb'"\"Action\":\"connect\""'), False),
    ],
)
def test_only_what_speaks_of_containers_alone_is_minor(piece: bytes, *, minor: bool) -> None:
    assert Glance().is_minor(piece) is minor


@given(
    events=st.lists(st.sampled_from([CONNECT, DISCONNECT, CREATE, DESTROY]), min_size=1), cuts=st.lists(st.integers(0))
)
def test_an_event_that_is_cut_anywhere_is_known_by_its_end(events: list[bytes], cuts: list[int]) -> None:
    """Pieces with an end of what concerns a network ask at once, and no others."""
    stream, glance = b"".join(events), Glance()
    edges = sorted({0, len(stream), *(cut % len(stream) for cut in cuts)})
    for begin, end in pairwise(edges):
        ended = stream[:end].split(b"\n")[:-1][stream[:begin].count(b"\n") :]
        hasty = any(b"create" in event or b"destroy" in event for event in ended)
        assert glance.is_minor(stream[begin:end]) is not hasty


def test_an_event_without_end_is_not_kept() -> None:
    glance = Glance()
    assert glance.is_minor(b"x" * LONGEST)
    assert not glance.is_minor(b"x")
    assert glance.is_minor(CONNECT)
