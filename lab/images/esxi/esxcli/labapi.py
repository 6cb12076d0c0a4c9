"""The simulated vCenter's side of an ESXi host: the VMkernel adapters it has, the storage it reports."""

import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from .errors import EsxcliError

TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Vmkernel:
    """A VMkernel network adapter."""

    device: str
    portgroup: str
    ip: str
    mask: str
    mtu: int


@dataclass(frozen=True)
class LabApi:
    """HTTP calls for one host."""

    host: str
    url: str

    @classmethod
    def from_environment(cls) -> "LabApi":
        """Take host and address from the container's environment."""
        return cls(os.environ.get("LAB_HOST", ""), os.environ.get("LAB_API", ""))

    def vmkernels(self) -> list[Vmkernel]:
        """Return the host's VMkernel adapters.

        Raises:
            EsxcliError: The lab doesn't answer.
        """
        found = self._call("GET", "network")["vmkernel"]
        return [Vmkernel(each["device"], each["portgroup"], each["ip"], each["mask"], each["mtu"]) for each in found]

    def vmfs(self) -> list[dict[str, Any]]:
        """Return the VMFS volumes that the host may mount (name, uuid, naa, mounted)."""
        volumes: list[dict[str, Any]] = self._call("GET", "storage")["vmfs"]
        return volumes

    def report_storage(self, report: dict[str, Any]) -> None:
        """Tell what the host sees."""
        self._call("PUT", "storage", report)

    def _call(self, method: str, what: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401  # JSON
        if not self.url.startswith("http://"):
            raise EsxcliError("LAB_API is not set: this host was not started by the lab")
        request = urllib.request.Request(  # noqa: S310  # the scheme was checked
            f"{self.url}/lab/hosts/{self.host}/{what}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
                return json.loads(response.read() or b"{}")
        except (OSError, urllib.error.URLError) as error:
            raise EsxcliError(f"The lab's vCenter does not answer at {self.url}: {error}") from error
