"""The lines to paste do what they say in the router's own shell, whatever a network is called."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmsfw.config import settings_of
from dmsfw.edit import allow, remedy
from dmsfw.edit.selection import PROJECT
from dmsfw.errors import Refused
from dmsfw.model import Network, PortRange
from tests.e2e import uci
from tests.lab import paths
from tests.lab.errors import LabError
from tests.unit.edit_support import ALL, FIELD, GLOB, PLAIN, TEXT, WEB, network, passing, wish

SMTPS = (PortRange(465, 465),)


def ash() -> list[str]:
    """busybox's, where the lab has fetched it, as on the router."""
    try:
        return [str(paths.program("busybox")), "ash"]
    except LabError:
        return ["sh"]


def pasted(lines: tuple[str, ...], text: str = TEXT) -> str:
    """Return the configuration after the lines were pasted, twice: a person may. The shell does the shell's part."""
    with TemporaryDirectory() as folder:
        script = 'uci() { printf "%s\\0" "$@" ""; }\n' + "\n".join((*lines, *lines))
        done = subprocess.run([*ash(), "-ec", script], capture_output=True, check=False, cwd=folder, env={})
        assert (done.returncode, done.stderr, list(Path(folder).iterdir())) == (0, b"", [])
        file = Path(folder) / "dmsfw"
        file.write_text(text, "utf-8")
        sections = uci.read(file)
    for call in done.stdout.decode().split("\0\0"):
        verb, *arguments = call.split("\0")
        if verb in {"set", "add_list"}:
            path, _, value = arguments[0].partition("=")
            _, name, option = [*path.split("."), ""][:3]
            assert uci.do(sections, verb, name, option, value) in {True, False}
        else:
            assert call in {"", "commit\0dmsfw"}
    return "\n".join(map(uci.text, sections))


def test_composes_labels_come_before_the_name_and_nothing_else_is_said() -> None:
    assert remedy(FIELD, (PortRange(465, 465), PortRange(587, 587)), "tcp") == (
        "uci set dmsfw.dms_service_dms_network=egress",
        "uci add_list dmsfw.dms_service_dms_network.label='com.docker.compose.project=dms-service'",
        "uci add_list dmsfw.dms_service_dms_network.label='com.docker.compose.network=dms-network'",
        "uci add_list dmsfw.dms_service_dms_network.proto='tcp'",
        "uci add_list dmsfw.dms_service_dms_network.dest_port='465,587'",
        "uci commit dmsfw",
    )


@pytest.mark.parametrize("one", [WEB, PLAIN, GLOB], ids=lambda one: one.name)
def test_pasted_they_open_this_network_and_no_other(one: Network) -> None:
    after = pasted(remedy(one, SMTPS, "udp", networks=ALL))
    assert passing(after) - passing(TEXT) == {(one.device, "pppoe-wan", "udp", 465, "None")}


HOSTILE = [
    "Bob's",
    "$(touch x)",
    "`touch x`",
    '";touch x;"',
    "*",
    "a[b]?",
    "-x",
    "!!",
    "back\\",
    "~root",
    "#no",
    "a=b",
    "'''",
    "everything",  # a section of that name is there
]


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=30))
@pytest.mark.parametrize("project", [True, False])
def test_a_hostile_name_is_handed_over_exactly_and_runs_nothing(project: bool, name: str) -> None:  # noqa: FBT001
    check_hostile(name, project=project)


@pytest.mark.parametrize("project", [True, False])
@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_are_commands_to_a_shell_are_but_names(name: str, *, project: bool) -> None:
    check_hostile(name, project=project)


def check_hostile(name: str, *, project: bool) -> None:
    one = network(name, {PROJECT: name, "com.docker.compose.network": name} if project else {}, 5)
    there = {policy.name for policy in settings_of(TEXT).policies}
    try:
        lines = remedy(one, SMTPS, "tcp", networks=(*ALL, one), taken=there)
    except Refused:
        return
    (policy,) = (policy for policy in settings_of(pasted(lines)).policies if policy.name not in there)
    assert dict(policy.labels).get(PROJECT, name) == name
    assert passing(pasted(lines), (*ALL, one)) - passing(TEXT, ALL) == {("br-5", "pppoe-wan", "tcp", 465, "None")}


def test_the_section_is_called_as_was_said_or_beside_what_is_there() -> None:
    assert remedy(WEB, SMTPS, "tcp", "mail")[0] == "uci set dmsfw.mail=egress"
    assert remedy(WEB, SMTPS, "tcp", taken=["web_default", "web_default_2"])[0] == "uci set dmsfw.web_default_3=egress"


def test_a_network_that_is_called_main_takes_nothing_of_the_section_main() -> None:
    one = network("main", number=6)
    (*lines, _) = remedy(one, SMTPS, "tcp")
    assert lines[0] == "uci set dmsfw.main_2=egress"
    before, after = settings_of(TEXT), settings_of(pasted((*lines, "uci commit dmsfw")))
    assert replace(after, policies=before.policies) == before
    assert settings_of(allow("", wish(one, "465", networks=(one,))).after).policies[0].name == "main_2"


@pytest.mark.parametrize(
    ("one", "name", "why"),
    [
        (WEB, "a;b", "is no name of a section"),
        (replace(WEB, internal=True), None, "it is internal"),
        (replace(PLAIN, name="evil\n"), None, "cannot be written"),
    ],
)
def test_where_no_lines_would_do_it_says_why(one: Network, name: str | None, why: str) -> None:
    with pytest.raises(Refused, match=why):
        remedy(one, SMTPS, "tcp", name)


def test_everything_is_never_opened_by_a_line_to_paste() -> None:
    for ports, proto in (((), "tcp"), (SMTPS, "icmp"), (SMTPS, "all")):
        with pytest.raises(Refused, match="by hand"):
            remedy(WEB, ports, proto)  # type: ignore[arg-type]
