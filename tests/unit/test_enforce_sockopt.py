"""Asking the kernel: what is not there, and what is not permitted, is said in one line with what to do."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from dmsfw.enforce import sockopt
from dmsfw.enforce.render import TABLES, RuleSpec, TableKey
from dmsfw.errors import TableRefused
from dmsfw.model import PortRange
from tests.unit.enforce_support import FILTER, FILTER6, NAT


def test_a_kernel_without_iptables_has_no_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sockopt, "NAMES", {4: tmp_path / "nowhere", 6: tmp_path / "nowhere"})
    assert not any(sockopt.exists(key) for key in TABLES)


def test_a_table_is_there_when_the_kernel_lists_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = tmp_path / "names"
    names.write_text("natter\nfilter\n")
    monkeypatch.setattr(sockopt, "NAMES", {4: names})
    assert sockopt.exists(FILTER)
    assert not sockopt.exists(NAT)


def test_a_list_that_may_not_be_read_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(sockopt.os, "open", forbidden)
    with pytest.raises(TableRefused, match=r"not permitted .* run dmsfw as root"):
        sockopt.exists(FILTER)


@pytest.mark.parametrize(
    ("code", "said"),
    [(errno.EPERM, "run dmsfw as root"), (errno.EAFNOSUPPORT, "ip6tables cannot be used here: Address family not")],
)
def test_a_socket_that_cannot_be_had_is_said(monkeypatch: pytest.MonkeyPatch, code: int, said: str) -> None:
    def refused(*_: object) -> None:
        raise OSError(code, "")

    monkeypatch.setattr(sockopt.socket, "socket", refused)
    with pytest.raises(TableRefused, match=said):
        sockopt.read(FILTER6)


PACKAGES = dict(zip(TABLES, ("kmod-ipt-nat", "kmod-ipt-core", "kmod-ipt-nat6", "kmod-ip6tables"), strict=True))
RULE = RuleSpec(4, "filter", "X", "ACCEPT", proto="tcp", ports=(PortRange(25, 25),), states=("NEW",), comment="why")


@pytest.fixture
def kernel_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, str], None]:
    """Make it look as if the kernel had these tables, and these matches and targets."""

    def has(tables: str, extensions: str) -> None:
        (tmp_path / "tables").write_text(tables)
        (tmp_path / "matches").write_text(extensions)
        monkeypatch.setattr(sockopt, "NAMES", dict.fromkeys((4, 6), tmp_path / "tables"))
        monkeypatch.setattr(sockopt, "EXTENSIONS", dict.fromkeys((4, 6), (tmp_path / "matches", tmp_path / "none")))

    return has


@pytest.mark.parametrize("key", TABLES, ids=lambda key: f"{key.command}-{key.name}")
def test_the_refusal_of_a_table_that_is_not_there_names_its_package(
    kernel_has: Callable[[str, str], None], key: TableKey
) -> None:
    kernel_has("raw\n", "")
    said = sockopt.refusal(key, "Invalid argument", [RULE])
    begin = f"{key.command} table {key.name}: Invalid argument "
    assert said == f"{begin}(is its kernel module there? on OpenWrt: opkg install {PACKAGES[key]})"


@pytest.mark.parametrize(
    ("extensions", "said"),
    [
        ("tcp\ncomment\nconntrack\n", " was not changed: ENOENT"),
        ("tcp\ncomment\n", ": ENOENT (is its kernel module there? on OpenWrt: opkg install kmod-ipt-conntrack)"),
        ("udp\n", ": ENOENT (is its kernel module there? on OpenWrt: opkg install kmod-ipt-conntrack kmod-ipt-core)"),
    ],
)
def test_the_refusal_of_a_rule_names_the_packages_of_what_the_kernel_does_not_know(
    kernel_has: Callable[[str, str], None], extensions: str, said: str
) -> None:
    kernel_has("filter\n", extensions)
    assert sockopt.refusal(FILTER, "ENOENT", [RULE]) == f"iptables table filter{said}"


def test_a_refusal_that_is_about_no_rule_names_no_package(kernel_has: Callable[[str, str], None]) -> None:
    kernel_has("filter\n", "")
    assert sockopt.refusal(FILTER, "Invalid argument") == "iptables table filter was not changed: Invalid argument"
