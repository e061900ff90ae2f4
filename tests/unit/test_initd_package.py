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


@pytest.mark.parametrize("script", [*SCRIPTS, "../files/bytecode", "../files/includes", "../files/dmsfw.launcher"])
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


PACKAGE_MK = """
export SHOWN = $({name})
define BuildPackage
show: ; @printenv SHOWN
endef
"""


def recipe(folder: Path, name: str) -> str:
    """Return what OpenWrt's make gets for a definition in the feed recipe; its own files are empty here."""
    (folder / "rules.mk").touch()
    (folder / "package.mk").write_text(PACKAGE_MK.format(name=name))
    places = [f"{place}={folder}" for place in ("TOPDIR", "INCLUDE_DIR", "PKG_BUILD_DIR", "DL_DIR")]
    command = ["make", "-s", "-C", INITD / "package", *places, "show"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("name", "upgrade", "whole"),
    [("postinst", "0", True), ("prerm", "0", True), ("prerm", "1", False), ("postrm", "0", True)],
)
def test_the_scripts_of_the_feed_recipe_leave_it_whole_but_in_an_upgrade(
    tmp_path: Path, name: str, upgrade: str, *, whole: bool
) -> None:
    """OpenWrt's own part of prerm stops the service afterwards, which needs a whole dmsfw to remove the rules."""
    home = tmp_path / "dmsfw"
    home.mkdir()
    (home / "whole").touch()
    for program in ("bytecode", "includes"):
        (home / program).symlink_to("/bin/true")
    script = recipe(tmp_path, f"Package/dmsfw/{name}").replace("/usr/lib/dmsfw", str(home))
    script = script.replace("/var/run/dmsfw", str(tmp_path / "run"))
    done = subprocess.run(
        [paths.program("busybox"), "ash", "-c", script],
        env={"PATH": "/usr/bin:/bin", "PKG_UPGRADE": upgrade}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert (home / "whole").exists() is whole


@pytest.mark.parametrize("name", ["postinst", "postrm"])
def test_the_feed_recipe_has_rpcd_look_for_its_plugin_as_the_package_does(tmp_path: Path, name: str) -> None:
    assert "/etc/init.d/rpcd reload" in (INITD / "package/control" / name).read_text()
    assert "/etc/init.d/rpcd reload" in recipe(tmp_path, f"Package/dmsfw/{name}")


def test_the_feed_recipe_builds_anew_over_what_a_broken_build_left(tmp_path: Path) -> None:
    assert f"rm -rf {tmp_path}/root\n" in recipe(tmp_path, "Build/Compile")


def test_every_file_of_the_repository_that_lands_is_in_the_table_of_places() -> None:
    layout = (INITD / "package/builder/layout.py").read_text()
    for path in (path for path in (INITD / "files").rglob("*") if path.is_file()):
        assert f'"{path.relative_to(INITD)}"' in layout, path.name


def test_the_launcher_and_the_package_name_the_same_packages_of_python() -> None:
    start, layout = (INITD / "files/start.py").read_text(), (INITD / "package/builder/layout.py").read_text()
    for line in layout.partition("DEPENDS = (")[2].partition("\n)")[0].split():
        assert line.strip('",') == "python3-light" or line.rstrip(",") in start
