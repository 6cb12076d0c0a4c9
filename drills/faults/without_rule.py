"""Each rule's own drill: a stack with just that rule broken, and the fault that the rule is about.

What it costs is shown beside what the same fault costs a sound stack (docs/policies). The rule is broken on the running
stack, by what an operator could do by hand; the journal takes it back, as it does the fault.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace

from blueprint.terms import Role
from drills.faults import arranging, fencing, guest, host, operation, process, storage
from drills.faults.fault import Fault, Hit, Scene
from drills.faults.steps import home, on_server
from drills.undo import How, Step

HURTS_SECONDS = 45.0
"""How long a fault lasts that nothing makes good while the rule is broken: longer than Patroni's lease and vSphere HA's
restart of a guest, which would make it good otherwise."""

_PLAIN = [fault for module in (guest, host, operation, process, storage) for fault in module.faults()]
_FAULTS = {fault.name: fault for fault in (*_PLAIN, *fencing.unfenced(_PLAIN))}
_SAVED = "/var/lib/perenne/drill"
"""Where a server keeps the files that a drill changed."""

_APPLICATION = "/etc/perenne/wildfly/configuration.yml"
_RESTART_WILDFLY = "systemctl restart wildfly"
_READY = "until curl --silent --fail --output /dev/null http://127.0.0.1:9990/health/ready; do sleep 0.2; done\n"


@dataclass(frozen=True)
class Change:
    """What breaks a rule in a server's file."""

    file: str
    script: str
    """A sed script (GNU); it must change something."""
    take_up: str
    """The command with which the server takes the file up."""


@dataclass(frozen=True)
class Without:
    """A rule, how it is broken, and the fault that shows what it is for."""

    rule: str
    what: str
    """In words: `vSphere HA is off`."""
    fault: str
    break_rule: Callable[[Scene], Awaitable[None]]
    lasts: float | None = HURTS_SECONDS
    """Seconds; None: as long as the fault of a sound stack."""
    aim: Callable[[Scene], Hit] | None = None
    """Another target than a sound stack's."""
    inject: Callable[[Scene, Hit], Coroutine[None, None, str]] | None = None
    """Another way to bring the fault about, which promises to take it back."""


def faults() -> tuple[Fault, ...]:
    """One per rule that the running lab can be without."""
    return tuple(_fault(one) for one in ALL)


async def _no_ha(scene: Scene) -> None:
    scene.promise(
        Step(how=How.HA_ON, where="the cluster", does="switch vSphere HA on", by_hand="Switch it on in vCenter.")
    )
    await scene.vcenter.switch_ha(on=False)


async def _no_restart(scene: Scene) -> None:
    server = scene.standing.application
    priority = await scene.vcenter.restart_priority(server)
    scene.promise(
        Step(
            how=How.RESTART_PRIORITY,
            where=server,
            does=f"have vSphere HA restart {server}",
            by_hand=f"In vCenter: set the restart priority of {server} to {priority}.",
            script=priority,
        )
    )
    await scene.vcenter.set_restart_priority(server, "disabled")


async def _one_balancer(scene: Scene) -> None:
    await _stopped(scene, scene.standing.other_balancer, "keepalived")


async def _one_application(scene: Scene) -> None:
    serving = scene.standing.application
    for name in scene.settings.servers_of(Role.APPLICATION):
        if name != serving:
            await _stopped(scene, name, "wildfly")


async def _no_standby(scene: Scene) -> None:
    await _stopped(scene, scene.standing.standby, "patroni")


async def _blind_balancers(scene: Scene) -> None:
    change = Change(
        "/etc/apache2/apache2.conf",
        r"/BalancerMember/ s/ hcmethod=[^ ]*//; s/ hcuri=[^ ]*//",
        "systemctl reload apache2",
    )
    for name in scene.settings.servers_of(Role.BALANCER):
        await _changed(scene, name, change)


async def _unwatched_proxy(scene: Scene) -> None:
    change = Change("/etc/keepalived/keepalived.conf", r"/track_script {/,/}/ d", "systemctl reload keepalived")
    for name in scene.settings.servers_of(Role.BALANCER):
        await _changed(scene, name, change)


async def _lonely_sessions(scene: Scene) -> None:
    """Every application server is a cluster of its own."""
    for name in scene.settings.servers_of(Role.APPLICATION):
        change = Change(_APPLICATION, rf's/cluster: "[^"]*"/cluster: alone-{name}/', _RESTART_WILDFLY)
        await _changed(scene, name, change, then=_READY)


async def _one_database_named(scene: Scene) -> None:
    primary = scene.settings.fqdn(scene.standing.primary)
    change = Change(_APPLICATION, rf"s,//[^/]*:5432/,//{primary}:5432/,", _RESTART_WILDFLY)
    for name in scene.settings.servers_of(Role.APPLICATION):
        await _changed(scene, name, change, then=_READY)


async def _patient_clients(scene: Scene) -> None:
    change = Change(_APPLICATION, r"s/socketTimeout=[0-9]*/socketTimeout=0/", _RESTART_WILDFLY)
    for name in scene.settings.servers_of(Role.APPLICATION):
        await _changed(scene, name, change, then=_READY)


async def _together(scene: Scene) -> None:
    """Both application servers on one host."""
    await _moved(scene, scene.standing.application, Role.APPLICATION)


