"""Docker, asked over its socket, by way of everything it can do wrong."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from dmsfw.errors import ObserveError
from dmsfw.observe import docker as subject
from dmsfw.observe.docker import DockerReader, socket_path
from tests.unit.observe_support import FakeDocker, network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDocker]:
    with FakeDocker(tmp_path / "docker.sock") as server:
        yield server
        server.die()


@pytest.fixture
def reader(fake: FakeDocker) -> Iterator[DockerReader]:
    made = DockerReader(lambda: fake.url, timeout_s=0.3)
    yield made
    made.close()


def test_networks_are_read_on_one_connection(fake: FakeDocker, reader: DockerReader) -> None:
    for _ in range(3):
        assert [each.name for each in reader.networks()] == ["dms-network"]
    assert fake.asked == ["/version", "/networks", "/networks", "/networks"]
    assert len(fake.connections["/networks"]) == 1


def test_a_list_in_pieces_is_put_together(fake: FakeDocker, reader: DockerReader) -> None:
    fake.answers["/networks"] = [network(f"n{index}", f"{index:064x}") for index in range(500)]
    assert len(reader.networks()) == 500


def test_nobody_is_followed_to_where_he_points(fake: FakeDocker, reader: DockerReader) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0)
        to = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/networks"
        fake.misbehave["/networks"] = lambda it: it.wfile.write(
            f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()
        )
        with pytest.raises(ObserveError, match="HTTP 302"):
            reader.networks()
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def test_docker_that_was_restarted_is_read_again(fake: FakeDocker, reader: DockerReader) -> None:
    reader.networks()
    fake.die()
    with pytest.raises(ObserveError):
        reader.networks()
    fake.path.unlink()
    with FakeDocker(fake.path) as second:
        assert reader.networks()
        second.die()


def half(handler: Any) -> None:
    handler.raw(b'[{"Name": "dms-', length=5000)


def drip(handler: Any) -> None:
    handler.begin_chunks()
    for _ in range(50):
        handler.chunk(b" ")
        time.sleep(0.05)


def drip_elsewhere(handler: Any) -> None:
    handler.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(50):
        handler.chunk(b" ")
        time.sleep(0.05)


def too_much(handler: Any) -> None:
    handler.raw(b"[" + b" " * 3000 + b"]")


@pytest.mark.parametrize(
    ("misbehave", "why"),
    [
        (lambda it: it.answer({"message": "boom\n\x1b[31m"}, 500), r"HTTP 500: .*boom"),
        (lambda it: it.raw(b'[{"Name": "dms-'), "JSONDecodeError"),
        (lambda it: it.raw(b"[" * 100_000), "RecursionError|not whole|JSONDecodeError"),
        (lambda it: it.raw(b"\xff\xfe"), "Decode"),
        (lambda it: it.raw(b"null"), "list of networks"),
        (lambda it: it.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n"), "BadStatusLine|ConnectionError"),
        (lambda it: it.connection.shutdown(socket.SHUT_RDWR), "ConnectionError"),
        (lambda _: time.sleep(1.0), "no answer"),
        (half, "no answer|Incomplete|Chunked|ConnectionError"),
        (drip, "not whole"),
        (drip_elsewhere, "not whole"),
        (too_much, "not whole after"),
    ],
)
def test_every_way_to_fail_is_an_observe_error_in_one_line(
    fake: FakeDocker, reader: DockerReader, misbehave: Callable[[Any], None], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "ANSWER_LIMIT", 2000 if misbehave is too_much else subject.ANSWER_LIMIT)
    fake.misbehave["/networks"] = misbehave
    with pytest.raises(ObserveError, match=why) as raised:
        reader.networks()
    assert raised.value.reason.isprintable()
    fake.misbehave.clear()
    assert reader.networks()
    assert fake.count("/version") == 2, "another connection, to whoever is there now"


@pytest.mark.parametrize("version", [{}, [], {"ApiVersion": 3}, {"ApiVersion": "nonsense"}, {"ApiVersion": "0.1"}])
def test_a_version_that_is_none_is_an_observe_error(fake: FakeDocker, reader: DockerReader, version: object) -> None:
    fake.answers["/version"] = version
    with pytest.raises(ObserveError):
        reader.networks()


def test_docker_that_is_not_there_says_how_to_start_it(tmp_path: Path) -> None:
    with pytest.raises(
        ObserveError, match=r"not running \(no .*absent.sock\): start it with: /etc/init.d/dockerd start"
    ):
        DockerReader(lambda: f"unix://{tmp_path}/absent.sock").networks()


def test_a_socket_that_nobody_serves_says_how_to_start_docker(fake: FakeDocker, reader: DockerReader) -> None:
    fake.die()
    with pytest.raises(ObserveError, match="nobody listens"):
        reader.networks()


def test_a_path_that_is_no_socket_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(ObserveError, match="correct docker_url"):
        DockerReader(lambda: f"unix://{tmp_path}").networks()


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:2375", "unix://relative.sock", "", "/var/run/docker.sock"])
def test_only_a_unix_socket_is_spoken_to(url: str) -> None:
    with pytest.raises(ObserveError, match="docker_url"):
        socket_path(url)


def test_another_url_is_connected_to_at_once(fake: FakeDocker, tmp_path: Path) -> None:
    url = fake.url
    reader = DockerReader(lambda: url)
    reader.networks()
    with FakeDocker(tmp_path / "other.sock") as other:
        other.answers["/networks"] = []
        url = other.url
        assert reader.networks() == ()
        other.die()
    reader.close()


def test_the_guesser_of_encodings_is_not_loaded_and_not_hidden_from_others() -> None:
    code = (
        "import sys; import dmsfw.observe.docker; assert 'charset_normalizer' not in sys.modules; "
        "assert not [name for name in sys.modules if name.startswith('charset_normalizer')]; "
        "import charset_normalizer; assert charset_normalizer.from_bytes"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
