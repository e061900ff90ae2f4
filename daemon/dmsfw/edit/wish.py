"""What is wished: a network, its ports, and who else is there. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dmsfw.config import values
from dmsfw.config.wording import nearest
from dmsfw.edit.selection import Selection, by_name, selection
from dmsfw.errors import Refused
from dmsfw.model import Network, Ports, Proto, ports_text
from dmsfw.report.text import clean


@dataclass(frozen=True, slots=True)
class Wish:
    """Ports of a network. `networks`: all that Docker has; none when it was not asked, and `network` is but a name.

    `ports` empty, or `proto` None: all of them. `name`: what the section is to be called, by the user's word.
    """

    network: Network
    ports: Ports = ()
    proto: Proto | None = None
    name: str | None = None
    networks: tuple[Network, ...] = ()

    @property
    def others(self) -> tuple[Network, ...]:
        """The networks that are not meant."""
        return tuple(one for one in self.networks if one.id != self.network.id)

    @property
    def text(self) -> str:
        """What is wished, for a sentence: `tcp 465`, `port 465`, `anything`."""
        if not self.ports:
            return self.proto or "anything"
        return f"{self.proto or 'port'} {ports_text(self.ports)}"

    def selection(self) -> Selection:
        """How a section means this network and no other. Raises: Refused."""
        if self.networks:
            return selection(self.network, self.networks)
        if (found := by_name(self.network.name)) is None:
            raise Refused(f"{clean(self.network.name)} is no name of a network: {values.NETWORK}")
        return found


def the_network(name: str, networks: Sequence[Network]) -> Network:
    """Return the network of Docker's that is called so. Raises: Refused when there is none, or more than one."""
    found = [one for one in networks if one.name == name]
    if len(found) > 1:
        raise Refused(f"{len(found)} networks of Docker are called {clean(name)}: remove one, or rename it")
    if not found:
        hint = nearest(name, {one.name for one in networks})
        raise Refused(f"Docker has no network {clean(name)}, {hint} With --name-only it may come later")
    return found[0]


def ports_of_the_command(text: str) -> Ports:
    """Read what a command was given: single ports, ranges, lists. Raises: ValueError, which says what is allowed."""
    ports = values.ports(text)
    if not ports:
        raise values.NotAllowed(
            "ports by their numbers, 465 or 465,587; what is to reach every port is written by hand"
        )
    return ports
