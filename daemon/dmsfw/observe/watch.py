"""One thread that listens to the kernel: inotify and netlink in one poll, without a timer while everything is there."""

from __future__ import annotations

import os
import select
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog

from dmsfw.observe.files import FileWatch, WatchRule
from dmsfw.observe.netlink import NETLINK_NETFILTER, NFTABLES, Netlink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RETRY_S = 5.0
"""How often a folder that is not there is looked for."""

REST_S = 0.02
"""Netlink is not listened to for so long after news: a reading settles as long. A storm costs 50 wake-ups a second."""

STOP_S = 0.4

FILES_UNWATCHED = "files are not watched"

log = structlog.get_logger()
T = TypeVar("T")


@dataclass
class _Bell:
    """A netlink socket, what its news call, and until when it is not listened to (monotonic seconds)."""

    netlink: Netlink | None
    ring: Callable[[], None]
    of_nftables: bool = False
    rests_until: float | None = None


class Watch:
    """Calls the rules' callbacks, and each bell's for its news, in a thread of its own.

    `on_netlink`: for news of links and routes; `on_nftables`: for transactions of nftables, None: not listened to.

    What the kernel does not give is logged once and gone without: the timers are left then.
    """

    def __init__(
        self,
        rules: Sequence[WatchRule],
        on_netlink: Callable[[], None],
        on_nftables: Callable[[], None] | None = None,
    ) -> None:
        self._files = _or_none(FILES_UNWATCHED, partial(FileWatch, rules))
        self._bells = [_Bell(_or_none("links and routes are not watched", Netlink), on_netlink)]
        if on_nftables is not None:
            nftables = _or_none("nftables is not watched", partial(Netlink, NETLINK_NETFILTER, NFTABLES))
            self._bells.append(_Bell(nftables, on_nftables, of_nftables=True))
        self._end, self._ender = os.pipe()
        self._poll = select.poll()
        self._refusal_is_told = False
        self._tell_refusal()
        self._thread = threading.Thread(target=self._run, name="dmsfw watch", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        for source in (self._end, self._files, *(bell.netlink for bell in self._bells)):
            if source is not None:
                self._poll.register(source, select.POLLIN)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close what it listened to."""
        if self._thread.is_alive():
            os.write(self._ender, b".")
            if self._thread is not threading.current_thread():
                self._thread.join(STOP_S)

    def _run(self) -> None:
        try:
            while self._once():
                pass
        finally:
            self._close()

    def _once(self) -> bool:
        """Serve what is ready; False when it is time to end."""
        ready = {fd for fd, _ in self._poll.poll(self._timeout_ms())}
        if self._end in ready:
            return False
        if self._files is not None:
            self._serve_files(self._files, ready)
        for bell in self._bells:
            self._serve_bell(bell, ready)
        return True

    def _timeout_ms(self) -> int | None:
        now = time.monotonic()
        waits = [max(0.0, bell.rests_until - now) for bell in self._bells if bell.rests_until is not None]
        if self._files is not None and self._files.incomplete:
            waits.append(RETRY_S)
        return int(min(waits) * 1000) + 1 if waits else None

    def _serve_files(self, files: FileWatch, ready: set[int]) -> None:
        if files.fileno() in ready:
            files.drain()
        if files.incomplete:
            files.arm()
            files.call()
        self._tell_refusal()

    def _tell_refusal(self) -> None:
        if self._files is not None and self._files.refused and not self._refusal_is_told:
            self._refusal_is_told = True
            log.warning(FILES_UNWATCHED, error="fs.inotify.max_user_watches are in use")

    def _serve_bell(self, bell: _Bell, ready: set[int]) -> None:
        now = time.monotonic()
        if bell.netlink is not None and bell.netlink.fileno() in ready:
            self._hear(bell, bell.netlink, now)
        elif bell.netlink is not None and bell.rests_until is not None and now >= bell.rests_until:
            bell.rests_until = None
            self._poll.register(bell.netlink, select.POLLIN)

    def _hear(self, bell: _Bell, netlink: Netlink, now: float) -> None:
        self._poll.unregister(netlink)
        bell.rests_until = now + REST_S
        try:
            heard = netlink.drain()
        except OSError as error:
            _say("nftables is not watched" if bell.of_nftables else "links and routes are not watched", error)
            bell.netlink, bell.rests_until = None, None
            netlink.close()
            heard = True
        if heard:
            bell.ring()

    def _close(self) -> None:
        for source in (self._files, *(bell.netlink for bell in self._bells)):
            if source is not None:
                source.close()
        os.close(self._end)
        os.close(self._ender)


def _or_none(without: str, make: Callable[[], T]) -> T | None:
    try:
        return make()
    except OSError as error:
        log.warning(without, error=error.strerror or str(error))
        return None


def _say(without: str, error: OSError) -> None:
    log.warning(without, error=error.strerror or str(error))
