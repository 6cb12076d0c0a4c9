"""Servers as a whole: lost, powered off, frozen, cut off."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from blueprint.takeover import SHORT_FREEZE_SECONDS
from blueprint.terms import Role
from drills.faults import targets
from drills.faults.evidence import of_container
from drills.faults.fault import Fault, Hit, Scene, Simulated, aim_at, everywhere, lab_only
from drills.faults.packets import CUT_SECONDS, cut_off, cut_off_again
from drills.faults.steps import going_on, powered_on
from drills.model import Target
from stack.workspace import Stack

LONG_FREEZE_SECONDS = 60.0


@dataclass(frozen=True)
class Kind:
    """A kind of server by what it is at the moment."""

    name: str
    role: str
    server: Callable[[Scene], str]
    lost: Target | None
    proves: tuple[str, ...]
    idempotent_succeed: bool = False
    stateful: bool = False
    """It holds a copy of the data, or a vote."""
    fenced: Target | None = None
    """What its loss may cost with fencing."""


KINDS = (
    Kind(
        "balancer", "which holds the virtual address", lambda s: s.standing.balancer, targets.BALANCER_LOST, ("BAL-01",)
    ),
    Kind(
        "app",
        "an application server",
        lambda s: s.standing.application,
        targets.APPLICATION_LOST,
        ("APP-01", "BAL-02", "PLA-01"),
        idempotent_succeed=True,
    ),
    Kind(
        "primary",
        "the primary",
        lambda s: s.standing.primary,
        targets.HOST_LOST,
        ("DB-01", "DB-02", "DB-03", "DB-04"),
        stateful=True,
        fenced=targets.HOST_LOST_FENCED,
    ),
    Kind("standby", "the synchronous standby", lambda s: s.standing.standby, None, ("DB-01", "PLA-05"), stateful=True),
    Kind(
        "witness",
        "the witness",
        lambda s: next(iter(s.settings.servers_of(Role.WITNESS))),
        None,
        ("PLA-05",),
        stateful=True,
    ),
)


def faults() -> tuple[Fault, ...]:
    """Every kind of server, with all that can happen to it."""
    return tuple(make(kind) for kind in KINDS for make in (_lose, _power_off, _freeze_shortly, freeze_for_long, _cut))


def _lose(kind: Kind) -> Fault:
    async def inject(scene: Scene, hit: Hit) -> str:
        scene.promise(powered_on(hit.machine))
        return await of_container(scene, "kill", hit.machine)

    return Fault(
        name=f"lose-{kind.name}",
        title=f"The VM of {_described(kind)} dies; vSphere HA starts it again",
        aim=aim_at(kind.server, kind.role),
        inject=inject,
        unavailable=partial(_unavailable, kind, lab_only),
        target=kind.lost,
        fenced_target=kind.fenced,
        idempotent_succeed=kind.idempotent_succeed,
        simulated=Simulated.GUEST,
        proves=(*kind.proves, "CLU-01", "VM-02"),
    )


def _power_off(kind: Kind) -> Fault:
    async def inject(scene: Scene, hit: Hit) -> str:
        scene.promise(powered_on(hit.machine))
        await scene.vcenter.power_off(hit.machine)
        return f"vCenter has powered {hit.machine} off"

    return Fault(
        name=f"power-off-{kind.name}",
        title=f"Somebody powers {_described(kind)} off in vCenter, and on again after 30 s",
        aim=aim_at(kind.server, kind.role),
        inject=inject,
        lasts=30.0,
        unavailable=partial(_unavailable, kind, everywhere),
        target=kind.lost,
        fenced_target=kind.fenced,
        idempotent_succeed=kind.idempotent_succeed,
        proves=kind.proves,
    )


def _freeze_shortly(kind: Kind) -> Fault:
    """As a snapshot does when it is removed."""
    fault = _freeze(kind, SHORT_FREEZE_SECONDS, targets.SHORT_FREEZE if kind.name == "primary" else kind.lost)
    return replace(fault, proves=(*fault.proves, "VM-03")) if kind.stateful else fault


def freeze_for_long(kind: Kind) -> Fault:
    """Longer than any lease."""
    return replace(_freeze(kind, LONG_FREEZE_SECONDS, kind.lost), fenced_target=kind.fenced)


def _freeze(kind: Kind, seconds: float, target: Target | None) -> Fault:
    async def inject(scene: Scene, hit: Hit) -> str:
        # Fencing may have powered it off meanwhile, and on again.
        scene.promise(
            powered_on(hit.machine),
            going_on(hit.machine),
        )
        return await of_container(scene, "pause", hit.machine)

    return Fault(
        name=f"freeze-{kind.name}-{seconds:g}s",
        title=f"{_described(kind, capital=True)} stands still for {seconds:g} s",
        aim=aim_at(kind.server, kind.role),
        inject=inject,
        lasts=seconds,
        unavailable=partial(_unavailable, kind, lab_only),
        target=target,
        primary_stays=kind.name != "primary" or seconds <= SHORT_FREEZE_SECONDS,
        proves=kind.proves,
        notes=("A frozen container's kernel goes on answering TCP; a frozen VM's does not.",),
    )


def _cut(kind: Kind) -> Fault:
    async def inject(scene: Scene, hit: Hit) -> str:
        scene.promise(powered_on(hit.machine))
        return await cut_off(scene, hit.machine)

    return Fault(
        name=f"cut-{kind.name}",
        title=f"{_described(kind, capital=True)} is cut from the network for {CUT_SECONDS:g} s",
        aim=aim_at(kind.server, kind.role),
        inject=inject,
        lasts=CUT_SECONDS,
        again=cut_off_again,
        unavailable=partial(_unavailable, kind, lab_only),
        target=kind.lost,
        fenced_target=kind.fenced,
        idempotent_succeed=kind.idempotent_succeed,
        proves=kind.proves,
    )


def _described(kind: Kind, *, capital: bool = False) -> str:
    text = {
        "balancer": "the balancer with the virtual address",
        "app": "an application server",
        "primary": "the primary",
        "standby": "the synchronous standby",
        "witness": "the witness",
    }[kind.name]
    return text[0].upper() + text[1:] if capital else text


def _unavailable(kind: Kind, condition: Callable[[Stack], str], stack: Stack) -> str:
    if kind.name == "witness" and not stack.settings.servers_of(Role.WITNESS):
        return "the stack has no witness: every vote is a database server's"
    return condition(stack)
