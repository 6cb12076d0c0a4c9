"""An ESXi host to run scripts on: the lab's esxcli, with stand-ins for the arrays and the simulated vCenter."""

import contextlib
import io
import os
import shlex
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from blueprint import esxi
from blueprint.settings import Settings
from lab.images.esxi.esxcli import __main__ as esxcli
from lab.images.esxi.esxcli import initiator, storage
from lab.images.esxi.esxcli.host import Host, State
from lab.images.esxi.esxcli.initiator import InitiatorError, Login, Lun
from lab.images.esxi.esxcli.labapi import LabApi

_CALL = """#!/bin/sh
printf '%s\\0' esxcli "$@" >{folder}/asked
read -r status <{folder}/answered
cat {folder}/stdout
cat {folder}/stderr >&2
exit "$status"
"""
"""Has the test's own process answer: a Python for each of a script's calls would take seconds."""


@dataclass
class Array:
    """An array that wants mutual CHAP for its targets, and perhaps for discovery, too."""

    iqn: str
    portals: list[str]
    naas: list[str]
    secret: str
    has_discovery_chap: bool = False
    late: int = 0
    """How many attempts to log in fail at each portal before one succeeds."""
    attempts: dict[str, int] = field(default_factory=dict)


@dataclass
class Esxi:
    """A host of a site, not set up yet."""

    folder: Path
    settings: Settings
    host: str
    secrets: dict[str, tuple[str, str]]
    """By array: what hosts show to it, and what it shows to hosts."""
    monkeypatch: pytest.MonkeyPatch
    called: list[str] = field(default_factory=list)
    """Every esxcli command."""

    def __post_init__(self) -> None:
        addresses = self.settings.hosts[self.host].storage.values()
        self.vmkernels = {f"vmk{number}": str(address) for number, address in enumerate(addresses, start=1)}
        self.arrays = [
            Array(
                array.iqn,
                [f"{address}:3260" for address in array.portals.values()],
                [lun.naa for lun in array.luns.values()],
                self.secrets[name][0],
            )
            for name, array in self.settings.storage.items()
        ]
        self.monkeypatch.setattr(LabApi, "_call", self._vcenter)
        self.monkeypatch.setattr(initiator, "discover", self._discover)
        self.monkeypatch.setattr(initiator, "luns", self._luns)
        self.monkeypatch.setattr(Host, "interface_of", lambda _, address: f"eth-{address}")
        self.monkeypatch.setattr(storage, "_answers", lambda _: True)
        programs = self.folder / "bin"
        programs.mkdir()
        for name, script in {
            "esxcli": _CALL.format(folder=shlex.quote(str(self.folder))),
            "sleep": f'#!/bin/sh\necho "$1" >>{shlex.quote(str(self.folder))}/slept\n',
            "hostname": f"#!/bin/sh\necho {self.host}\n",
        }.items():
            (programs / name).write_text(script)
            (programs / name).chmod(0o755)
        for name in ("asked", "answered"):
            os.mkfifo(self.folder / name)

    def set_up(self) -> "subprocess.CompletedProcess[str]":
        """Run the script that connects the host to every array."""
        answering = threading.Thread(target=self._answer, daemon=True)
        answering.start()
        done = subprocess.run(
            ["sh", "-c", esxi.iscsi_script(self.settings, self.host)],
            input=esxi.chap_lines(self.secrets),
            text=True,
            capture_output=True,
            check=False,
            env={"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"},
        )
        (self.folder / "asked").write_bytes(b"end")
        answering.join()
        return done

    def esxcli(self, words: str) -> None:
        """Run one command."""
        assert esxcli.main(words.split(), self.folder / "state.json") == 0, words

    @property
    def state(self) -> State:
        """What the host was set to."""
        return State.from_json((self.folder / "state.json").read_text())

    @property
    def paths(self) -> dict[str, list[tuple[str, str]]]:
        """VMkernel adapter and portal of every path, by device."""
        return {naa: [(one.vmk, one.portal) for one in it.paths] for naa, it in self.state.devices.items()}

    @property
    def slept(self) -> list[int]:
        """How many seconds it waited, each time."""
        file = self.folder / "slept"
        return [int(line) for line in file.read_text().splitlines()] if file.exists() else []

    def _answer(self) -> None:
        while (asked := (self.folder / "asked").read_text()) != "end":
            words = asked.split("\0")[1:-1]
            self.called.append(shlex.join(words))
            output, errors = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
                status = esxcli.main(words, self.folder / "state.json")
            (self.folder / "stdout").write_text(output.getvalue())
            (self.folder / "stderr").write_text(errors.getvalue())
            (self.folder / "answered").write_text(f"{status}\n")

    def _vcenter(self, method: str, what: str, _body: dict[str, Any] | None = None) -> dict[str, Any]:
        if method == "PUT":
            return {}
        found = [
            {"device": name, "portgroup": name, "ip": ip, "mask": "255.255.255.0", "mtu": 1500}
            for name, ip in self.vmkernels.items()
        ]
        answers: dict[str, dict[str, Any]] = {"network": {"vmkernel": found}, "storage": {"vmfs": []}}
        return answers[what]

    def _discover(self, login: Login) -> list[tuple[str, str]]:
        array = self._array_at(login)
        if bool(login.mutual_chap) != array.has_discovery_chap:
            raise InitiatorError("Authentication failure(513)")
        return [(array.iqn, login.portal)]

    def _luns(self, login: Login, target: str) -> list[Lun]:
        array = self._array_at(login)
        attempts = array.attempts.get(login.portal, 0)
        array.attempts[login.portal] = attempts + 1
        if target != array.iqn or not (login.chap and login.mutual_chap and login.chap.secret == array.secret):
            raise InitiatorError("Authentication failure(513)")
        if attempts < array.late:
            raise InitiatorError("The array is not ready yet")
        return [Lun(number, naa, "IET", "VIRTUAL-DISK", "0001", 2**36) for number, naa in enumerate(array.naas, 1)]

    def _array_at(self, login: Login) -> Array:
        for array in self.arrays:
            if login.portal in array.portals:
                return array
        raise InitiatorError("The iSCSI initiator could not establish a network connection to the target.")
