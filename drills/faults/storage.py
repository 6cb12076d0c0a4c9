"""Storage: a portal, an array, all paths of a datastore."""

from collections import Counter

from blueprint.terms import Role
from drills.faults import arranging, targets
from drills.faults.evidence import STOPPED, of_container
from drills.faults.fault import Fault, Hit, Scene, lab_only
from drills.faults.packets import dropping, healed
from drills.faults.steps import going_on, on_server
from stack.workspace import Stack

STALL_SECONDS = 30.0
ARRAY_SECONDS = 60.0
"""Long enough for the other database to take over; short enough that VM monitoring resets nobody (150 s)."""

_NOT_ON_LUNS = (
    "The lab's guests have their disks on the machine, not on the LUNs: what is shown is that no service depends on a "
    "path, not how long ESXi pauses I/O."
)

# What syncs to disk. The lab's guests have their disks on the machine: a stall of the datastore is played by stopping
# these.
_WRITERS = """pids() {
    local main
    { systemctl show --property=MainPID --value etcd
      head -1 /var/lib/postgresql/*/*/postmaster.pid 2>/dev/null || true
    } | while read -r main; do
        [ "${main:-0}" != 0 ] || continue
        echo "$main"
        ps -o pid= --ppid "$main" || true
    done
}
"""

_PATHS = """
paths=$(esxcli storage core path list)
active=$(grep --count 'State: active' <<<"$paths" || true) dead=$(grep --count 'State: dead' <<<"$paths" || true)
((active && dead)) || { echo "$active paths are active, $dead are dead" >&2; exit 1; }
echo "$dead of $((active + dead)) paths are dead"
"""


def faults() -> tuple[Fault, ...]:
    """All that can happen to storage."""
    return (
        Fault(
            name="cut-one-path",
            title="One portal of an array no longer answers",
            aim=_portal,
            inject=_cut_portal,
            lasts=20.0,
            unavailable=lab_only,
            primary_stays=True,
            idempotent_succeed=True,
            proves=("STO-01", "STO-02", "STO-04"),
            notes=(_NOT_ON_LUNS,),
        ),
        Fault(
            name="stall-datastore",
            title=f"All paths to the datastore of the primary are down for {STALL_SECONDS:g} s",
            aim=_datastore,
            inject=_stall,
            lasts=STALL_SECONDS,
            arrange=_primary_with_few_votes,
            unavailable=lab_only,
            proves=("STO-06", "CLU-07"),
            notes=("Played by stopping what syncs to disk (etcd, PostgreSQL) on the servers of that datastore.",),
        ),
        Fault(
            name="lose-array",
            title=f"The array of the primary is gone for {ARRAY_SECONDS:g} s, with every server on it",
            aim=_array,
            inject=_lose_array,
            lasts=ARRAY_SECONDS,
            unavailable=_needs_two_arrays,
            target=targets.HOST_LOST,
            proves=("STO-06", "BAK-01"),
            notes=(
                "Played by freezing the array and every server on it.",
                "A real server goes on from its memory for a while, and hangs when it next needs its disk.",
            ),
        ),
    )


def _needs_two_arrays(stack: Stack) -> str:
    if len(stack.settings.storage) == 1:
        return "the stack has one array, and every server is on it; the twin of a stack with two can show it"
    return lab_only(stack)


async def _portal(scene: Scene) -> Hit:
    array, found = next(iter(scene.settings.storage.items()))
    path, address = next(iter(found.portals.items()))
    return Hit(f"{array}'s portal {address} on path {path}", (array, str(address)))


async def _cut_portal(scene: Scene, hit: Hit) -> str:
    array, address = hit.machines
    scene.promise(healed(array))
    await scene.hands.packets(array, dropping(destination=address))
    return "; ".join([f"{host}: {await scene.hands.shell(host, _PATHS)}" for host in scene.settings.hosts])


async def _array(scene: Scene) -> Hit:
    settings = scene.settings
    home = settings.servers[scene.standing.primary].datastore
    array = next(name for name, described in settings.storage.items() if home in described.luns)
    servers = tuple(
        name for name, server in settings.servers.items() if server.datastore in settings.storage[array].luns
    )
    return Hit(f"{array} with {', '.join(servers)}", (array, *servers))


async def _lose_array(scene: Scene, hit: Hit) -> str:
    scene.promise(*(going_on(machine) for machine in hit.machines))
    return ", ".join([await of_container(scene, "pause", machine) for machine in hit.machines])


async def _datastore(scene: Scene) -> Hit:
    datastore = scene.settings.servers[scene.standing.primary].datastore
    servers = tuple(
        name
        for name, server in scene.settings.servers.items()
        if server.datastore == datastore and name in scene.settings.quorum
    )
    return Hit(f"{datastore} with {', '.join(servers)}", servers)


async def _primary_with_few_votes(scene: Scene) -> None:
    """Bring the primary to a datastore without which the quorum goes on: only then can another take over meanwhile."""
    settings = scene.settings
    votes = Counter(server.datastore for server in settings.quorum.values())
    best = min(settings.servers_of(Role.DATABASE), key=lambda name: votes[settings.servers[name].datastore])
    if best != scene.standing.primary:
        await arranging.switch_over(scene, best)


async def _stall(scene: Scene, hit: Hit) -> str:
    for server in hit.machines:
        scene.promise(
            on_server(
                server,
                does=f"let {server} write to its disk again",
                by_hand=f"On {server}: kill -CONT PostgreSQL's and etcd's processes.",
                script=f'{_WRITERS}\nfor one in $(pids); do kill -CONT "$one" 2>/dev/null || true; done\n',
            )
        )
    return "; ".join([await scene.hands.shell(server, _WRITERS + STOPPED) for server in hit.machines])
