"""The event stream: a bell that rings for whatever comes, and is hung up again when it falls."""

from __future__ import annotations

import threading
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from dmsfw.observe import events as subject
from dmsfw.observe.events import EventStream
from tests.unit.observe_support import PATIENCE_S, FakeDocker, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Bell:
    def __init__(self, path: Path) -> None:
        self.rings = 0
        self.hints: list[bool] = []
        self.url = f"unix://{path}"
        self.stream = EventStream(lambda: self.url, self._ring)

    def _ring(self, hint: bool) -> None:  # noqa: FBT001 - a callback
        self.rings += 1
        self.hints.append(hint)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDocker]:
    with FakeDocker(tmp_path / "docker.sock") as server:
        yield server
        server.die()


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Bell]:
    made = Bell(tmp_path / "docker.sock")
    made.stream.start()
    yield made
    made.stream.stop()
    assert not made.stream._thread.is_alive()


def test_subscribing_rings_once_and_each_event_once_more(fake: FakeDocker, bell: Bell) -> None:
    until(lambda: fake.streams)
    until(lambda: bell.rings == 1)
    assert (bell.stream.error, bell.stream.failing_since, bell.stream.reconnects) == ("", None, 0)
    for number in range(2, 6):
        fake.event()
        until(lambda number=number: bell.rings == number)


def test_the_bell_tells_what_is_but_a_hint(fake: FakeDocker, bell: Bell) -> None:
    until(lambda: fake.streams)
    fake.event(b'{"Action":"connect"}\n')
    until(lambda: bell.rings == 2)
    fake.event(b'{"Action":"create"}\n')
    until(lambda: bell.rings == 3)
    assert bell.hints == [False, True, False]


def test_an_event_that_is_cut_is_but_a_hint_until_it_is_whole(fake: FakeDocker, bell: Bell) -> None:
    """As in a storm: what waits is more than http.client's buffer of 8 KB holds."""
    until(lambda: fake.streams)
    event = b'{"Action":"connect","Actor":"%s"}\n' % (b"0" * 300)
    fake.streams[0].wfile.write((b"%x\r\n%s\r\n" % (len(event), event)) * 200)
    until(lambda: bell.rings >= 201)
    assert all(bell.hints[1:])


def test_half_a_chunk_rings_as_soon_as_the_stream_breaks_in_it(fake: FakeDocker, bell: Bell) -> None:
    until(lambda: fake.streams)
    fake.streams[0].wfile.write(b'ff\r\n{"Action":"create"')
    fake.end_all_streams()
    until(lambda: bell.rings >= 3)


@pytest.mark.parametrize("garbage", [b"{", b"\x00\xff\n", b"not json", b'{"Type":' * 4000, b"[" * 200_000])
def test_garbage_rings_like_an_event_and_the_stream_stays(fake: FakeDocker, bell: Bell, garbage: bytes) -> None:
    until(lambda: fake.streams)
    before = bell.rings
    fake.event(garbage)
    until(lambda: bell.rings > before)
    before = bell.rings
    fake.event()
    until(lambda: bell.rings > before)
    assert bell.stream.reconnects == 0


def test_a_line_of_100_mb_takes_no_memory(fake: FakeDocker, bell: Bell) -> None:
    until(lambda: fake.streams)
    tracemalloc.start()
    piece = b"x" * 2**20
    handler = fake.streams[0]
    handler.wfile.write(b"%x\r\n" % (100 * 2**20))
    for _ in range(100):
        handler.wfile.write(piece)
    handler.wfile.write(b"\r\n")
    before = bell.rings
    fake.event()
    until(lambda: bell.rings > before)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * 2**20


def test_the_end_of_the_stream_rings_and_so_does_the_next_one(fake: FakeDocker, bell: Bell) -> None:
    until(lambda: bell.rings == 1)
    fake.end_all_streams()
    until(lambda: bell.stream.reconnects == 1)
    assert bell.rings == 3
    assert bell.stream.error == ""


def test_a_broken_chunk_is_a_lost_connection(fake: FakeDocker, bell: Bell) -> None:
    until(lambda: fake.streams)
    fake.streams.pop().wfile.write(b"zz\r\n")
    until(lambda: bell.stream.reconnects == 1)


def test_a_refusal_is_tried_again(fake: FakeDocker, bell: Bell) -> None:
    until(lambda: bell.stream.connected)
    fake.events_status = 500
    fake.end_all_streams()
    until(lambda: "HTTP 500" in bell.stream.error)
    assert bell.stream.failing_since is not None
    fake.events_status = 200
    bell.stream.nudge()
    until(lambda: bell.stream.connected == 2)


def test_docker_that_appears_is_heard_at_once_when_nudged(
    tmp_path: Path, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: "not running" in bell.stream.error)
    monkeypatch.setattr(bell.stream._backoff, "jitter", lambda: 1e6)
    bell.stream.nudge()
    until(lambda: not bell.stream._again.is_set())
    with FakeDocker(tmp_path / "docker.sock") as late:
        bell.stream.nudge()
        until(lambda: bell.rings == 2)
        late.die()


def test_docker_that_was_killed_and_comes_back_is_heard_again(tmp_path: Path, bell: Bell) -> None:
    for times in (1, 2):
        with FakeDocker(tmp_path / "docker.sock") as server:
            bell.stream.nudge()
            until(lambda times=times: bell.stream.connected == times)
            server.die()
        server.path.unlink()
        until(lambda: bell.stream.error)


def test_a_stream_whose_answer_does_not_begin_can_be_broken_off(fake: FakeDocker, tmp_path: Path) -> None:
    fake.hangs.set()
    bell = Bell(tmp_path / "docker.sock")
    bell.stream.start()
    until(lambda: fake.count("/events") == 1)
    bell.stream.break_off()
    until(lambda: fake.count("/events") == 2)
    fake.hangs.clear()
    fake.released.set()
    until(lambda: bell.stream.connected)
    bell.stream.stop()
    assert not bell.stream._thread.is_alive()


def test_another_url_is_listened_to_after_breaking_off(fake: FakeDocker, bell: Bell, tmp_path: Path) -> None:
    until(lambda: fake.streams)
    with FakeDocker(tmp_path / "other.sock") as other:
        bell.url = other.url
        bell.stream.break_off()
        until(lambda: other.streams)
        other.die()


def test_the_url_that_changes_while_connecting_is_not_listened_to(
    fake: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    bell = Bell(fake.path)
    connected = threading.Event()
    connect = subject._UnixConnection.connect

    def slow(connection: subject._UnixConnection) -> None:
        connect(connection)
        bell.url = "unix:///nowhere/docker.sock"
        connected.set()

    monkeypatch.setattr(subject._UnixConnection, "connect", slow)
    bell.stream.start()
    assert connected.wait(PATIENCE_S)
    until(lambda: "/nowhere/" in bell.stream.error)
    bell.stream.stop()
    assert fake.count("/events") == 0
