"""Docker's event stream, used as a bell: each piece that arrives asks for a reading, and none is parsed.

A glance tells those that say of nothing but containers that join and leave, so that a storm of these takes nothing from
networks that come and go.

It is spoken over http.client and not docker-py, whose stream hides its own end, keeps a line of any length in
memory, and can be broken off from another thread only after the daemon has answered. Here a piece is 64 KB at
most, the end of the stream is an end, and `break_off` works at any moment.

A daemon that is stopped or still starting holds the request in its socket's queue and answers when it can: so the
stream is the first to know, without asking again and again.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from dmsfw.errors import ObserveError
from dmsfw.observe.backoff import CEILING_S, Backoff
from dmsfw.observe.docker import reason, socket_path
from dmsfw.observe.glance import Glance

if TYPE_CHECKING:
    from collections.abc import Callable

SINCE_S = 2
"""The daemon answers before it subscribes (moby, api/server/router/system): events of so many seconds ago are asked for
again, so that none falls between."""

ANSWER_S = 60.0
"""How long the daemon may take to begin its answer; it may be starting."""

PIECE = 2**16
FILTERS = quote(json.dumps({"type": ["network"]}))
HTTP_OK = 200
STOP_S = 0.4
STOOD_S = 1.0
"""A stream that was answered and ended sooner is none: it is tried again with backoff, whatever is read meanwhile."""


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ANSWER_S)
        self._path = path

    def connect(self) -> None:
        """Connect; the queue of a hung daemon may be full, which is an error here at once and no wait."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ANSWER_S)
        self.sock.connect(self._path)


class EventStream:
    """A thread that listens, and listens again when the stream ends. `on_event` is called in it, and must not block.

    It is told whether the event is but a hint (see `glance`); that the stream was found or lost is none.
    `error` says why it does not listen, in one line, and `failing_since` since when (monotonic seconds).
    `connected` counts how often it began to.
    """

    def __init__(self, url: Callable[[], str], on_event: Callable[[bool], None]) -> None:
        self.error = "not connected yet"
        self.failing_since: float | None = time.monotonic()
        self.connected = 0
        self._url, self._on_event = url, on_event
        self._backoff = Backoff()
        self._lock = threading.Lock()
        self._again = threading.Event()
        self._stopped = self._hasty = False
        self._connection: _UnixConnection | None = None
        self._thread = threading.Thread(target=self._run, name="dmsfw docker events", daemon=True)

    @property
    def reconnects(self) -> int:
        """How often the stream was lost and found again."""
        return max(0, self.connected - 1)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def nudge(self) -> None:
        """End a wait between two attempts. Does nothing while the stream stands, or where streams end at once."""
        if not self._hasty:
            self._try_again()

    def break_off(self) -> None:
        """Close the stream, whatever it waits for; it is opened again."""
        with self._lock:
            connection = self._connection
        sock = connection.sock if connection is not None else None
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._try_again()

    def stop(self) -> None:
        """End the thread."""
        self._stopped = True
        self.break_off()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _try_again(self) -> None:
        self._backoff.reset()
        self._again.set()

    def _run(self) -> None:
        while not self._stopped:
            self._again.clear()
            began, answered = time.monotonic(), self.connected
            why = self._listen()
            self._hasty = self.connected > answered and time.monotonic() - began < STOOD_S
            self._lost(why)
            if time.monotonic() - began > CEILING_S:
                self._backoff.reset()
            if not self._stopped:
                self._again.wait(self._backoff.next_s())

    def _lost(self, why: str) -> None:
        """A lost stream, and each new reason why there is none, asks for a reading: it shows if Docker is gone."""
        news = why != self.error
        self.error, self.failing_since = why, self.failing_since or time.monotonic()
        if news and not self._stopped:
            self._on_event(False)  # noqa: FBT003 - a callback

    def _listen(self) -> str:
        """Listen until the stream ends, and return why it did."""
        url = self._url()
        try:
            self._follow(url)
        except ObserveError as error:
            return error.reason
        except Exception as error:  # noqa: BLE001 - whatever a hostile daemon causes must not end the thread
            return reason(error, url)
        finally:
            self._forget()
        return "the event stream ended"

    def _follow(self, url: str) -> None:
        connection = _UnixConnection(socket_path(url))
        with self._lock:
            self._connection = connection
        connection.connect()
        # Before the connection stood, `break_off` could not break it off.
        if self._stopped or self._url() != url:
            return
        connection.request("GET", f"/events?since={int(time.time()) - SINCE_S}&filters={FILTERS}")
        response = connection.getresponse()
        if response.status != HTTP_OK:
            raise ObserveError("docker", f"it answers /events with HTTP {response.status}")
        self._subscribed(connection)
        glance = Glance()
        with response:
            while piece := response.read1(PIECE):
                self._on_event(glance.is_minor(piece))

    def _subscribed(self, connection: _UnixConnection) -> None:
        """Whatever happened while nobody listened is asked for now. From here on silence is no failure."""
        if connection.sock is not None:
            connection.sock.settimeout(None)
        self.error, self.failing_since = "", None
        self._on_event(False)  # noqa: FBT003 - a callback
        self.connected += 1

    def _forget(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
