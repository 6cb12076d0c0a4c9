"""vCenter through VMware's own library (pyVmomi), in a session that is kept: a login takes longer than a power-off."""

import ssl
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPSConnection
from typing import Any

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim, vmodl

_POLL_SECONDS = 0.05
REFUSED_SECONDS = 300.0
"""After a refused login vCenter is left alone for so long: it locks an account that tries again and again."""


class VCenterError(Exception):
    """vCenter does not answer, refuses, or does not know the server."""


@dataclass(frozen=True)
class Access:
    """How to reach vCenter."""

    server: str
    port: int
    user: str
    password: str
    authorities: str
    """File with the certificates of authorities, PEM: vCenter's is verified."""


@dataclass(frozen=True)
class Placement:
    """Where a server runs, as vCenter knows it from a host that it is connected to."""

    host: str
    """Its name in vCenter."""
    host_uuid: str
    is_off: bool


class VCenter:
    """A session, one call after the other. Each logs in where none is open; one that fails ends the session."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._service: Any = None  # pyVmomi has no types
        self._collector: Any = None
        self._servers: dict[str, Any] = {}
        self._refused = float("-inf")
        self._lock = threading.Lock()

    def placement(self, server: str) -> Placement:
        """Look at a server.

        Raises:
            VCenterError: There is no certain answer: its host is not connected, for one.
        """
        found: Placement = self._do(lambda: self._placement(server))
        return found

    def power_off(self, server: str, seconds: float) -> None:
        """Pull a server's plug, and wait until vCenter's task has ended and the server is off.

        Raises:
            VCenterError: It is not certain within so many seconds that it is.
        """
        self._do(lambda: self._power_off(server, time.monotonic() + seconds))

    def power_on(self, server: str, seconds: float) -> None:
        """Power a server on; one that is on stays as it is.

        Raises:
            VCenterError: It is not certain within so many seconds that it is on.
        """
        self._do(lambda: self._power_on(server, time.monotonic() + seconds))

    def _placement(self, server: str) -> Placement:
        vm = self._read(self._vm(server), "runtime.connectionState", "runtime.powerState", "runtime.host")
        host = self._read(vm["runtime.host"], "runtime.connectionState", "name", "summary.hardware.uuid")
        if not vm["runtime.connectionState"] == host["runtime.connectionState"] == "connected":
            raise VCenterError(f"{server}'s host is not connected to vCenter")
        return Placement(host["name"], host.get("summary.hardware.uuid", ""), vm["runtime.powerState"] == "poweredOff")

    def _read(self, thing: Any, *paths: str) -> dict[str, Any]:  # noqa: ANN401
        """Read some properties of a thing in one call; those that it lacks are left out."""
        collect: Any = vmodl.query.PropertyCollector
        wanted = collect.FilterSpec(
            objectSet=[collect.ObjectSpec(obj=thing)],
            propSet=[collect.PropertySpec(type=type(thing), pathSet=list(paths))],
        )
        (found,) = self._collector.RetrieveContents([wanted])
        return {one.name: one.val for one in found.propSet}

    def _power_off(self, server: str, deadline: float) -> None:
        if self._placement(server).is_off:
            return
        self._finish(self._vm(server).PowerOffVM_Task(), deadline)
        while not self._placement(server).is_off:
            _check(deadline, f"{server} is not off")
            time.sleep(_POLL_SECONDS)

    def _power_on(self, server: str, deadline: float) -> None:
        if self._placement(server).is_off:
            self._finish(self._vm(server).PowerOnVM_Task(None), deadline)

    def _finish(self, task: Any, deadline: float) -> None:  # noqa: ANN401
        while (info := self._read(task, "info.state", "info.error"))["info.state"] not in {"success", "error"}:
            _check(deadline, "vCenter's task has not ended")
            time.sleep(_POLL_SECONDS)
        if info["info.state"] == "error":
            error = info.get("info.error")
            raise VCenterError(getattr(error, "msg", "") or type(error).__name__)

    def _do(self, call: Any) -> Any:  # noqa: ANN401
        with self._lock:
            try:
                if self._service is None:
                    self._login()
                return call()
            except VCenterError:
                raise
            except (OSError, ValueError, LookupError, HTTPException, vmodl.MethodFault) as error:
                self._service, self._servers = None, {}
                raise VCenterError(getattr(error, "msg", "") or str(error) or type(error).__name__) from error

    def _login(self) -> None:
        access = self._access
        if time.monotonic() - self._refused < REFUSED_SECONDS:
            raise VCenterError(f"vCenter has refused {access.user}, and is asked again in {REFUSED_SECONDS:g} s")
        trust = ssl.create_default_context(cafile=access.authorities)
        self._check_serves(trust)
        try:
            self._service = SmartConnect(  # type: ignore[no-untyped-call]
                host=access.server, port=access.port, user=access.user, pwd=access.password, sslContext=trust
            )
            self._collector = self._service.RetrieveContent().propertyCollector
        except vim.fault.InvalidLogin as error:
            self._refused = time.monotonic()
            raise VCenterError(f"vCenter refuses {access.user}: user or password is wrong") from error

    def _check_serves(self, trust: ssl.SSLContext) -> None:
        """Ask for what pyVmomi asks for first: while vCenter starts, that raises an error of no type of its own."""
        connection = HTTPSConnection(self._access.server, self._access.port, context=trust)
        try:
            connection.request("GET", "/sdk/vimServiceVersions.xml")
            status = connection.getresponse().status
        finally:
            connection.close()
        if status != HTTPStatus.OK:
            raise VCenterError(f"vCenter answers {status}: it has not started yet")

    def _vm(self, server: str) -> Any:  # noqa: ANN401
        """Find a server by its name, once per session."""
        if server not in self._servers:
            content = self._service.RetrieveContent()
            view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
            try:
                found = [vm for vm in view.view if self._read(vm, "name")["name"] == server]
            finally:
                view.Destroy()
            if len(found) != 1:
                raise VCenterError(f"vCenter shows {len(found)} servers with the name {server}")
            self._servers[server] = found[0]
        return self._servers[server]

    def close(self) -> None:
        """Log out."""
        if self._service is not None:
            Disconnect(self._service)  # type: ignore[no-untyped-call]
            self._service = None


def _check(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise VCenterError(what)
