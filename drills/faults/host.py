"""ESXi hosts: lost, hung, taken into maintenance mode."""

from drills.faults import arranging, targets
from drills.faults.evidence import of_container
from drills.faults.fault import Fault, Hit, Scene, Simulated, lab_only
from drills.faults.packets import cutting_off, healed, shown
from drills.faults.steps import end_maintenance, going_on, home, started

HANG_SECONDS = 60.0
ISOLATION_SECONDS = 90.0
"""The host declares itself isolated after 30 s and stops its servers 30 s later; others start them within the rest."""


def faults() -> tuple[Fault, ...]:
    """All that can happen to a host."""
    return (
        Fault(
            name="lose-worst-host",
            title="The host that holds virtual address, primary and quorum leader dies with everything on it",
            aim=_worst,
            inject=_kill,
            arrange=arranging.make_worst,
            unavailable=lab_only,
            target=targets.HOST_LOST,
            fenced_target=targets.HOST_LOST_FENCED,
            simulated=Simulated.HOST,
            proves=(
                "CLU-01",
                "CLU-02",
                "CLU-03",
                "CLU-04",
                "CLU-09",
                "DB-01",
                "PLA-01",
                "PLA-02",
                "PLA-04",
                "PLA-05",
                "STO-03",
                "STO-07",
                "VM-02",
                "VM-04",
            ),
        ),
        Fault(
            name="lose-standby-host",
            title="The host of the synchronous standby dies with everything on it",
            aim=_standbys,
            inject=_kill,
            unavailable=lab_only,
            target=targets.APPLICATION_LOST,
            primary_stays=True,
            simulated=Simulated.HOST,
            proves=("CLU-01", "DB-01", "PLA-01", "PLA-02", "PLA-05"),
        ),
        Fault(
            name="hang-host",
            title=f"The host of the primary hangs for {HANG_SECONDS:g} s: its servers stop, and start elsewhere",
            aim=_primarys,
            inject=_pause,
            lasts=HANG_SECONDS,
            unavailable=lab_only,
            target=targets.HOST_LOST,
            fenced_target=targets.HOST_LOST_FENCED,
            simulated=Simulated.HOST,
            proves=("CLU-01", "DB-01", "PLA-02", "PLA-05"),
        ),
        Fault(
            name="isolate-host",
            title="The host of the primary is cut off from the others; its servers go on until it stops them",
            aim=_primarys,
            inject=_isolate,
            lasts=ISOLATION_SECONDS,
            unavailable=lab_only,
            target=targets.HOST_LOST,
            simulated=Simulated.ISOLATION,
            proves=("CLU-06",),
            notes=("Only the host's management is cut: until it stops its servers, users reach them.",),
        ),
        Fault(
            name="maintain-host",
            title="The host of the primary is emptied by vMotion, is in maintenance mode for 10 s, and comes back",
            aim=_primarys,
            inject=_maintain,
            on_purpose=True,
            lasts=10.0,
            unavailable=lambda stack: (
                "" if stack.settings.vcenter.edition.has_drs else "without DRS nobody moves the host's servers away"
            ),
            primary_stays=True,
            idempotent_succeed=True,
            proves=("CLU-03", "VM-01"),
            notes=("The lab's vMotion takes no time and moves no memory.",),
        ),
    )


async def _worst(scene: Scene) -> Hit:
    return _hit(scene, await arranging.worst_host(scene))


async def _standbys(scene: Scene) -> Hit:
    return _hit(scene, scene.standing.host_of(scene.standing.standby))


async def _primarys(scene: Scene) -> Hit:
    return _hit(scene, scene.standing.host_of(scene.standing.primary))


def _hit(scene: Scene, host: str) -> Hit:
    found = scene.standing
    roles = {found.balancer: " (virtual address)", found.primary: " (primary)", found.standby: " (standby)"}
    return Hit(f"{host} with {', '.join(name + roles.get(name, '') for name in found.on(host))}", (host,))


async def _kill(scene: Scene, hit: Hit) -> str:
    host = hit.machine
    scene.promise(home(), started(host))
    return await of_container(scene, "kill", host)


async def _pause(scene: Scene, hit: Hit) -> str:
    host = hit.machine
    scene.promise(
        home(),
        started(host),  # fencing may have powered it off meanwhile
        healed(host),
        going_on(host),
    )
    dropped = await _silence(scene, host)  # a paused container's kernel would go on answering
    return f"{await of_container(scene, 'pause', host)}, {dropped}"


async def _isolate(scene: Scene, hit: Hit) -> str:
    host = hit.machine
    scene.promise(home(), healed(host))
    return await _silence(scene, host)


async def _silence(scene: Scene, host: str) -> str:
    """Nobody reaches a host's management address."""
    return await shown(scene, host, cutting_off(address=str(scene.settings.hosts[host].address)))


async def _maintain(scene: Scene, hit: Hit) -> str:
    host = hit.machine
    scene.promise(home(), end_maintenance(host))
    await scene.vcenter.enter_maintenance(host)
    return f"vCenter has {host} in maintenance mode"
