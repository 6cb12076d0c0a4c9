"""Packets that a machine of the lab drops, and what lets them pass again."""

from collections.abc import Iterable

from drills.faults.fault import Hit, Scene
from drills.undo import How, Step
from machine.failure import Failure

_CHAIN = "PERENNE-DRILL"
# A chain of its own, so that taking it back needs to know nothing of what was put into it.
_BEGIN = f"""
for chain in INPUT OUTPUT; do
    iptables --wait --new-chain {_CHAIN}-$chain
    iptables --wait --insert $chain --jump {_CHAIN}-$chain
done
"""
_END = f"""
for chain in INPUT OUTPUT; do
    iptables --wait --delete $chain --jump {_CHAIN}-$chain 2>/dev/null || true
    iptables --wait --flush {_CHAIN}-$chain 2>/dev/null || true
    iptables --wait --delete-chain {_CHAIN}-$chain 2>/dev/null || true
    arptables-nft --flush $chain 2>/dev/null || true
done
"""
# A machine that is cut off does not say who has its address either: nobody in the lab has other rules for ARP.
_SILENT = "for chain in INPUT OUTPUT; do arptables-nft --append $chain --jump DROP; done\n"


# What the fault is about sends every second or so, and often more.
_SHOWN = f"""
dropped() {{
    for chain in INPUT OUTPUT; do iptables --wait --list {_CHAIN}-$chain --numeric --verbose --exact; done |
        awk '$3 == "DROP" {{ packets += $1 }} END {{ print packets + 0 }}'
}}
until (($(dropped))); do
    ((SECONDS < 15)) || {{ echo "no packet came that was to be dropped, for $SECONDS s" >&2; exit 1; }}
    sleep 0.1
done
echo "$(dropped) packets dropped"
"""

CUT_SECONDS = 30.0
"""How long parties are cut apart: longer than every detection time in the stack, Patroni's ttl of 20 s included."""


async def deaf(scene: Scene, machine: str) -> None:
    """Drop every packet that a machine is sent by others."""
    scene.promise(healed(machine))
    await scene.hands.packets(machine, _dropping_all(["INPUT ! --in-interface lo"]))


async def cut_off(scene: Scene, machine: str) -> str:
    """Drop every packet of a machine; says how many that were at once."""
    scene.promise(healed(machine))
    return await shown(scene, machine, _CUT_OFF + _SHOWN)


async def cut_off_again(scene: Scene, hit: Hit) -> None:
    """Drop every packet of a machine that is cut off, and was started again: its rules went with what it was."""
    await scene.hands.packets(hit.machine, _END + _CUT_OFF)


def dropping(*, destination: str) -> str:
    """The script that drops what a machine is sent at one of its addresses."""
    return _dropping_all([f"INPUT --destination {destination}"])


def cutting_off(*, address: str) -> str:
    """The script that cuts one of a machine's addresses off, in both directions, and prints what that dropped."""
    return _dropping_all([f"INPUT --destination {address}", f"OUTPUT --source {address}"]) + _SHOWN


def healed(machine: str) -> Step:
    """Let a machine's packets pass again."""
    return Step(
        how=How.PACKETS,
        where=machine,
        does=f"let packets of {machine} pass",
        by_hand=f"docker restart the container of {machine}.",
        script=_END,
    )


async def drop(scene: Scene, machine: str, *rules: str) -> str:
    """Drop what matches one of these rules, a chain (INPUT or OUTPUT) and iptables' matches; says how much at once."""
    scene.promise(healed(machine))
    return await shown(scene, machine, _dropping_all(rules) + _SHOWN)


async def drop_again(scene: Scene, machine: str, *rules: str) -> None:
    """Drop the same of a machine that was started again."""
    await scene.hands.packets(machine, _END + _dropping_all(rules))


async def shown(scene: Scene, machine: str, script: str) -> str:
    """Run a script that says what it dropped.

    Raises:
        Failure: It can't be run, drops nothing, or the machine is off.
    """
    if said := await scene.hands.packets(machine, script):
        return said
    raise Failure(f"{machine} is to lose packets", "it is off", f"Look at {scene.stack.command('status')}.")


def _dropping_all(rules: Iterable[str]) -> str:
    return _BEGIN + "".join(map(_dropping, rules))


def _dropping(rule: str) -> str:
    return f"iptables --wait --append {_CHAIN}-{rule} --jump DROP\n"


_CUT_OFF = _dropping_all(["INPUT ! --in-interface lo", "OUTPUT ! --out-interface lo"]) + _SILENT
