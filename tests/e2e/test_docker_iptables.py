"""A router whose Docker writes rules of its own, until somebody flushes them and Docker does not notice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.support import WAN_ADDRESS, Dmsfw, create, field_network, hook_at, ours, rules_for, rules_in
from tests.lab import SERVER, Lab


@pytest.fixture(scope="module")
def shared(_compiled: None) -> Iterator[Lab]:
    """A lab whose Docker handles iptables itself."""
    with Lab(docker_iptables=True) as lab:
        yield lab


def test_after_a_flush_the_allowed_port_opens_again_and_no_other(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    assert lab.connect("app", SERVER, 8443) == "open"
    lab.firewall.restart()
    lab.wait(lambda: rules_in(lab) == rules_for([field_network(lab)]))
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS
    assert lab.connect("app", SERVER, 8443) == "refused"


def test_docker_and_dmsfw_do_not_fight_over_the_first_place(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.engine.restart()
    lab.compose("up", "-d")
    dmsfw.start()
    said = dmsfw.log
    for number in range(3):
        create(lab, f"bystander-{number}")
        dmsfw.another_pass()
    assert dmsfw.log == said
    assert rules_in(lab) == rules_for([field_network(lab)])
    code, status = dmsfw.status()
    assert (code, status["state"]) == (0, "in sync")
    assert "DOCKER-USER" in " ".join(status["ahead"])


def test_without_firewall3_the_hook_goes_first_but_behind_dockers_users_chain(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.firewall.flush()
    lab.engine.restart()
    lab.compose("up", "-d")
    dmsfw.start()
    assert hook_at(lab)[0] == "-A FORWARD -j DOCKER-USER"
    lab.sh("iptables -w -I DOCKER-USER -p tcp --dport 465 -j REJECT --reject-with tcp-reset")
    assert lab.connect("app", SERVER, 465) == "refused"
    lab.sh("iptables -w -D DOCKER-USER 1")
    assert lab.connect("app", SERVER, 465) == "open"
    dmsfw.running.stop()
    lab.dmsfw("clean", check=True)
    assert ours(lab) == []
