"""What operators do on purpose; none of it may cost a user a request."""

from drills.faults import arranging, targets
from drills.faults.fault import Fault, Hit, Scene
from drills.undo import How, Step

DRAINED_SECONDS = 10.0
HAND_OVER_SECONDS = 90.0
"""How long a hand-over may take: it waits for kept connections, for long requests and for the other balancer."""


def faults() -> tuple[Fault, ...]:
    """Operators' moves."""
    return (
        Fault(
            name="switchover",
            title="The standby becomes the primary, as planned",
            aim=_to_standby,
            inject=_switch_over,
            target=targets.SWITCHOVER,
            idempotent_succeed=True,
            proves=("DB-01", "DB-02"),
        ),
        Fault(
            name="restart-app",
            title="An application server's WildFly is restarted",
            aim=_application,
            inject=_restart_wildfly,
            target=targets.APPLICATION_LOST,
            idempotent_succeed=True,
            proves=("APP-01", "BAL-02"),
        ),
        Fault(
            name="reload-balancer",
            title="The balancer with the virtual address reloads, as after a certificate's renewal",
            aim=_balancer,
            inject=_reload_httpd,
            target=targets.ADDRESS_HANDED_OVER,
            all_succeed=True,
        ),
        Fault(
            name="move-site-address",
            title="The virtual address is handed over to the other balancer",
            aim=_balancer,
            inject=_hand_over,
            target=targets.ADDRESS_HANDED_OVER,
            all_succeed=True,
            proves=("BAL-01",),
        ),
        Fault(
            name="drain-balancer",
            title="The balancer with the virtual address is drained, its services are restarted",
            aim=_balancer,
            inject=_drain,
            lasts=DRAINED_SECONDS,
            target=targets.ADDRESS_HANDED_OVER,
            all_succeed=True,
        ),
    )


async def _to_standby(scene: Scene) -> Hit:
    found = scene.standing
    return Hit(f"from {found.primary} to {found.standby}", (found.standby,))


async def _switch_over(scene: Scene, hit: Hit) -> None:
    await arranging.switch_over(scene, hit.machine)


async def _application(scene: Scene) -> Hit:
    return Hit(f"{scene.standing.application}, an application server", (scene.standing.application,))


async def _balancer(scene: Scene) -> Hit:
    return Hit(f"{scene.standing.balancer}, which holds the virtual address", (scene.standing.balancer,))


async def _restart_wildfly(scene: Scene, hit: Hit) -> None:
    await scene.hands.shell(hit.machine, "systemctl restart wildfly")


async def _reload_httpd(scene: Scene, hit: Hit) -> None:
    await scene.hands.shell(hit.machine, "systemctl reload apache2", seconds=HAND_OVER_SECONDS)


async def _hand_over(scene: Scene, hit: Hit) -> None:
    await scene.hands.shell(hit.machine, "/usr/local/lib/perenne/hand-over", seconds=HAND_OVER_SECONDS)


async def _drain(scene: Scene, hit: Hit) -> None:
    scene.promise(
        Step(
            how=How.SHELL,
            where=hit.machine,
            does=f"put {hit.machine} back into service",
            by_hand=f"On {hit.machine}: /usr/local/lib/perenne/undrain",
            script="/usr/local/lib/perenne/undrain",
        )
    )
    await scene.hands.shell(hit.machine, "/usr/local/lib/perenne/drain", seconds=HAND_OVER_SECONDS)
    # What an operator does next: here, what a reboot does to its services.
    await scene.hands.shell(hit.machine, "systemctl restart apache2 keepalived")
