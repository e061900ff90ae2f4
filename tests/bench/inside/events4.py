"""As events.py, on firewall4: creates networks, and stamps how long after Docker's event their elements stand.

The time ends when the kernel announces the transaction that brings an element with the network's bridge.

Usage: events4.py SOCKET COUNT PAUSE_S
"""

from __future__ import annotations

import json
import sys
import time

from tests.bench.inside.docker import Connection, NetworkEvents
from tests.bench.inside.events import LABELS, subnet_of
from tests.lab.inside.transactions import DELSETELEM, NEWSETELEM, Transactions, names


class Stopwatch:
    """Creates, watches and removes networks, one after the other."""

    def __init__(self, path: str) -> None:
        self._events, self._docker, self._heard = NetworkEvents(path), Connection(path), Transactions()

    def round(self, number: int) -> dict[str, float]:
        """Return milliseconds: `both` after the event, `gone` after the network's end."""
        body = {"Name": f"bench-{number}", "Labels": LABELS, "IPAM": {"Config": [{"Subnet": str(subnet_of(number))}]}}
        found, began = self._done("create", "POST", "/networks/create", body)
        bridge = f"br-{found[:12]}\0".encode()
        came = self._heard.until(names(NEWSETELEM, bridge)) - began
        self._docker.answer()
        _, ended = self._done("destroy", "DELETE", f"/networks/{found}")
        went = self._heard.until(names(DELSETELEM, bridge)) - ended
        self._docker.answer()
        return {"both": came * 1000, "gone": went * 1000}

    def _done(self, action: str, method: str, path: str, body: object = None) -> tuple[str, float]:
        self._heard.forget()
        self._docker.send_json(method, path, body)
        return self._events.next(action), time.perf_counter()


def main() -> None:
    """Measure."""
    path, count, pause = sys.argv[1:]
    stopwatch, rounds = Stopwatch(path), []
    for number in range(int(count)):
        time.sleep(float(pause))
        rounds.append(stopwatch.round(number))
    print(json.dumps(rounds))


if __name__ == "__main__":
    main()
