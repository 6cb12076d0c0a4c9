"""Bringing roles to where a fault hits them hardest, before the recording begins."""

from blueprint.terms import Role
from drills.faults.fault import Scene
from moves.standing import lead_quorum, quorum_leader
from moves.waiting import until_whole

_PLACE = "cluster=$(awk '$1 == \"scope:\" { print $2 }' /etc/patroni/perenne/*.yml)\n"


async def switch_over(scene: Scene, candidate: str) -> None:
    """Make a standby the primary, as planned."""
    await scene.hands.shell(candidate, switch_over_script(scene.standing.primary, candidate))


def switch_over_script(primary: str, candidate: str) -> str:
    """What a database server runs for it."""
    return (
        f"{_PLACE}said=$(patronictl --config-file /etc/patroni/perenne switchover"
        f' --leader {primary} --candidate {candidate} --force "$cluster" 2>&1)\n'
        # patronictl ends well also where Patroni refuses.
        'grep --quiet "Successfully switched over" <<<"$said" || { echo "$said" >&2; exit 1; }\n'
    )


async def worst_host(scene: Scene) -> str:
    """The host that holds most of virtual address, primary and quorum leader."""
    found = scene.standing
    leader = await quorum_leader(scene.stack, scene.hands)
    held = [found.host_of(server) for server in (found.balancer, found.primary, leader)]
    return max(scene.settings.hosts, key=held.count)


async def make_worst(scene: Scene) -> None:
    """Bring virtual address, primary and quorum leader to one host, as far as its servers can take them."""
    host = _candidate(scene)
    for server in scene.standing.on(host):
        role = scene.settings.servers[server].role
        if role == Role.BALANCER and server != scene.standing.balancer:
            await scene.hands.shell(scene.standing.balancer, "systemctl restart keepalived")
        if role == Role.DATABASE:
            if server != scene.standing.primary:
                await switch_over(scene, server)
            await lead_quorum(scene.stack, scene.hands, server)
    await until_whole(scene.stack)


def _candidate(scene: Scene) -> str:
    """The host that could hold most of them: by the roles of what runs there; of equals the primary's."""
    found = scene.standing

    def could_hold(host: str) -> tuple[int, bool]:
        roles = {scene.settings.servers[server].role for server in found.on(host)}
        return len(roles & {Role.BALANCER, Role.DATABASE}), found.host_of(found.primary) == host

    return max(scene.settings.hosts, key=could_hold)
