"""Which package of OpenWrt brings what is missing, by name. Pure.

The names stand in OpenWrt's sources: the libraries in package/network/utils/iptables/Makefile; the kernel's modules in
include/netfilter.mk, whose variable IPT_X lists what is in kmod-ipt-x (IPT_CORE, IPT_CONNTRACK, IPT_NAT, IPT_NAT6), but
IPT_IPV6 what is in kmod-ip6tables (package/kernel/linux/modules/netfilter.mk). All matches and targets of ours are
built into libiptext and libiptext4, both in the package libiptext; no iptables-mod-* is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from dmsfw.enforce.render import RuleSpec, TableKey

EXTENSIONS = "libiptext"
"""What holds the matches and targets, in user space."""

LIBRARIES = {
    "xtables": "libxtables",
    "ip4tc": "libip4tc",
    "ip6tc": "libip6tc",
    "iptext": EXTENSIONS,
    "iptext4": EXTENSIONS,
    "iptext6": "libiptext6",
    "xtwrapper": "dmsfw",
}
"""The libraries, as a linker would call them. opkg takes a name without the ABI's number (libip4tc for libip4tc2).
libxtwrapper is python-iptables's one piece of C, and comes with dmsfw."""

TABLES = {
    TableKey(4, "filter"): "kmod-ipt-core",
    TableKey(4, "nat"): "kmod-ipt-nat",
    TableKey(6, "filter"): "kmod-ip6tables",
    TableKey(6, "nat"): "kmod-ipt-nat6",
}
"""iptable_filter, iptable_nat, ip6table_filter, ip6table_nat. Not `iptables`, which can be the one for nftables."""

MODULES = {
    "tcp": "kmod-ipt-core",
    "udp": "kmod-ipt-core",
    "multiport": "kmod-ipt-core",
    "comment": "kmod-ipt-core",
    "conntrack": "kmod-ipt-conntrack",
    "MASQUERADE": "kmod-ipt-nat",
}
"""xt_tcpudp, xt_multiport, xt_comment, xt_conntrack, and xt_MASQUERADE, which is one for both address families."""


def extensions(spec: RuleSpec) -> tuple[str, ...]:
    """The matches and the target of a rule that a module of the kernel's has to know."""
    names = []
    if spec.ports:
        names.append("multiport" if spec.multiport else spec.proto)
    if spec.states:
        names.append("conntrack")
    if spec.comment:
        names.append("comment")
    if spec.target in MODULES:
        names.append(spec.target)
    return tuple(names)


def modules(specs: Iterable[RuleSpec], known: AbstractSet[str]) -> tuple[str, ...]:
    """The packages with what these rules use and the kernel does not know. `known`: its matches and targets."""
    lacking = {name for spec in specs for name in extensions(spec)} - known
    return tuple(sorted({MODULES[name] for name in lacking if name in MODULES}))


def install(packages: Iterable[str], *, anew: bool = False) -> str:
    """Say how they are installed; `anew` where they are there and broken."""
    return f"on OpenWrt: opkg install {'--force-reinstall ' if anew else ''}{' '.join(packages)}"
