"""The status document survives its file, and its state never says more than is true."""

import dataclasses
import json
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsfw.model import Detour, Grant, Network, Plan, Policy, PortRange, Settings, Snapshot, Uplink, Uplinks
from dmsfw.report.compose import Health, compose, judge
from dmsfw.report.status import (
    IdlePolicy,
    NetworkStatus,
    Pass,
    SkippedNetwork,
    SourceStatus,
    Status,
    UnreadableStatus,
    UnselectedNetwork,
    as_seen,
    exit_code,
    from_json,
    to_json,
    with_packets,
)

SUBNET = ip_network("172.18.0.0/16")
MAIL = Network("4e", "dms-network", device="br-4e", subnets=(SUBNET,))
EVIL = Network("ee", "evil\n\x1b[31m", device="br-ee", subnets=(SUBNET,))
SMTPS = Policy("smtps", labels=(("a", "b"), ("c", None)), networks=("dms-*",))
GRANT = Grant(MAIL.name, MAIL.device, SUBNET, "pppoe-wan", "tcp", (PortRange(465, 465),))
DONE = Pass("2026-01-02T03:04:05+00:00", 4.2, "docker", 3)
HEALTH = Health("0.1.0", 42, passes=1, last_pass=DONE)
SNAPSHOT = Snapshot(
    Settings(policies=(SMTPS,)), (MAIL, EVIL), Uplinks((Uplink("wan", "pppoe-wan"),), missing=("wan6",))
)

NAMES = st.text("abc \"'\\邮件-", min_size=1, max_size=8)
TEXTS = st.lists(NAMES, max_size=3).map(tuple)
AGES = st.floats(0, 1e9)


