"""The metrics: the text format to the letter, hostile names included, and numbers that say what happened."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import parser

from dmsfw.report.metrics import STATES, Counts, render
from dmsfw.report.status import NetworkStatus, Pass, Status

DONE = Pass("2026-01-02T03:04:05+00:00", 4.25, "docker+timer", 3)
NETWORK = NetworkStatus("dms-network", "br-4e", ("172.18.0.0/16",), grants=("a" * 12, "b" * 12))
STATUS = Status("0.1.0", 42, "in sync", networks=(NETWORK,), rules=7, last_pass=DONE)

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
VALUE = r'"(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({NAME}={VALUE}(?:,{NAME}={VALUE})*)\}})? (-?[0-9.]+)")
KINDS = {"counter", "gauge", "summary"}


def counts() -> Counts:
    found = Counts()
    found.count({"docker"}, changes=3, duration_s=0.5)
    found.count({"docker", "timer"}, changes=0, duration_s=0.25)
    found.repairs = 1
    return found


def samples(text: str) -> dict[str, float]:
    """Read the format by its rules: each metric has HELP, TYPE and its samples, all together and once.

    See prometheus.io/docs/instrumenting/exposition_formats.
    """
    assert text.endswith("\n")
    found: dict[str, float] = {}
    seen: set[str] = set()
    lines = iter(text.removesuffix("\n").split("\n"))
    name = kind = ""
    for line in lines:
        if line.startswith("# HELP "):
            name = line.split()[2]
            assert name not in seen
            seen.add(name)
            _, _, typed, kind = next(lines).split()
            assert (typed, kind in KINDS, name.endswith("_total") == (kind == "counter")) == (name, True, True)
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        suffixes = ("_sum", "_count") if kind == "summary" else ("",)
        assert match[1] in [name + suffix for suffix in suffixes]
        series = match[1] + (f"{{{match[2]}}}" if match[2] else "")
        assert series not in found
        found[series] = float(match[3])
    return found


def test_it_tells_state_passes_changes_duration_rules_repairs_reconnects_and_the_last_success() -> None:
    assert samples(render(STATUS, counts(), reconnects=2)) == {
        'dmsfw_info{version="0.1.0"}': 1,
        **{f'dmsfw_state{{state="{state}"}}': float(state == "in sync") for state in STATES},
        "dmsfw_passes_total": 2,
        "dmsfw_changes_total": 3,
        "dmsfw_repairs_total": 1,
        'dmsfw_trigger_passes_total{trigger="docker"}': 2,
        'dmsfw_trigger_passes_total{trigger="timer"}': 1,
        'dmsfw_trigger_changes_total{trigger="docker"}': 3,
        'dmsfw_trigger_changes_total{trigger="timer"}': 0,
        "dmsfw_pass_duration_seconds_sum": 0.75,
        "dmsfw_pass_duration_seconds_count": 2,
        "dmsfw_rules": 7,
        'dmsfw_network_rules{network="dms-network",device="br-4e"}': 2,
        "dmsfw_docker_reconnects_total": 2,
        "dmsfw_last_pass_duration_seconds": 0.00425,
        "dmsfw_last_success_timestamp_seconds": 1767323045,
    }


def test_before_the_first_pass_no_time_is_told() -> None:
    found = samples(render(replace(STATUS, state="starting", last_pass=None), Counts(), reconnects=0))
    assert not [name for name in found if "last" in name or "trigger" in name]
    assert found['dmsfw_state{state="starting"}'] == 1


def test_two_networks_of_one_name_are_two_series_and_one_twice_is_one() -> None:
    networks = (NETWORK, replace(NETWORK, device="br-5f"), NETWORK)
    found = samples(render(replace(STATUS, networks=networks), Counts(), reconnects=0))
    assert len([name for name in found if name.startswith("dmsfw_network_rules")]) == 2


@pytest.mark.parametrize("name", ['x"} 1\nevil 1', "back\\slash", "a\nb", "\x1b[31m", "邮件服务", ""])
def test_a_hostile_name_stays_within_its_label(name: str) -> None:
    text = render(replace(STATUS, networks=(replace(NETWORK, name=name),)), Counts(), reconnects=0)
    found = samples(text)
    assert len([line for line in found if line.startswith("dmsfw_network_rules{")]) == 1
    assert "\nevil" not in text
    assert "\x1b" not in text


@given(st.lists(st.text(max_size=12), max_size=5), st.floats(0, 1e6), st.integers(0, 10**12))
def test_whatever_the_names_and_numbers_the_format_holds(names: list[str], took_s: float, changes: int) -> None:
    found = Counts()
    found.count(names, changes=changes, duration_s=took_s)
    networks = tuple(NetworkStatus(name, name) for name in names)
    samples(render(replace(STATUS, networks=networks), found, reconnects=0))


def test_prometheus_own_parser_reads_the_same() -> None:
    hostile = replace(NETWORK, name='evil\n"\\')
    text = render(replace(STATUS, networks=(NETWORK, hostile)), counts(), reconnects=2)
    families = list(parser.text_string_to_metric_families(text))
    assert sum(len(family.samples) for family in families) == len(samples(text))
    assert all(family.documentation and family.type in KINDS for family in families)
    networks = {
        sample.labels["network"] for family in families for sample in family.samples if "network" in sample.labels
    }
    assert networks == {"dms-network", 'evil\\n"\\'}
