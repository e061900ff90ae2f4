"""The investigation, step by step as the field case's owner did it by hand, each told when it is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final

from dmsfw.doctor import inside, kernel, leaving, names, policies, tell
from dmsfw.doctor.attempts import at_once, attempt
from dmsfw.doctor.containers import NO_BRIDGE, Container, Networks, find, networks
from dmsfw.doctor.findings import Findings, Question, Trial
from dmsfw.doctor.following import followed, own, question
from dmsfw.doctor.inside import Tick
from dmsfw.doctor.policies import Configured
from dmsfw.doctor.probe import Probe
from dmsfw.doctor.screen import Screen
from dmsfw.doctor.target import Address, Target
from dmsfw.enforce.nftables import obstacles
from dmsfw.errors import CannotTell
from dmsfw.model import Snapshot
from dmsfw.observe.docker import DockerReader
from dmsfw.report.text import clean
from dmsfw.trace import Host

MOST: Final = 2
"""Addresses of each family that are tried: a name may have dozens."""

SPARE_S: Final = 2.0
TRIES: Final = 4
"""Time limits that one attempt may take one after the other (probe_tcp)."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is asked, and how patiently. `families`: IP versions that are tried."""

    meant: str
    target: Target
    timeout_s: float = 5.0
    families: tuple[int, ...] = (4, 6)


