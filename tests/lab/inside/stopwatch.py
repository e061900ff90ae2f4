"""Measures, from outside of dmsfw, how long the kernel has to wait for a rule. Runs inside the router.

    stopwatch.py event SOCKET      from Docker's next "network create" event to the rule for its bridge
    stopwatch.py restart STATE     from the end of the next firewall restart (STATE is written last) to the hook
    stopwatch.py event4 SOCKET     the same as `event` on firewall4: to the element for its bridge
    stopwatch.py restart4          from the transaction that loads firewall4 to the one that brings our elements

Prints "ready", then one JSON line. Listens to Docker by itself, and looks at the kernel's table without a pause.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dmsfw.enforce import sockopt
from dmsfw.enforce.render import TableKey
from tests.lab.inside.transactions import NEWSETELEM, NEWTABLE, Transactions, names

FILTER = TableKey(4, "filter")
PATIENCE_S = 20.0
GONE = (0, 0)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        """Connect to the path instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def event(path: str) -> dict[str, object]:
    """Wait for the next network, and for a rule that names its bridge."""
    bridge, began = created(path)
    until(lambda: bridge.encode() in sockopt.read(FILTER).raw)
    return {"bridge": bridge, "ms": (time.perf_counter() - began) * 1000}


def event4(path: str) -> dict[str, object]:
    """Wait for the next network, and for an element that names its bridge."""
    heard = Transactions()
    bridge, began = created(path)
    return {"bridge": bridge, "ms": (heard.until(names(NEWSETELEM, f"{bridge}\0".encode())) - began) * 1000}


def created(path: str) -> tuple[str, float]:
    """Wait for the next network; return its bridge, and when the event was read."""
    connection = UnixConnection(path)
    filters = json.dumps({"type": ["network"], "event": ["create"]})
    connection.request("GET", f"/events?filters={filters.replace(' ', '')}")
    stream = connection.getresponse()
    print("ready", flush=True)
    actor = json.loads(stream.readline())["Actor"]
    return f"br-{actor['ID'][:12]}", time.perf_counter()


def restart4() -> dict[str, object]:
    """Wait for firewall4 to be loaded, and for our elements."""
    heard = Transactions()
    print("ready", flush=True)
    began = heard.until(names(NEWTABLE, b"fw4\0"))
    return {"ms": (heard.until(names(NEWSETELEM, b"dmsfw1_")) - began) * 1000}


def restart(state: str) -> dict[str, object]:
    """Wait for firewall3's state file to be written anew, and for the hook behind its accept of what is established."""
    before = written(state)
    print("ready", flush=True)
    # firewall3 removes the file at the beginning of a restart: only the new one tells of its end.
    until(lambda: written(state) not in {before, GONE}, pause_s=0.0002)
    began = time.perf_counter()
    until(lambda: b"DMSFW-FORWARD" in sockopt.read(FILTER).raw and hooked())
    return {"ms": (time.perf_counter() - began) * 1000}


def hooked() -> bool:
    """Tell whether the chain FORWARD leads to ours."""
    return any(entry.target == FILTER.own for entry in sockopt.read(FILTER).chain(FILTER.builtin) or ())


def written(state: str) -> tuple[int, int]:
    """When the file was written, and how long it is; an empty one is still being written."""
    try:
        found = Path(state).stat()
    except FileNotFoundError:
        return GONE
    return (found.st_mtime_ns, found.st_size) if found.st_size else GONE


def until(condition: Callable[[], bool], pause_s: float = 0.0) -> None:
    """Look again and again. Ends the program when it takes for ever."""
    deadline = time.perf_counter() + PATIENCE_S
    while not condition():
        if time.perf_counter() > deadline:
            sys.exit("stopwatch: it never came")
        if pause_s:
            time.sleep(pause_s)


if __name__ == "__main__":
    measured = {"event": event, "event4": event4, "restart": restart, "restart4": restart4}[sys.argv[1]](*sys.argv[2:])
    print(json.dumps(measured), flush=True)
