"""Whatever the configuration and the wish: what may pass changes by exactly what was wished, or nothing is written.

What may pass is counted from the grants, port by port; `edit` itself compares settings, and knows nothing of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dmsfw.config import settings_of
from dmsfw.config.uci import parse
from dmsfw.edit import Change, Wish, allow, deny, ports_of_the_command
from dmsfw.edit.steps import SetOption
from dmsfw.errors import Refused, SettingsError
from dmsfw.model import Network, Proto
from tests.e2e import uci
from tests.unit.edit_support import ALL, FIELD, GLOB, LOOKED_AT, PLAIN, WEB, Passing, passing

PORTS = ("22", "53", "80-90", "465", "587", "465,587", "85", "1-100")
NETWORKS = st.sampled_from(ALL)
LABELS = [f"{key}={value}" for one in (FIELD, WEB) for key, value in one.labels]
NAMES = ["plain", "it's [[]1][*]", "it's [1]*", "web_default", "*", "pl*n", "dms-*", "nobody"]

Line = tuple[str, list[str]]
"""An option with its values."""


def quoted(text: str) -> list[str]:
    """Return some ways to write a value."""
    single = "'" + text.replace("'", "'\\''") + "'"
    ways = [single, '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"']
    return [*ways, text] if text.replace("-", "").replace(",", "").isalnum() else ways


@st.composite
def lines(draw: st.DrawFn, name: str, values: Sequence[str]) -> list[str]:
    """Write an option as list lines, or as one option, with a comment here and there."""
    remark = st.sampled_from(["", "", " # why", "\n\t# below", "\n"])
    if draw(st.booleans()) and not any(" " in value for value in values):
        separator = draw(st.sampled_from([" ", "\t", "  "]))
        return [f"\toption {name} {draw(st.sampled_from(quoted(separator.join(values))))}{draw(remark)}"]
    indent = draw(st.sampled_from(["\t", "  ", ""]))
    return [f"{indent}list {name} {draw(st.sampled_from(quoted(value)))}{draw(remark)}" for value in values]


def selection(labels: list[str], names: list[str]) -> dict[str, list[str]]:
    """Select by these; a section that selects by nothing is none."""
    return {"label": labels, "network": names or ([] if labels else ["plain"])}


EXACT = {
    FIELD.name: selection([f"{key}={value}" for key, value in FIELD.labels], []),
    WEB.name: selection([f"{key}={value}" for key, value in WEB.labels], []),
    PLAIN.name: selection([], ["plain"]),
    GLOB.name: selection([], ["it's [[]1][*]"]),
}
"""How each network is selected and no other."""


def several(values: Sequence[str], least: int = 0) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=least, max_size=3, unique=True)


@st.composite
def sections(draw: st.DrawFn, number: int, own: dict[str, list[str]]) -> str:
    """Write an egress section, nearly always a valid one."""
    selectors = draw(st.sampled_from([own, own, None])) or draw(st.builds(selection, several(LABELS), several(NAMES)))
    proto = draw(st.sampled_from([["tcp"], ["tcp"], ["tcp"], ["tcp"], ["udp"], ["tcp", "udp"], ["icmp"], ["all"]]))
    ports = [] if proto == ["icmp"] else ["any"] if proto == ["all"] else draw(several(PORTS, 1) | st.just(["any"]))
    options = {**selectors, "proto": proto if draw(st.booleans()) or proto != ["tcp"] else [], "dest_port": ports}
    for name, value in (("dns", "1"), ("enabled", "0"), ("family", "ipv4"), ("masq", "0"), ("uplink", "vpn")):
        options[name] = [value] if draw(st.integers(0, 19)) == 0 else []
    found = [line for name, values in options.items() if values for line in draw(lines(name, values))]
    head = f"config egress '{'abcdef'[number]}'" if draw(st.booleans()) else "config egress"
    return "\n".join([head, *draw(st.permutations(found) if draw(st.booleans()) else st.just(found))]) + "\n"


def is_usable(text: str) -> bool:
    """Tell whether a configuration can be used."""
    try:
        settings_of(text)
    except SettingsError:
        return False
    return True


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, Network]:
    """Write a configuration, and name the network that most of its sections are about."""
    one = draw(NETWORKS)
    parts = ["config dmsfw 'main'\n\toption enabled '1'  # on\n"]
    for number in range(draw(st.integers(1, 4))):
        parts += [draw(st.sampled_from(["", "\n", "\n# a remark\n", "\n\n"])), draw(sections(number, EXACT[one.name]))]
    text = "".join(parts) + draw(st.sampled_from(["", "\n", "# the end\n"]))
    assume(is_usable(text))
    return text, one


PROTOS: st.SearchStrategy[Proto] = st.sampled_from(["tcp", "tcp", "tcp", "udp", "sctp"])


def changed(make: object, text: str, wish: Wish) -> Change | None:
    try:
        return make(text, wish)  # type: ignore[operator, no-any-return]
    except Refused:
        return None


def meant(one: Network, ports: str, protos: Sequence[str]) -> set[tuple[str, str, int]]:
    ranges = ports_of_the_command(ports)
    numbers = [port for port in LOOKED_AT if any(first <= port <= last for first, last in ranges)]
    return {(one.device, proto, number) for proto in protos for number in numbers}


def plain(found: Passing) -> set[tuple[str, str, int]]:
    """What may pass by the main way out."""
    return {(bridge, proto, port) for bridge, way, proto, port, _ in found if way == "pppoe-wan"}


def by_uci(text: str, change: Change) -> str:
    """What the calls of uci leave (the stand-in, which is held against the real one)."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "dmsfw"
        file.write_text(text, "utf-8")
        found = uci.read(file)
    for command, argument in change.calls("dmsfw"):
        path, _, value = argument.partition("=")
        _, name, option = [*path.split("."), ""][:3]
        uci.do(found, command, name, option, value)
    return "\n".join(map(uci.text, found))


