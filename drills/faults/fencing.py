"""Fencing itself: without it, and with devices that fail it.

Every fault whose cost fencing changes can be made without it, too: the agents are stopped for the drill.
"""

from collections.abc import Iterable
from dataclasses import replace

from blueprint.terms import Role
from drills.faults import guest, host, targets
from drills.faults.fault import Fault, Hit, Scene, Simulated, lab_only
from drills.faults.packets import deaf, healed
from drills.faults.steps import on_server
from drills.undo import Step
from lab.equipment import bmc_name
from stack.workspace import Stack

_AGENT = "perenne-fencing"


def faults() -> tuple[Fault, ...]:
    """What fences, made to fail."""
    primary = next(kind for kind in guest.KINDS if kind.name == "primary")
    freeze = guest.freeze_for_long(primary)
    lose = next(fault for fault in host.faults() if fault.name == "hang-host")
    return (
        _without_devices(
            freeze,
            "freeze-primary-without-fencing-devices",
            "The primary stands still for 60 s while vCenter and BMCs can't be reached: nobody may fence or release it",
        ),
        replace(
            _without_devices(
                lose,
                "hang-host-without-bmc",
                "The host of the primary hangs for 60 s, and its BMC can't be reached: nobody may fence or release it",
                vcenter=False,
            ),
            simulated=Simulated.HOST,
        ),
    )


def unfenced(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Those whose cost fencing changes, while no agent runs: the lost primary's lease has to run out."""
    return tuple(_unfenced(fault) for fault in faults if fault.fenced_target is not None)


def _unfenced(fault: Fault) -> Fault:

    async def arrange(scene: Scene) -> None:
        if fault.arrange:
            await fault.arrange(scene)
        for server in scene.settings.servers_of(Role.DATABASE):
            scene.promise(_agent_started(server))
            await scene.hands.shell(server, f"systemctl stop {_AGENT}")

    return replace(
        fault,
        name=f"{fault.name}-unfenced",
        title=f"{fault.title}; without fencing",
        arrange=arrange,
        unavailable=lambda stack: fault.unavailable(stack) or _needs_fencing(stack),
        fenced_target=None,
    )


def _without_devices(fault: Fault, name: str, title: str, *, vcenter: bool = True) -> Fault:
    """The same fault while what fences can't be reached."""

    async def inject(scene: Scene, hit: Hit) -> str:
        devices = [bmc_name(one) for one in scene.settings.hosts] + (["vcenter"] if vcenter else [])
        for device in devices:
            await deaf(scene, device)
        shown = await fault.inject(scene, hit)
        # Taken back first, too: what comes next may need vCenter.
        scene.promise(*(healed(device) for device in devices))
        return shown

    return replace(
        fault,
        name=name,
        title=title,
        inject=inject,
        unavailable=lambda stack: lab_only(stack) or _needs_fencing(stack),
        target=targets.HOST_LOST,
        fenced_target=None,
    )


def _needs_fencing(stack: Stack) -> str:
    return "" if stack.settings.has_fencing else "the stack has no fencing (perenne:fencing)"


def _agent_started(server: str) -> Step:
    return on_server(
        server,
        does=f"start the fencing agent on {server}",
        by_hand=f"On {server}: systemctl start {_AGENT}",
        script=f"systemctl start {_AGENT}\n",
    )
