"""The package: what is in it, and a router's life with it, from the installation to the removal."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmsfw import __version__
from tests.e2e.support import SHIPPED, field_network, ours, world
from tests.initd.openwrt import OpenWrt
from tests.initd.opkg import Archive, Opkg, build
from tests.lab import SERVER, paths

PYTHONS = sorted(paths.ROOT.glob(".venv/py3.*/bin/python"), key=lambda path: int(path.parts[-3].partition(".")[2]))
HOME = "/usr/lib/dmsfw"
# fmt: off
ELSEWHERE = [
    "_curses", "_curses_panel", "_dbm", "_elementtree", "_gdbm", "_hashlib", "_lzma", "_multiprocessing",
    "_sqlite3", "_ssl", "cgi", "cgitb", "curses", "dbm", "distutils", "doctest", "ensurepip", "lib2to3", "lzma",
    "multiprocessing", "pip", "pkg_resources", "pydoc", "pydoc_data", "pyexpat", "readline", "setuptools",
    "sqlite3", "venv", "xml", "xmlrpc",
]
# fmt: on
"""Modules of those of OpenWrt's Python packages (22.03, 23.05, 24.10) that ours does not depend on."""
APPLY = f"""
import runpy, sys
class Lacking:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in {ELSEWHERE}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Lacking())
sys.argv = ["dmsfw", "apply"]
runpy.run_path("{HOME}/start.py", run_name="__main__")
"""
RULE = "-i {bridge} -o pppoe-wan"


@pytest.fixture(scope="module", params=[PYTHONS[0], PYTHONS[-1]], ids=lambda path: path.parts[-3])
def openwrt(request: pytest.FixtureRequest, _compiled: None) -> Iterator[OpenWrt]:
    """A router whose Python is the oldest, then one whose Python is the newest that runs here."""
    with OpenWrt(request.param) as lab:
        lab.compose("up", "-d")
        yield lab


@pytest.fixture
def opkg(openwrt: OpenWrt) -> Iterator[Opkg]:
    """The package manager; nothing is installed before and after."""
    opkg = Opkg(openwrt)
    yield opkg
    if opkg.listed():
        openwrt.sh("ls /usr/lib/dmsfw/whole || touch /usr/lib/dmsfw/whole")
        opkg.remove()
    openwrt.sh("rm -rf /etc/config/dmsfw* /run/standins/* /usr/lib/dmsfw")


def install(opkg: Opkg, archive: Archive) -> OpenWrt:
    """Install it and wait until the port is open."""
    done = opkg.install(archive)
    assert done is not None
    assert (done.returncode, done.stderr) == (0, "")
    opkg.router.wait(lambda: opkg.router.connect("app", SERVER, 465) == "open", "the open port")
    return opkg.router


def bytecode(router: OpenWrt) -> list[str]:
    return router.sh(f"find {HOME} -name '*.pyc' -o -name __pycache__").stdout.split()


# What is in it


def test_two_builds_are_the_same_byte_for_byte(package: Path, tmp_path: Path) -> None:
    """Another folder, another Python, another time zone, another mask, and libxtwrapper compiled anew."""
    again = build(tmp_path, PYTHONS[-1], TZ="Asia/Shanghai", ZIG_VERBOSE="", LC_ALL="C")
    assert again.name == package.name == f"dmsfw_{__version__}_all.ipk"
    assert again.read_bytes() == package.read_bytes()


def test_the_outer_archive_is_what_opkg_reads(archive: Archive) -> None:
    assert archive.names == ["./debian-binary", "./data.tar.gz", "./control.tar.gz"]
    assert archive.parts["./debian-binary"] == b"2.0\n"
    assert archive.control("conffiles") == "/etc/config/dmsfw\n"


def test_every_member_is_roots_and_writable_by_root_alone(archive: Archive) -> None:
    for member in archive.members:
        assert (member.uid, member.gid, member.isfile() or member.isdir()) == (0, 0, True)
        assert member.mode in {0o644, 0o755}
    programs = {name for name, member in archive.files.items() if member.mode & stat.S_IXUSR}
    helpers = {f"{HOME}/bytecode", f"{HOME}/includes"}
    assert programs == {"/etc/init.d/dmsfw", "/usr/bin/dmsfw", "/usr/libexec/rpcd/dmsfw", *helpers}