def others(text: str, change: Change) -> list[str]:
    """The text of every section that the change does not touch, as it was."""
    touched = {step.section for step in change.steps}
    return [
        text[one.commands[0].start : one.commands[-1].end] for one in parse(text).sections if one.name not in touched
    ]


@settings(deadline=None, max_examples=300)
@given(cases(), st.sampled_from(PORTS), PROTOS)
def test_allow_opens_exactly_what_was_wished_and_deny_takes_it_back(
    case: tuple[str, Network], ports: str, proto: Proto
) -> None:
    text, one = case
    change = changed(allow, text, Wish(one, ports_of_the_command(ports), proto, None, ALL))
    before = passing(text)
    wished = meant(one, ports, [proto])
    if change is None:
        assert wished <= plain(before)  # nothing else is a reason to refuse: every network here can be written
        return
    opened = passing(change.after) - before
    assert passing(change.after) >= before
    assert plain(opened) <= wished <= plain(passing(change.after))
    assert {(way, destination) for _, way, _, _, destination in opened} <= {("pppoe-wan", "None")}
    assert settings_of(by_uci(text, change)) == settings_of(change.after) == change.settings
    assert others(text, change) == others(change.after, change)
    if wished & {(bridge, p, port) for bridge, _, p, port, _ in before}:
        return
    back = changed(deny, change.after, Wish(one, ports_of_the_command(ports), proto, None, ALL))
    if back is not None:
        assert settings_of(back.after) == settings_of(text)
        assert back.after.strip("\n") == text.strip("\n") or isinstance(change.steps[0], SetOption)


@settings(deadline=None, max_examples=300)
@given(cases(), st.sampled_from(["", *PORTS]), st.none() | PROTOS)
def test_deny_closes_exactly_what_was_wished(case: tuple[str, Network], ports: str, proto: Proto | None) -> None:
    text, one = case
    wish = Wish(one, ports_of_the_command(ports) if ports else (), proto, None, ALL)
    change = changed(deny, text, wish)
    if change is None:
        return
    closed = passing(text) - passing(change.after)
    assert passing(change.after) <= passing(text)
    assert {bridge for bridge, *_ in closed} == {one.device} or not closed
    protos = ["tcp", "udp", "sctp", "icmp"] if proto is None else [proto]
    left = {
        (bridge, p, port) for bridge, _, p, port, _ in passing(change.after) if bridge == one.device and p in protos
    }
    if ports:
        assert {(bridge, p, port) for bridge, _, p, port, _ in closed} <= meant(one, ports, protos)
        assert not left & meant(one, ports, protos)
    else:
        assert not left
    assert settings_of(by_uci(text, change)) == settings_of(change.after) == change.settings


@settings(deadline=None, max_examples=100)
@given(cases(), st.sampled_from(PORTS))
def test_a_text_outside_the_new_section_stays_byte_for_byte(case: tuple[str, Network], ports: str) -> None:
    text, one = case
    change = changed(allow, text, Wish(one, ports_of_the_command(ports), "sctp", "fresh", ALL))
    if change is not None:
        assert change.after.startswith(text)
