"""Asking the kernel: what is not there, and what is not permitted, is said in one line with what to do."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from dmsfw.enforce import sockopt
from dmsfw.enforce.render import TABLES, TableKey
from dmsfw.errors import TableRefused
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
    def forbidden(_: Path) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", forbidden)
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


PACKAGES = dict(zip(TABLES, ("kmod-ipt-nat", "iptables", "kmod-ipt-nat6", "ip6tables"), strict=True))


@pytest.mark.parametrize("key", TABLES, ids=lambda key: f"{key.command}-{key.name}")
def test_a_refusal_names_the_table_the_reason_and_the_package(key: TableKey) -> None:
    said = sockopt.refusal(key, "Invalid argument")
    assert said.startswith(f"{key.command} table {key.name}: Invalid argument ")
    assert said.endswith(f"opkg install {PACKAGES[key]})")
