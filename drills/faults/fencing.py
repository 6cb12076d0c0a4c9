"""Fencing itself: without it, and with devices that fail it.

Every fault whose cost fencing changes can be made without it, too: the agents are stopped for the drill.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from blueprint.guests import CLUSTER
from blueprint.terms import Role
from drills.faults import guest, host, targets
from drills.faults.evidence import of_container
from drills.faults.fault import Fault, Hit, Scene, Simulated, aim_at, lab_only
from drills.faults.packets import deaf, healed
from drills.faults.steps import going_on, on_server, powered_on
from drills.undo import Step
from lab.equipment import bmc_name
from moves.standing import ETCD
from stack.workspace import Stack

_AGENT = "perenne-fencing"
_VCENTER = "vcenter"

AWAKE_SECONDS = 2.0
"""How long a primary that goes on while it is being powered off may take to give its standby up: its agent waits 3 s
for vCenter, and Docker needs 0.5 s of them to end the container."""

_FENCED_ALL_THE_SAME = f"""
until said=$(journalctl --unit={_AGENT} --since=-30s --output=cat | grep --max-count=1 "has given this standby up"); do
    ((SECONDS < 10)) || {{ echo "it was not powered off after it had given its standby up" >&2; exit 1; }}
    sleep 0.1
done
echo "$said"
"""


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
        _waking(),
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
        devices = [bmc_name(one) for one in scene.settings.hosts] + ([_VCENTER] if vcenter else [])
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


def _waking() -> Fault:
    """The primary stands still for just as long as it is waited for: it goes on once its power-off has begun.

    vCenter is made to stand still, too, between the agent's question and its answer, so that the primary has the time
    to find its standby gone, and to give it up: nobody else may lead then, and nobody but the agent powers it on again.
    """

    async def inject(scene: Scene, hit: Hit) -> str:
        primary, standby = hit.machine, scene.standing.standby
        vote = next(name for name in scene.settings.quorum if name != primary)
        scene.promise(powered_on(primary), going_on(primary), going_on(_VCENTER))
        patience = scene.settings.fencing.patience_seconds
        asked = asyncio.create_task(
            scene.hands.shell(vote, _changed("/perenne-fencing/off/", patience + AWAKE_SECONDS))
        )
        given_up = asyncio.create_task(
            scene.hands.shell(vote, _changed(f"/perenne/{CLUSTER}/sync", patience + 2 * AWAKE_SECONDS))
        )
        try:
            await of_container(scene, "pause", primary)
            await asyncio.sleep(patience - 1.0)
            await of_container(scene, "pause", _VCENTER)
            await asked
            await scene.hands.container("unpause", primary)
            await asyncio.wait([given_up], timeout=AWAKE_SECONDS)
            await scene.hands.container("unpause", _VCENTER)
            await given_up
        finally:
            await asyncio.wait([asked, given_up])
        return await scene.hands.shell(standby, _FENCED_ALL_THE_SAME)

    return Fault(
        name="wake-primary-in-fencing",
        title="The primary stands still until it is being powered off, goes on, gives its standby up, and is off",
        aim=aim_at(lambda scene: scene.standing.primary, "the primary"),
        inject=inject,
        unavailable=lambda stack: lab_only(stack) or _needs_fencing(stack),
    )


def _changed(key: str, seconds: float) -> str:
    """The script that ends well once a key of etcd, or one below it, changes."""
    return f"""{ETCD}
exec 3< <(exec timeout {seconds:g} etcdctl --endpoints=127.0.0.1:2379 watch --prefix {key})
watch=$!
read -r _ <&3 || {{ echo "{key} did not change within {seconds:g} s" >&2; exit 1; }}
kill $watch
"""


def _needs_fencing(stack: Stack) -> str:
    return "" if stack.settings.has_fencing else "the stack has no fencing (perenne:fencing)"


def _agent_started(server: str) -> Step:
    return on_server(
        server,
        does=f"start the fencing agent on {server}",
        by_hand=f"On {server}: systemctl start {_AGENT}",
        script=f"systemctl start {_AGENT}\n",
    )
