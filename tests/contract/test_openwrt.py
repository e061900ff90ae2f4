"""python-iptables on a router laid out like OpenWrt's: what has to be done before it works, on the real kernel."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from dmsfw.enforce import library
from dmsfw.enforce.iptables import Iptables
from dmsfw.enforce.render import TABLES
from dmsfw.model import Grant, PortRange
from tests.contract.benches import KernelBench, own_rules, save
from tests.contract.router import HIDDEN, HOME, Router

ONCE_EACH = [
    "init_extensions ip_tables first",
    "init_extensions4 ip_tables behind-others",
    "init_extensions6 ip6_tables behind-others",
]

PATCHED = """
import ctypes.util, glob, os
def find_library(name):
    for folder in ("/lib", "/usr/local/lib", "/usr/lib"):
        for path in (f"{folder}/{name}", *glob.glob(f"{folder}/lib{name}.so"), *glob.glob(f"{folder}/lib{name}.so.*")):
            if os.path.isfile(path):
                return os.path.basename(path)
ctypes.util.find_library = find_library
"""
"""What OpenWrt's Python has in that place."""

GRANTS = """
from ipaddress import ip_network
from dmsfw.enforce import Iptables
from dmsfw.model import Grant, PortRange
def grant(subnet, *ports):
    ranges = tuple(PortRange(port, port) for port in ports)
    return Grant("dms-network", "br-4e4eb4db3fbd", ip_network(subnet), "pppoe-wan", "tcp", ranges, whys=("a reason",))
grants = [grant("172.18.0.0/16", 465), grant("172.18.0.0/16", 25, 587), grant("fd00:18::/64", 465, 993)]
"""

CONVERGE = GRANTS + "assert Iptables.of_this_host().converge(grants)\n"

TELL = """
from dmsfw.enforce import library
from dmsfw.errors import TableRefused
def tell():
    try:
        return library.load().__name__
    except TableRefused as error:
        return str(error)
"""


def grant(subnet: str, *ports: int) -> Grant:
    ranges = tuple(PortRange(port, port) for port in ports)
    return Grant("dms-network", "br-4e4eb4db3fbd", ip_network(subnet), "pppoe-wan", "tcp", ranges, whys=("a reason",))


GRANTED = [grant("172.18.0.0/16", 465), grant("172.18.0.0/16", 25, 587), grant("fd00:18::/64", 465, 993)]


@pytest.fixture
def router(tmp_path: Path, kernel: KernelBench) -> Router:  # noqa: ARG001 - its network namespace
    library.load()  # it tells where the libraries of this machine are
    return Router(tmp_path / "router")


def in_kernel() -> list[str]:
    return [line for key in TABLES for line in own_rules(save(key).splitlines()) if line.startswith("-A")]


@pytest.mark.parametrize("prelude", ["", PATCHED], ids=["plain Python", "OpenWrt's find_library"])
def test_rules_are_written_where_nothing_but_libiptext_has_the_extensions(
    router: Router, kernel: KernelBench, prelude: str
) -> None:
    done = router.python(prelude + CONVERGE)
    assert (done.code, done.errors) == (0, "")
    assert router.record() == ONCE_EACH
    written = in_kernel()
    assert len([line for line in written if "--dport 465 " in line]) == 2  # filter and nat
    assert len([line for line in written if "multiport" in line]) == 4  # both of them, for both families
    assert len([line for line in written if line.endswith("-j MASQUERADE")]) == 3
    assert not Iptables(kernel.tables).converge(GRANTED)  # to the byte what this machine's own iptables would write


def test_the_layout_has_nothing_that_helps(router: Router) -> None:
    done = router.python("import ctypes.util; print([ctypes.util.find_library(n) for n in ('c', 'xtables', 'ip4tc')])")
    assert done.output == "[None, None, None]\n"
    assert not (router.root / "usr/lib/iptables").exists()
    assert {path.name for path in (router.root / "usr/lib").glob("lib*.so*")} == {
        "libip4tc.so.2", "libip6tc.so.2", "libxtables.so.12", "libiptext.so", "libiptext4.so", "libiptext6.so"
    }  # fmt: skip


def test_the_extensions_are_registered_once_however_often_it_is_loaded(router: Router) -> None:
    again = "library.load.cache_clear()\n"
    done = router.python(f"{TELL}print(tell())\nprint(tell())\n{again}print(tell())\n")
    assert (done.code, done.output.split()) == (0, ["iptc"] * 3), done
    assert router.record() == ONCE_EACH


def test_find_library_is_left_as_it_was(router: Router) -> None:
    done = router.python(f"{PATCHED}{TELL}tell()\nprint(ctypes.util.find_library is find_library)")
    assert done.output == "True\n"


