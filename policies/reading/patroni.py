"""Patroni's configuration on VMs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policies.reading.documents import document
from policies.reading.guests import GuestFiles

PATH = r"patroni.*\.(ya?ml)$"


@dataclass(frozen=True)
class Patroni:
    """One member's configuration: its local files merged, and what goes to the whole cluster."""

    path: str
    """The file to change."""
    local: Mapping[str, Any]
    cluster: Mapping[str, Any]
    """Dynamic configuration: of a file of its own, or what the bootstrap puts there."""

    @property
    def is_synchronous(self) -> bool:
        """Whether a commit waits for a standby."""
        return self.cluster.get("synchronous_mode") in (True, "on", "quorum")

    @property
    def tags(self) -> Mapping[str, Any]:
        """The exceptions that a member makes: nofailover, nosync."""
        return self.local.get("tags") or {}

    @property
    def watchdog(self) -> str:
        """`off`, `automatic` or `required`; "" if nothing is said."""
        mode = (self.local.get("watchdog") or {}).get("mode", "")
        return "off" if mode is False else str(mode)

    @property
    def quorum(self) -> frozenset[str]:
        """The names or addresses under which it looks for etcd, names also without their domain."""
        settings = self.local.get("etcd3") or self.local.get("etcd") or {}
        listed = settings.get("hosts") or settings.get("host") or ()
        hosts = listed.split(",") if isinstance(listed, str) else listed
        found = {str(host).strip().rpartition(":")[0] or str(host).strip() for host in hosts}
        return frozenset(found | {host.partition(".")[0] for host in found if not host[:1].isdigit()})

    def parameter(self, name: str) -> str | None:
        """A parameter of PostgreSQL, the cluster's before the member's."""
        for source in (self.cluster, self.local):
            parameters = (source.get("postgresql") or {}).get("parameters") or {}
            if name in parameters:
                value = parameters[name]
                return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        return None


def patroni(files: GuestFiles) -> Patroni | None:
    """A VM's Patroni, if it has one.

    Raises:
        UndecidedError: What is put on the VM isn't known yet.
        UnreadableError: A file is not YAML.
    """
    found = files.find(PATH)
    if not found:
        return None
    local: dict[str, Any] = {}
    for path, text in sorted(found):
        local = _merged(local, document(text, path) or {})
    dynamic = [document(text, path) for path, text in files.contents.items() if path.endswith("dynamic.json")]
    cluster = dynamic[-1] if dynamic else (local.get("bootstrap") or {}).get("dcs") or {}
    return Patroni(min(found)[0], local, cluster)


def _merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Patroni merges the files of a folder in the order of their names."""
    merged = dict(base)
    for key, value in more.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
