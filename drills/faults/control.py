"""The checker checked: a site that must lose writes, and a drill that succeeds only if it says so."""

import asyncio

from drills.faults.fault import Fault, Hit, Scene, lab_only
from drills.faults.steps import on_server, powered_on
from drills.undo import Step

OFF_SECONDS = 40.0
"""Longer than Patroni's ttl of 20 s, so that the standby takes over before the old primary is back."""

UNREPLICATED_SECONDS = 2.0
"""For how long writes are acknowledged that no standby has."""

_CTL = "patronictl --config-file /etc/patroni/perenne"
_UNTIL_ASYNCHRONOUS = """
names() { runuser --user postgres -- psql -AtXc 'SHOW synchronous_standby_names'; }
until [ -z "$(names)" ]; do sleep 0.1; done
"""
_RECEIVERS = "receivers() { ps -u postgres -o pid=,args= | awk '/walreceiver/ { print $1 }'; }\n"


def faults() -> tuple[Fault, ...]:
    """The negative control."""
    return (
        Fault(
            name="control-lose-writes",
            title="Replication is asynchronous and held up, and the primary is lost: the checker must find lost writes",
            aim=_aim,
            inject=_inject,
            lasts=OFF_SECONDS,
            unavailable=lab_only,
            must_break="no acknowledged write is lost",
            proves=("DB-01",),
        ),
    )


async def _aim(scene: Scene) -> Hit:
    found = scene.standing
    return Hit(f"{found.primary}, the primary, while {found.standby} lags", (found.primary, found.standby))


async def _inject(scene: Scene, hit: Hit) -> str:
    primary, standby = hit.machines
    scene.promise(
        _synchronous(standby),
        powered_on(primary),
        on_server(
            standby,
            does=f"let replication to {standby} go on",
            by_hand=f"On {standby}: kill -CONT PostgreSQL's walreceiver.",
            script=f"{_RECEIVERS}for one in $(receivers); do kill -CONT $one; done\n",
        ),
    )
    await scene.hands.shell(primary, f"{_CTL} edit-config --force --quiet --set synchronous_mode=false")
    await scene.hands.shell(primary, _UNTIL_ASYNCHRONOUS)
    await scene.hands.shell(standby, f"{_RECEIVERS}kill -STOP $(receivers)\n")
    await asyncio.sleep(UNREPLICATED_SECONDS)
    await scene.vcenter.power_off(primary)
    # It ends instead of going on: what the primary had sent waits in its socket, and it would still take that in.
    await scene.hands.shell(
        standby, f"{_RECEIVERS}for one in $(receivers); do kill -TERM $one; kill -CONT $one; done\n"
    )
    return f"replication was asynchronous, and vCenter has powered {primary} off"


def _synchronous(server: str) -> Step:
    return on_server(
        server,
        does="make replication synchronous again",
        by_hand=f"On {server}: {_CTL} edit-config --set synchronous_mode=true",
        script=f"{_CTL} edit-config --force --quiet --set synchronous_mode=true\n",
    )
