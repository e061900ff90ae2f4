"""`dmsfw allow`: a network may reach ports that it could not, and nobody else anything more. Pure.

1. What is allowed already is not written again.
2. A section is added to when it means exactly this network, for the same protocol, without any limit; else there is a
   new one, behind all others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Final

from dmsfw.config import settings_of
from dmsfw.config.uci import BLANKS, Section, parse
from dmsfw.config.wording import shown
from dmsfw.edit.change import Change, change
from dmsfw.edit.names import is_section_name, section_name
from dmsfw.edit.policies import allowed, gives, means_only, reasons_against
from dmsfw.edit.ports import EVERY, both, count, joined, without
from dmsfw.edit.selection import Selection
from dmsfw.edit.steps import AddValue, NewSection, SetOption, Step
from dmsfw.edit.wish import Wish
from dmsfw.errors import Refused
from dmsfw.model import Policy, Ports, Proto, Settings, ports_text
from dmsfw.report.sentence import joined as listed
from dmsfw.report.text import clean

MANY: Final = 1024
"""Above so many ports at once, it is said how many they are: a range is typed faster than it is meant."""


def allow(text: str, wish: Wish) -> Change:
    """Return the change of the configuration `text` that grants the wish, whose ports and protocol are said.

    Raises: SettingsError for a configuration that cannot be used; Refused for what is allowed already, what no policy
    could open, and what would mean more than was said.
    """
    if wish.proto is None or not wish.ports:
        raise Refused("say which ports, and by which protocol")
    settings = settings_of(text)
    chosen = wish.selection()
    missing = _missing(settings, wish, wish.proto)
    sections = {section.name: section for section in parse(text).sections}
    policy = _policy_to_extend(settings, sections, wish, chosen)
    notes = tuple(_notes(settings, wish, wish.proto, missing))
    if policy is None:
        new = _new_policy(wish, chosen, missing, wish.proto, sections.keys())
        return change(text, settings, [_creation(new, chosen)], (*settings.policies, new), notes)
    more = replace(policy, ports=joined([policy.ports, missing]))
    policies = tuple(more if one is policy else one for one in settings.policies)
    return change(text, settings, [_extension(sections[policy.name], missing)], policies, notes)


def _missing(settings: Settings, wish: Wish, proto: Proto) -> Ports:
    """The ports that no policy gives yet. Raises: Refused when there are none."""
    missing = wish.ports
    givers = []
    for policy in settings.active:
        given = allowed(policy, wish.network, proto)
        if both(given, wish.ports):
            givers.append(f"egress {shown(policy.name)}")
        missing = without(missing, given)
    if not missing:
        raise Refused(f"{clean(wish.network.name)} may reach {wish.text} already, by {listed(givers)}")
    return missing


def _policy_to_extend(settings: Settings, sections: dict[str, Section], wish: Wish, chosen: Selection) -> Policy | None:
    """The policy that may be added to; None for a new one. Raises: Refused for a name that cannot be had."""
    against = {
        policy.name: next(reasons_against(policy, sections[policy.name], chosen, wish.proto or "tcp"), "")
        for policy in settings.policies
    }
    fit = [policy for policy in settings.policies if not against[policy.name]]
    if wish.name is None:
        return next(iter(fit), None)
    if not is_section_name(wish.name):
        raise Refused(f"{clean(wish.name)} is no name of a section: letters, digits and _, at most 64")
    if wish.name in sections and against.get(wish.name, "is no policy"):
        why = against.get(wish.name, "is no policy")
        raise Refused(f"section {shown(wish.name)} is there already and {why}: give another --name, or none")
    return next((policy for policy in fit if policy.name == wish.name), None)


def _new_policy(wish: Wish, chosen: Selection, missing: Ports, proto: Proto, taken: Collection[str]) -> Policy:
    name = wish.name or section_name(wish.network.name, taken)
    return replace(chosen.as_policy(name), protos=(proto,), ports=missing)


def _creation(new: Policy, chosen: Selection) -> Step:
    lists = (*chosen.options, *(("proto", proto) for proto in new.protos), ("dest_port", ports_text(new.ports)))
    return NewSection(new.name, "egress", lists)


def _extension(section: Section, missing: Ports) -> Step:
    """Ports as another list line, or behind those of the one `option`."""
    option = section.options["dest_port"]
    if option.is_list:
        return AddValue(section.name, option.name, ports_text(missing))
    return SetOption(section.name, option.name, f"{option.values[0].strip(BLANKS)},{ports_text(missing)}")


def _notes(settings: Settings, wish: Wish, proto: Proto, missing: Ports) -> Iterator[str]:
    if (opened := count(missing)) > MANY:
        every = ", which is every one" if missing == EVERY else ""
        yield f"this opens {opened:,} ports of {proto}{every}, to {clean(wish.network.name)}, wherever it connects to"
    if there := without(wish.ports, missing):
        yield f"{proto} {ports_text(there)} is allowed already"
    for policy in settings.policies:
        if not policy.enabled and means_only(policy, wish.network, wish.others) and gives(policy, missing, [proto]):
            yield f"egress {shown(policy.name)} would allow it too; it is switched off, and left so"
    if not settings.enabled:
        yield "dmsfw is switched off (option enabled '0' in section main): nothing is open until it is on again"
