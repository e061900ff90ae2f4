"""Containers that leave by another network than the one a policy names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dmsfw.errors import ObserveError
from dmsfw.model import Detour
from dmsfw.observe.detours import DetourReader
from dmsfw.observe.docker import DockerReader
from tests.unit.observe_support import FakeDocker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ONE, TWO = "1" * 64, "2" * 64
HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
BY_172_19 = HEAD + "eth1\t00000000\t010013AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"


def container(id_: str = ONE, pid: Any = 7, **endpoints: Any) -> dict[str, Any]:
    known = {"mail": {"Gateway": "172.18.0.1"}, "web": {"Gateway": "172.19.0.1"}}
    return {
        "Id": id_,
        "Name": f"/c{id_[0]}",
        "State": {"Pid": pid},
        "NetworkSettings": {"Networks": endpoints or known},
    }


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDocker]:
    with FakeDocker(tmp_path / "docker.sock") as server:
        yield server
        server.die()


@pytest.fixture
def reader(fake: FakeDocker, tmp_path: Path) -> Iterator[DetourReader]:
    (tmp_path / "7" / "net").mkdir(parents=True)
    (tmp_path / "7" / "net" / "route").write_text(BY_172_19)
    made = DetourReader(DockerReader(lambda: fake.url), tmp_path)
    yield made
    made.close()


def show(fake: FakeDocker, *containers: dict[str, Any]) -> None:
    fake.answers["/containers/json"] = list(containers)
    fake.answers.update({f"/containers/{each['Id']}/json": each for each in containers})


def test_a_containers_own_routing_table_tells_how_it_leaves(fake: FakeDocker, reader: DetourReader) -> None:
    show(fake, container())
    assert reader.read() == (Detour("c1", network="mail", leaves_by="web"),)


def test_a_gateway_without_a_name_is_found_by_its_subnet(fake: FakeDocker, reader: DetourReader) -> None:
    show(fake, container(mail={"Gateway": ""}, web={"Gateway": "", "IPAddress": "172.19.0.4", "IPPrefixLen": 16}))
    assert reader.read() == (Detour("c1", network="mail", leaves_by="web"),)


def test_a_container_of_one_network_is_not_looked_into(fake: FakeDocker, reader: DetourReader) -> None:
    show(fake, container(mail={"Gateway": "172.18.0.1"}))
    assert reader.read() == ()
    assert fake.count(f"/containers/{ONE}/json") == 0


@pytest.mark.parametrize(
    "odd",
    [
        container(pid=0),
        container(pid="7"),
        container(pid=99),
        container(mail={}, web={}),
        container(mail=None, web=3),
        container(mail={"IPAddress": "x", "IPPrefixLen": "y"}, web={"Gateway": 7}),
        {**container(), "State": None},
        {**container(), "NetworkSettings": []},
        container("../../version"),
    ],
)
def test_what_cannot_be_seen_is_left_out(fake: FakeDocker, reader: DetourReader, odd: dict[str, Any]) -> None:
    show(fake, container(TWO), odd)
    assert reader.read() == (Detour("c2", network="mail", leaves_by="web"),)


def test_a_container_that_ends_meanwhile_is_left_out(fake: FakeDocker, reader: DetourReader) -> None:
    show(fake, container(), container(TWO))
    fake.misbehave[f"/containers/{ONE}/json"] = lambda handler: handler.answer({"message": "No such container"}, 404)
    assert reader.read() == (Detour("c2", network="mail", leaves_by="web"),)


def test_docker_that_does_not_answer_is_an_observe_error(fake: FakeDocker, reader: DetourReader) -> None:
    fake.misbehave["/containers/json"] = lambda handler: handler.answer({}, 500)
    with pytest.raises(ObserveError):
        reader.read()
