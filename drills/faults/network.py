"""The network of the servers: two parties that can't reach each other, or one direction of it, delay, loss."""

from collections.abc import Callable
from dataclasses import dataclass

from drills.faults.fault import Fault, Hit, Scene, aim_at, lab_only
from drills.faults.packets import CUT_SECONDS, drop, drop_again
from drills.undo import How, Step
from stack.workspace import Stack

NOISE_SECONDS = 30.0
LOSS = 0.1
DELAY = "100ms"


@dataclass(frozen=True)
class Cut:
    """Two parties between whom no packet passes."""

    name: str
    title: str
    parties: Callable[[Scene], tuple[str, tuple[str, ...]]]
    """The one at which packets are dropped, and its peers."""
    one_way: bool = False
    """Only what the first one sends is dropped."""
    proves: tuple[str, ...] = ()


CUTS = (
    Cut(
        "cut-replication",
        "The primary and its standby can't reach each other",
        lambda s: (s.standing.primary, (s.standing.standby,)),
        proves=("DB-01", "PLA-05"),
    ),
    Cut(
        "cut-replication-one-way",
        "The standby no longer hears the primary, which still hears the standby",
        lambda s: (s.standing.primary, (s.standing.standby,)),
        one_way=True,
        proves=("DB-01", "PLA-05"),
    ),
    Cut(
        "cut-primary-from-quorum",
        "The primary can't reach the other votes; clients still reach it",
        lambda s: (s.standing.primary, tuple(name for name in s.settings.quorum if name != s.standing.primary)),
        proves=("DB-01", "PLA-05"),
    ),
    Cut(
        "cut-app-from-primary",
        "An application server can't reach the primary",
        lambda s: (s.standing.application, (s.standing.primary,)),
        proves=("BAL-02", "APP-01"),
    ),
    Cut(
        "cut-apps-apart",
        "The application servers can't reach each other",
        lambda s: _all_others(s, s.standing.application),
        proves=("APP-01",),
    ),
    Cut(
        "cut-balancer-from-app",
        "The balancer with the virtual address can't reach an application server",
        lambda s: (s.standing.balancer, (s.standing.application,)),
        proves=("BAL-02",),
    ),
    Cut(
        "cut-balancers-apart",
        "The balancers can't reach each other",
        lambda s: (s.standing.balancer, (s.standing.other_balancer,)),
        proves=("BAL-01",),
    ),
)


def faults() -> tuple[Fault, ...]:
    """Cuts between parties, loss, delay."""
    return (*(_cut(cut) for cut in CUTS), _loss(), _delay())


def _cut(cut: Cut) -> Fault:
    async def aim(scene: Scene) -> Hit:
        one, others = cut.parties(scene)
        between = "to" if cut.one_way else "and"
        return Hit(f"{one} {between} {' and '.join(others)}", (one, *others))

    def rules(scene: Scene, hit: Hit) -> list[str]:
        addresses = [address for other in hit.machines[1:] for address in _addresses(scene, other)]
        sent = [f"OUTPUT --destination {address}" for address in addresses]
        return sent if cut.one_way else sent + [f"INPUT --source {address}" for address in addresses]

    async def inject(scene: Scene, hit: Hit) -> str:
        return await drop(scene, hit.machine, *rules(scene, hit))

    async def again(scene: Scene, hit: Hit) -> None:
        await drop_again(scene, hit.machine, *rules(scene, hit))

    return Fault(
        name=cut.name,
        title=f"{cut.title}, for {CUT_SECONDS:g} s",
        aim=aim,
        inject=inject,
        lasts=CUT_SECONDS,
        again=again,
        unavailable=lab_only,
        proves=cut.proves,
    )


def _addresses(scene: Scene, server: str) -> tuple[str, ...]:
    """A server's own address, and the database's where it holds it."""
    own = str(scene.settings.servers[server].address)
    return (own, str(scene.settings.database.address)) if server == scene.standing.primary else (own,)


def _all_others(scene: Scene, server: str) -> tuple[str, tuple[str, ...]]:
    role = scene.settings.servers[server].role
    return server, tuple(name for name in scene.settings.servers_of(role) if name != server)


def _loss() -> Fault:
    async def inject(scene: Scene, hit: Hit) -> str:
        rule = f"INPUT ! --in-interface lo --match statistic --mode random --probability {LOSS}"
        return ", ".join([await drop(scene, machine, rule) for machine in hit.machines])

    return Fault(
        name="lose-packets",
        title=f"Every server loses {LOSS:.0%} of the packets that it is sent, for {NOISE_SECONDS:g} s",
        aim=_all_servers,
        inject=inject,
        lasts=NOISE_SECONDS,
        unavailable=lab_only,
        primary_stays=True,
    )


def _delay() -> Fault:
    async def inject(scene: Scene, hit: Hit) -> str:
        for machine in hit.machines:
            scene.promise(
                Step(
                    how=How.PACKETS,
                    where=machine,
                    does=f"let packets of {machine} pass without delay",
                    by_hand=f"docker restart the container of {machine}.",
                    script="tc qdisc delete dev eth0 root 2>/dev/null || true",
                )
            )
            await scene.hands.packets(machine, f"tc qdisc add dev eth0 root netem delay {DELAY}")
        return await scene.hands.packets(
            hit.machine, "tc -statistics qdisc show dev eth0 | grep --after-context=1 netem"
        )

    return Fault(
        name="delay-packets",
        title=f"Packets to and from the database take {DELAY} longer, for {NOISE_SECONDS:g} s",
        aim=aim_at(lambda scene: scene.standing.primary, "the primary"),
        inject=inject,
        lasts=NOISE_SECONDS,
        unavailable=_needs_netem,
        primary_stays=True,
    )


def _needs_netem(stack: Stack) -> str:
    if why := lab_only(stack):
        return why
    return "" if _netem() else "the kernel of this machine has no netem (sch_netem), which delays packets"


def _netem() -> bool:
    """Whether the machine's kernel has, or can load, the queueing discipline that delays packets."""
    import gzip  # noqa: PLC0415 (only here)
    import platform  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    release = platform.release()
    modules = [Path("/lib/modules") / release / name for name in ("modules.builtin", "modules.dep")]
    if any(file.exists() and "sch_netem" in file.read_text() for file in modules):
        return True
    configuration = Path("/proc/config.gz")
    return configuration.exists() and b"CONFIG_NET_SCH_NETEM=y" in gzip.decompress(configuration.read_bytes())


async def _all_servers(scene: Scene) -> Hit:
    return Hit("all servers", tuple(scene.settings.servers))
