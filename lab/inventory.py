"""What Docker has of a lab, found by label alone."""

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from docker import DockerClient
from docker.errors import APIError, NotFound

from lab.errors import LabError
from lab.label import Kind, Label

_ROUNDS = 5
"""vCenter may be about to make a guest while it is removed; nothing makes new ones after that."""


@dataclass(frozen=True)
class Member:
    """A container or network of a lab; `state` is a container's in Docker's words (running, exited, paused …)."""

    id: str
    labels: dict[str, str]
    state: str = ""

    @property
    def name(self) -> str:
        """Its short name."""
        return self.labels.get(Label.NAME, self.id[:12])

    @property
    def kind(self) -> str:
        """What it stands for."""
        return self.labels.get(Label.KIND, "")


@dataclass(frozen=True)
class Inventory:
    """The containers, networks and volumes that carry a lab's label."""

    lab: str
    containers: tuple[Member, ...]
    networks: tuple[Member, ...]
    volumes: tuple[str, ...]

    @classmethod
    def read(cls, client: DockerClient, lab: str) -> Self:
        """Ask Docker."""
        chosen = {"label": f"{Label.LAB}={lab}"}
        containers = client.api.containers(all=True, filters=chosen)
        return cls(
            lab,
            _by_id(Member(found["Id"], found["Labels"], found["State"]) for found in containers),
            _by_id(Member(found["Id"], found["Labels"]) for found in client.api.networks(filters=chosen)),
            tuple(sorted(found["Name"] for found in client.api.volumes(filters=chosen)["Volumes"] or [])),
        )

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.containers or self.networks or self.volumes)

    def machine(self, name: str) -> Member | None:
        """The lab's own machine of that name; guests are vCenter's."""
        kinds = set(Kind)
        return next((found for found in self.containers if found.name == name and found.kind in kinds), None)

    @property
    def runs(self) -> bool:
        """Whether any of it does."""
        return any(found.state in {"running", "paused", "restarting"} for found in self.containers)

    def check_owner(self, clone: Path) -> None:
        """Check that the lab is this working copy's.

        One whose working copy is gone is anyone's. So is, in continuous integration (`CI=true`), one of which nothing
        runs: a job that was killed left it behind.

        Raises:
            LabError: It belongs to another.
        """
        if os.environ.get("CI") == "true" and not self.runs:
            return
        owners = {found.labels.get(Label.CLONE) for found in (*self.containers, *self.networks)} - {None, str(clone)}
        for owner in sorted(str(owner) for owner in owners):
            if Path(owner).is_dir():
                raise LabError(
                    f"this machine already has a lab named {self.lab}",
                    f"it belongs to the working copy {owner}",
                    f"Take it down there first: {_down(Path(owner))}",
                )


def _down(clone: Path) -> str:
    """The command that takes the lab of a working copy, or of a twin in one, down."""
    if clone.parent.parts[-2:] == (".perenne", "twin"):
        return f"cd {clone.parents[2]} && ./perenne twin {clone.name} down"
    return f"cd {clone} && ./perenne down"


def _by_id(members: Iterable[Member]) -> tuple[Member, ...]:
    """Docker lists networks in no order."""
    return tuple(sorted(members, key=lambda member: member.id))


def check_names(client: DockerClient, lab: str, names: set[str]) -> None:
    """Check that no container or network that isn't the lab's has a name that the lab needs.

    Raises:
        LabError: One has.
    """
    wanted = {f"{lab}-{name}" for name in names}
    containers = {
        name.removeprefix("/"): ("container", "docker rm --force")
        for found in client.api.containers(all=True)
        if found["Labels"].get(Label.LAB) != lab
        for name in found["Names"]
    }
    networks = {
        found["Name"]: ("network", "docker network rm")
        for found in client.api.networks()
        if (found["Labels"] or {}).get(Label.LAB) != lab
    }
    for name, (what, command) in (networks | containers).items():
        if name in wanted:
            raise LabError(
                f"the lab can't make its {what} {name}",
                f"there is a {what} of that name which is not the lab's",
                f"Rename it, or remove it if nobody needs it: {command} {name}",
            )


def generation_of(client: DockerClient, vcenter: Member) -> str:
    """Name the life of a vCenter: its inventory is in memory, so each start of its process begins a new one."""
    started = client.api.inspect_container(vcenter.id)["State"]["StartedAt"]
    return hashlib.sha256(f"{vcenter.id} {started}".encode()).hexdigest()[:16]


def remove(client: DockerClient, lab: str) -> None:
    """Remove everything of the lab: vCenter first, since it would bring its guests back.

    Raises:
        LabError: Something can't be removed.
    """
    reason = ""
    for _ in range(_ROUNDS):
        inventory = Inventory.read(client, lab)
        if not inventory:
            return
        vcenters = [found.id for found in inventory.containers if found.kind == Kind.VCENTER]
        others = [found.id for found in inventory.containers if found.kind != Kind.VCENTER]
        try:
            for container in vcenters:
                remove_container(client, container)
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda container: remove_container(client, container), others))
            for network in inventory.networks:
                with suppress(NotFound):
                    client.api.remove_network(network.id)
            for volume in inventory.volumes:
                with suppress(NotFound):
                    client.api.remove_volume(volume)
        except APIError as error:  # a guest that was just made is still on its network, and gone in the next round
            reason = error.explanation or str(error)
    if inventory := Inventory.read(client, lab):
        left = ", ".join(found.name for found in (*inventory.containers, *inventory.networks))
        raise LabError(
            f"lab {lab} can't be taken down",
            f"{left} stays: {reason}",
            "Restart Docker, then run ./perenne down again.",
        )


def remove_container(client: DockerClient, container: str) -> None:
    """Kill and remove a container with its anonymous volumes; it may be gone already."""
    with suppress(NotFound):
        client.api.remove_container(container, force=True, v=True)
