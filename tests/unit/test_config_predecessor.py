"""The rules of a script in /etc/firewall.user that dmsfw takes the place of."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmsfw.cli import main
from dmsfw.config.predecessor import predecessors

SCRIPT = """
# iptables -I FORWARD 1 -i br-4e4eb4db3fbd -j ACCEPT
NETWORK=$(docker network ls --filter label=com.docker.compose.network=dms-network)
iptables -D FORWARD -i $DMS_BRIDGE -p tcp --dport 465 -j ACCEPT 2>/dev/null
iptables -I FORWARD 1 -i $DMS_BRIDGE -p tcp --dport 465 -j ACCEPT
    iptables -I FORWARD 1 -o $WAN_INTERFACE -p tcp --sport 465 -j ACCEPT
iptables -t nat -I POSTROUTING 1 -s $DMS_SUBNET -o $WAN_INTERFACE -j MASQUERADE
iptables -A FORWARD -i guest -o wan -j REJECT
iptables -A INPUT -i br-4e4eb4db3fbd -j ACCEPT
"""
BY_HAND = """
iptables -I FORWARD 1 -i br-4e4eb4db3fbd -p tcp --dport 465 -j ACCEPT
iptables -I FORWARD 1 -o pppoe-wan -p tcp --sport 465 -j ACCEPT
iptables -t nat -I POSTROUTING 1 -s 172.18.0.0/16 -o pppoe-wan -j MASQUERADE
"""


def lines(text: str, folder: Path) -> list[int]:
    path = folder / "firewall.user"
    path.write_text(text)
    return [int(warning.split()[2].rstrip(":")) for warning in predecessors(path)]


def test_the_three_rules_of_the_script_are_named_and_no_others(tmp_path: Path) -> None:
    assert lines(SCRIPT, tmp_path) == [5, 6, 7]


def test_the_three_rules_by_hand_are_named(tmp_path: Path) -> None:
    assert lines(BY_HAND, tmp_path) == [2, 3, 4]


def test_a_file_that_has_nothing_to_do_with_docker_is_left_in_peace(tmp_path: Path) -> None:
    assert lines("iptables -I FORWARD -p tcp --sport 465 -s 172.18.0.0/16 -j ACCEPT\n", tmp_path) == []


@pytest.mark.parametrize("make", [lambda _: None, Path.mkdir, lambda path: path.write_bytes(b"\xff\0br-" + b"a" * 12)])
def test_no_file_and_an_odd_one_are_nothing_to_say(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / "firewall.user")
    assert predecessors(tmp_path / "firewall.user") == ()


def test_check_names_them_and_stays_content(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "dmsfw").write_text("config dmsfw 'main'\n")
    (tmp_path / "firewall.user").write_text(BY_HAND)
    assert main(["--config", str(tmp_path / "config" / "dmsfw"), "check"]) == 0
    out = capsys.readouterr().out
    assert "warning: firewall.user line 2: 'iptables -I FORWARD 1 -i br-4e4eb4db3fbd -p tcp --dport" in out
    assert (tmp_path / "firewall.user").read_text() == BY_HAND
