"""The agent's tools on a real server: what blocks goes into threads."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, ParamSpec, TypeVar

from . import redfish, silence, vcenter
from .etcd import Etcd, Leader, Lock, Off, View
from .protocols import Placement, PowerError
from .silence import Silence

P = ParamSpec("P")
T = TypeVar("T")

_HERE_SECONDS = 1.0
_HOST_PORTS = (443, 22)
"""ESXi's own web server, and its SSH."""


class ThreadedQuorum:
    """etcd; `protocols.Quorum`."""

    def __init__(self, etcd: Etcd) -> None:
        self._etcd = etcd

    async def view(self) -> View:
        """Look at the cluster."""
        return await asyncio.to_thread(self._etcd.view)

    @asynccontextmanager
    async def lock(self, holder: str) -> AsyncIterator[Lock | None]:
        """Take the lock among agents."""
        held = self._etcd.lock(holder)
        lock = await asyncio.to_thread(held.__enter__)
        try:
            yield lock
        finally:
            await asyncio.to_thread(held.__exit__, None, None, None)

    async def note(self, lock: Lock, off: Off) -> None:
        """Write down that something is about to be powered off."""
        await asyncio.to_thread(self._etcd.note, lock, off)

    async def release(self, lock: Lock, leader: Leader) -> bool:
        """Give the leader key away, if it is still the same."""
        return await asyncio.to_thread(self._etcd.release, lock, leader)

    async def noted(self) -> list[Off]:
        """What was powered off."""
        return await asyncio.to_thread(self._etcd.noted)

    async def strike(self, off: Off) -> None:
        """Forget a note."""
        await asyncio.to_thread(self._etcd.strike, off)


class Devices:
    """vCenter and BMCs; `protocols.Power`.

    What powers off has a session of its own: a look that hangs must not hold it up.
    """

    def __init__(self, access: vcenter.Access, bmcs: Mapping[str, redfish.Access]) -> None:
        self._looks, self._acts = vcenter.VCenter(access), vcenter.VCenter(access)
        self._bmcs = {host: redfish.Bmc(one) for host, one in bmcs.items()}

    async def placement(self, server: str, *, ready: bool) -> Placement:
        """Where a server runs."""
        if ready:
            await _in_thread(self._acts.placement, server)
        found = await _in_thread(self._looks.placement, server)
        return Placement(found.host, found.host_uuid, found.is_off)

    async def server_off(self, server: str, seconds: float) -> None:
        """Power a server off."""
        await _within(seconds, self._acts.power_off, server, seconds)

    async def server_on(self, server: str, seconds: float) -> None:
        """Power a server on."""
        await _within(seconds, self._acts.power_on, server, seconds)

    async def host_state(self, host: str) -> tuple[bool, str]:
        """Whether a host is off, and its UUID."""
        return await _in_thread(self._bmcs[host].state)

    async def host_off(self, host: str, seconds: float) -> None:
        """Power a host off."""
        await _within(seconds, self._bmcs[host].power_off, seconds)

    async def host_on(self, host: str, seconds: float) -> None:
        """Power a host on."""
        await _within(seconds, self._bmcs[host].power_on, seconds)

    def same_machine(self, first: str, second: str) -> bool:
        """Whether two UUIDs are one machine's."""
        return redfish.same_machine(first, second)


async def _in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return await asyncio.to_thread(call, *args, **kwargs)
    except (vcenter.VCenterError, redfish.BmcError) as error:
        raise PowerError(str(error)) from error


async def _within(seconds: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A call that hangs goes on in its thread, but nobody waits for it any longer."""
    try:
        async with asyncio.timeout(seconds):
            return await _in_thread(call, *args, **kwargs)
    except TimeoutError:
        raise PowerError(f"no certain answer within {seconds:g} s") from None


class Network:
    """What can be heard from here; `protocols.Ears`."""

    def __init__(self, servers: Mapping[str, str], hosts: Mapping[str, str], trust: ssl.SSLContext) -> None:
        """Take addresses.

        Args:
            servers: Addresses of the database servers by name.
            hosts: Management addresses of the ESXi hosts by name.
            trust: The site's authority.
        """
        self._servers, self._hosts, self._trust = servers, hosts, trust
        self._patroni: asyncio.Task[Any] | None = None
        self._host: asyncio.Task[Any] | None = None

    def patroni(self, server: str) -> Silence:
        """Listen to Patroni's REST interface on one server."""
        if self._patroni is not None:
            self._patroni.cancel()
        heard = Silence()
        attempt = silence.patroni(self._servers[server], self._trust)
        self._patroni = asyncio.ensure_future(silence.listen([attempt], heard))
        return heard

    def host(self, host: str | None) -> Silence | None:
        """Listen to one host's management address."""
        if self._host is not None:
            self._host.cancel()
            self._host = None
        if host is None:
            return None
        heard = Silence()
        self._host = asyncio.ensure_future(silence.listen(self._doors(host), heard))
        return heard

    async def host_answers(self, host: str) -> bool:
        """Whether a host answers now."""
        return any(await asyncio.gather(*(silence.answers(door) for door in self._doors(host))))

    def _doors(self, host: str) -> list[silence.Attempt]:
        return [silence.port(self._hosts[host], number) for number in _HOST_PORTS]

    async def here(self, path: str) -> bool:
        """Whether this server's own Patroni answers `path` with 200."""
        try:
            async with asyncio.timeout(_HERE_SECONDS):
                return await silence.status("127.0.0.1", path, self._trust) == 200  # noqa: PLR2004
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return False

    async def streams(self) -> bool:
        """Whether this server's own PostgreSQL receives the primary's WAL (Patroni, "REST API": replication_state)."""
        try:
            async with asyncio.timeout(_HERE_SECONDS):
                told = json.loads(await silence.body("127.0.0.1", "/patroni", self._trust))
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            return False
        return isinstance(told, dict) and told.get("replication_state") == "streaming"


class Routes:
    """The kernel's routes; `protocols.Road`. An unreachable destination is refused at once (ip-route(8))."""

    def __init__(self, servers: Mapping[str, str]) -> None:
        self._servers = servers

    async def close(self, server: str) -> None:
        """Have packets to a server refused."""
        await _ip("route", "replace", "unreachable", f"{self._servers[server]}/32")

    async def open(self) -> None:
        """Open all ways again."""
        for address in self._servers.values():
            await _ip("route", "delete", "unreachable", f"{address}/32")


async def _ip(*arguments: str) -> None:
    """Run ip(8). That a route is not there to be deleted is no failure, and one that can't be closed costs 2 s."""
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec("/usr/sbin/ip", *arguments, stdin=null, stderr=null)
    await process.wait()