async def _votes_together(scene: Scene) -> None:
    """The witness on the standby's host: two of three votes."""
    await _moved(scene, scene.standing.standby, Role.WITNESS)


async def _moved(scene: Scene, to: str, role: Role) -> None:
    """Move the servers of a role to the host of another server."""
    scene.promise(home())
    there = scene.standing.host_of(to)
    for name in scene.settings.servers_of(role):
        if scene.standing.host_of(name) != there:
            await scene.vcenter.migrate(name, there)


async def _switch_over_and_back(scene: Scene, hit: Hit) -> str:
    """A switchover that is taken back: users get no further while the old primary is not there."""
    primary = scene.standing.primary
    scene.promise(
        on_server(
            primary,
            does=f"make {primary} the primary again",
            by_hand=f"{scene.stack.command('switchover')} (its primary was {primary})",
            script=arranging.switch_over_script(hit.machine, primary),
        )
    )
    await arranging.switch_over(scene, hit.machine)
    return f"Patroni has switched over to {hit.machine}"


def _databases(scene: Scene) -> Hit:
    """The datastore that holds the databases and most votes, as if it were the only one."""
    servers = tuple(scene.settings.quorum)
    return Hit(f"one datastore with {', '.join(servers)}", servers)


async def _nothing(scene: Scene) -> None:
    """The fault itself says what is different."""


ALL = (
    Without("CLU-01", "vSphere HA is off", "lose-app", _no_ha),
    Without("VM-02", "the server's restart is disabled", "lose-app", _no_restart),
    Without("BAL-01", "there is one balancer", "lose-balancer", _one_balancer),
    Without("BAL-02", "balancers don't ask nodes how they are", "freeze-app-60s", _blind_balancers, lasts=None),
    Without("BAL-03", "nothing watches httpd", "hang-httpd", _unwatched_proxy, lasts=None),
    Without("APP-01", "sessions are on one server each", "lose-app", _lonely_sessions),
    Without("PLA-01", "there is one application server", "lose-app", _one_application),
    Without(
        "PLA-02",
        "both application servers are on one host",
        "lose-standby-host",
        _together,
        aim=lambda s: _host(s, s.standing.application),
    ),
    Without("PLA-05", "two of three votes are on one host", "lose-standby-host", _votes_together),
    Without("DB-01", "there is no standby", "lose-primary", _no_standby),
    Without(
        "DB-02", "clients know one database server", "switchover", _one_database_named, inject=_switch_over_and_back
    ),
    # Fencing ends a frozen primary's connections, whatever its clients' patience: it takes a site without it to show.
    Without(
        "DB-04",
        "clients wait for a silent database for ever",
        "freeze-primary-60s-unfenced",
        _patient_clients,
        lasts=None,
    ),
    Without("STO-06", "one datastore holds the whole quorum", "stall-datastore", _nothing, lasts=None, aim=_databases),
)


def _host(scene: Scene, server: str) -> Hit:
    there = scene.standing.host_of(server)
    return Hit(f"{there} with {', '.join(scene.standing.on(there))}", (there,))


def _fault(without: Without) -> Fault:
    sound = _FAULTS[without.fault]

    async def aim(scene: Scene) -> Hit:
        return without.aim(scene) if without.aim else await sound.aim(scene)

    async def arrange(scene: Scene) -> None:
        if sound.arrange:
            await sound.arrange(scene)
        await without.break_rule(scene)

    fault: Fault = replace(
        sound,
        name=f"without-{without.rule.lower()}",
        title=f"{sound.title}; {without.what}",
        aim=aim,
        inject=without.inject or sound.inject,
        arrange=arrange,
        lasts=without.lasts if without.lasts is not None else sound.lasts,
        target=None,
        fenced_target=None,
        on_purpose=False,
        primary_stays=False,
        idempotent_succeed=False,
        without=without.rule,
        sound=sound.name,
        proves=(without.rule,),
    )
    return fault


async def _stopped(scene: Scene, server: str, unit: str) -> None:
    scene.promise(
        on_server(
            server,
            does=f"start {unit} on {server}",
            by_hand=f"On {server}: systemctl start {unit}",
            script=f"systemctl start {unit}",
        )
    )
    await scene.hands.shell(server, f"systemctl stop {unit}")


async def _changed(scene: Scene, server: str, change: Change, *, then: str = "") -> None:
    """Change a file on a server and have it taken up.

    Raises:
        Failure: The file is not as expected, so that nothing would be changed.
    """
    saved = f"{_SAVED}/{change.file.rsplit('/', 1)[-1]}"
    scene.promise(
        on_server(
            server,
            does=f"put {change.file} on {server} back",
            by_hand=f"On {server}: mv {saved} {change.file} && {change.take_up}",
            script=f"if [ -e {saved} ]; then mv {saved} {change.file}; {change.take_up}; {then.strip() or ':'}; fi",
        )
    )
    script = f"""
mkdir -p {_SAVED}
cp --preserve {change.file} {saved}
sed -i '{change.script}' {change.file}
! cmp --quiet {change.file} {saved} || {{ echo "{change.file} is not as expected" >&2; exit 1; }}
{change.take_up}
{then}"""
    await scene.hands.shell(server, script, seconds=120.0)
