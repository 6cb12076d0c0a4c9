"""The few things that drills and operators' moves have vCenter do, through VMware's own library."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from pyVmomi import vim

from machine.failure import Failure
from stack.vault import Vault
from stack.vcenter import TASK_SECONDS, Found, await_task, moid, properties_of_all, reached
from stack.workspace import Stack

_OFF_SECONDS = 1.0
"""Between two looks whether a guest has shut down."""

_HOST = (
    "name",
    "runtime.connectionState",
    "runtime.inMaintenanceMode",
    "runtime.bootTime",
    "summary.hardware.memorySize",
)
_VM = ("name", "runtime.powerState", "runtime.host", "summary.config.memorySizeMB")
"""What is asked of hosts and VMs."""


@dataclass(frozen=True)
class HostState:
    """A host as vCenter sees it."""

    name: str
    """As in the stack file."""
    connected: bool
    in_maintenance: bool
    free_mib: int
    """Memory that is promised to no VM that runs."""
    runs: tuple[str, ...]
    """The VMs that run on it."""
    booted: datetime | None
    """When it was started, if vCenter knows."""


class VCenter:
    """The stack's vCenter; every call logs in and out."""

    def __init__(self, stack: Stack, vault: Vault) -> None:
        self._stack = stack
        self._vault = vault

    async def power_off(self, server: str) -> None:
        """Pull a VM's plug.

        Raises:
            Failure: vCenter refuses or does not answer.
        """
        await self._do(f"{server} can't be powered off", lambda of: of.vm(server).PowerOffVM_Task())

    async def shut_down(self, server: str, *, seconds: float = TASK_SECONDS) -> None:
        """Have a VM's guest shut down in an orderly way, and wait until it has; vSphere HA leaves it off.

        Raises:
            Failure: vCenter refuses or does not answer, or the guest does not end within so many seconds.
        """
        what = f"{server} can't be shut down"
        await asyncio.to_thread(self._shut_down, server, what)
        deadline = time.monotonic() + seconds
        while any(server in host.runs for host in await self.hosts()):
            if time.monotonic() > deadline:
                raise Failure(what, f"it still runs after {seconds:g} s", "Look at its console in vCenter.")
            await asyncio.sleep(_OFF_SECONDS)

    async def power_on(self, server: str) -> None:
        """Power a VM on; one that is on stays as it is.

        Raises:
            Failure: vCenter refuses or does not answer.
        """

        def begin(of: "_Inventory") -> Any:  # noqa: ANN401 (pyVmomi has no types)
            return of.vm(server).PowerOnVM_Task(None)

        await self._do(f"{server} can't be powered on", begin, allowed=(vim.fault.InvalidPowerState,))

    async def migrate(self, server: str, host: str) -> None:
        """Move a VM to a host.

        Raises:
            Failure: vCenter refuses or does not answer.
        """

        def begin(of: "_Inventory") -> Any:  # noqa: ANN401
            priority = vim.VirtualMachine.MovePriority.highPriority
            return of.vm(server).MigrateVM_Task(pool=None, host=of.host(host), priority=priority, state=None)

        await self._do(f"{server} can't be moved to {host}", begin)

    async def hosts(self) -> tuple[HostState, ...]:
        """How the hosts of the stack are, in the order of its file; one that vCenter doesn't have is left out.

        Raises:
            Failure: vCenter does not answer.
        """
        return await asyncio.to_thread(self._hosts)

    async def enter_maintenance(self, host: str, *, seconds: float = TASK_SECONDS, powered_off: bool = True) -> None:
        """Empty a host, as far as DRS does, and take it into maintenance mode.

        Args:
            host: The host.
            seconds: How long vCenter may take; it moves the memory of every VM.
            powered_off: Whether DRS moves what does not run, too.

        Raises:
            Failure: vCenter refuses, does not answer, or something still runs there.
        """
        await self._do(
            f"{host} can't enter maintenance mode",
            lambda of: of.host(host).EnterMaintenanceMode_Task(int(seconds), powered_off),
            seconds=seconds,
        )

    async def reboot(self, host: str) -> None:
        """Have a host that is in maintenance mode start anew; returns before it does.

        Raises:
            Failure: vCenter refuses or does not answer.
        """
        await self._do(f"{host} can't be rebooted", lambda of: of.host(host).RebootHost_Task(force=False))

    async def exit_maintenance(self, host: str) -> None:
        """Take a host out of maintenance mode; one that is in service stays as it is.

        Raises:
            Failure: vCenter refuses or does not answer.
        """
        await self._do(
            f"{host} can't leave maintenance mode",
            lambda of: of.host(host).ExitMaintenanceMode_Task(int(TASK_SECONDS)),
            allowed=(vim.fault.InvalidState,),
        )

    async def switch_ha(self, *, on: bool) -> None:
        """Switch vSphere HA of the stack's cluster on or off.

        Raises:
            Failure: vCenter refuses or does not answer.
        """

        def begin(of: "_Inventory") -> Any:  # noqa: ANN401
            cluster = of.cluster(self._stack.settings.cluster.name)
            das = cluster.configurationEx.dasConfig
            das.enabled = on
            return _reconfigure(cluster, dasConfig=das)

        await self._do(f"vSphere HA can't be switched {'on' if on else 'off'}", begin)

    async def restart_priority(self, server: str) -> str:
        """The priority with which vSphere HA restarts a VM that has one of its own.

        Raises:
            Failure: It has none, or vCenter does not answer.
        """
        return await asyncio.to_thread(self._restart_priority, server)

    def _restart_priority(self, server: str) -> str:
        with self._inventory(f"it isn't known how {server} is restarted") as inventory:
            cluster = inventory.cluster(self._stack.settings.cluster.name)
            return str(inventory.own_settings(cluster, server).restartPriority)

    async def set_restart_priority(self, server: str, priority: str) -> None:
        """Have vSphere HA restart a VM with a priority, or with `disabled` not at all.

        Raises:
            Failure: vCenter refuses or does not answer.
        """

        def begin(of: "_Inventory") -> Any:  # noqa: ANN401
            types: Any = vim.cluster
            cluster = of.cluster(self._stack.settings.cluster.name)
            # Sent whole: what is left out is unset.
            settings = of.own_settings(cluster, server)
            settings.restartPriority = priority
            info = types.DasVmConfigInfo(key=of.vm(server), dasSettings=settings)
            change = types.DasVmConfigSpec(operation=vim.option.ArrayUpdateSpec.Operation.edit, info=info)
            return _reconfigure(cluster, dasVmConfigSpec=[change])

        await self._do(f"the restart of {server} can't be changed", begin)

    async def _do(
        self,
        what: str,
        begin: Callable[["_Inventory"], Any],
        *,
        allowed: tuple[type[Exception], ...] = (),
        seconds: float = TASK_SECONDS,
    ) -> None:
        await asyncio.to_thread(self._do_and_wait, what, begin, allowed, seconds)

    def _do_and_wait(
        self,
        what: str,
        begin: Callable[["_Inventory"], Any],
        allowed: tuple[type[Exception], ...],
        seconds: float,
    ) -> None:
        with self._inventory(what) as inventory, suppress(*allowed):
            await_task(begin(inventory), what, seconds)

    def _shut_down(self, server: str, what: str) -> None:
        with self._inventory(what) as inventory:
            inventory.vm(server).ShutdownGuest()

    def _hosts(self) -> tuple[HostState, ...]:
        with self._inventory("it isn't known how the hosts are") as inventory:
            return tuple(inventory.states(list(self._stack.settings.hosts)))

    @contextmanager
    def _inventory(self, what: str) -> Iterator["_Inventory"]:
        """Have vCenter's inventory; `what` fails if it refuses."""
        with reached(self._stack, self._vault, what) as content:
            yield _Inventory(content, self._stack)


