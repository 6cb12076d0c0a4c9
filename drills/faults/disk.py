"""Full disks.

The lab's guests write to the machine's own disk, so PostgreSQL's WAL gets a small one of its own first.
"""

from drills.faults import arranging
from drills.faults.fault import Fault, Hit, Scene, aim_at, lab_only
from drills.faults.steps import on_server
from moves.waiting import until_whole

FULL_SECONDS = 30.0
SPARE_MIB = 160
"""What is free on the small disk before it is filled: ten segments of WAL, as a restart and a switchover take some."""

_WAL = "wal=$(echo /var/lib/postgresql/*/*/pg_wal)\n"
_CONFINE = f"""{_WAL}
systemctl stop patroni
small=/run/perenne-drill-wal
mkdir -p "$small"
size=$(( $(du --summarize --block-size=1M "$wal" | cut -f1) + {SPARE_MIB} ))
mount -t tmpfs -o "size=${{size}}m,mode=0700" tmpfs "$small"
chown postgres:postgres "$small"
cp --archive "$wal/." "$small/"
mount --move "$small" "$wal" 2>/dev/null || {{ mount --bind "$small" "$wal"; umount "$small"; }}
systemctl start patroni
"""
_RELEASE = f"""{_WAL}
mountpoint --quiet "$wal" || exit 0
systemctl stop patroni
big=$(dirname "$wal")/perenne-drill-wal
rm -rf "$big"
cp --archive "$wal" "$big"
while mountpoint --quiet "$wal"; do umount "$wal"; done
rm -rf "$wal"
mv "$big" "$wal"
systemctl start patroni
"""
_FILL = f"""{_WAL}
mountpoint --quiet "$wal"
room() {{ df --block-size=1 --output=avail "$wal" | tail -1; }}
fallocate --length "$(room)" "$wal/perenne-drill-fill"
(($(room) < 16 * 1024 * 1024)) || {{ echo "there is room for another segment of WAL" >&2; exit 1; }}
echo "$(($(room))) bytes are free"
"""
# The log of so few writes would take half an hour to need another segment.
_NEED_ROOM = """
for _ in $(seq 20); do
    runuser --user postgres -- psql --quiet --no-psqlrc --command='SELECT pg_switch_wal()' >/dev/null 2>&1 || break
    runuser --user postgres -- psql --quiet --no-psqlrc --command='CHECKPOINT' >/dev/null 2>&1 || break
done
"""


def faults() -> tuple[Fault, ...]:
    """The primary's disk, the standby's."""
    return (
        Fault(
            name="fill-disk-primary",
            title=f"The disk with the primary's WAL is full for {FULL_SECONDS:g} s",
            aim=aim_at(lambda scene: scene.standing.primary, "the primary"),
            inject=_fill,
            lasts=FULL_SECONDS,
            arrange=_small_disk_for_primary,
            unavailable=lab_only,
            proves=("DB-01",),
        ),
        Fault(
            name="fill-disk-standby",
            title=f"The disk with the standby's WAL is full for {FULL_SECONDS:g} s",
            aim=aim_at(lambda scene: scene.standing.standby, "the synchronous standby"),
            inject=_fill,
            lasts=FULL_SECONDS,
            arrange=_small_disk_for_standby,
            unavailable=lab_only,
            primary_stays=True,
            proves=("DB-01",),
        ),
    )


async def _small_disk_for_standby(scene: Scene) -> None:
    await _confine(scene, scene.standing.standby)


async def _small_disk_for_primary(scene: Scene) -> None:
    """The standby gets the small disk, which takes a restart, and then becomes the primary."""
    standby = scene.standing.standby
    await _confine(scene, standby)
    await until_whole(scene.stack)
    await arranging.switch_over(scene, standby)


async def _confine(scene: Scene, server: str) -> None:
    scene.promise(
        on_server(
            server,
            does=f"put PostgreSQL's WAL on {server} back on its disk",
            by_hand=f"On {server}: stop patroni, copy pg_wal, unmount it, put the copy in its place, start patroni.",
            script=_RELEASE,
        )
    )
    await scene.hands.shell(server, _CONFINE)
    await until_whole(scene.stack)


async def _fill(scene: Scene, hit: Hit) -> str:
    server = hit.machine
    scene.promise(
        on_server(
            server,
            does=f"make room on {server}",
            by_hand=f"On {server}: remove perenne-drill-fill in PostgreSQL's pg_wal.",
            script=f'{_WAL}rm -f "$wal/perenne-drill-fill"\n',
        )
    )
    shown = await scene.hands.shell(server, _FILL)
    await scene.hands.shell(scene.standing.primary, _NEED_ROOM)
    return shown
