"""The few things that drills have vCenter do, through VMware's own library."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pyVmomi import vim, vmodl

from cli.failure import Failure
from cli.vault import Vault
from cli.vcenter import TASK_SECONDS, await_task, session
from cli.workspace import Stack


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

    async def power_on(self, server: str) -> None:
        """Power a VM on; one that is on stays as it is.

        Raises:
            Failure: vCenter refuses or does not answer.
        """

        def begin(of: "_Inventory") -> Any:  # noqa: ANN401 (pyVmomi has no types)
            return of.vm(server).PowerOnVM_Task(None)

        await self._do(f"{server} can't be powered on", begin, allowed=vim.fault.InvalidPowerState)

    async def migrate(self, server: str, host: str) -> None:
        """Move a VM to a host.

        Raises:
            Failure: vCenter refuses or does not answer.
        """

        def begin(of: "_Inventory") -> Any:  # noqa: ANN401
            priority = vim.VirtualMachine.MovePriority.highPriority
            return of.vm(server).MigrateVM_Task(pool=None, host=of.host(host), priority=priority, state=None)

        await self._do(f"{server} can't be moved to {host}", begin)

    async def enter_maintenance(self, host: str) -> None:
        """Empty a host and take it into maintenance mode.

        Raises:
            Failure: vCenter refuses or does not answer.
        """
        seconds = int(TASK_SECONDS)
        await self._do(
            f"{host} can't enter maintenance mode", lambda of: of.host(host).EnterMaintenanceMode_Task(seconds, True)
        )

    async def exit_maintenance(self, host: str) -> None:
        """Take a host out of maintenance mode; one that is in service stays as it is.

        Raises:
            Failure: vCenter refuses or does not answer.
        """
        await self._do(
            f"{host} can't leave maintenance mode",
            lambda of: of.host(host).ExitMaintenanceMode_Task(int(TASK_SECONDS)),
            allowed=vim.fault.InvalidState,
        )

    async def _do(
        self,
        what: str,
        begin: Callable[["_Inventory"], Any],
        *,
        allowed: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> None:
        await asyncio.to_thread(self._do_and_wait, what, begin, allowed)

    def _do_and_wait(
        self, what: str, begin: Callable[["_Inventory"], Any], allowed: type[Exception] | tuple[type[Exception], ...]
    ) -> None:
        try:
            with self._inventory() as inventory:
                await_task(begin(inventory), what)
        except allowed:
            return
        except (OSError, vmodl.MethodFault) as fault:
            why = getattr(fault, "msg", "") or str(fault) or type(fault).__name__
            raise Failure(what, f"vCenter says: {why}", "Look at the VM's and the host's tasks in vCenter.") from fault

    @contextmanager
    def _inventory(self) -> Iterator["_Inventory"]:
        with session(self._stack, self._vault) as content:
            yield _Inventory(content, self._stack.settings.domain)


class _Inventory:
    """Finds things by name."""

    def __init__(self, content: Any, domain: str) -> None:  # noqa: ANN401
        self._content = content
        self._domain = domain

    def vm(self, name: str) -> Any:  # noqa: ANN401
        return self._find(vim.VirtualMachine, {name})

    def host(self, name: str) -> Any:  # noqa: ANN401
        return self._find(vim.HostSystem, {name, f"{name}.{self._domain}", str(name)})

    def _find(self, kind: type, names: set[str]) -> Any:  # noqa: ANN401
        view = self._content.viewManager.CreateContainerView(self._content.rootFolder, [kind], True)
        for found in view.view:
            if found.name in names:
                return found
        raise Failure(f"{min(names)} is not in vCenter", "nothing there has that name", "Run ./perenne up.")