def lists_of(kind: type, *fields: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(st.builds(kind, *fields), max_size=2).map(tuple)


STATUSES = st.builds(
    Status,
    version=NAMES,
    pid=st.integers(1, 2**22),
    state=st.sampled_from(["in sync", "idle", "degraded", "disabled", "stopped", "starting"]),
    reasons=TEXTS,
    uplinks=lists_of(Uplink, NAMES, NAMES, st.booleans()),
    networks=lists_of(NetworkStatus, NAMES, NAMES, TEXTS, TEXTS, TEXTS, st.none() | st.integers(0, 2**64)),
    idle_policies=lists_of(IdlePolicy, NAMES, TEXTS, TEXTS),
    unselected=lists_of(UnselectedNetwork, NAMES, NAMES, TEXTS, TEXTS),
    skipped=lists_of(SkippedNetwork, NAMES, NAMES),
    detours=lists_of(Detour, NAMES, NAMES, NAMES),
    sources=lists_of(SourceStatus, NAMES, st.none() | AGES, NAMES | st.just("")),
    last_pass=st.none() | st.builds(Pass, NAMES, AGES, NAMES, st.integers(0, 99)),
    last_error=NAMES | st.just(""),
    written_at=AGES,
)


@given(STATUSES)
def test_a_status_survives_its_file(status: Status) -> None:
    assert from_json(to_json(status)) == status


def test_every_text_of_the_file_is_clean() -> None:
    text = to_json(
        Status("0.1.0", 1, "idle", reasons=("a\x1b[31m\n", "b\u202e"), sources=(SourceStatus("docker", 1.0, "x\x9b"),))
    )
    assert not [one for one in text if not one.isprintable() and one != "\n"]
    assert from_json(text).reasons == ("a\\x1b[31m\\n", "b\\u202e")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "damaged"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ("[" * 100_000, "damaged"),
        ("1" * 5000, "damaged"),
        ("{}", "another version"),
        ('{"format": 2}', "another version"),
        ('{"format": true}', "damaged|another version"),
        ('{"format": 1}', "a field is missing"),
        ('{"format": NaN}', "damaged"),
    ],
)
def test_garbage_is_told_in_one_line(text: str, why: str) -> None:
    with pytest.raises(UnreadableStatus, match=why) as caught:
        from_json(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pid", "1"),
        ("pid", True),
        ("pid", None),
        ("state", "fine"),
        ("state", ["idle"]),
        ("reasons", "text"),
        ("reasons", [1]),
        ("uplinks", [{"interface": "wan"}]),
        ("uplinks", ["wan"]),
        ("networks", [{"name": "a", "device": "b", "packets": 1.5}]),
        ("last_pass", {"at": 1}),
        ("written_at", "now"),
        ("written_at", 10**400),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_field(field: str, value: object) -> None:
    found = json.loads(to_json(Status("0.1.0", 1, "idle")))
    with pytest.raises(UnreadableStatus, match=field):
        from_json(json.dumps({**found, field: value}))


def test_keys_that_are_not_known_are_passed_over() -> None:
    found = json.loads(to_json(Status("0.1.0", 1, "idle", written_at=5.0)))
    assert from_json(json.dumps({**found, "later": [1], "written_at": 5})) == Status("0.1.0", 1, "idle", written_at=5.0)


def test_a_pass_is_put_together() -> None:
    status = compose(
        SNAPSHOT,
        [GRANT],
        Plan(rules=3, ahead=("-A FORWARD -j evil\n",)),
        dataclasses.replace(HEALTH, last_error="it\nfailed"),
        selected=(MAIL,),
        unselected=(EVIL, Network("f", "backend", device="br-f")),
        idle=(SMTPS,),
        skipped=((EVIL, "its device name is no name"),),
        detours=(Detour("mail", MAIL.name, "other\n"),),
        now_s=7.0,
    )
    assert (status.state, status.reasons) == ("idle", ("policy smtps selects no network",))
    assert status.networks == (
        NetworkStatus(
            "dms-network",
            "br-4e",
            (str(SUBNET),),
            ("dms-network (br-4e, 172.18.0.0/16) may reach tcp 465 via pppoe-wan",),
            (GRANT.id,),
        ),
    )
    assert status.idle_policies == (IdlePolicy("smtps", ("a=b", "c"), ("dms-*",)),)
    assert [(one.name, len(one.commands)) for one in status.unselected] == [("evil\\n\\x1b[31m", 0), ("backend", 1)]
    assert status.skipped == (SkippedNetwork("evil\\n\\x1b[31m", "its device name is no name"),)
    assert (status.ahead, status.detours[0].leaves_by, status.last_error) == (
        ("-A FORWARD -j evil\\n",),
        "other\\n",
        "it\\nfailed",
    )
    assert (status.uplinks, status.missing_uplinks, status.rules, status.written_at) == (
        SNAPSHOT.uplinks.chosen,
        ("wan6",),
        3,
        7.0,
    )


def test_a_status_is_stamped_by_the_clock_where_no_time_is_given() -> None:
    assert compose(SNAPSHOT, [], Plan(), HEALTH, selected=()).written_at > 1e9


OFF = Settings(enabled=False, policies=(SMTPS,))


@pytest.mark.parametrize(
    ("settings", "health", "idle", "state"),
    [
        (SNAPSHOT.settings, HEALTH, (), "in sync"),
        (SNAPSHOT.settings, HEALTH, (SMTPS,), "idle"),
        (Settings(), HEALTH, (), "idle"),
        (SNAPSHOT.settings, dataclasses.replace(HEALTH, faults=("no uplink is up",)), (SMTPS,), "degraded"),
        (OFF, HEALTH, (), "disabled"),
        (OFF, dataclasses.replace(HEALTH, faults=("refused",)), (), "degraded"),
        (SNAPSHOT.settings, Health("0.1.0", 1), (), "starting"),
        (SNAPSHOT.settings, Health("0.1.0", 1, faults=("docker: not read yet",)), (), "starting"),
    ],
)
def test_the_state_is_in_sync_only_when_all_is_well(
    settings: Settings, health: Health, idle: tuple[Policy, ...], state: str
) -> None:
    found, reasons = judge(Snapshot(settings), health, idle)
    assert found == state
    assert bool(reasons) == (state != "in sync")
    assert set(health.faults) <= set(reasons)


def test_the_lock_tells_whether_it_runs_and_an_old_file_is_degraded() -> None:
    status = Status(
        "0.1.0",
        1,
        "in sync",
        sources=(SourceStatus("docker", 1.0), SourceStatus("ubus")),
        resync_s=60,
        written_at=1000.0,
    )
    assert as_seen(status, running=False, now_s=1000.0).state == "stopped"
    fresh = as_seen(status, running=True, now_s=1060.0)
    assert (fresh.state, fresh.sources[0].age_s, fresh.sources[1].age_s) == ("in sync", 61.0, None)
    assert as_seen(status, running=True, now_s=1061.0).state == "degraded"
    hasty = dataclasses.replace(status, resync_s=10)
    assert as_seen(hasty, running=True, now_s=1020.0).state == "in sync"
    assert as_seen(hasty, running=True, now_s=1021.0).state == "degraded"
    assert as_seen(status, running=True, now_s=10.0) == status


@pytest.mark.parametrize(
    ("state", "code"), [("in sync", 0), ("idle", 1), ("degraded", 1), ("disabled", 1), ("starting", 1), ("stopped", 3)]
)
def test_the_exit_code_follows_the_state(state: str, code: int) -> None:
    assert exit_code(Status("0.1.0", 1, state)) == code  # type: ignore[arg-type]


def test_packets_are_summed_over_a_networks_grants() -> None:
    status = Status(
        "0.1.0",
        1,
        "in sync",
        networks=(NetworkStatus("a", "br-a", grants=("x", "y")), NetworkStatus("b", "br-b", grants=("z",))),
    )
    assert [one.packets for one in with_packets(status, {"x": 2, "y": 3}).networks] == [5, None]
