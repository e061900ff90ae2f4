"""How the package gets to a router, and that its recipe and its scripts agree with one another."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.initd.router import INITD
from tests.lab import paths

INSTALL = INITD / "package" / "install"
SCRIPTS = ("build", "install", "control/postinst", "control/prerm", "control/postrm")
RECORD = '#!/bin/sh\necho "${0##*/} $*" >>"$RECORD"\n'


@pytest.mark.parametrize("script", [*SCRIPTS, "../files/bytecode", "../files/dmsfw.launcher"])
def test_shellcheck_is_content_with_each_script(script: str) -> None:
    shellcheck = next(paths.ROOT.glob(".venv/*/bin/shellcheck"))
    done = subprocess.run([shellcheck, INITD / "package" / script], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_installing_over_ssh_shows_first_what_it_will_do_and_does_just_that(tmp_path: Path) -> None:
    record = tmp_path / "record"
    for program in ("ssh", "scp"):
        (tmp_path / program).write_text(RECORD)
        (tmp_path / program).chmod(0o755)
    package = tmp_path / "dmsfw_1_all.ipk"
    package.touch()
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "RECORD": str(record)}
    done = subprocess.run(
        [INSTALL, "root@192.0.2.1", package], env=environment, capture_output=True, text=True, check=True
    )
    copied, installed = record.read_text().splitlines()
    assert copied == f"scp -O {package} root@192.0.2.1:/tmp/dmsfw_1_all.ipk"
    assert installed.startswith("ssh root@192.0.2.1 opkg update; opkg install /tmp/dmsfw_1_all.ipk && ")
    shown = done.stdout.replace("'", "").splitlines()
    assert [line.strip() for line in shown[1:3]] == [copied, installed]


@pytest.mark.parametrize("arguments", [(), ("root@192.0.2.1",), ("root@192.0.2.1", "nowhere.ipk")])
def test_without_host_or_package_nothing_is_done(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([INSTALL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "make " in done.stderr


def test_every_file_of_the_repository_that_lands_is_in_the_table_of_places() -> None:
    layout = (INITD / "package/builder/layout.py").read_text()
    for path in (INITD / "files").iterdir():
        assert f'"files/{path.name}"' in layout, path.name


def test_the_launcher_and_the_package_name_the_same_packages_of_python() -> None:
    start, layout = (INITD / "files/start.py").read_text(), (INITD / "package/builder/layout.py").read_text()
    for line in layout.partition("DEPENDS = (")[2].partition("\n)")[0].split():
        assert line.strip('",') == "python3-light" or line.rstrip(",") in start