def test_the_mark_of_a_whole_installation_is_unpacked_last(archive: Archive) -> None:
    assert list(archive.files)[-1] == f"{HOME}/whole"


def test_a_jump_is_unpacked_behind_what_it_leads_to(archive: Archive) -> None:
    included = [name.split("/")[4] for name in archive.files if name.startswith("/usr/share/nftables.d/")]
    assert included == ["table-pre", "chain-post", "chain-pre"]


def test_it_depends_on_packages_that_all_three_releases_have_and_on_no_iptables(archive: Archive) -> None:
    fields = archive.fields()
    assert fields["Version"] == __version__
    assert fields["Architecture"] == "all"
    depends = fields["Depends"].split(", ")
    assert all(name.startswith("python3-") for name in depends)
    assert "python3-distutils" not in depends


def test_the_feed_recipe_depends_on_the_same(archive: Archive) -> None:
    recipe = (paths.ROOT / "init.d/package/Makefile").read_text()
    assert re.findall(r"\+(python3-[a-z]+)", recipe) == archive.fields()["Depends"].split(", ")


def test_only_sources_come_with_it_and_each_library_with_its_licence(archive: Archive) -> None:
    names = list(archive.files)
    assert not [name for name in names if name.endswith((".pyc", ".pyi")) or "__pycache__" in name]
    libraries = {name.split("/")[5].removesuffix(".py") for name in names if name.startswith(f"{HOME}/python/")}
    licensed = {name.split("/")[5] for name in names if name.startswith(f"{HOME}/licences/")}
    own = {"certifi", "idna", "typing_extensions"}
    aliases = {"pyasyncore": "asyncore", "python-iptables": "iptc"}
    assert libraries - own == {aliases.get(name, name) for name in licensed}


def test_nothing_of_the_machine_that_built_it_is_in_it(archive: Archive) -> None:
    for name in archive.files:
        assert str(paths.ROOT).encode() not in archive.content(name), name


@pytest.mark.parametrize(
    ("folder", "bits", "machine"),
    [("x86_64", 2, 62), ("aarch64", 2, 183), ("armv7", 1, 40)],
    ids=str,
)
def test_libxtwrapper_is_there_for_three_processors(archive: Archive, folder: str, bits: int, machine: int) -> None:
    """The header of an ELF file: word length at byte 4, machine at byte 18; and no library but musl's own."""
    content = archive.content(f"{HOME}/shim/{folder}/libxtwrapper.so")
    assert content[:4] == b"\x7fELF"
    assert (content[4], content[18]) == (bits, machine)
    assert set(re.findall(rb"lib[a-z0-9_]+\.so[0-9.]*", content)) <= {b"libc.so", b"libxtwrapper.so"}


# A router's life with it


def test_installing_opens_what_the_shipped_configuration_allows(opkg: Opkg, archive: Archive) -> None:
    router = install(opkg, archive)
    assert router.connect("app", SERVER, 587) == "refused"
    assert router.run(["dmsfw", "--version"]).stdout == f"dmsfw {__version__}\n"
    assert router.run(["dmsfw", "check"]).returncode == 0
    router.wait(lambda: router.initd("status", check=False).returncode == 0)
    assert "enable" in router.path("/run/standins/calls").read_text().split("\n")


def test_it_runs_with_its_own_modules_and_pythons_alone(opkg: Opkg, archive: Archive) -> None:
    router = install(opkg, archive)
    pid = router.path("/run/standins/pid").read_text().strip()
    words = router.run(["cat", f"/proc/{pid}/cmdline"]).stdout.split("\0")
    assert words[1:4] == ["-I", "-S", "-B"]
    mapped = router.run(["cat", f"/proc/{pid}/maps"]).stdout
    assert f"{HOME}/shim/" in mapped
    assert "site-packages" not in mapped


def test_a_pass_needs_no_module_of_a_package_that_it_does_not_depend_on(opkg: Opkg, archive: Archive) -> None:
    router = install(opkg, archive)
    router.initd("stop")
    assert ours(router) == []
    router.run(["python3", "-I", "-S", "-B", "-c", APPLY])
    assert router.connect("app", SERVER, 465) == "open"
    router.run(["dmsfw", "clean"])


