"""Takes the steps that undo faults."""

import asyncio
import time
from dataclasses import dataclass

from drills.undo import How, Step
from machine.failure import Failure
from moves.hands import Hands
from moves.standing import Standing, standing
from moves.vcenter import VCenter
from stack.workspace import Stack

CONNECT_SECONDS = 45.0
"""How long hosts may take to be connected again after they were started."""


@dataclass(frozen=True)
class Performer:
    """Takes steps on a stack."""

    stack: Stack
    hands: Hands
    vcenter: VCenter

    async def perform(self, step: Step) -> None:
        """Take one.

        Raises:
            Failure: It can't be taken.
        """
        match step.how:
            case How.SHELL:
                await self.hands.shell(step.where, step.script, seconds=step.seconds)
            case How.PACKETS:
                await self.hands.packets(step.where, step.script)
            case How.START:
                await self.hands.container("start", step.where)
            case How.UNPAUSE:
                await self._unpause(step.where)
            case How.POWER_ON:
                await self.vcenter.power_on(step.where)
            case How.END_MAINTENANCE:
                await self.vcenter.exit_maintenance(step.where)
            case How.HA_ON:
                await self.vcenter.switch_ha(on=True)
            case How.RESTART_PRIORITY:
                await self.vcenter.set_restart_priority(step.where, step.script)
            case How.HOME:
                await self._move_home()

    async def _unpause(self, machine: str) -> None:
        try:
            await self.hands.container("unpause", machine)
        except Failure as failure:
            if "is not paused" not in failure.why:  # it was reset, or somebody else has let it go on
                raise

    async def _move_home(self) -> None:
        """Play DRS's next pass: every server to the host where the stack file wants it, once all hosts are there."""
        found = await self._connected()
        for name, server in self.stack.settings.servers.items():
            if found.host_of(name) != server.host:
                await self.vcenter.migrate(name, server.host)

    async def _connected(self) -> Standing:
        deadline = time.monotonic() + CONNECT_SECONDS
        while True:
            found = await standing(self.stack)
            hosts = found.site.lab.vcenter.hosts if found.site.lab and found.site.lab.vcenter else ()
            away = [host.name for host in hosts if host.connection_state != "connected"]
            down = found.vms_down()
            if hosts and not away and not down:
                return found
            if time.monotonic() > deadline:
                why = f"{', '.join(away or down) or 'vCenter'} did not come back within {CONNECT_SECONDS:g} s"
                raise Failure("the servers can't move back", why, f"Look at {self.stack.command('status')}.")
            await asyncio.sleep(1.0)
