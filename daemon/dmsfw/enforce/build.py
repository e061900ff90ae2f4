"""A rule spec becomes the bytes of a rule, through python-iptables, which checks it.

A rule takes about 0.6 ms to build and never changes, so each is built once and only its bytes are kept. All values were
validated before they came here: a value that libxtables refuses is a fault of ours.
"""

from __future__ import annotations

from typing import Any

from dmsfw.enforce import library, sockopt
from dmsfw.enforce.packages import EXTENSIONS, install, modules
from dmsfw.enforce.render import RuleSpec, dports
from dmsfw.enforce.rule import EXTENSION, LAYOUTS, OFFSETS
from dmsfw.errors import TableRefused
from dmsfw.model import PROTOCOL_NUMBERS

STAND_IN = "ACCEPT"
"""Built in the place of a target that python-iptables cannot be asked for, which is then put there as bytes."""

MASQUERADE6 = EXTENSION.pack(72, b"MASQUERADE", 0) + bytes(40)
"""The whole target for IPv6: its head and an empty `struct nf_nat_range`. libxtables cannot be asked for it: since
iptables 1.8.8 it shares the file libxt_NAT with its IPv4 twin, and of that file only the address family in use when it
is first loaded gets registered (xtables_register_target); registering it again ends the process."""

NOT_FOUND = "can't find"
"""What python-iptables says of a match or target that libxtables does not give."""

MASK_BYTES = 16
"""IFNAMSIZ: an interface mask has as many bytes as a name."""


class Builder:
    """Builds rules and keeps their bytes for as long as they are wanted."""

    def __init__(self) -> None:
        self._built: dict[RuleSpec, bytes] = {}

    def raw(self, spec: RuleSpec) -> bytes:
        """The rule as `struct ip[6]t_entry` with matches and target. Raises: TableRefused."""
        if spec not in self._built:
            self._built[spec] = _build(spec)
        return self._built[spec]

    def keep_only(self, specs: set[RuleSpec]) -> None:
        """Forget all rules but these."""
        self._built = {spec: raw for spec, raw in self._built.items() if spec in specs}


def _build(spec: RuleSpec) -> bytes:
    iptc = library.load()
    rule = iptc.Rule() if spec.version == 4 else iptc.Rule6()  # noqa: PLR2004 - an address family
    try:
        _address(rule, spec)
        _matches(rule, spec)
        target = rule.create_target(STAND_IN if _hand_made(spec) else spec.target)
        for part in (*rule.matches, target):
            part._final_check()
        raw = bytes(rule.rule)
    except (iptc.IPTCError, iptc.xtables.XTablesError, ValueError, TypeError, AttributeError) as error:
        raise TableRefused(_fault(spec, str(error))) from error
    return _with_target(spec, raw) if _hand_made(spec) else raw


def _fault(spec: RuleSpec, error: str) -> str:
    """A match or target that is not found lacks the kernel's module, or else is not in the library."""
    if NOT_FOUND in error:
        lacking = modules([spec], sockopt.extensions(spec.version)) or (EXTENSIONS,)
        return f"{spec.key.command} table {spec.table} lacks what a rule uses: {error} ({install(lacking)})"
    return f"python-iptables refuses a rule: {error}: {spec.text}"


def _hand_made(spec: RuleSpec) -> bool:
    """Whether the target is put there as bytes.

    A jump is: asked for a chain, python-iptables would open every table to look for one.
    """
    return spec.target not in {"ACCEPT", "MASQUERADE"} or (spec.version == 6 and spec.target == "MASQUERADE")  # noqa: PLR2004


def _address(rule: Any, spec: RuleSpec) -> None:
    if spec.source is not None:
        rule.src = str(spec.source)
    if spec.destination is not None:
        rule.dst = str(spec.destination)
    if spec.proto:
        rule.protocol = str(PROTOCOL_NUMBERS[spec.proto])
    ip = rule.get_ip()
    for side, device in (("in", spec.in_device), ("out", spec.out_device)):
        if device:
            setattr(rule, f"{side}_interface", device)
            setattr(ip, f"{side}iface_mask", exact_mask(device))


def exact_mask(device: str) -> bytes:
    """The mask that compares the whole name and its NUL. python-iptables writes 0x01 for 0xff in IPv6 rules."""
    return (b"\xff" * (len(device) + 1)).ljust(MASK_BYTES, b"\0")


def _matches(rule: Any, spec: RuleSpec) -> None:
    if spec.ports and spec.multiport:
        rule.create_match("multiport").dports = dports(spec.ports)
    elif spec.ports:
        rule.create_match(spec.proto).dport = dports(spec.ports)
    if spec.states:
        rule.create_match("conntrack").ctstate = ",".join(spec.states)
    if spec.comment:
        rule.create_match("comment").comment = spec.comment


def _with_target(spec: RuleSpec, raw: bytes) -> bytes:
    target_at, _ = OFFSETS.unpack_from(raw, LAYOUTS[spec.version].offsets_at)
    size, _, revision = EXTENSION.unpack_from(raw, target_at)
    jump = EXTENSION.pack(size, spec.target.encode(), revision) + raw[target_at + EXTENSION.size :]
    target = MASQUERADE6 if spec.target == "MASQUERADE" else jump
    whole = bytearray(raw[:target_at] + target)
    OFFSETS.pack_into(whole, LAYOUTS[spec.version].offsets_at, target_at, len(whole))
    return bytes(whole)
