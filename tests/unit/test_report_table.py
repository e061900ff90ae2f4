"""What people read: the table of `status` and the lines of `plan`."""

import dataclasses
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsfw.model import Change, Detour, Plan, Uplink
from dmsfw.report.plan import plan_json, plan_lines
from dmsfw.report.status import IdlePolicy, NetworkStatus, Pass, SkippedNetwork, SourceStatus, Status, UnselectedNetwork
from dmsfw.report.table import duration, render, wrap
from dmsfw.report.text import display_width

GOLDEN = Path(__file__).parent.parent / "cases" / "report" / "status.txt"

MAIL = "dms-service_dms-network (br-4e4eb4db3fbd"

FULL = Status(
    version="0.1.0",
    pid=1234,
    state="degraded",
    reasons=("no uplink is up; the default route uses br-lan", "policy nas selects no network"),
    remedies=("uci add_list dmsfw.main.uplink='lan'; uci commit dmsfw",),
    uplinks=(Uplink("wan", "pppoe-wan"), Uplink("wan_b", "eth1", up=False)),
    missing_uplinks=("wan6",),
    networks=(
        NetworkStatus(
            "dms-service_dms-network",
            "br-4e4eb4db3fbd",
            ("172.18.0.0/16", "fd00:1::/64"),
            (
                f"{MAIL}, 172.18.0.0/16) may reach tcp 465,587, udp 53 via pppoe-wan and eth1",
                f"{MAIL}, fd00:1::/64) may reach tcp 465 via pppoe-wan",
            ),
            ("0123456789ab",),
            1234,
        ),
        NetworkStatus(
            "邮件服务", "br-1", (), ("邮件服务 (br-1, 172.19.0.0/16) may reach everything via pppoe-wan",), (), 1
        ),
        NetworkStatus("new", "br-2", (), ("new (br-2, 172.20.0.0/16) is selected, but nothing is opened for it",)),
    ),
    idle_policies=(
        IdlePolicy("nas", ("com.docker.compose.network=nas", "com.docker.compose.project"), ("nas", "nas_*")),
        IdlePolicy("@egress[2]", (), ("other",)),
        IdlePolicy("labels", ("only",)),
    ),
    unselected=(
        UnselectedNetwork(
            "Bob's PC",
            "br-3",
            ("172.21.0.0/16",),
            ("uci add_list dmsfw.nas.network='Bob'\"'\"'s PC'; uci commit dmsfw",),
        ),
        UnselectedNetwork("evil\\n", "br-4"),
    ),
    skipped=(
        SkippedNetwork("wide", "its device name br+ is none that dmsfw uses: 1 to 15 of A-Z a-z 0-9 _ . @ -"),
        SkippedNetwork("overlay-net", "its driver is overlay"),
    ),
    ahead=(
        "-A FORWARD -j DOCKER-USER",
        "-A FORWARD -i br-4e4eb4db3fbd ! -o br-4e4eb4db3fbd -m comment --comment docker -j ACCEPT",
    ),
    detours=(Detour("mail-1", "dms-network", "backend"),),
    sources=(SourceStatus("docker", 0.44), SourceStatus("ubus", 75.0, "timed out after 2 s"), SourceStatus("routes")),
    rules=9,
    passes=17,
    last_pass=Pass("2026-01-02T03:04:05+00:00", 4.21, "docker", 1),
    last_error="filter: the kernel refuses the table",
)


def test_the_table_is_as_recorded() -> None:
    """`DMSFW_RECORD=1` records it anew; read the difference before it is kept."""
    if os.environ.get("DMSFW_RECORD"):
        GOLDEN.write_text(render(FULL))
    assert render(FULL) == GOLDEN.read_text()


@pytest.mark.parametrize("width", [10, 72, 100, 200])
def test_no_line_is_wider_than_the_terminal_but_those_to_paste(width: int) -> None:
    lines = [line for line in render(FULL, width=width).splitlines() if "uci " not in line]
    assert max(map(display_width, lines)) <= max(width, 72)


def test_colour_changes_nothing_but_colours() -> None:
    coloured = render(FULL, colour=True)
    assert "\x1b[1;31mdegraded\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(FULL)


def test_a_quiet_status_is_short() -> None:
    quiet = Status(
        "0.1.0",
        1,
        "in sync",
        unselected=(UnselectedNetwork("a", "br-a", (), ("uci x",)), UnselectedNetwork("b", "br-b")),
    )
    assert render(quiet) == (
        "dmsfw 0.1.0 (pid 1): in sync\n\nNetworks that no policy selects\n  a, b\n\n"
        "Last pass: none yet\nPasses: 0; everything is read anew at least every 60 s; rules due: 0\n"
    )


