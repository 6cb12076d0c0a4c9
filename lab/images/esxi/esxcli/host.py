"""An ESXi host: what it was set to, what it saw at its last rescan, and the lab that it belongs to."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .errors import EsxcliError
from .labapi import LabApi

STATE = Path("/var/lib/esxi/state.json")
ADAPTER = "vmhba64"
"""What ESXi calls its software iSCSI adapter."""
DEFAULT_PSP = "VMW_PSP_FIXED"
"""The path selection policy of an active-active array that no rule claims."""
DEFAULT_IOPS = 1000


@dataclass
class Chap:
    """CHAP in one direction: its level is prohibited, discouraged, preferred or required."""

    level: str = "prohibited"
    name: str = ""
    secret: str = ""


@dataclass
class ChapPair:
    """CHAP in both directions: `uni` is the host's proof to the target, `mutual` the target's to the host."""

    uni: Chap = field(default_factory=Chap)
    mutual: Chap = field(default_factory=Chap)


@dataclass
class Target:
    """A target at a portal: a static one, which was added by its name, or one that a send target named."""

    name: str
    portal: str
    is_static: bool = False
    chap: ChapPair | None = None
    """Its own CHAP, if it doesn't inherit the send target's or the adapter's."""


@dataclass
class StoragePath:
    """A path from a VMkernel adapter through a portal to a LUN."""

    vmk: str
    portal: str
    target: str
    lun: int


@dataclass
class Device:
    """A LUN that the host saw."""

    vendor: str
    model: str
    revision: str
    size_bytes: int
    paths: list[StoragePath]


@dataclass
class Policy:
    """How a device's paths are used."""

    psp: str = DEFAULT_PSP
    iops: int = DEFAULT_IOPS


@dataclass
class SatpRule:
    """Which arrays get which policy by themselves."""

    satp: str
    psp: str = ""
    vendor: str = ""
    model: str = ""
    description: str = ""


@dataclass
class State:
    """All that a host keeps across restarts."""

    iscsi_enabled: bool = False
    nics: list[str] = field(default_factory=list)
    """VMkernel adapters bound to the iSCSI adapter."""
    chap: ChapPair = field(default_factory=ChapPair)
    send_targets: dict[str, ChapPair | None] = field(default_factory=dict)
    """Portals to ask for targets; their own CHAP, if they don't inherit the adapter's."""
    targets: list[Target] = field(default_factory=list)
    devices: dict[str, Device] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    satp_rules: list[SatpRule] = field(default_factory=list)
    ntp_enabled: bool = False
    ntp_servers: list[str] = field(default_factory=list)
    maintenance: bool = False

    @classmethod
    def from_json(cls, text: str) -> "State":
        """Read what `to_json` wrote."""
        saved = json.loads(text)

        def pair(value: dict[str, Any]) -> ChapPair:
            return ChapPair(Chap(**value["uni"]), Chap(**value["mutual"]))

        saved["chap"] = pair(saved["chap"])
        saved["send_targets"] = {k: v and pair(v) for k, v in saved["send_targets"].items()}
        saved["targets"] = [
            Target(**{**target, "chap": target["chap"] and pair(target["chap"])}) for target in saved["targets"]
        ]
        saved["devices"] = {
            naa: Device(**{**device, "paths": [StoragePath(**path) for path in device["paths"]]})
            for naa, device in saved["devices"].items()
        }
        saved["policies"] = {naa: Policy(**policy) for naa, policy in saved["policies"].items()}
        saved["satp_rules"] = [SatpRule(**rule) for rule in saved["satp_rules"]]
        return cls(**saved)

    def to_json(self) -> str:
        """Write everything, CHAP secrets included."""
        return json.dumps(asdict(self), indent=1)


@dataclass
class Host:
    """The host that a command works on."""

    state: State
    lab: LabApi

    @classmethod
    @contextmanager
    def open(cls, file: Path) -> Iterator["Host"]:
        """Hold the host's state while a command works on it, and keep what the command changed if it succeeds."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = file.read_text() if file.exists() else ""
            host = cls(State.from_json(before) if before else State(), LabApi.from_environment())
            yield host
            if (after := host.state.to_json()) != before:
                part = file.with_suffix(".part")
                with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
                    stream.write(after)
                    stream.flush()
                    os.fsync(stream.fileno())
                part.replace(file)

    @property
    def name(self) -> str:
        """The host's name without its domain."""
        return socket.gethostname().partition(".")[0]

    @property
    def iqn(self) -> str:
        """The name of the software initiator, which ESXi makes from the host's and keeps."""
        return f"iqn.1998-01.com.vmware:{self.name}-{hash_of(self.name)}"

    def interface_of(self, address: str) -> str | None:
        """Return the network interface that has the address, if its network is plugged in."""
        found = json.loads(subprocess.run(["ip", "-json", "-4", "address"], capture_output=True, check=True).stdout)
        return next((link["ifname"] for link in found for each in link["addr_info"] if each["local"] == address), None)

    def require_adapter(self, name: str | None) -> None:
        """Refuse an adapter that the host doesn't have."""
        if not self.state.iscsi_enabled or name not in (None, ADAPTER):
            raise EsxcliError(f"Invalid adapter {name or ADAPTER}: no such iSCSI adapter on this host")

    def device(self, naa: str) -> Device:
        """Return a device by its name; refuse one that the host doesn't see."""
        if naa not in self.state.devices:
            raise EsxcliError(f"Unable to find device with name {naa}")
        return self.state.devices[naa]

    def policy(self, naa: str) -> Policy:
        """Return how the device's paths are used: as set, else as a rule for its array says, else the default."""
        if naa in self.state.policies:
            return self.state.policies[naa]
        device = self.state.devices[naa]
        for rule in self.state.satp_rules:
            if rule.psp and rule.vendor in ("", device.vendor) and rule.model in ("", device.model):
                return Policy(psp=rule.psp)
        return Policy()

    def report(self) -> None:
        """Tell the simulated vCenter what the host sees.

        Raises:
            EsxcliError: It doesn't answer.
        """
        state = self.state
        self.lab.report_storage(
            {
                "adapter": {
                    "name": ADAPTER if state.iscsi_enabled else "",
                    "iqn": self.iqn if state.iscsi_enabled else "",
                    "enabled": state.iscsi_enabled,
                },
                "targets": [{"iqn": target.name, "portal": target.portal} for target in state.targets],
                "devices": [
                    {
                        "naa": naa,
                        "vendor": device.vendor,
                        "model": device.model,
                        "size_bytes": device.size_bytes,
                        "psp": self.policy(naa).psp,
                        "paths": [
                            {"vmk": path.vmk, "portal": path.portal, "target": path.target, "state": "active"}
                            for path in device.paths
                        ],
                    }
                    for naa, device in state.devices.items()
                ],
            }
        )

    def report_if_possible(self) -> None:
        """Tell the simulated vCenter; the change is the host's own and stays, even if nobody hears of it."""
        try:
            self.report()
        except EsxcliError as error:
            print(f"Warning: vCenter was not told: {error}", file=sys.stderr)


def hash_of(name: str) -> str:
    """Return 8 hexadecimal digits that stay the same for a host's name."""
    return f"{zlib.crc32(name.encode()):08x}"