class _Inventory:
    """Finds things by name in the stack's datacenter: another stack at that vCenter may have a `db01`, too."""

    def __init__(self, content: Any, stack: Stack) -> None:  # noqa: ANN401
        self._content = content
        self._stack = stack

    def vm(self, name: str) -> Any:  # noqa: ANN401
        return self._find(vim.VirtualMachine, {name})

    def host(self, name: str) -> Any:  # noqa: ANN401
        return self._find(vim.HostSystem, self._names(name))

    def cluster(self, name: str) -> Any:  # noqa: ANN401
        return self._find(vim.ClusterComputeResource, {name})

    def states(self, names: Sequence[str]) -> Iterator[HostState]:
        """How the hosts of these names are."""
        running: dict[str, list[dict[str, Any]]] = {}
        for _, vm in self._all(vim.VirtualMachine, _VM):
            if vm["runtime.powerState"] == vim.VirtualMachine.PowerState.poweredOn:
                running.setdefault(moid(vm["runtime.host"]), []).append(vm)
        found = {told["name"]: (moid(host), told) for host, told in self._all(vim.HostSystem, _HOST)}
        for name in names:
            for known in self._names(name) & found.keys():
                host, told = found[known]
                yield _state(name, told, running.get(host, []))

    def _names(self, host: str) -> set[str]:
        """By which vCenter may know a host."""
        return {host, self._stack.settings.fqdn(host)}

    def _find(self, kind: type, names: set[str]) -> Any:  # noqa: ANN401
        return self._one(self._all(kind, ["name"]), names, f"datacenter {self._stack.settings.vcenter.datacenter}")

    def _all(self, kind: type, paths: Sequence[str]) -> Iterator[Found]:
        return properties_of_all(self._content, self._datacenter, kind, paths)

    @cached_property
    def _datacenter(self) -> Any:  # noqa: ANN401
        vcenter = self._stack.settings.vcenter
        all_of_them = properties_of_all(self._content, self._content.rootFolder, vim.Datacenter, ["name"])
        return self._one(all_of_them, {vcenter.datacenter}, f"vCenter {vcenter.server}")

    def _one(self, things: Iterator[Found], names: set[str], where: str) -> Any:  # noqa: ANN401
        found = [thing for thing, told in things if told["name"] in names]
        if len(found) == 1:
            return found[0]
        name = min(names)
        if not found:
            raise Failure(
                f"{name} is not in {where}", "nothing there has that name", f"Run {self._stack.command('up')}."
            )
        why = f"{len(found)} things in {where} have that name"
        raise Failure(f"it is not certain which {name} is meant", why, "Rename what is not this stack's in vCenter.")

    def own_settings(self, cluster: Any, server: str) -> Any:  # noqa: ANN401
        """What vSphere HA does about a VM that has settings of its own (`ClusterDasVmSettings`)."""
        vm = self.vm(server)
        for own in cluster.configurationEx.dasVmConfig:
            if own.key == vm:
                return own.dasSettings
        remedy = f"Run {self._stack.command('up', '--repair')}."
        raise Failure(f"{server} has no restart priority", "its cluster knows none of its own", remedy)


def _reconfigure(cluster: Any, **changes: Any) -> Any:  # noqa: ANN401
    """Change a cluster's configuration; what isn't named stays."""
    types: Any = vim.cluster
    return cluster.ReconfigureComputeResource_Task(types.ConfigSpecEx(**changes), True)


def _state(name: str, host: dict[str, Any], running: Sequence[dict[str, Any]]) -> HostState:
    promised = sum(vm.get("summary.config.memorySizeMB") or 0 for vm in running)
    return HostState(
        name=name,
        connected=host["runtime.connectionState"] == vim.HostSystem.ConnectionState.connected,
        in_maintenance=bool(host["runtime.inMaintenanceMode"]),
        free_mib=(host.get("summary.hardware.memorySize", 0) >> 20) - promised,
        runs=tuple(sorted(vm["name"] for vm in running)),
        booted=host.get("runtime.bootTime"),
    )
