"""A router whose Docker keeps tables of its own in nftables, as Docker 29 can: firewall4, or firewall3, beside them.

The lab's Engine has no such backend. It writes no rules, and tables of that shape are loaded by nft for its networks.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.support import NAME, SHIPPED, WAN_ADDRESS, Dmsfw, create, existing, field_network, named
from tests.e2e.test_doctor import NO_POLICY, REJECT, doctor, router
from tests.e2e.test_firewall4 import REJECTED, UNMASQUERADED, flat, is_open, lab, nft
from tests.lab import NETWORKS, SERVER, Lab
from tests.lab.docker_nftables import Net, Published, tables
from tests.lab.firewall4 import LIBRARIES
from tests.lab.nft import PROGRAM, libraries

__all__ = ["lab", "router"]

TABLES = ("ip docker-bridges", "ip6 docker-bridges")


@pytest.fixture(scope="module")
def shared(_compiled: None) -> Iterator[Lab]:
    with Lab(firewall4=True) as lab:
        yield lab


def up(lab: Lab, *others: Net, policy: str = "accept") -> None:
    """Have the field case's network up, and the tables that Docker would have for it."""
    lab.compose("up", "-d")
    network = field_network(lab)
    nft(lab, tables(Net(network.bridge, network.subnet), *others, policy=policy))


def dockers(lab: Lab) -> list[str]:
    """Docker's tables, counters left out."""
    return [lab.run(["nft", "-s", "list", "table", *table.split()]).stdout for table in TABLES]


@pytest.mark.parametrize("policy", ["accept", "drop"])
def test_firewall4_alone_is_served_and_dockers_tables_stay_as_they_are(lab: Lab, dmsfw: Dmsfw, policy: str) -> None:
    up(lab, policy=policy)
    before = dockers(lab)
    assert lab.connect("app", SERVER, 465) == "refused"
    dmsfw.start()
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS
    assert lab.connect("app", SERVER, 587) == "refused"
    code, status = dmsfw.status()
    assert (code, status["state"], status["firewalls"]) == (0, "in sync", ["firewall4 (nftables)"])
    assert "another firewall is in the way" not in dmsfw.log
    assert existing(lab, 4) == existing(lab, 6) == []
    lab.firewall4.reload()
    lab.wait(lambda: is_open(lab), "the port after a reload")
    lab.firewall4.restart()
    lab.wait(lambda: is_open(lab), "the port after a restart")
    assert lab.connect("app", SERVER, 587) == "refused"
    assert dockers(lab) == before


def test_either_masquerade_is_enough(lab: Lab, dmsfw: Dmsfw) -> None:
    up(lab)
    nft(lab, UNMASQUERADED)
    dmsfw.start(SHIPPED.replace("list proto 'tcp'", "option masq '0'\n\tlist proto 'tcp'"))
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS  # Docker's
    lab.firewall4.restart()
    lab.run(["nft", "flush", "chain", "ip", "docker-bridges", f"nat-postrouting-out__{field_network(lab).bridge}"])
    lab.wait(lambda: is_open(lab))
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS  # the zone's


DROPS = "ip docker-bridges filter-FORWARD #2, by ip docker-bridges filter-forward-out__{} #1 (by hand)"


def test_doctor_names_the_firewall_that_refuses_whichever_it_is(router: Lab, dmsfw: Dmsfw) -> None:
    up(router)
    dmsfw.start(NO_POLICY)
    told = doctor(router, "app", f"{NAME}:465", "-4")
    assert (told.code, told.verdict) == (
        1,
        f"{REJECTED} refuses it: no policy of dmsfw selects network {NETWORKS['label']}",
    )
    dmsfw.paste(told.remedy)
    router.wait(lambda: is_open(router))
    bridge = field_network(router).bridge
    chain = f"ip docker-bridges filter-forward-out__{bridge}"
    nft(router, f'insert rule {chain} tcp dport 465 counter drop comment "by hand"')
    told = doctor(router, "app", f"{SERVER}:465")
    assert told.verdict.startswith(f"firewall rule {DROPS.format(bridge)} drops it")
    assert "dmsfw allows it, but this rule is in a chain of its own, whose word counts besides" in told.verdict
    assert told.remedy == ""


def test_explain_follows_a_published_port_and_what_goes_past_it(router: Lab, dmsfw: Dmsfw) -> None:
    other = create(router, "other", *named("br-other"), container="c2")
    there = router.engine.container("c2")["NetworkSettings"]["Networks"]["other"]["IPAddress"]
    up(router, Net(other.bridge, other.subnet, (Published(there, 465, 8465),)))
    dmsfw.start()
    told = flat(router.dmsfw("explain", "app", f"{SERVER}:465").stdout).partition("It passes: ")[2]
    assert "(OUTGOING), which accepts it, and rule inet fw4 forward #1" in told
    direct = router.dmsfw("explain", "app", f"{there}:465")
    assert (direct.returncode, flat(direct.stdout).partition("It does not pass: ")[2].strip()) == (
        1,
        "rule ip docker-bridges raw-PREROUTING #1 (DROP DIRECT ACCESS) drops it.",
    )
    asked = ("--src", WAN_ADDRESS, "--dst", WAN_ADDRESS, "--dport", "8465")
    own = router.dmsfw("explain", "--own", *asked)
    assert own.returncode == 0, own.stdout
    assert f"sends it to {there} port 465" in flat(own.stdout)


@pytest.fixture
def older() -> Iterator[Lab]:
    """A router with firewall3, and nft besides."""
    with Lab() as lab:
        (lab.folder / "bin" / "nft").symlink_to(PROGRAM)
        lab.run(["/bin/sh", "-ec", LIBRARIES.format(folder=libraries())])
        yield lab


def test_beside_firewall3_iptables_alone_is_served_and_nothing_is_called_in_the_way(older: Lab) -> None:
    dmsfw = Dmsfw(older)
    up(older, policy="drop")
    before = dockers(older)
    assert older.connect("app", SERVER, 465) == "refused"
    assert doctor(older, "app", f"{SERVER}:465").verdict.startswith(REJECT)
    dmsfw.start()
    assert older.connect("app", SERVER, 465).peer == WAN_ADDRESS
    assert older.connect("app", SERVER, 587) == "refused"
    code, status = dmsfw.status()
    assert (code, status["state"], status["firewalls"]) == (0, "in sync", ["iptables"])
    assert "another firewall is in the way" not in dmsfw.log
    older.firewall.flush()  # now there is none but Docker's
    older.wait(lambda: older.connect("app", SERVER, 465) == "open")
    assert doctor(older, "app", f"{SERVER}:465").code == 0
    assert dmsfw.status()[1]["firewalls"] == ["iptables"]
    assert dockers(older) == before
    dmsfw.end()
