"""One `egress` section -> Policy. Sections that are switched off are held to the same rules: none surprises later."""

from __future__ import annotations

from ipaddress import ip_interface
from typing import TYPE_CHECKING

from dmsfw.config import values
from dmsfw.config.wording import shown
from dmsfw.model import PROTOS_WITH_PORTS, Family, Policy, Ports, Proto, Subnet

if TYPE_CHECKING:
    from dmsfw.config.section import SectionReader

MAX_NAME = 64
"""Longest name of a section: it stands in every log line and in each rule's comment."""

ANY = f"'{values.ANY_PORT}'"

DEFAULT = Policy("default")
"""What an option is that is not given; the table of options is held against it."""


def policy(reader: SectionReader) -> Policy:
    """Read a section. What is wrong is noted in the reader; the policy is of use only if nothing was."""
    if len(reader.section.name) > MAX_NAME:
        reader.error(f"the name has {len(reader.section.name)} characters: {MAX_NAME} are allowed")
    protos = reader.many("proto", values.proto) if reader.has("proto") else DEFAULT.protos
    family = reader.one("family", values.family, default=DEFAULT.family)
    return Policy(
        name=reader.section.name,
        labels=reader.many("label", values.label),
        networks=_networks(reader),
        protos=protos,
        ports=_ports(reader, protos),
        destinations=_destinations(reader, family),
        uplinks=_uplinks(reader),
        dns=reader.one("dns", values.boolean, default=DEFAULT.dns),
        masq=reader.one("masq", values.boolean, default=DEFAULT.masq),
        family=family,
        enabled=reader.one("enabled", values.boolean, default=DEFAULT.enabled),
    )


def _networks(reader: SectionReader) -> tuple[str, ...]:
    if reader.lacks("label") and reader.lacks("network"):
        reader.error("has neither label nor network: name one, or it selects nothing")
    return reader.many("network", values.network)


def _uplinks(reader: SectionReader) -> tuple[str, ...]:
    _refuse_empty(reader, "uplink", values.INTERFACE)
    return reader.many("uplink", values.interface)


def _refuse_empty(reader: SectionReader, name: str, allowed: str) -> None:
    """Note an empty value where "not given", which it is to UCI, would allow more than anything given."""
    option = reader.section.options.get(name)
    if option is not None and option.is_empty:
        reader.refuse(name, option.values[0], f"{allowed}; without one, take the line out")


def _ports(reader: SectionReader, protos: tuple[Proto, ...]) -> Ports:
    """Read the ports; `protos` empty: they were wrong themselves, so nothing is said about what belongs to them."""
    if len(protos) > 1 and (alone := [proto for proto in protos if proto not in PROTOS_WITH_PORTS]):
        reader.refuse("proto", " ".join(protos), f"{alone[0]} stands alone: give it a section of its own")
        return ()
    if protos == ("icmp",):
        if reader.has("dest_port"):
            reader.refuse("dest_port", reader.text("dest_port"), "proto 'icmp' has no ports: take the line out")
        return ()
    if reader.lacks("dest_port") and protos:
        reader.error(f"dest_port is missing: {f'say {ANY}' if protos == ('all',) else values.PORTS}")
    ports = _named_ports(reader)
    if ports and protos == ("all",):
        reader.refuse("dest_port", reader.text("dest_port"), f"with proto 'all' only {ANY}")
    return ports


def _named_ports(reader: SectionReader) -> Ports:
    lists = reader.many("dest_port", values.ports)
    if () in lists and len(lists) > 1:
        reader.refuse("dest_port", reader.text("dest_port"), f"{ANY} alone, or ports")
    return values.merged(port for ports in lists for port in ports)


def _destinations(reader: SectionReader, family: Family) -> tuple[Subnet, ...]:
    _refuse_empty(reader, "dest_ip", values.PREFIX)
    destinations = reader.many("dest_ip", lambda text: _destination(reader, text))
    for destination in destinations:
        if family not in {"any", f"ipv{destination.version}"}:
            reader.refuse("dest_ip", str(destination), f"family is {family}")
    return destinations


def _destination(reader: SectionReader, text: str) -> Subnet:
    subnet = values.prefix(text)
    if ip_interface(text).ip != subnet.network_address:
        reader.warn(f"dest_ip {shown(text)} means {subnet}, all of it")
    return subnet
