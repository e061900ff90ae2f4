"""Complete lines to paste into the router's shell, which give a network a policy of its own. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from dmsfw.edit.names import is_section_name, section_name
from dmsfw.edit.selection import selection
from dmsfw.errors import Refused
from dmsfw.model import PROTOS_WITH_PORTS, Network, Ports, Proto, ports_text
from dmsfw.report.hints import quoted
from dmsfw.report.text import clean

PACKAGE = "dmsfw"


def remedy(
    network: Network,
    ports: Ports,
    proto: Proto,
    name: str | None = None,
    *,
    networks: Sequence[Network] = (),
    taken: Collection[str] = (),
) -> tuple[str, ...]:
    """Return the lines that let `network` reach `ports` (not empty: never all of them) by `proto`, anywhere.

    They make a new section, called `name`, else after the network. It selects by Compose's project and network labels
    together where the network bears both, else by its name; never by id, bridge, subnet or address. Each line is one
    command for a root's busybox ash, foreign text in single quotes; the last one commits, and a running daemon takes
    it from there. The lines may be pasted twice.

    Args:
        network: as Docker has it.
        ports: single ones or ranges.
        proto: tcp, udp or sctp.
        name: the section's; None: made of the network's name.
        networks: all networks that Docker has, so that no other one is meant as well.
        taken: names of sections that are there, of `Settings.policies` say; a new one is found beside them.

    Raises: Refused, one line, where no lines would do: an internal network, one that cannot be told from another, a
        name that cannot be written, a protocol without ports.
    """
    if not ports or proto not in PROTOS_WITH_PORTS:
        raise Refused(f"{proto} {ports_text(ports)} is not opened by a line to paste: write the section by hand")
    if name is not None and not is_section_name(name):
        raise Refused(f"{clean(name)} is no name of a section: letters, digits and _, at most 64")
    section = section_name(network.name, taken) if name is None else name
    options = (*selection(network, networks).options, ("proto", proto), ("dest_port", ports_text(ports)))
    return (
        f"uci set {PACKAGE}.{section}=egress",
        *(f"uci add_list {PACKAGE}.{section}.{option}={quoted(value)}" for option, value in options),
        f"uci commit {PACKAGE}",
    )