def test_a_status_without_anything_is_its_state_and_its_foot() -> None:
    assert render(Status("0.1.0", 1, "stopped", reasons=("it is not running",))).splitlines() == [
        "dmsfw 0.1.0 (pid 1): stopped",
        "  it is not running",
        "",
        "Last pass: none yet",
        "Passes: 0; everything is read anew at least every 60 s; rules due: 0",
    ]


def test_an_idle_status_shows_what_to_paste() -> None:
    idle = Status("0.1.0", 1, "idle", unselected=(UnselectedNetwork("a", "br-a", (), ("uci x", "uci y")),))
    assert "  a (br-a)\n    uci x\n    uci y\n" in render(idle)


HOSTILE = st.text(st.characters(exclude_categories=[]), max_size=60)


@given(HOSTILE, HOSTILE)
def test_no_field_brings_a_control_character_to_the_terminal(one: str, two: str) -> None:
    status = dataclasses.replace(
        FULL,
        version=one,
        reasons=(one,),
        uplinks=(Uplink(one, two),),
        missing_uplinks=(one,),
        networks=(NetworkStatus(one, two, (), (one,)),),
        idle_policies=(IdlePolicy(one, (two,), (one,)),),
        unselected=(UnselectedNetwork(one, two, (one,), (two,)),),
        skipped=(SkippedNetwork(one, two),),
        ahead=(one,),
        detours=(Detour(one, two, one),),
        sources=(SourceStatus(one, 1.0, two),),
        last_pass=Pass(one, 1.0, two),
        last_error=two,
    )
    assert all(line.isprintable() for line in render(status).split("\n"))


@given(st.text("ab 邮", max_size=200), st.integers(10, 60))
def test_wrapping_loses_no_word(text: str, width: int) -> None:
    assert " ".join(wrap(text, width, 2)).split() == text.split()


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (119, "119 s"), (300, "5 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_ages_are_written_as_people_do(seconds: float, written: str) -> None:
    assert duration(seconds) == written


PLAN = Plan(
    changes=(
        Change("+", "nat DMSFW-POSTROUTING", "-A DMSFW-POSTROUTING -j MASQUERADE", "smtps: dms\n may reach tcp 465"),
        Change("+", "filter DMSFW-FORWARD", "-A DMSFW-FORWARD -j ACCEPT"),
        Change("-", "filter DMSFW-FORWARD", "-A DMSFW-FORWARD -j \x1b[31m"),
    ),
    rules=4,
    ahead=("-A FORWARD -j x\n",),
)


def test_a_plan_is_told_place_by_place_with_its_whys() -> None:
    assert plan_lines(PLAN, colour=False) == [
        "nat DMSFW-POSTROUTING",
        "  + -A DMSFW-POSTROUTING -j MASQUERADE  # smtps: dms\\n may reach tcp 465",
        "filter DMSFW-FORWARD",
        "  + -A DMSFW-FORWARD -j ACCEPT",
        "  - -A DMSFW-FORWARD -j \\x1b[31m",
    ]
    coloured = plan_lines(PLAN, colour=True)
    assert coloured[1].startswith("  \x1b[32m+ ")
    assert coloured[4].startswith("  \x1b[31m- ")
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in coloured] == plan_lines(PLAN, colour=False)


def test_an_empty_plan_says_so() -> None:
    assert plan_lines(Plan(rules=3), colour=False) == ["nothing to change: 3 rules are in place"]


def test_what_keeps_rules_from_their_place_is_said_behind_the_plan() -> None:
    noted = Plan(rules=3, notes=("firewall4 is stopped\n",))
    assert plan_lines(noted, colour=False) == ["nothing to change", "but firewall4 is stopped\\n"]
    both = dataclasses.replace(PLAN, notes=("x",))
    assert plan_lines(both, colour=False) == [*plan_lines(PLAN, colour=False), "but x"]
    assert json.loads(plan_json(noted))["notes"] == ["firewall4 is stopped\\n"]


def test_a_plan_as_json_holds_all_of_it_clean() -> None:
    found = json.loads(plan_json(PLAN))
    assert found["rules"] == 4
    assert found["ahead"] == ["-A FORWARD -j x\\n"]
    assert found["changes"][0] == {
        "sign": "+",
        "place": "nat DMSFW-POSTROUTING",
        "text": "-A DMSFW-POSTROUTING -j MASQUERADE",
        "why": "smtps: dms\\n may reach tcp 465",
    }
    assert found["changes"][1]["why"] == ""
