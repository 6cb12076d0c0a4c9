"""Processes that are killed, hang, or get a tenth of the processor."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from drills.faults import evidence, targets
from drills.faults.fault import Fault, Hit, Scene
from drills.faults.steps import on_server
from drills.model import Target
from drills.undo import Step
from moves.standing import quorum_leader

HANG_SECONDS = 30.0
"""Longer than every detection time in the stack, Patroni's ttl of 20 s included."""

SLOW_SECONDS = 20.0
SLOW_UNIT = "perenne-drill-slow"


@dataclass(frozen=True)
class Process:
    """One of the platform's processes, on the server where it matters most."""

    name: str
    title: str
    role: str
    """What the server is that is hit, in words."""
    server: Callable[[Scene], Coroutine[None, None, str]]
    pids: str
    """A shell function `pids` that prints its process ids, found on the server itself."""
    proves: tuple[str, ...]
    kill_target: Target | None = None
    idempotent_succeed: bool = False


def _unit(unit: str, *, children: bool = True) -> str:
    """The ids of a unit's main process and, as workers, of its children."""
    workers = 'ps -o pid= --ppid "$main" || true' if children else ":"
    return (
        f'pids() {{ local main; main=$(systemctl show --property=MainPID --value {unit}); echo "$main"; {workers}; }}'
    )


# Patroni is no parent of PostgreSQL: pg_ctl has left it behind.
_POSTGRES = (
    'pids() { local main; main=$(head -1 /var/lib/postgresql/*/*/postmaster.pid); echo "$main"; '
    'ps -o pid= --ppid "$main" || true; }'
)


async def _balancer(scene: Scene) -> str:
    return scene.standing.balancer


async def _application(scene: Scene) -> str:
    return scene.standing.application


async def _primary(scene: Scene) -> str:
    return scene.standing.primary


async def _leader(scene: Scene) -> str:
    return await quorum_leader(scene.stack, scene.hands)


PROCESSES = (
    Process(
        "httpd", "Apache httpd", "which holds the virtual address", _balancer, _unit("apache2"), ("BAL-01", "BAL-03")
    ),
    Process("keepalived", "keepalived", "which holds the virtual address", _balancer, _unit("keepalived"), ("BAL-01",)),
    Process(
        "wildfly",
        "WildFly",
        "an application server",
        _application,
        _unit("wildfly"),
        ("APP-01", "BAL-02", "PLA-01"),
        targets.APPLICATION_LOST,
        idempotent_succeed=True,
    ),
    Process(
        "postgres",
        "PostgreSQL",
        "the primary",
        _primary,
        _POSTGRES,
        ("DB-01", "DB-02", "DB-04"),
        targets.DATABASE_KILLED,
    ),
    Process("patroni", "Patroni", "the primary", _primary, _unit("patroni", children=False), ("DB-01",)),
    Process("etcd", "etcd", "the leader of the quorum", _leader, _unit("etcd", children=False), ("DB-05", "PLA-05")),
)


def faults() -> tuple[Fault, ...]:
    """Every process, killed, hung and slow."""
    return tuple(make(process) for process in PROCESSES for make in (_kill, _hang, _slow))


def _kill(process: Process) -> Fault:
    async def inject(scene: Scene, hit: Hit) -> str:
        # Its supervisor starts it again: there is nothing to take back.
        return await scene.hands.shell(hit.machine, process.pids + evidence.KILLED)

    return Fault(
        name=f"kill-{process.name}",
        title=f"{process.title} is killed",
        aim=_aim(process),
        inject=inject,
        target=process.kill_target,
        idempotent_succeed=process.idempotent_succeed,
        proves=process.proves,
    )


def _hang(process: Process) -> Fault:
    async def inject(scene: Scene, hit: Hit) -> str:
        scene.promise(_go_on(process, hit.machine))
        return await scene.hands.shell(hit.machine, process.pids + evidence.STOPPED)

    return Fault(
        name=f"hang-{process.name}",
        title=f"{process.title} hangs for {HANG_SECONDS:g} s",
        aim=_aim(process),
        inject=inject,
        lasts=HANG_SECONDS,
        proves=process.proves,
    )


def _slow(process: Process) -> Fault:
    async def inject(scene: Scene, hit: Hit) -> str:
        server = hit.machine
        stop = f"systemctl stop {SLOW_UNIT} 2>/dev/null || true"
        scene.promise(_go_on(process, server, before=stop))
        return await scene.hands.shell(
            server,
            f"""
cat >/run/{SLOW_UNIT} <<'SCRIPT'
{process.pids}
trap 'kill -CONT $(pids)' EXIT
trap exit TERM
found=$(pids)
while :; do kill -STOP $found; sleep 0.15; found=$(pids); kill -CONT $found; sleep 0.02; done
SCRIPT
systemd-run --quiet --collect --unit={SLOW_UNIT} --property=RuntimeMaxSec={3 * SLOW_SECONDS:g} bash /run/{SLOW_UNIT}
{process.pids}{evidence.SLOWED}""",
        )

    return Fault(
        name=f"slow-{process.name}",
        title=f"{process.title} gets a tenth of the processor for {SLOW_SECONDS:g} s",
        aim=_aim(process),
        inject=inject,
        lasts=SLOW_SECONDS - evidence.LOOKED_SECONDS,
        proves=process.proves,
        notes=("Slow means stopped for at least 150 ms, then on for 20 ms, and so on.",),
    )


def _aim(process: Process) -> Callable[[Scene], Coroutine[None, None, Hit]]:
    async def aim(scene: Scene) -> Hit:
        server = await process.server(scene)
        return Hit(f"{server}, {process.role}", (server,))

    return aim


def _go_on(process: Process, server: str, *, before: str = ":") -> Step:
    # What was stopped may have been replaced meanwhile; all that is there goes on.
    script = f'{before}\n{process.pids}\nfor one in $(pids); do kill -CONT "$one" 2>/dev/null || true; done\n'
    return on_server(
        server,
        does=f"let {process.title} on {server} go on",
        by_hand=f"On {server}, kill -CONT its processes, or restart its service.",
        script=script,
    )
