"""Closed sets of words that a stack file uses."""

from enum import StrEnum


class Edition(StrEnum):
    """The vSphere edition, as far as it decides how virtual machines are kept apart."""

    ENTERPRISE_PLUS = "enterprise-plus"
    """Has DRS: anti-affinity rules."""
    ESSENTIALS_PLUS = "essentials-plus"
    """Has vSphere HA but no DRS: virtual machines are pinned to hosts at creation."""

    @property
    def has_drs(self) -> bool:
        """Whether the Distributed Resource Scheduler may be switched on."""
        return self is Edition.ENTERPRISE_PLUS


class Role(StrEnum):
    """What a server does; a tier is all servers of one role."""

    BALANCER = "balancer"
    APPLICATION = "application"
    DATABASE = "database"
    WITNESS = "witness"
    BACKUP = "backup"
    """Keeps backups of the database, and does nothing else."""


class Isolation(StrEnum):
    """What vSphere HA does with the virtual machines of a host that is cut off."""

    SHUTDOWN = "shutdown"
    POWER_OFF = "powerOff"


class DeviceLoss(StrEnum):
    """What vSphere HA does with virtual machines when the array says that their datastore is gone (PDL)."""

    WARNING = "warning"
    RESTART = "restartAggressive"
    """On a host that still has it, at once: a host that was told so doesn't get it back by itself."""


class PathLoss(StrEnum):
    """What vSphere HA does with virtual machines when their datastore doesn't answer at all (APD)."""

    WARNING = "warning"
    RESTART_IF_ELSEWHERE = "restartConservative"
    """Only when a host is known to have both the datastore and room."""
    RESTART = "restartAggressive"
    """Also when that can't be known."""


class Certificate(StrEnum):
    """Whose certificate users' browsers see."""

    OWN = "own"
    """Made by `init` and signed by the stack's own authority, which users' machines have to trust."""
    GIVEN = "given"
    """The company's own, from an authority that users' machines trust already; `init` asks for it."""


class Measure(StrEnum):
    """Which figure a target is about."""

    OUTAGE = "outage"
    """The longest time without a good answer to a page."""
    PAUSED_WRITES = "paused writes"
    """The longest time between two acknowledged writes."""


VMOTION_PORT_GROUP = "perenne-vmotion"
"""The port group of hosts' vMotion adapters."""


def storage_port_group(path: str) -> str:
    """The port group of a storage path's VMkernel adapter; that of the servers is named by the stack file."""
    return f"perenne-storage-{path}"
