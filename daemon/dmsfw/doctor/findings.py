"""What an investigation found: values, before anything is concluded from them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from dmsfw.doctor.containers import Container
from dmsfw.doctor.kernel import Bridge, Switches
from dmsfw.doctor.leaving import Leaving
from dmsfw.doctor.names import Lookup
from dmsfw.doctor.policies import Policies
from dmsfw.doctor.probe import Probe
from dmsfw.doctor.target import Address, Target
from dmsfw.doctor.ways import Passage, Ways


@dataclass(frozen=True, slots=True)
class Trial:
    """All about one address of the target. None: not looked at, or it cannot be told (`fault` says why).

    `own`: the way of the host's own packet there, where the host does not connect.
    """

    address: Address
    host: Probe | None = None
    inside: Probe | None = None
    leaving: Leaving | None = None
    bridge: Bridge | None = None
    switches: Switches | None = None
    policies: Policies | None = None
    ways: Ways | None = None
    fault: str = ""
    own: Passage | None = None

    def having(self, **found: object) -> Trial:
        """The same with more known."""
        return replace(self, **found)  # type: ignore[arg-type]

    def port(self, target: Target) -> int:
        """The port that FORWARD meets, and a policy has to name: behind a DNAT it may be another than was asked."""
        there = self.ways.there if self.ways else None
        return (there.port if there else None) or target.port

    @property
    def host_is_forbidden(self) -> bool:
        """The kernel refused the host's call: it may send nothing there."""
        return self.host is not None and self.host.outcome == "denied"

    @property
    def host_is_kept(self) -> bool:
        """Rules or routes for the router's own packets keep the host from it: that tells nothing of the container."""
        return self.host_is_forbidden or (self.own is not None and (self.own.stopped or self.own.diverted))

    @property
    def has_no_six(self) -> bool:
        """The host may send nothing there by IPv6. Where there is none, OpenWrt forbids it by a rule of its routing."""
        return self.host_is_forbidden and self.own is None and self.address.version == 6  # noqa: PLR2004 - the IP version

    def as_dict(self) -> dict[str, object]:
        """For programs."""
        network = self.leaving.network if self.leaving else None
        return {
            "address": str(self.address),
            "host": asdict(self.host) if self.host else None,
            "container": asdict(self.inside) if self.inside else None,
            "own": self.own.as_dict() if self.own else None,
            "source": str(self.leaving.source) if self.leaving and self.leaving.source else None,
            "network": network.name if network else None,
            "bridge": asdict(self.bridge) if self.bridge else None,
            "switches": asdict(self.switches) if self.switches else None,
            "policies": asdict(self.policies) if self.policies else None,
            "ways": self.ways.as_dict() if self.ways else None,
            "fault": self.fault,
        }


@dataclass(frozen=True, slots=True)
class Question:
    """The way of a container's question to a name server; asked about where a name does not resolve."""

    server: str
    ways: Ways


@dataclass(frozen=True, slots=True)
class Findings:
    """The whole investigation. `there`, `here`: the target's name to the container and to the host; None: an address.

    `uci`: the program is there. `started_by`: what starts dmsfw where it does not run; empty where it runs.
    `obstacles`: other firewalls that decide too and cannot be followed (nftables).
    """

    target: Target
    container: Container
    here: Lookup | None = None
    there: Lookup | None = None
    trials: tuple[Trial, ...] = ()
    questions: tuple[Question, ...] = ()
    obstacles: tuple[str, ...] = ()
    remark: str = ""

    def as_dict(self) -> dict[str, object]:
        """For programs."""
        return {
            "target": {"host": self.target.host, "port": self.target.port, "proto": self.target.proto},
            "container": {"id": self.container.id, "name": self.container.name, "mode": self.container.mode},
            "names": {
                "host": asdict(self.here) if self.here else None,
                "container": asdict(self.there) if self.there else None,
            },
            "addresses": [trial.as_dict() for trial in self.trials],
            "questions": [{"server": one.server, **one.ways.as_dict()} for one in self.questions],
            "obstacles": list(self.obstacles),
            "remark": self.remark,
        }
