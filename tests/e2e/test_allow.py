"""`dmsfw allow` and `dmsfw deny` on the router: what was refused opens and is shut again, without a restart."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import SHIPPED, Dmsfw, config, create, field_network, ours, rules_for, rules_in, with_uci
from tests.lab import SERVER, Lab
from tests.lab.process import Text

EMPTY = "# what is open\n" + config()


@pytest.fixture(params=["uci", "file"])
def router(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Lab]:
    """A router with uci, and one without."""
    with with_uci(lab) if request.param == "uci" else contextlib.nullcontext():
        yield lab


def text(lab: Lab) -> str:
    return (lab.config / "dmsfw").read_text("utf-8")


def test_the_field_case_opens_and_is_shut_again_without_a_restart(router: Lab, dmsfw: Dmsfw) -> None:
    router.compose("up", "-d")
    network = field_network(router)
    dmsfw.start(EMPTY)
    assert router.connect("app", SERVER, 465) == "refused"
    done = router.dmsfw("allow", network.name, "465", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "+\tlist label 'com.docker.compose.network=dms-network'" in done.stdout
    assert f"open now: {network.name} may reach tcp 465 via pppoe-wan" in done.stdout
    assert router.connect("app", SERVER, 465) == "open"
    assert rules_in(router) == rules_for([network])
    again = router.dmsfw("allow", network.name, "465", "--yes")
    assert (again.returncode, again.stdout) == (1, "")
    assert "may reach tcp 465 already, by egress 'dms_service_dms_network'" in again.stderr
    done = router.dmsfw("deny", network.name, "465", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"shut now: {network.name} to tcp 465 via pppoe-wan: rule FORWARD #" in done.stdout
    assert router.connect("app", SERVER, 465) == "refused"
    assert ours(router) == []


def test_it_stays_open_when_compose_recreates_the_network(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start(EMPTY)
    lab.dmsfw("allow", field_network(lab).name, "465", "--yes", check=True)
    lab.compose("down", "-t", "0")
    lab.compose("up", "-d")
    lab.wait(lambda: rules_in(lab) == rules_for([field_network(lab)]))
    assert lab.connect("app", SERVER, 465) == "open"


def test_a_port_more_goes_into_the_same_section_and_comments_stay(lab: Lab, dmsfw: Dmsfw) -> None:
    mine = create(lab, "it's mine [1]*", container="cc")
    create(lab, "it's mine 1", container="other")
    dmsfw.start(EMPTY)
    lab.dmsfw("allow", mine.name, "465", "--yes", check=True)
    lab.dmsfw("allow", mine.name, "587", "--yes", check=True)
    assert text(lab).startswith(EMPTY)
    assert text(lab).count("config egress") == 1
    assert (lab.connect("cc", SERVER, 465), lab.connect("cc", SERVER, 587)) == ("open", "open")
    assert lab.connect("other", SERVER, 465) == "refused"
    lab.dmsfw("deny", mine.name, "--yes", check=True)
    assert text(lab) == EMPTY
    assert lab.connect("cc", SERVER, 465) == "refused"


def test_uci_says_what_it_will_drop_and_what_waits_in_it_is_not_swept_along(lab: Lab, dmsfw: Dmsfw) -> None:
    create(lab, "one")
    dmsfw.start(EMPTY)
    with with_uci(lab):
        lab.sh("uci set dmsfw.main.resync_interval=7")
        refused = lab.dmsfw("allow", "one", "465", "--yes")
        assert refused.returncode == 1
        assert "changes of dmsfw wait in uci (dmsfw.main.resync_interval='7')" in refused.stderr
        assert text(lab) == EMPTY
        lab.sh("uci revert dmsfw")
        done = lab.dmsfw("allow", "one", "465", "--yes", check=True)
    assert "uci writes the file anew without its comments (1 lines have one)" in done.stdout
    assert "written to /etc/config/dmsfw by uci" in done.stdout
    assert "#" not in text(lab)


def test_while_no_daemon_runs_it_is_written_and_said_to_take_effect_later(lab: Lab, dmsfw: Dmsfw) -> None:
    create(lab, "one", container="cc")
    lab.configure(EMPTY)
    done = lab.dmsfw("allow", "one", "465", "--yes")
    assert done.returncode == 0
    assert "not open, although one may reach tcp 465 via pppoe-wan: rule FORWARD #" in done.stdout
    assert "dmsfw does not run: this takes effect when it starts" in done.stdout
    dmsfw.start(None)
    assert lab.connect("cc", SERVER, 465) == "open"


def refusal(done: Text, lab: Lab, before: str) -> str:
    assert (done.returncode, text(lab)) == (1, before)
    assert all(line.startswith("dmsfw: ") for line in done.stderr.splitlines())
    return done.stderr


def test_what_cannot_be_done_is_said_and_nothing_is_written(lab: Lab) -> None:
    lab.configure(SHIPPED)
    create(lab, "inside", "--internal")
    lab.compose("up", "-d")
    name = field_network(lab).name
    assert "by egress 'smtps'" in refusal(lab.dmsfw("allow", name, "465", "--yes"), lab, SHIPPED)
    assert "uci set 'dmsfw.smtps.enabled'='0'" in refusal(lab.dmsfw("deny", name, "465", "--yes"), lab, SHIPPED)
    unknown = refusal(lab.dmsfw("allow", "dms-service_dms-netwrk", "465", "--yes"), lab, SHIPPED)
    assert f"did you mean '{name}'?" in unknown
    assert "it is internal" in refusal(lab.dmsfw("allow", "inside", "465", "--yes"), lab, SHIPPED)
    assert "driver is host" in refusal(lab.dmsfw("allow", "host", "465", "--yes"), lab, SHIPPED)
    assert "there is no terminal to ask on, say --yes" in refusal(lab.dmsfw("allow", name, "587"), lab, SHIPPED)
    for ports in ("0", "70000", "465,", "any", "smtp"):
        done = lab.dmsfw("allow", name, ports, "--yes")
        assert (done.returncode, len(done.stderr.splitlines())) == (64, 1)
    assert lab.dmsfw("allow", name, "465", "--proto", "icmp").returncode == 64


def test_without_docker_the_name_alone_can_be_allowed_and_opens_when_it_comes(lab: Lab, dmsfw: Dmsfw) -> None:
    dmsfw.start(EMPTY)
    later = lab.dmsfw("allow", "later", "465", "--yes", "--name-only", check=True)
    assert "it opens when a network called later comes" in later.stdout
    one = create(lab, "later", container="cc")
    lab.wait(lambda: rules_in(lab) == rules_for([one]))
    before = text(lab)
    lab.engine.freeze()
    assert "with --name-only Docker is not asked" in refusal(lab.dmsfw("allow", "x", "1", "--yes"), lab, before)


def test_a_link_in_the_place_of_the_file_stays_one(lab: Lab, dmsfw: Dmsfw) -> None:
    one = create(lab, "one")
    dmsfw.start(EMPTY)
    lab.sh("cd /etc/config; mv dmsfw dmsfw.real; ln -s dmsfw.real dmsfw; chmod 640 dmsfw.real")
    lab.dmsfw("allow", "one", "465", "--yes", check=True)
    assert Path(lab.config / "dmsfw").is_symlink()
    assert (lab.config / "dmsfw.real").stat().st_mode & 0o777 == 0o640
    dmsfw.another_pass()
    assert rules_in(lab) == rules_for([one])
    (lab.config / "dmsfw.real").unlink()
