"""The state and the counts of a daemon in Prometheus' text format (version 0.0.4), for a text-file collector. Pure.

Every metric begins with `dmsfw_`; counts begin anew with the daemon. Names from outside pass `clean` first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal, get_args

from dmsfw.report.status import State
from dmsfw.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dmsfw.report.status import NetworkStatus, Status

Kind = Literal["counter", "gauge", "summary"]
Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Labels, float]

STATES: tuple[str, ...] = get_args(State)

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass
class Counts:
    """What only grows. A pass with several triggers counts for each of them."""

    passes: int = 0
    changes: int = 0
    repairs: int = 0
    seconds: float = 0.0
    passes_by: Counter[str] = field(default_factory=Counter)
    changes_by: Counter[str] = field(default_factory=Counter)

    def count(self, triggers: Iterable[str], *, changes: int, duration_s: float) -> None:
        """Count a pass that was done."""
        self.passes += 1
        self.changes += changes
        self.seconds += duration_s
        for trigger in map(clean, triggers):
            self.passes_by[trigger] += 1
            self.changes_by[trigger] += changes


def render(status: Status, counts: Counts, *, reconnects: int) -> str:
    """Write the whole file. `reconnects`: how often Docker's event stream was lost and found again."""
    return "".join(
        (
            _metric("info", "gauge", "Always 1; the version is a label.", [("", (("version", status.version),), 1)]),
            _metric("state", "gauge", "1 for the state that dmsfw is in, 0 for the others.", _states(status)),
            _single("passes", "counter", "Passes that were done.", counts.passes),
            _single("changes", "counter", "Rules written or removed.", counts.changes),
            _single("repairs", "counter", "Passes that put back what somebody else had changed.", counts.repairs),
            _metric(
                "trigger_passes", "counter", "Passes by what woke them; several count each.", _by(counts.passes_by)
            ),
            _metric("trigger_changes", "counter", "Changes by what woke their pass.", _by(counts.changes_by)),
            _metric("pass_duration_seconds", "summary", "How long passes took.", _durations(counts)),
            _single("rules", "gauge", "Rules of dmsfw that are due, all chains together.", status.rules),
            _metric("network_rules", "gauge", "What a selected network may do, in rules.", _networks(status.networks)),
            _single(
                "docker_reconnects", "counter", "Times that Docker's events were lost and found again.", reconnects
            ),
            *_last_pass(status),
        )
    )


def _last_pass(status: Status) -> Iterator[str]:
    """Nothing before the first: a zero would be a time, and a wrong one."""
    if status.last_pass is not None:
        at, took_s = datetime.fromisoformat(status.last_pass.at).timestamp(), status.last_pass.duration_ms / 1000
        yield _single("last_pass_duration_seconds", "gauge", "How long the last pass took.", took_s)
        yield _single("last_success_timestamp_seconds", "gauge", "When the last pass was done, Unix time.", at)


def _states(status: Status) -> list[Sample]:
    return [("", (("state", state),), float(state == status.state)) for state in STATES]


def _by(counts: Mapping[str, int]) -> list[Sample]:
    return [("", (("trigger", trigger),), count) for trigger, count in sorted(counts.items())]


def _durations(counts: Counts) -> list[Sample]:
    return [("_sum", (), counts.seconds), ("_count", (), counts.passes)]


def _networks(networks: Iterable[NetworkStatus]) -> list[Sample]:
    """Two networks may bear one name; Docker tells them apart by their devices, and a series must be one alone."""
    series = {
        (("network", clean(network.name)), ("device", clean(network.device))): len(network.grants)
        for network in networks
    }
    return [("", labels, count) for labels, count in sorted(series.items())]


def _single(name: str, kind: Kind, meaning: str, value: float) -> str:
    return _metric(name, kind, meaning, [("", (), value)])


def _metric(name: str, kind: Kind, meaning: str, samples: Iterable[Sample]) -> str:
    """Write one metric; without a sample it is not there at all."""
    name = f"dmsfw_{name}_total" if kind == "counter" else f"dmsfw_{name}"
    lines = [f"{name}{suffix}{_labelled(labels)} {_number(value)}" for suffix, labels, value in samples]
    head = [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
    return "\n".join([*head, *lines, ""]) if lines else ""


def _labelled(labels: Labels) -> str:
    inner = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels)
    return f"{{{inner}}}" if inner else ""


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") if value % 1 else str(int(value))
