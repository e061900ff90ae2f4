"""What a valid configuration allows beyond what its owner may have meant. Only sections that are switched on."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from dmsfw.config.wording import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dmsfw.model import Policy, Settings

LOUD = "LOOK OUT: "
COMPOSE = "com.docker.compose."
NETWORK = f"{COMPOSE}network"
PROJECT = f"{COMPOSE}project"

ANY_NAMES = ("dms-network", "x", "B7_y.z", "0nline_default", "web_default", "host-9")
"""Names with little in common: a glob that takes them all takes every network."""

DEFAULT_NAMES = ("web_default", "0nline_default", "b7-y_default")
"""Networks that Compose makes for projects that ask for none."""


def advice(settings: Settings) -> tuple[str, ...]:
    """Return the warnings that `dmsfw check` adds; the loud ones begin with `LOUD`."""
    return tuple(
        f"{LOUD if loud else ''}egress {shown(policy.name)}: {text}"
        for policy in settings.active
        for loud, text in (*_of_labels(policy), *_of_names(policy))
    )


def _of_labels(policy: Policy) -> Iterator[tuple[bool, str]]:
    labels = dict(policy.labels)
    if not labels or labels.get(PROJECT):
        return
    name = labels.get(NETWORK)
    if all(key.startswith(COMPOSE) and value is None for key, value in labels.items()):
        yield True, f"label {shown(next(iter(labels)))} without a value selects every network of every Compose project"
    elif name == "default":
        yield True, f"label '{NETWORK}=default' selects a network of nearly every Compose project; {_ADD_PROJECT}"
    elif name is not None:
        yield False, f"label {shown(f'{NETWORK}={name}')} may be claimed by any Compose project; {_ADD_PROJECT}"


_ADD_PROJECT = f"add list label '{PROJECT}=NAME' to mean one"


def _of_names(policy: Policy) -> Iterator[tuple[bool, str]]:
    if _takes(policy, ANY_NAMES):
        yield True, f"network {_globs(policy)} selects every bridge network, also those that are yet to come"
    elif _takes(policy, DEFAULT_NAMES):
        yield True, f"network {_globs(policy)} selects the default network of every Compose project"


def _takes(policy: Policy, names: tuple[str, ...]) -> bool:
    return all(any(fnmatchcase(name, glob) for glob in policy.networks) for name in names)


def _globs(policy: Policy) -> str:
    return " ".join(shown(glob) for glob in policy.networks[:3])
