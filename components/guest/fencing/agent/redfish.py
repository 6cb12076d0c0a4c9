"""A host's BMC by Redfish (DMTF DSP0266): whether the host is on, and its power button.

BMCs make their own certificates: one is known by its SHA-256, or by an authority that signed it.
"""

import base64
import hashlib
import http.client
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ANSWER_SECONDS = 2.0
_POLL_SECONDS = 0.1
REFUSED_SECONDS = 300.0
"""After a refused password a BMC is left alone for so long: it shuts out an address that tries again and again."""


class BmcError(Exception):
    """A BMC does not answer, refuses, or is not that of the host."""


@dataclass(frozen=True)
class Access:
    """How to reach a BMC; with a `thumbprint` (SHA-256 of its certificate, hex) no other certificate will do."""

    address: str
    port: int
    user: str
    password: str
    thumbprint: str
    authorities: str
    """File with the certificates of authorities, PEM."""


class Bmc:
    """One host's BMC; every call connects anew."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._system = ""
        self._refused = float("-inf")

    def state(self) -> tuple[bool, str]:
        """Whether the host is off, and its SMBIOS UUID, which vCenter knows too.

        Only `Off` is off: a host that is still `PoweringOff` is not.

        Raises:
            BmcError: There is no certain answer.
        """
        system = self._get(self._path())
        return system.get("PowerState") == "Off", str(system.get("UUID") or "").lower()

    def power_off(self, seconds: float) -> None:
        """Pull the plug, and wait until it is off.

        Raises:
            BmcError: It is not certain within so many seconds that it is.
        """
        self._reset("ForceOff", off=True, seconds=seconds)

    def power_on(self, seconds: float) -> None:
        """Press the power button of a host that is off.

        Raises:
            BmcError: It is not certain within so many seconds that it is on.
        """
        self._reset("On", off=False, seconds=seconds)

    def _reset(self, kind: str, *, off: bool, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        if self.state()[0] is off:
            return
        self._call("POST", f"{self._path()}/Actions/ComputerSystem.Reset", {"ResetType": kind})
        while self.state()[0] is not off:
            if time.monotonic() > deadline:
                raise BmcError(f"{self._access.address}: {kind} had no effect within {seconds:g} s")
            time.sleep(_POLL_SECONDS)

    def _path(self) -> str:
        """The one computer of this BMC."""
        if not self._system:
            members = self._get("/redfish/v1/Systems").get("Members") or []
            if len(members) != 1:
                raise BmcError(f"{self._access.address} has {len(members)} computers, and one is expected")
            self._system = str(members[0]["@odata.id"]).rstrip("/")
        return self._system

    def _get(self, path: str) -> dict[str, Any]:
        return self._call("GET", path)

    def _call(self, method: str, path: str, body: Mapping[str, str] | None = None) -> dict[str, Any]:
        access = self._access
        if time.monotonic() - self._refused < REFUSED_SECONDS:
            raise BmcError(f"{access.address} has refused {access.user}, and is asked again in {REFUSED_SECONDS:g} s")
        token = base64.b64encode(f"{access.user}:{access.password}".encode()).decode()
        headers = {"Authorization": f"Basic {token}", "Accept": "application/json", "Content-Type": "application/json"}
        connection = http.client.HTTPSConnection(
            access.address, access.port, timeout=ANSWER_SECONDS, context=_trust(access)
        )
        try:
            connection.connect()
            self._check_certificate(connection)
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
            if response.status == http.HTTPStatus.UNAUTHORIZED:
                self._refused = time.monotonic()
            if response.status >= http.HTTPStatus.BAD_REQUEST:
                raise BmcError(f"{access.address} answers {method} {path} with {response.status}")
            answer = json.loads(text) if text else {}
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise BmcError(f"{access.address}: {error or type(error).__name__}") from error
        finally:
            connection.close()
        return answer if isinstance(answer, dict) else {}

    def _check_certificate(self, connection: http.client.HTTPSConnection) -> None:
        """Before the password is sent."""
        if self._access.thumbprint and isinstance(connection.sock, ssl.SSLSocket):
            shown = hashlib.sha256(connection.sock.getpeercert(binary_form=True) or b"").hexdigest()
            if shown != self._access.thumbprint:
                raise BmcError(f"{self._access.address} shows another certificate, {shown}")


def same_machine(first: str, second: str) -> bool:
    """Whether two UUIDs are one machine's: some firmware gives the first three fields in the other byte order."""
    return bool(first) and first.lower() in {second.lower(), _swapped(second.lower())}


def _swapped(uuid: str) -> str:
    first, *rest = uuid.split("-")
    try:
        swapped = [bytes.fromhex(field)[::-1].hex() for field in (first, *rest[:2])]
    except ValueError:
        return ""
    return "-".join([*swapped, *rest[2:]])


def _trust(access: Access) -> ssl.SSLContext:
    if not access.thumbprint:
        return ssl.create_default_context(cafile=access.authorities)
    pinned = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    pinned.check_hostname = False
    pinned.verify_mode = ssl.CERT_NONE
    return pinned
