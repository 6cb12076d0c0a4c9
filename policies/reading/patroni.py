"""Patroni's configuration on VMs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from policies.judging.resource import UndecidedError
from policies.reading.documents import UnreadableError, entries, mapping, section, switched_off, switched_on
from policies.reading.guests import GuestFiles

PATH = r"patroni.*\.(ya?ml)$"
DYNAMIC = r"patroni.*dynamic\.json$"

_DEFAULTS = {"ttl": 30, "loop_wait": 10, "retry_timeout": 10}
"""Seconds, as Patroni has them ("Dynamic configuration settings")."""


@dataclass(frozen=True)
class Patroni:
    """One member's configuration: its local files merged, and what goes to the whole cluster."""

    path: str
    """The file to change."""
    local: Mapping[str, Any] = field(repr=False)
    cluster: Mapping[str, Any] = field(repr=False)
    """Dynamic configuration: of a file of its own, or what the bootstrap puts there."""

    @property
    def scope(self) -> str:
        """The name of the cluster that it is a member of."""
        return str(self.local.get("scope") or "")

    @property
    def is_synchronous(self) -> bool:
        """Whether a commit waits for a standby."""
        mode = self.cluster.get("synchronous_mode")
        return switched_on(mode) or str(mode).lower() == "quorum"

    @property
    def may_follow(self) -> bool:
        """Whether it may be the synchronous standby, and take over."""
        tags = section(self.local, "tags")
        barred = any(switched_on(tags.get(key)) for key in ("nofailover", "nosync", "nostream"))
        return not barred and str(tags.get("failover_priority", 1)) != "0"

    @property
    def watchdog(self) -> str:
        """`off`, `automatic` or `required`; "" if nothing is said."""
        mode = section(self.local, "watchdog").get("mode", "")
        return "off" if switched_off(mode) else str(mode).lower()

    @property
    def slack(self) -> float:
        """Seconds by which the lease outlasts its renewal at its slowest: ttl - (loop_wait + 2 * retry_timeout)."""
        ttl, loop, retry = (_number(self.cluster.get(key), default) for key, default in _DEFAULTS.items())
        return ttl - (loop + 2 * retry)

    @property
    def votes(self) -> list[str] | None:
        """Where it looks for etcd; None if it uses something else."""
        for key in ("etcd3", "etcd"):
            store = section(self.local, key)
            if any(store.get(one) for one in ("srv", "srv_suffix", "proxy", "url")):
                return None
            if hosts := store.get("hosts") or store.get("host"):
                found = hosts if isinstance(hosts, list) else str(hosts).split(",")
                return [str(one).strip() for one in found if str(one).strip()]
        return None

    @property
    def access(self) -> list[list[str]]:
        """Who may connect to PostgreSQL: pg_hba, each line in words."""
        bootstrap = self.cluster if self.cluster.get("postgresql") else section(self.local, "bootstrap")
        for source in (section(self.local, "postgresql"), section(bootstrap, "postgresql"), bootstrap):
            if lines := entries(source, "pg_hba"):
                return [words for line in lines if (words := str(line).split())]
        return []

    def parameter(self, name: str) -> str | None:
        """A parameter of PostgreSQL in small letters; what a member's own file says comes before the cluster's."""
        for source in (self.local, self.cluster):
            parameters = section(section(source, "postgresql"), "parameters")
            if name in parameters:
                value = parameters[name]
                return "on" if switched_on(value) else "off" if switched_off(value) else str(value).lower()
        return None


def patroni(files: GuestFiles) -> Patroni | None:
    """A VM's Patroni, if it has one.

    Raises:
        UndecidedError: What is put on the VM isn't known yet, or can't be read: rule OPS-02 says so.
    """
    found = files.find(PATH)
    if not found:
        return None
    local: dict[str, Any] = {}
    try:
        for path, text in sorted(found):
            local = _merged(local, mapping(text, path))
        dynamic = [mapping(text, path) for path, text in files.find(DYNAMIC)]
    except UnreadableError as error:
        raise UndecidedError(files.machine.label, str(error)) from None
    cluster = dynamic[-1] if dynamic else section(section(local, "bootstrap"), "dcs")
    return Patroni(min(found)[0], local, cluster)


def is_configuration(path: str) -> bool:
    """Whether a file is Patroni's."""
    return bool(re.search(PATH, path) or re.search(DYNAMIC, path))


def _merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Patroni merges the files of a folder in the order of their names."""
    merged = dict(base)
    for key, value in more.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _number(value: object, default: float) -> float:
    try:
        return float(str(value))
    except ValueError:
        return default