def test_bytecode_is_there_while_it_is_installed_and_nothing_is_added_by_running(opkg: Opkg, archive: Archive) -> None:
    router = install(opkg, archive)
    compiled = bytecode(router)
    sources = [name for name in archive.files if name.startswith(f"{HOME}/python/")]
    assert len([name for name in compiled if name.endswith(".pyc")]) == len(sources)
    router.run(["dmsfw", "status"], check=False)
    assert bytecode(router) == compiled


def test_installing_opens_nothing_before_a_policy_selects_a_network(opkg: Opkg, archive: Archive) -> None:
    router = opkg.router
    router.compose("down", "-t", "0")
    try:
        before = world(router)
        opkg.install(archive)
        router.wait_for_log("policy selects no network")
        assert world(router) == before
    finally:
        router.compose("up", "-d")


def test_an_upgrade_keeps_the_configuration_and_leaves_no_gap(opkg: Opkg, archive: Archive) -> None:
    router = install(opkg, archive)
    mine = SHIPPED.replace("'465'", "'465,587'")
    router.configure(mine)
    router.wait(lambda: router.connect("app", SERVER, 587) == "open")
    first = router.path("/run/standins/pid").read_text()
    router.put(f"{HOME}/python/dmsfw/gone.py", "")
    router.put(
        "/usr/lib/opkg/info/dmsfw.list", "".join(f"{n}\n" for n in {*opkg.listed(), f"{HOME}/python/dmsfw/gone.py"})
    )
    with router.watched(RULE.format(bridge=field_network(router).bridge)) as seen:
        done = opkg.install(archive)
        router.wait_for_log("started version=", times=2)
    assert done is not None
    assert done.stderr == ""
    assert set(seen) == {"there"}
    assert router.path("/run/standins/pid").read_text() != first
    assert router.path("/etc/config/dmsfw").read_text() == mine
    assert router.path("/etc/config/dmsfw-opkg").read_text() == SHIPPED
    assert not [name for name in bytecode(router) if "gone" in name]


def test_removing_leaves_no_rule_no_file_and_no_daemon(opkg: Opkg, archive: Archive) -> None:
    before = world(opkg.router)
    router = install(opkg, archive)
    pid = router.path("/run/standins/pid").read_text().strip()
    done = opkg.remove()
    assert (done.returncode, done.stderr) == (0, "")
    assert world(router) == before
    assert router.connect("app", SERVER, 465) == "refused"
    assert not router.path(f"/proc/{pid}").exists()
    left = router.sh(
        "find /usr /etc /lib /run -xdev -name '*dmsfw*' -not -path '/run/docker*' -not -path '*/compose/*'"
    )
    assert left.stdout.split() == []
    assert not router.path(HOME).exists()


def test_removing_keeps_a_configuration_that_was_changed(opkg: Opkg, archive: Archive) -> None:
    router = install(opkg, archive)
    router.configure("config dmsfw 'main'\n")
    opkg.remove()
    assert router.path("/etc/config/dmsfw").read_text() == "config dmsfw 'main'\n"
    assert ours(router) == []


# What can go wrong


def test_an_interrupted_installation_starts_nothing_and_says_what_to_do(opkg: Opkg, archive: Archive) -> None:
    router = opkg.router
    opkg.install(archive, interrupted_at=f"{HOME}/whole")
    done = router.initd("start", check=False)
    assert "dmsfw: it is not wholly installed: make room (df -h), then opkg install --force-reinstall" in done.stderr
    assert router.daemon_log() == ""
    assert ours(router) == []


def test_an_interrupted_upgrade_leaves_the_rules_and_starts_nothing(opkg: Opkg, archive: Archive) -> None:
    router = install(opkg, archive)
    opkg.install(archive, interrupted_at=f"{HOME}/python/structlog/__init__.py")
    assert router.connect("app", SERVER, 465) == "open"
    done = router.initd("start", check=False)
    assert "not wholly installed" in done.stderr
    assert router.initd("running", check=False).returncode != 0


