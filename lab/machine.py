"""A machine of the lab: one container with fixed addresses and its own files."""

import hashlib
import json
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from docker import DockerClient
from docker.models.containers import Container
from docker.types import EndpointConfig, Mount

from lab.errors import LabError
from lab.label import Kind, Label
from lab.network import LabNetwork, network_of
from machine.files import PRIVATE, write

FILES = "/run/lab"
"""Where a machine finds its files."""

READY_SECONDS = 60
"""Far more than any machine takes, even on a busy computer."""

_LOG_LINES = 15
_TOLD = "told"
"""Which live files the machine has read."""

API_VERSION = "1.41"
"""Of Docker 20.10, the oldest engine that the lab runs on."""


@dataclass(frozen=True)
class Port:
    """A TCP port of the container that is published on an address of this machine."""

    container: int
    host: int
    address: str = "127.0.0.1"


@dataclass(frozen=True)
class Machine:
    """What a container is made from. Secrets are in its files only, which nobody but root can read."""

    name: str
    kind: Kind
    image: str
    addresses: tuple[IPv4Address, ...]
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    first_files: Mapping[str, bytes] = field(default_factory=dict)
    """Read when the machine starts for the first time, never again: it is not made anew where they have changed."""
    live_files: Mapping[str, bytes] = field(default_factory=dict)
    """Read again whenever the machine is told that they have changed (SIGHUP); it is not made anew for them either."""
    mounts: Mapping[str, str] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ()
    tmpfs: tuple[str, ...] = ()
    port: Port | None = None
    answers_on: Sequence[tuple[IPv4Address, int]] = ()
    """TCP ports that are open when the machine is ready."""
    announces: str = ""
    """What its log has when it is ready."""

    def fingerprint(self, image_id: str) -> str:
        """Checksum of all that makes the container what it is; `image_id` is what the image's name stands for."""
        parts = {
            "name": self.name,
            "kind": self.kind,
            "image": image_id,
            "addresses": [str(address) for address in self.addresses],
            "command": self.command,
            "environment": dict(self.environment),
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()},
            "mounts": dict(self.mounts),
            "capabilities": self.capabilities,
            "tmpfs": self.tmpfs,
            "port": str(self.port),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def write_files(self, directory: Path) -> None:
        """Write the machine's files into `directory`, which becomes its /run/lab."""
        for name, content in {**self.files, **self.first_files, **self.live_files}.items():
            write(directory / name, content, PRIVATE)
        if self.live_files:
            write(directory / _TOLD, self._checksum_of_live_files(), PRIVATE)

    def tell(self, container: Container, directory: Path) -> bool:
        """Have the running machine read its live files again if they have changed; returns whether they have."""
        told, content = directory / _TOLD, self._checksum_of_live_files()
        if not self.live_files or (told.exists() and told.read_text() == content):
            return False
        for name, live in self.live_files.items():
            write(directory / name, live, PRIVATE)
        container.kill("SIGHUP")
        write(told, content, PRIVATE)  # last: after an interruption the machine is told once more
        return True

    def _checksum_of_live_files(self) -> str:
        return hashlib.sha256(repr(sorted(self.live_files.items())).encode()).hexdigest()

    def start(
        self, client: DockerClient, networks: Sequence[LabNetwork], directory: Path, labels: Mapping[str, str]
    ) -> Container:
        """Make the container and start it, on its networks from the first instant.

        Args:
            client: The Docker engine.
            networks: The lab's networks; each address lies in one.
            directory: The machine's files on this machine, absolute.
            labels: The lab's own labels, and the fingerprint.
        """
        lab = labels[Label.LAB]
        first, *others = self.addresses
        home = f"{lab}-{network_of(first, networks).name}"
        mounts = [Mount(target, source, type="bind") for target, source in self.mounts.items()]
        if self.files or self.first_files or self.live_files:
            mounts.append(Mount(FILES, str(directory), type="bind", read_only=True))
        options: dict[str, Any] = {}
        if self.port:
            options["ports"] = {f"{self.port.container}/tcp": (self.port.address, self.port.host)}
        container = client.containers.create(
            self.image,
            list(self.command) or None,
            name=f"{lab}-{self.name}",
            hostname=self.name,
            environment=dict(self.environment),
            labels={**labels, Label.KIND: self.kind, Label.NAME: self.name},
            network=home,
            networking_config={home: EndpointConfig(API_VERSION, ipv4_address=str(first))},
            mounts=mounts,
            cap_add=list(self.capabilities),
            tmpfs=dict.fromkeys(self.tmpfs, ""),
            **options,
        )
        for address in others:
            network = client.networks.get(f"{lab}-{network_of(address, networks).name}")
            network.connect(container, ipv4_address=str(address))
        container.start()
        return container

    def await_ready(self, container: Container) -> None:
        """Wait until every port of `answers_on` is open, and the log has what the machine `announces`.

        Raises:
            LabError: The container ended, or took longer than READY_SECONDS.
        """
        conditions = [
            (f"{address} port {port} is closed", partial(_is_open, address, port)) for address, port in self.answers_on
        ]
        if self.announces:
            conditions.append((f'"{self.announces}" is not in its log', partial(_has_said, container, self.announces)))
        deadline = time.monotonic() + READY_SECONDS
        for lacking, is_met in conditions:
            while not is_met():
                container.reload()
                if container.status != "running":
                    raise LabError(
                        f"{self.name} did not start", f"its container is {container.status}", _last(container)
                    )
                if time.monotonic() > deadline:
                    raise LabError(f"{self.name} is not ready", f"{lacking} after {READY_SECONDS} s", _last(container))
                time.sleep(0.05)


def _is_open(address: IPv4Address, port: int) -> bool:
    try:
        with socket.create_connection((str(address), port), timeout=1):
            return True
    except OSError:
        return False


def _has_said(container: Container, text: str) -> bool:
    return text.encode() in container.logs()


def _last(container: Container) -> str:
    log = container.logs(tail=_LOG_LINES).decode(errors="replace").strip()
    return f"Its last words:\n{log}" if log else "It said nothing."
