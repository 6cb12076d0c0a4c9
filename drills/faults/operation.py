"""What operators do on purpose; none of it may cost a user a request."""

import contextlib
from collections.abc import Callable, Coroutine, Iterator

from blueprint.terms import Role
from drills.faults import arranging, targets
from drills.faults.fault import Fault, Hit, Scene, aim_at
from drills.faults.steps import end_maintenance, home, on_server
from drills.undo import FOLDER, Step
from moves.patching import Patch, Work
from moves.record import Progress, Record
from moves.server import DRAIN, DRAIN_SECONDS, UNDRAIN
from moves.site import Site
from stack.status import DRAINED_MARK
from stack.vault import Vault
from stack.workspace import Stack

DRAINED_SECONDS = 10.0
"""How long a server stays drained: connections that were kept open are used again and again meanwhile."""

_RESTART_WILDFLY = """
main() { systemctl show --property=MainPID --value wildfly; }
before=$(main)
systemctl restart wildfly
after=$(main)
((after && before != after)) || { echo "it is still process $before" >&2; exit 1; }
echo "process $after in the place of $before"
"""

HAND_OVER_SECONDS = 90.0
"""How long a hand-over may take: it waits for kept connections, for long requests and for the other balancer."""

_UNITS = {Role.BALANCER: "apache2 keepalived", Role.APPLICATION: "wildfly", Role.DATABASE: "patroni"}
"""What of a server users depend on."""


_APPLICATION = aim_at(lambda scene: scene.standing.application, "an application server")
_BALANCER = aim_at(lambda scene: scene.standing.balancer, "which holds the virtual address")
_STANDBY = aim_at(lambda scene: scene.standing.standby, "the synchronous standby")
_PRIMARY = aim_at(lambda scene: scene.standing.primary, "the primary")


def faults() -> tuple[Fault, ...]:
    """Operators' moves."""
    return (
        Fault(
            name="switchover",
            title="The standby becomes the primary, as planned",
            aim=_to_standby,
            inject=_switch_over,
            on_purpose=True,
            target=targets.SWITCHOVER,
            idempotent_succeed=True,
            proves=("DB-01", "DB-02"),
        ),
        Fault(
            name="restart-app",
            title="An application server's WildFly is restarted",
            aim=_APPLICATION,
            inject=_restart_wildfly,
            on_purpose=True,
            target=targets.APPLICATION_LOST,
            idempotent_succeed=True,
            proves=("APP-01", "BAL-02"),
        ),
        Fault(
            name="reload-balancer",
            title="The balancer with the virtual address reloads, as after a certificate's renewal",
            aim=_BALANCER,
            inject=_reload_httpd,
            on_purpose=True,
            target=targets.ADDRESS_HANDED_OVER,
            all_succeed=True,
        ),
        Fault(
            name="move-site-address",
            title="The virtual address is handed over to the other balancer",
            aim=_BALANCER,
            inject=_hand_over,
            on_purpose=True,
            target=targets.ADDRESS_HANDED_OVER,
            all_succeed=True,
            proves=("BAL-01",),
        ),
        _drain("drain-app", "An application server is drained, its WildFly restarted, and put back", _APPLICATION),
        _drain(
            "drain-balancer", "The balancer with the virtual address is drained, restarted, and put back", _BALANCER
        ),
        _drain("drain-standby", "The synchronous standby is drained, its PostgreSQL restarted, and put back", _STANDBY),
        _drain("drain-primary", "The primary is drained after a switchover, restarted, and put back", _PRIMARY),
        Fault(
            name="rolling-patch",
            title="Every server is drained, restarted and put back, one after the other; then every host",
            aim=_everything,
            inject=_patch,
            on_purpose=True,
            unavailable=_not_on_real,
            target=targets.PLANNED,
            all_succeed=True,
            proves=("APP-01", "BAL-01", "BAL-02", "DB-01", "DB-02"),
            notes=(
                "No package is installed: the lab's servers reach no source.",
                "The lab's vMotion takes no time and moves no memory; its hosts are not restarted.",
            ),
        ),
    )


def _drain(name: str, title: str, aim: Callable[[Scene], Coroutine[None, None, Hit]]) -> Fault:
    """A server is taken out of use, and what it does is restarted as at a reboot."""
    return Fault(
        name=name,
        title=title,
        aim=aim,
        inject=_drain_server,
        on_purpose=True,
        lasts=DRAINED_SECONDS,
        target=targets.PLANNED,
        all_succeed=True,
    )


async def _to_standby(scene: Scene) -> Hit:
    found = scene.standing
    return Hit(f"from {found.primary} to {found.standby}", (found.standby,))


async def _switch_over(scene: Scene, hit: Hit) -> str:
    await arranging.switch_over(scene, hit.machine)
    return f"Patroni has switched over to {hit.machine}"


async def _restart_wildfly(scene: Scene, hit: Hit) -> str:
    return await scene.hands.shell(hit.machine, _RESTART_WILDFLY)


async def _reload_httpd(scene: Scene, hit: Hit) -> str:
    await scene.hands.shell(hit.machine, "systemctl reload apache2", seconds=HAND_OVER_SECONDS)
    return f"httpd on {hit.machine} has reloaded"


async def _hand_over(scene: Scene, hit: Hit) -> str:
    await scene.hands.shell(hit.machine, "/usr/local/lib/perenne/hand-over", seconds=HAND_OVER_SECONDS)
    return f"{hit.machine} has handed the address over"


async def _everything(scene: Scene) -> Hit:
    settings = scene.settings
    return Hit(f"{len(settings.servers)} servers and {len(settings.hosts)} hosts", (*settings.servers, *settings.hosts))


async def _drain_server(scene: Scene, hit: Hit) -> str:
    scene.promise(_undrain(scene.stack, hit.machine))
    await scene.hands.shell(hit.machine, DRAIN, seconds=DRAIN_SECONDS)
    units = _UNITS[scene.settings.servers[hit.machine].role]
    say = f'[[ -e {DRAINED_MARK} ]] || {{ echo "it does not say that it is drained" >&2; exit 1; }}'
    await scene.hands.shell(hit.machine, f"{say}\nsystemctl restart {units}\n", seconds=DRAIN_SECONDS)
    return f"{hit.machine} was drained, and {units} restarted"


async def _patch(scene: Scene, hit: Hit) -> str:
    # Each is put back by the patch itself; what is promised is for a patch that is killed.
    scene.promise(home(), *(end_maintenance(host) for host in scene.settings.hosts))
    scene.promise(*(_undrain(scene.stack, name) for name in hit.machines if name in scene.settings.servers))
    await _rolling(scene).run(Progress(began=""))
    return f"{hit.title} were patched"


def _rolling(scene: Scene) -> Patch:
    site = Site(scene.stack, scene.hands, scene.vcenter, _unheard)
    record = Record(FOLDER / "rolling-patch.json")
    return Patch(site, Work(packages=False, restart=True), record, Vault.open(scene.stack), _unseen)


def _unheard(_line: str) -> None:
    """Leave the drill's own lines alone."""


@contextlib.contextmanager
def _unseen(_step: str) -> Iterator[Callable[[str], None]]:
    yield _unheard


def _undrain(stack: Stack, server: str) -> Step:
    return on_server(
        server,
        does=f"put {server} back into service",
        by_hand=stack.command("undrain", server),
        script=UNDRAIN,
        seconds=DRAIN_SECONDS,
    )


def _not_on_real(stack: Stack) -> str:
    return "" if stack.is_lab else "on a real site that is ./perenne patch, with its packages"