def test_removing_what_an_interrupted_upgrade_left_says_how_the_rules_go(opkg: Opkg, archive: Archive) -> None:
    """Nothing is there that could remove them, and the script whose name was said is removed next."""
    router = install(opkg, archive)
    opkg.install(archive, interrupted_at=f"{HOME}/python/structlog/__init__.py")
    done = opkg.remove()
    assert "rules of dmsfw may be left: " in done.stderr
    assert done.stderr.endswith("or /etc/init.d/firewall restart\n")
    assert not router.path("/etc/init.d/dmsfw").exists()
    router.sh("fw3 restart")
    assert ours(router) == []


def test_a_flash_too_full_for_bytecode_keeps_none_and_works(opkg: Opkg, archive: Archive) -> None:
    router = opkg.router
    room = sum(-(-member.size // 4096) for member in archive.files.values()) * 4096 + 256 * 1024
    router.sh(f"mkdir -p {HOME} && mount -t tmpfs -o size={room} flash {HOME}")
    try:
        done = opkg.install(archive)
        assert done is not None
        assert done.stderr.splitlines()[0].startswith("dmsfw: Python could not compile it (no room? see df -h)")
        assert bytecode(router) == []
        router.wait(lambda: router.connect("app", SERVER, 465) == "open")
        assert "SyntaxWarning" not in router.daemon_log()
    finally:
        router.initd("stop")
        router.sh(f"umount -l {HOME}; rm -f /usr/lib/opkg/info/dmsfw.*")


@pytest.mark.parametrize(
    ("lack", "there", "said"),
    [
        ("/usr/lib/*/libip4tc.so.2*", "", "python-iptables cannot be used: libip4tc is missing"),
        ("/usr/lib/*/libip[46]tc.so.2*", "", "python-iptables cannot be used: libip4tc, libip6tc are missing"),
        ("/usr/lib/*/xtables", "", "python-iptables cannot be used: the extensions of iptables are missing"),
        ("/usr/lib/dmsfw/shim/*", "/sbin/fw4", "there is no libxtwrapper for this processor"),
    ],
    ids=["one library", "two libraries", "extensions", "processor"],
)
def test_what_the_router_lacks_is_one_line_and_nothing_starts(
    opkg: Opkg, archive: Archive, lack: str, there: str, said: str
) -> None:
    router = install(opkg, archive)
    router.initd("stop")
    router.sh("rm -f /run/standins/*")
    before = world(router)
    place = router.sh(f"for name in {lack}; do dirname $name; done").stdout.split()[0]
    router.sh(f"mkdir /run/away && mv {lack} /run/away/; touch /run/nothing {there}")
    try:
        done = router.initd("start", check=False)
        running = router.initd("running", check=False)
    finally:
        router.sh(f"mv /run/away/* {place}/; rm -rf /run/away /run/nothing {there}")
    assert done.stderr.startswith(f"dmsfw: {said} "), done
    assert done.stderr.count("\n") == 1
    assert running.returncode != 0
    assert world(router) == before


def test_without_python_one_line_says_so(opkg: Opkg, archive: Archive) -> None:
    install(opkg, archive)
    done = opkg.router.run(["/bin/sh", "-c", "PATH=/nowhere; . /usr/bin/dmsfw"], check=False)
    assert done.stderr == "dmsfw: python3 is missing: opkg update && opkg install python3-light\n"


def test_a_signal_while_python_loads_does_not_end_the_daemon(opkg: Opkg, archive: Archive) -> None:
    """Hotplug scripts send it at any time; its default is death."""
    router = install(opkg, archive)
    router.initd("stop")
    router.sh("rm -f /run/standins/*")
    router.initd("start")
    pid = router.path("/run/standins/pid").read_text().strip()
    router.wait(lambda: "start.py" in router.run(["cat", f"/proc/{pid}/cmdline"]).stdout)
    router.sh(f"kill -HUP {pid}")
    router.wait_for_log("started version=")


def test_rpcd_is_answered_with_the_status_of_the_running_daemon(opkg: Opkg, archive: Archive) -> None:
    router = install(opkg, archive)
    router.wait(lambda: '"state": "in sync"' in router.run(["/usr/libexec/rpcd/dmsfw", "call", "status"]).stdout)
    router.initd("stop")
    assert '"state": "stopped"' in router.run(["/usr/libexec/rpcd/dmsfw", "call", "status"]).stdout
