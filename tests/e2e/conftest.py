"""One lab for all tests that put back what they change; each test finds it as it was built."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import Dmsfw, world
from tests.initd.opkg import Archive, build
from tests.lab import Lab

SHOWN_LINES = 60


@pytest.fixture(scope="session", autouse=True)
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep bytecode, in a folder of the session's own: each start of dmsfw takes half the time then."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("bytecode")))
        yield


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built once for all that look at it."""
    return build(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def archive(package: Path) -> Archive:
    """What is in it."""
    return Archive(package)


@pytest.fixture(scope="session")
def shared(_compiled: None) -> Iterator[Lab]:
    """The lab of the session. A module that needs another kind has a fixture of this name."""
    with Lab() as lab:
        yield lab


@pytest.fixture
def lab(shared: Lab) -> Iterator[Lab]:
    """The lab, as it was built."""
    yield shared
    restore(shared)


@pytest.fixture
def dmsfw(lab: Lab) -> Iterator[Dmsfw]:
    """The daemon, not started yet; whatever was started is ended."""
    daemon = Dmsfw(lab)
    yield daemon
    daemon.end()


def restore(lab: Lab) -> None:
    """Put everything back that a test may have changed. The daemon has ended."""
    restore_docker(lab)
    restore_network(lab)
    lab.sh("rm -rf /run/dmsfw /etc/firewall.user /etc/config/dmsfw")
    lab.firewall.restart()
    for log in ("dmsfw", "isp.json", "dns.json"):
        if (lab.folder / "log" / log).exists():
            os.truncate(lab.folder / "log" / log, 0)


def restore_docker(lab: Lab) -> None:
    """Have a living Docker without containers and networks."""
    lab.engine.thaw()
    if lab.engine.version() is None:
        lab.engine.kill()
        lab.engine.start()
    lab.sh("docker ps -aq | xargs -r docker rm -f -v >/dev/null; docker network prune -f")
    lab.set_resolver("127.0.0.1")


def restore_network(lab: Lab) -> None:
    """Have netifd answer, the first line up under its own name and the second one down."""
    lab.netifd.install()
    lab.netifd.behave("ok")
    links = lab.run(["ip", "-o", "link"]).stdout
    for line in (lab.wan, lab.wanb):
        if f" {line.device}@" in links or f" {line.device}:" in links:
            if line is lab.wan and line.device == line.line.device:
                continue
            line.down()
        if line is lab.wan:
            line.up(line.line.device)
    lab.wan.up_for_netifd()
    lab.netifd.up("lan", "eth-lan")
    lab.firewall.zone_wan(lab.wan.device)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show with a failed test what the daemon logged and what stands in the tables."""
    outcome: Any = yield
    report = outcome.get_result()
    daemon = getattr(item, "funcargs", {}).get("dmsfw")
    if report.when == "call" and report.failed and isinstance(daemon, Dmsfw):
        report.sections += evidence(daemon)


def evidence(daemon: Dmsfw) -> list[tuple[str, str]]:
    """Return titled texts, each as far as it can be had."""
    found = [("dmsfw's log", "\n".join(daemon.log.splitlines()[-SHOWN_LINES:]))]
    for title, read in (("status", lambda: str(daemon.document)), ("tables", lambda: tables(daemon.lab))):
        try:
            found.append((title, read()))
        except Exception as error:  # noqa: BLE001 - evidence must not hide the failure itself
            found.append((title, f"cannot be read: {error!r}"))
    return found


def tables(lab: Lab) -> str:
    """Return the chains that matter, with counters."""
    lines = world(lab, counters=True)
    return "\n".join(
        f"{where}: {line}"
        for where, rules in lines.items()
        for line in rules
        if "FORWARD" in line or "POSTROUTING" in line
    )
