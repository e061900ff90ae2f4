"""Names of OpenWrt's packages, by what is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dmsfw.enforce.packages import LIBRARIES, MODULES, extensions, install, modules
from dmsfw.enforce.render import RuleSpec, render
from dmsfw.model import PROTOS, PROTOS_WITH_PORTS, PortRange
from tests.unit.enforce_support import grant

PLAIN = RuleSpec(4, "filter", "DMSFW-FORWARD", "ACCEPT", proto="tcp")
PORTS = (PortRange(25, 25),)
PORTS_OF = {proto: PORTS if proto in PROTOS_WITH_PORTS else () for proto in PROTOS}


@pytest.mark.parametrize(
    ("spec", "used"),
    [
        (PLAIN, ()),
        (replace(PLAIN, ports=PORTS), ("tcp",)),
        (replace(PLAIN, ports=PORTS, proto="udp"), ("udp",)),
        (replace(PLAIN, ports=PORTS, multiport=True), ("multiport",)),
        (replace(PLAIN, states=("NEW",), comment="why"), ("conntrack", "comment")),
        (replace(PLAIN, table="nat", target="MASQUERADE"), ("MASQUERADE",)),
        (replace(PLAIN, target="DMSFW-FORWARD"), ()),
    ],
)
def test_a_rule_uses_what_it_says(spec: RuleSpec, used: tuple[str, ...]) -> None:
    assert extensions(spec) == used


def test_for_all_that_our_rules_use_a_package_is_known() -> None:
    grants = [replace(grant(), proto=proto, ports=ports) for proto, ports in PORTS_OF.items()]
    used = {name for specs in render(grants).values() for spec in specs for name in extensions(spec)}
    assert used
    assert used <= set(MODULES)


def test_the_packages_are_named_once_each_for_what_the_kernel_does_not_know() -> None:
    spec = replace(PLAIN, ports=PORTS, states=("NEW",), comment="why")
    assert modules([spec, spec], frozenset()) == ("kmod-ipt-conntrack", "kmod-ipt-core")
    assert modules([spec], {"tcp", "comment"}) == ("kmod-ipt-conntrack",)
    assert modules([spec], {"tcp", "comment", "conntrack", "other"}) == ()
    assert modules([], frozenset()) == ()


def test_how_they_are_installed_is_one_line() -> None:
    assert install(["a", "b"]) == "on OpenWrt: opkg install a b"
    assert install(["a"], anew=True) == "on OpenWrt: opkg install --force-reinstall a"


def test_no_name_has_the_number_of_an_abi() -> None:
    assert {name for name in LIBRARIES.values() if name[-1].isdigit()} == {"libiptext6"}