def test_the_half_that_is_done_is_not_done_again_when_the_rest_can_be(router: Router) -> None:
    """A library without its function ends the first attempt between two calls; the second one goes on there."""
    program = (
        f"{TELL}import os\nwrong = '/{HOME}/shim/libiptext4.so'\n"
        "os.symlink('/usr/lib/libip4tc.so.2', wrong)\nprint(tell())\nos.unlink(wrong)\nprint(tell())\n"
    )
    done = router.python(program + CONVERGE)
    assert done.code == 0, done
    refused, loaded = done.output.splitlines()
    assert "undefined symbol: init_extensions4 (on OpenWrt: opkg install --force-reinstall libiptext)" in refused
    assert loaded == "iptc"
    assert router.record() == ONCE_EACH
    assert len(in_kernel()) > 4


def test_an_extension_that_is_not_in_the_library_is_named_and_registered_ones_are_not_again(router: Router) -> None:
    router.remove(f"{HIDDEN}/libxt_multiport.so")
    done = router.python(f"{TELL}print(tell())\nprint(tell())\n")
    said = "python-iptables cannot be used: the extension multiport is missing (on OpenWrt: opkg install libiptext)"
    assert done.output.splitlines() == [said, said]
    assert router.record() == ONCE_EACH


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (["libip4tc.so.2"], "libip4tc is missing (on OpenWrt: opkg install libip4tc)"),
        (
            ["libip6tc.so.2", "libxtables.so.12"],
            "libxtables, libip6tc are missing (on OpenWrt: opkg install libxtables libip6tc)",
        ),
        (["libiptext.so"], "libiptext is missing (on OpenWrt: opkg install libiptext)"),
        (["libiptext4.so"], "libiptext4 is missing (on OpenWrt: opkg install libiptext)"),
        (
            ["libiptext.so", "libiptext4.so", "libiptext6.so"],
            "the extensions of iptables are missing (on OpenWrt: opkg install libiptext)",
        ),
    ],
)
def test_what_is_missing_is_named_by_its_package_and_nothing_is_registered(
    router: Router, gone: list[str], said: str
) -> None:
    router.remove(*(f"usr/lib/{name}" for name in gone))
    assert router.python(f"{TELL}print(tell())").output == f"python-iptables cannot be used: {said}\n"
    assert router.record() == []


def test_what_was_missing_and_is_installed_is_taken_without_a_restart(router: Router) -> None:
    program = "import os\nos.rename('/usr/lib/libip6tc.so.2', '/tmp/away')\nprint(tell())\n"
    done = router.python(f"{TELL}{program}os.rename('/tmp/away', '/usr/lib/libip6tc.so.2')\n{CONVERGE}")
    assert done.code == 0, done
    assert "opkg install libip6tc" in done.output
    assert router.record() == ONCE_EACH
    assert len(in_kernel()) > 4


def test_a_router_without_ipv6_extensions_writes_both_families(router: Router, kernel: KernelBench) -> None:
    router.remove("usr/lib/libiptext6.so")
    done = router.python(CONVERGE)
    assert (done.code, done.errors) == (0, "")
    assert router.record() == ONCE_EACH[:2]
    assert not Iptables(kernel.tables).converge(GRANTED)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        (f"{HOME}/shim/libxtwrapper.so", "dmsfw"),
        ("usr/lib/libip4tc.so.2", "libip4tc"),
        ("usr/lib/libxtables.so.12", "libxtables"),
        ("usr/lib/libiptext6.so", "libiptext6"),
    ],
)
@pytest.mark.parametrize("kept", [64, 4096])
def test_a_library_that_a_full_flash_cut_off_is_said_in_one_line_and_loaded_by_nobody(
    router: Router, name: str, package: str, kept: int
) -> None:
    path = router.root / name
    path.write_bytes(path.read_bytes()[:kept])
    said = (
        f"python-iptables cannot be used: /{name} is not whole (on OpenWrt: opkg install --force-reinstall {package})"
    )
    done = router.python(f"{TELL}print(tell())")
    assert (done.code, done.output) == (0, f"{said}\n")


def test_a_missing_libxtwrapper_is_named(router: Router) -> None:
    router.remove(f"{HOME}/shim/libxtwrapper.so")
    assert "libxtwrapper is missing" in router.python(f"{TELL}print(tell())").output


def test_a_library_for_another_processor_is_passed_over(router: Router) -> None:
    head = bytearray((router.root / "usr/lib/libip4tc.so.2").read_bytes())
    head[18:20] = b"\x08\x00"  # MIPS
    (router.root / HOME / "shim/libip4tc.so.2").write_bytes(head)
    assert router.python(f"{TELL}print(tell())").output == "iptc\n"