class Examination:
    """One investigation: finds out, tells, remembers."""

    def __init__(self, inquiry: Inquiry, docker: DockerReader, config: Configured, host: Host, screen: Screen) -> None:
        self.inquiry, self.docker, self.config, self.host, self.screen = inquiry, docker, config, host, screen
        self.networks = Networks()
        self.snapshot: Snapshot | None = None

    def run(self) -> Findings:
        """All steps up to the verdict. Raises: CannotTell, ObserveError."""
        container = find(self.docker, self.inquiry.meant)
        with _naming_a_pause(container):
            return self._found(container)

    def _found(self, container: Container) -> Findings:
        self.networks = networks(self.docker)
        self.snapshot = policies.snapshot(self.config.settings)
        found = Findings(self.inquiry.target, container, remark=self.config.remark)
        tell.question(self.screen, found)
        found = self._host(found)
        if container.mode in NO_BRIDGE:
            return found
        found = self._inside(found)
        tell.meanings(self.screen, found)
        found = self._network(found)
        return self._ways(found)

    def followed(self) -> tuple[Trial, ...]:
        """Only the ways through the tables: nothing is sent but the questions for the name.

        Raises: CannotTell, ObserveError.
        """
        container = find(self.docker, self.inquiry.meant)
        if container.mode in NO_BRIDGE:
            raise CannotTell(f"container {clean(container.name)} {NO_BRIDGE[container.mode]}: no packet to follow")
        with _naming_a_pause(container):
            return self._trials(container)

    def _trials(self, container: Container) -> tuple[Trial, ...]:
        self.networks = networks(self.docker)
        self.snapshot = policies.snapshot(self.config.settings)
        tick = self.screen.waits("the container's names and routes")
        addresses = self._chosen(self._addresses(container, tick))
        found = leaving.leaving(container, self.networks, addresses, tick)
        trials = (self._with_network(Trial(one.destination), one) for one in found)
        return tuple(followed(trial, self.inquiry.target, self.host, self.snapshot) for trial in trials)

    def _addresses(self, container: Container, tick: Tick) -> tuple[str, ...]:
        """The target's addresses to the container, else to the host. Raises: CannotTell."""
        target, patience = self.inquiry.target, self.inquiry.timeout_s
        if target.address is not None:
            return (str(target.address),)
        there = names.in_the_container(container.pid, target.host, (), patience / 2, tick)
        addresses = there.addresses or names.on_the_host(target.host, patience, tick).addresses
        if not addresses:
            raise CannotTell(f"{target.host} does not resolve, neither in the container nor on the host")
        return addresses

    # 1 and 2: attempts

    def _host(self, found: Findings) -> Findings:
        self.screen.title("1. The host")
        target, patience = found.target, self.inquiry.timeout_s
        addresses: tuple[str, ...] = (str(target.address),) if target.address else ()
        if target.address is None:
            here = names.on_the_host(target.host, patience, self.screen.waits(f"the host resolves {target.host}"))
            found, addresses = replace(found, here=here), here.addresses
            tell.here(self.screen, found)
        found = replace(found, trials=self._by_host(self._chosen(addresses)))
        tell.attempts(self.screen, [trial.host for trial in found.trials])
        tell.own(self.screen, found)
        return found

    def _by_host(self, addresses: Sequence[Address]) -> tuple[Trial, ...]:
        probes = self._attempts(addresses, None, "the host")
        return tuple(
            Trial(address, host=probe, own=None if probe.connects else own(address, self.inquiry.target, self.host))
            for address, probe in zip(addresses, probes, strict=True)
        )

    def _inside(self, found: Findings) -> Findings:
        self.screen.title("2. The container, from inside its network")
        if found.target.address is None:
            found = self._resolved_inside(found)
        addresses = [trial.address for trial in found.trials]
        probes = self._attempts(addresses, found.container.pid, "the container")
        trials = tuple(trial.having(inside=probe) for trial, probe in zip(found.trials, probes, strict=True))
        tell.attempts(self.screen, [trial.inside for trial in trials])
        return replace(found, trials=trials)

    def _resolved_inside(self, found: Findings) -> Findings:
        """Resolve as the container does; what it knows and the host does not is tried on the host too."""
        container, name = found.container, found.target.host
        tick = self.screen.waits(f"the container resolves {name}")
        upstream = names.upstreams(container.pid, container.dns, tick)
        there = names.in_the_container(container.pid, name, upstream, self.inquiry.timeout_s / 2, tick)
        known = [str(trial.address) for trial in found.trials]
        chosen = self._chosen(there.addresses) if there.addresses else tuple(ip_address(one) for one in known)
        new = [address for address in chosen if str(address) not in known]
        tried = {trial.address: trial for trial in (*found.trials, *self._by_host(new))}
        trials = tuple(tried[address] for address in chosen)
        found = replace(found, there=there, trials=trials)
        tell.there(self.screen, found)
        return found

    def _chosen(self, addresses: Sequence[str]) -> tuple[Address, ...]:
        """The addresses that are tried: the first ones of each wanted family."""
        known = [ip_address(text) for text in dict.fromkeys(addresses)]
        return tuple(
            address
            for family in self.inquiry.families
            for address in [one for one in known if one.version == family][:MOST]
        )

    def _attempts(self, addresses: Sequence[Address], pid: int | None, who: str) -> tuple[Probe, ...]:
        """Try all at the same time, from the host or from the container."""
        if not addresses:
            return ()
        target, patience = self.inquiry.target, self.inquiry.timeout_s
        tick = self.screen.waits(f"{who} connects to {target} (at most {patience:g} s for each step)")
        texts = [str(address) for address in addresses]
        answer = inside.do(
            lambda: at_once([attempt(text, target, patience) for text in texts]),
            pid=pid,
            limit_s=TRIES * patience + SPARE_S,
            tick=tick,
        )
        assert isinstance(answer, list)  # noqa: S101 - what at_once returned
        return tuple(Probe(**probe) for probe in answer)

    # 4: the network

    def _network(self, found: Findings) -> Findings:
        self.screen.title("4. The container's network")
        addresses = [trial.address for trial in found.trials]
        tick = self.screen.waits("the container's routes")
        leavings = leaving.leaving(found.container, self.networks, addresses, tick)
        trials = tuple(self._with_network(trial, one) for trial, one in zip(found.trials, leavings, strict=True))
        found = replace(found, trials=trials)
        tell.networks(self.screen, found, self.networks)
        return found

    def _with_network(self, trial: Trial, left: leaving.Leaving) -> Trial:
        network = left.network
        if network is None or not network.device:
            return trial.having(leaving=left)
        return trial.having(
            leaving=left,
            bridge=kernel.bridge(network.device),
            switches=kernel.switches(trial.address.version, network.device),
        )

    # 5: the way through the tables

    def _ways(self, found: Findings) -> Findings:
        self.screen.title("5. The packet's way through the tables")
        trials = tuple(followed(trial, found.target, self.host, self.snapshot) for trial in found.trials)
        others = obstacles() if self.host.nftables() is None else ()
        found = replace(found, trials=trials, obstacles=others)
        tell.ways(self.screen, found)
        if found.there is not None and not found.there.addresses:
            found = replace(found, questions=self._questions(found))
            tell.questions(self.screen, found)
        return found

    def _questions(self, found: Findings) -> tuple[Question, ...]:
        """Follow the questions to the name servers that the container asks through the firewall."""
        asked = found.there.asked if found.there else ()
        servers = dict.fromkeys(server for one in asked for server, way in one.ways if way != "dockerd")
        container = found.container
        tick = self.screen.waits("the container's routes")
        left = leaving.leaving(container, self.networks, [ip_address(one) for one in servers], tick)
        return tuple(filter(None, (question(one, self.host) for one in left)))


@contextmanager
def _naming_a_pause(container: Container) -> Iterator[None]:
    """Raises: CannotTell as it comes, with why a container may not answer."""
    try:
        yield
    except CannotTell as error:
        if not container.is_paused:
            raise
        raise CannotTell(f"{error}; container {clean(container.name)} is paused: docker unpause it first") from error
