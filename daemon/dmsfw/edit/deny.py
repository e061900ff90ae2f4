"""`dmsfw deny`: a network may reach ports no more, and nobody else anything less. Pure.

1. All policies that give the ports have to let go of them; if one of them means other networks too, nothing is written.
2. A section that has no ports left goes as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dmsfw.config import settings_of, values
from dmsfw.config.uci import BLANKS, Section, parse
from dmsfw.config.wording import shown
from dmsfw.decide.grants import DNS, selects
from dmsfw.edit.change import Change, change
from dmsfw.edit.policies import gives, means_only
from dmsfw.edit.ports import both, without
from dmsfw.edit.sharing import way_out
from dmsfw.edit.steps import DropOption, DropSection, DropValue, SetOption, Step, SwapValue
from dmsfw.edit.wish import Wish
from dmsfw.errors import Refused
from dmsfw.model import PROTOS_WITH_PORTS, Policy, Ports, Settings, ports_text
from dmsfw.report.sentence import joined as listed
from dmsfw.report.text import clean


def deny(text: str, wish: Wish) -> Change:
    """Return the change of the configuration `text` after which no policy gives what is wished away.

    Raises: SettingsError for a configuration that cannot be used; Refused when nothing gives it, and when it cannot be
    taken from this network alone: with a line for each section, and what to do about it.
    """
    settings = settings_of(text)
    givers = [one for one in settings.active if _gives(one, wish)]
    if not givers:
        raise Refused(_nothing_gives(settings, wish))
    if problems := [problem for policy in givers for problem in _problems(policy, wish)]:
        raise Refused("\n".join(problems))
    sections = {section.name: section for section in parse(text).sections}
    left = {policy.name: _left(policy, wish) for policy in givers}
    steps = [step for one in givers for step in _steps(one, left[one.name], sections[one.name], wish)]
    drops = [DropSection(one.name) for one in reversed(givers) if left[one.name] is None]
    policies = [left.get(one.name, one) for one in settings.policies]
    kept = [policy for policy in policies if policy is not None]
    return change(text, settings, [*steps, *drops], kept)


def _gives(policy: Policy, wish: Wish) -> bool:
    """Tell whether a policy gives any of it. Without ports and protocol, everything counts, ping too."""
    if not selects(policy, wish.network):
        return False
    whole = not wish.ports and wish.proto is None
    return whole or gives(policy, wish.ports, PROTOS_WITH_PORTS if wish.proto is None else (wish.proto,))


def _nothing_gives(settings: Settings, wish: Wish) -> str:
    names = [f"egress {shown(one.name)}" for one in settings.policies if not one.enabled and _gives(one, wish)]
    note = f"; {listed(names)} would, and {'are' if names[1:] else 'is'} switched off" if names else ""
    return f"no policy lets {clean(wish.network.name)} reach {wish.text}{note}"


def _problems(policy: Policy, wish: Wish) -> Iterator[str]:
    """Why a policy cannot let go of what is wished away, and nothing else."""
    head, name = f"egress {shown(policy.name)}", clean(wish.network.name)
    if not means_only(policy, wish.network, wish.others):
        yield f"{head} {way_out(policy, wish)}"
    elif wish.proto is not None and (set(policy.protos) != {wish.proto} or (policy.dns and _is_of_dns(wish))):
        yield f"{head} is for {_what(policy)} together: leave --proto out, or edit it by hand"
    elif wish.ports and not policy.ports and policy.protos != ("icmp",):
        yield f"{head} allows every port: deny {name} as a whole, or edit it by hand"
    elif wish.ports and policy.dns and not _is_of_dns(wish) and not without(policy.ports, wish.ports):
        yield f"{head} has no other port, and allows DNS too: deny {name} as a whole"


def _what(policy: Policy) -> str:
    return listed([*policy.protos, *(["DNS"] if policy.dns else [])])


def _is_of_dns(wish: Wish) -> bool:
    """Tell whether the wish is about what `option dns` allows, which is udp and tcp in one."""
    return not wish.ports or bool(both(DNS, wish.ports))


def _left(policy: Policy, wish: Wish) -> Policy | None:
    """What stays of a policy; None when nothing does."""
    ports = without(policy.ports, wish.ports) if wish.ports else ()
    if not ports and not (wish.ports and policy.protos == ("icmp",)):
        return None
    return replace(policy, ports=ports, dns=policy.dns and not _is_of_dns(wish))


def _steps(policy: Policy, left: Policy | None, section: Section, wish: Wish) -> Iterator[Step]:
    if left is None:
        return
    if left.dns != policy.dns:
        yield DropOption(section.name, "dns")
    if left.ports != policy.ports:
        yield from _port_steps(section, wish.ports)


def _port_steps(section: Section, gone: Ports) -> Iterator[Step]:
    """Take ports out of every value that has some of them."""
    option = section.options["dest_port"]
    texts = option.values if option.is_list else option.values[0].split()
    kept = {text: without(values.ports(text), gone) for text in texts}
    if not option.is_list:
        left = " ".join(_as_written(text, ports) for text, ports in kept.items() if ports)
        yield SetOption(section.name, option.name, left.strip(BLANKS))
        return
    for text, ports in kept.items():
        if not ports:
            yield DropValue(section.name, option.name, text)
        elif ports != values.ports(text):
            yield SwapValue(section.name, option.name, text, ports_text(ports))


def _as_written(text: str, ports: Ports) -> str:
    return text if values.ports(text) == ports else ports_text(ports)
