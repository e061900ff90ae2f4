"""The one wake: nothing that is set is lost, from whatever thread or signal it comes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from dmsfw.wake import Wake

THREADS, TIMES = 8, 10_000


@pytest.fixture
def wake() -> Iterator[Wake]:
    made = Wake()
    yield made
    made.close()


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Have threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def waited_s(wake: Wake, timeout_s: float) -> float:
    began = time.monotonic()
    wake.wait(timeout_s)
    return time.monotonic() - began


def test_what_was_set_is_taken_once(wake: Wake) -> None:
    wake.set("docker")
    wake.set("uplinks")
    wake.set("docker")
    assert wake.take() == {"docker", "uplinks"}
    assert wake.take() == frozenset()


def test_a_wait_ends_at_once_when_something_is_set_already(wake: Wake) -> None:
    wake.set("docker")
    assert waited_s(wake, 600) < 60


def test_a_wait_lasts_no_less_than_it_was_told(wake: Wake) -> None:
    assert min(waited_s(wake, 0.0019) for _ in range(50)) >= 0.0019


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, -1e9])
def test_a_wait_that_is_over_already_does_not_wait(wake: Wake, timeout_s: float) -> None:
    assert waited_s(wake, timeout_s) < 60


def test_taking_clears_what_the_wait_sees(wake: Wake) -> None:
    wake.set("docker")
    wake.take()
    assert waited_s(wake, 0.01) >= 0.01


def test_what_is_set_while_the_bell_is_silenced_is_taken_or_rings(wake: Wake, monkeypatch: pytest.MonkeyPatch) -> None:
    silence = os.eventfd_read

    def silence_a_moment_later(fd: int) -> int:
        wake.set("late")
        return silence(fd)

    monkeypatch.setattr(os, "eventfd_read", silence_a_moment_later)
    wake.set("docker")
    taken = wake.take()
    monkeypatch.undo()
    assert "late" in taken or waited_s(wake, 60) < 30


def test_another_thread_ends_the_wait(wake: Wake) -> None:
    thread = threading.Thread(target=wake.set, args=("docker",))
    thread.start()
    wake.wait(600)
    thread.join()
    assert wake.take() == {"docker"}


def test_a_signal_ends_the_wait(wake: Wake) -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: wake.set("signal"))
    try:
        timer = threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        wake.wait(600)
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert wake.take() == {"signal"}


def test_a_signal_in_the_middle_of_a_taking_loses_nothing(wake: Wake) -> None:
    heard: list[str] = []

    def hear(*_: object) -> None:
        heard.append(f"signal {len(heard)}")
        wake.set(heard[-1])

    before = signal.signal(signal.SIGUSR1, hear)
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            os.kill(os.getpid(), signal.SIGUSR1)

    sender = threading.Thread(target=send)
    taken: set[str] = set()
    try:
        sender.start()
        while len(heard) < 200:
            wake.set("thread")
            taken |= wake.take()
        stop.set()
        sender.join()
        taken |= wake.take()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert taken == {"thread", *heard}


def test_nothing_is_lost_between_many_threads(wake: Wake, hasty_threads: None) -> None:
    """Each thread says something new each time; one that was lost would leave the taker waiting."""
    del hasty_threads
    wanted = {f"{thread} {number}" for thread in range(THREADS) for number in range(TIMES)}

    def set_all(thread: int) -> None:
        for number in range(TIMES):
            wake.set(f"{thread} {number}")

    threads = [threading.Thread(target=set_all, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    taken: set[str] = set()
    ends_at = time.monotonic() + 120
    while taken != wanted and time.monotonic() < ends_at:
        wake.wait(120)
        taken |= wake.take()
    for thread in threads:
        thread.join()
    assert taken == wanted


def test_what_is_set_is_never_without_a_ringing_bell(wake: Wake, hasty_threads: None) -> None:
    """A taker that sleeps whenever it may must still see each word before the next one is said."""
    del hasty_threads
    said = threading.Semaphore(0)

    def say_after_each_answer() -> None:
        for number in range(2_000):
            wake.set(str(number))
            said.acquire()

    thread = threading.Thread(target=say_after_each_answer)
    thread.start()
    for number in range(2_000):
        seen: frozenset[str] = frozenset()
        while not seen:
            assert waited_s(wake, 60) < 60
            seen = wake.take()
        assert seen == {str(number)}
        said.release()
    thread.join()


def test_a_word_that_is_set_for_ever_takes_no_memory(wake: Wake) -> None:
    for _ in range(100_000):
        wake.set("docker")
    assert len(wake._triggers) == 1
