"""Every section and option that there is: the one table by which names are known, help is written, documents held."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

from dmsfw.config import values

WIDTH = 100
"""Columns of `option_table`."""


class Known(NamedTuple):
    """One option. `default` is written as in the file; empty: nothing is preset, and `meaning` says what that does."""

    section: str
    name: str
    kind: str
    default: str
    allowed: str
    meaning: str


SECTIONS = {"dmsfw": "config dmsfw 'main'", "egress": "config egress 'NAME'    (any number; the name is yours)"}

OPTIONS = (
    Known("dmsfw", "enabled", "option", "1", values.BOOLEAN, "0 removes every rule; the daemon goes on and waits"),
    Known("dmsfw", "log_level", "option", "info", values.LEVEL, "what is logged: this and what is graver"),
    Known("dmsfw", "log_format", "option", "text", values.FORMAT, "one line of text or one JSON object per message"),
    Known("dmsfw", "docker_url", "option", "unix:///var/run/docker.sock", values.URL, "where Docker listens"),
    Known("dmsfw", "uplink", "list", "", values.INTERFACE,
          "the ways out, by logical interface; without uplink and uplink_device they are discovered"),
    Known("dmsfw", "uplink_device", "list", "", values.DEVICE, "the ways out, by device (hosts without netifd)"),
    Known("dmsfw", "resync_interval", "option", "60", values.SECONDS, "time between whole passes without any event"),
    Known("dmsfw", "metrics_file", "option", "", values.METRICS,
          "where metrics for Prometheus are written after each pass; without it nowhere"),
    Known("dmsfw", "backend", "option", "auto", values.BACKEND,
          "the firewall that the rules go into; auto: whichever filters here, both where both do"),
    Known("egress", "enabled", "option", "1", values.BOOLEAN, "0 switches the section off; it is checked all the same"),
    Known("egress", "label", "list", "", values.LABEL, "selects networks that bear all of these labels"),
    Known("egress", "network", "list", "", values.NETWORK, "selects networks whose name is one of these"),
    Known("egress", "proto", "list", "tcp", values.PROTO,
          "protocols; icmp takes no dest_port and stands alone, all stands alone with dest_port 'any'"),
    Known("egress", "dest_port", "list", "", values.PORTS, "ports that may be reached; must be said, except with icmp"),
    Known("egress", "dest_ip", "list", "", values.PREFIX, "where to; without it anywhere"),
    Known("egress", "uplink", "list", "", values.INTERFACE, "by these interfaces only; without it by those of main"),
    Known("egress", "dns", "option", "0", values.BOOLEAN, "1 allows udp and tcp 53 as well"),
    Known("egress", "masq", "option", "1", values.BOOLEAN,
          "1 masquerades what this section allows: IPv4, and of IPv6 only unique-local subnets"),
    Known("egress", "family", "option", "any", values.FAMILY, "one family of addresses, or both"),
)  # fmt: skip

NARROWING = frozenset(("dest_ip", "uplink", "family", "enabled"))
"""Options of `egress` without which a section allows more. A misspelt one is worth a louder word."""


def names(section: str) -> frozenset[str]:
    """Return the names of a section type's options."""
    return frozenset(option.name for option in OPTIONS if option.section == section)


def option_table() -> str:
    """Write the whole table as text of at most `WIDTH` columns."""
    lines: list[str] = []
    for section, heading in SECTIONS.items():
        lines += ["", heading] if lines else [heading]
        for option in OPTIONS:
            if option.section == section:
                lines += _rows(option)
    return "\n".join(lines)


def _rows(option: Known) -> list[str]:
    preset = f"default {option.default}" if option.default else "no default"
    head = f"  {option.kind:<6} {option.name:<15} {option.meaning} ({preset})"
    return [
        *textwrap.wrap(head, WIDTH, subsequent_indent=" " * 25, drop_whitespace=True),
        *textwrap.wrap(option.allowed, WIDTH, initial_indent=" " * 25, subsequent_indent=" " * 25),
    ]
