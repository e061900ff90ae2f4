"""Types of values: what each takes, and that it takes nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsfw.config import values
from dmsfw.config.values import NotAllowed
from dmsfw.model import PortRange, ports_text

HOSTILE = (
    "",
    " ",
    "\n",
    "\0",
    "a b",
    "\x1b[31m",
    "x\n",
    "\udcff",
    "\u202e1",
    "1" * 5000,
    "'",
    '"',
    "$(x)",
    "\u0661",
    "..",
)

PARSERS: tuple[Callable[[str], object], ...] = (
    values.boolean, values.log_level, values.log_format, values.family, values.proto, values.seconds, values.docker_url,
    values.interface, values.device, values.label, values.network, values.prefix, values.ports,
)  # fmt: skip


@pytest.mark.parametrize("text", ["1", "yes", "on", "true", "enabled", "YES"])
def test_a_boolean_is_true_as_uci_says_it(text: str) -> None:
    assert values.boolean(text) is True


@pytest.mark.parametrize("text", ["0", "no", "off", "false", "disabled", "Off"])
def test_a_boolean_is_false_as_uci_says_it(text: str) -> None:
    assert values.boolean(text) is False


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("465", "465"),
        ("465,587", "465,587"),
        ("587,465", "465,587"),
        ("1000-2000", "1000-2000"),
        ("465,465-470", "465-470"),
        ("465,466,467", "465-467"),
        ("1-10,5-20,21,30", "1-21,30"),
        ("10-90,20-30", "10-90"),
        ("5-5", "5"),
        ("1-65535", "1-65535"),
        ("any", "any"),
        ("ANY", "any"),
    ],
)
def test_ports_are_sorted_and_merged(text: str, written: str) -> None:
    assert ports_text(values.ports(text)) == written


@pytest.mark.parametrize(
    "text",
    ["0", "65536", "99999", "-1", "465-", "-465", "2000-1000", "1-2-3", "465,", ",", "465,any", "465 587", "+465",
     "4_6", "465:470", "0465", "465\n", "\u0664\u0666\u0665", "smtps", "465,,587", "1-70000"],
)  # fmt: skip
def test_other_ports_are_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(NotAllowed, match="a port 1-65535, a list 465,587, a range 1000-2000, or 'any'"):
        values.ports(text)


@given(
    st.lists(
        st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(lambda pair: PortRange(*sorted(pair))), min_size=1
    )
)
def test_merged_ranges_hold_the_same_ports_apart(ranges: list[PortRange]) -> None:
    merged = values.merged(ranges)
    assert {p for first, last in merged for p in (first, last)} <= {p for first, last in ranges for p in (first, last)}
    for probe in {p + step for first, last in ranges for p in (first, last) for step in (-1, 0, 1)}:
        assert any(f <= probe <= la for f, la in merged) == any(f <= probe <= la for f, la in ranges)
    assert all(before.last + 1 < after.first for before, after in itertools.pairwise(merged))


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("220.197.33.205", "220.197.33.205/32"),
        ("220.197.33.205/24", "220.197.33.0/24"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("2001:DB8::1", "2001:db8::1/128"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_an_address_becomes_its_network(text: str, network: str) -> None:
    assert values.prefix(text) == ip_network(network)


@pytest.mark.parametrize(
    "text",
    ["1.2.3", "1.2.3.4/33", "1.2.3.4/255.255.255.0", "1.2.3.4/0.0.0.255", "fe80::1%eth0", "::/129", "1.2.3.4/", "/24",
     "example.org", "1.2.3.04", "16909060", "1.2.3.4 ", "!1.2.3.4", "1.2.3.4-1.2.3.9"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(NotAllowed, match="an IPv4 or IPv6 address"):
        values.prefix(text)


@pytest.mark.parametrize(
    ("text", "label"),
    [("a=b", ("a", "b")), ("a", ("a", None)), ("a=", ("a", "")), ("a=b=c", ("a", "b=c")), ("a=b c", ("a", "b c")),
     ("com.docker.compose.network=dms-network", ("com.docker.compose.network", "dms-network"))],
)  # fmt: skip
def test_a_label_is_key_and_value_or_a_key_alone(text: str, label: tuple[str, str | None]) -> None:
    assert values.label(text) == label


@pytest.mark.parametrize("text", ["=b", "", " =b", "a=b\n", "a=\x1b[0m", "a=\udcff", "a=" + "b" * 254, "a=\u202eb"])
def test_a_label_without_a_key_or_with_odd_characters_is_refused(text: str) -> None:
    with pytest.raises(NotAllowed, match="key=value"):
        values.label(text)


@pytest.mark.parametrize("text", ["unix:///var/run/docker.sock", "unix:///a", "unix:///" + "a" * 106])
def test_docker_listens_on_a_unix_socket(text: str) -> None:
    assert values.docker_url(text) == text


@pytest.mark.parametrize(
    "text",
    ["tcp://10.0.0.1:2375", "http://x", "unix://var/run/docker.sock", "unix://", "unix:///", "/var/run/docker.sock",
     "unix:///a b", "unix:///a\n", "UNIX:///a", "unix:///" + "a" * 107, "unix:///" + "\u00e9" * 60, "ssh://root@host",
     " unix:///a", "unix:///\udcff"],
)  # fmt: skip
def test_docker_listens_nowhere_else(text: str) -> None:
    with pytest.raises(NotAllowed, match="unix://"):
        values.docker_url(text)


@pytest.mark.parametrize("text", ["5", "60", "86400"])
def test_seconds_within_the_range_are_taken(text: str) -> None:
    assert values.seconds(text) == int(text)


@pytest.mark.parametrize("text", ["4", "86401", "0", "-5", "60s", "6e1", "60.0", "060", "9" * 5000, "\u0666\u0660"])
def test_seconds_outside_it_are_not(text: str) -> None:
    with pytest.raises(NotAllowed, match="whole seconds from 5 to 86400"):
        values.seconds(text)


@pytest.mark.parametrize("text", ["br+", 'x"accept#', "a" * 16, "eth0\n", "a/b", "eth 0"])
def test_a_device_name_that_would_mean_more_is_refused(text: str) -> None:
    with pytest.raises(NotAllowed, match="a device's name"):
        values.device(text)


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_refused_or_a_plain_value(parse: Callable[[str], object], text: str) -> None:
    try:
        told = repr(parse(text))
    except NotAllowed as allowed:
        told = str(allowed)
    assert told.isprintable()
    assert len(told) < 300


@pytest.mark.parametrize("parse", PARSERS)
@given(text=st.text())
def test_any_text_is_a_value_or_not_allowed(parse: Callable[[str], object], text: str) -> None:
    try:
        parse(text)
    except NotAllowed:
        return
