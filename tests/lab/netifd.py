"""netifd as `ubus call network.interface dump` shows it: the recorded dump, edited as interfaces come and go."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Literal

from tests.lab import paths

Mode = Literal["ok", "hang", "fail", "garbage"]
RECORDED = paths.RECORDED / "network.interface.dump.pppoe.json"
"""The PPPoE router: wan on pppoe-wan (above eth0), wan_6 on top of it, wanb on eth2, lan and docker without device."""
ONLY_WHEN_UP = ("l3_device", "uptime", "route", "ipv4-address", "ipv6-address")


class Netifd:
    """The stand-in program `ubus`, first on the router's PATH, and the file that it prints."""

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        self._folder, self._program = folder, bin_folder / "ubus"
        self._interfaces: list[dict[str, Any]] = json.loads(RECORDED.read_text("utf-8"))["interface"]
        self._recorded: list[dict[str, Any]] = json.loads(json.dumps(self._interfaces))
        self.install()
        self.behave("ok")
        self.up("lan", "eth-lan")
        self.down("wanb")

    def install(self) -> None:
        """Make the router one with netifd."""
        shutil.copy(paths.INSIDE / "ubus", self._program)

    def uninstall(self) -> None:
        """Make the router one without netifd: no program `ubus` at all."""
        self._program.unlink()

    def behave(self, mode: Mode) -> None:
        """Answer, hang for ever, fail with an error, or print half of a dump; from the next call on."""
        _write(self._folder / "mode", mode)

    def up(self, interface: str, l3_device: str) -> None:
        """Show an interface as up on a device, with the addresses and routes that were recorded for it."""
        entry = self._entry(interface)
        recorded = next((e for e in self._recorded if e["interface"] == interface), {})
        entry.update({key: recorded[key] for key in ONLY_WHEN_UP if key in recorded})
        entry.update(up=True, pending=False, available=True, errors=[], l3_device=l3_device)
        self._save()

    def down(self, interface: str) -> None:
        """Show an interface as down: without a layer-3 device, as netifd does."""
        entry = self._entry(interface)
        for key in ONLY_WHEN_UP:
            entry.pop(key, None)
        entry["up"] = False
        self._save()

    def set(self, interface: str, **fields: object) -> None:
        """Set any fields of an interface; an unknown one is added."""
        self._entry(interface).update(fields)
        self._save()

    def remove(self, interface: str) -> None:
        """Leave an interface out of the dump."""
        self._interfaces = [entry for entry in self._interfaces if entry["interface"] != interface]
        self._save()

    def _entry(self, interface: str) -> dict[str, Any]:
        for entry in self._interfaces:
            if entry["interface"] == interface:
                return entry
        entry = {"interface": interface, "up": False, "dynamic": False, "proto": "static", "data": {}}
        self._interfaces.append(entry)
        return entry

    def _save(self) -> None:
        _write(self._folder / "dump.json", json.dumps({"interface": self._interfaces}, indent=1))


def _write(path: Path, text: str) -> None:
    """Replace a file in one step: a reader sees the old text or the new."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, "utf-8")
    os.replace(new, path)  # noqa: PTH105 - the same, in fewer words
