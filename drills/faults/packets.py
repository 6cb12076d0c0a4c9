"""Packets that a machine of the lab drops, and what lets them pass again."""

from drills.faults.fault import Scene
from drills.undo import How, Step

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


CUT_SECONDS = 30.0
"""How long parties are cut apart: longer than every detection time in the stack, Patroni's ttl of 20 s included."""


async def deaf(scene: Scene, machine: str) -> None:
    """Drop every packet that a machine is sent by others."""
    await drop(scene, machine, "INPUT ! --in-interface lo")


async def cut_off(scene: Scene, machine: str) -> None:
    """Drop every packet of a machine."""
    await drop(scene, machine, "INPUT ! --in-interface lo", "OUTPUT ! --out-interface lo", then=_SILENT)


def dropping(*, destination: str) -> str:
    """The script that drops what a machine is sent at one of its addresses."""
    return _BEGIN + _dropping(f"INPUT --destination {destination}")


def cutting_off(*, address: str) -> str:
    """The script that cuts one of a machine's addresses off, in both directions."""
    return _BEGIN + _dropping(f"INPUT --destination {address}") + _dropping(f"OUTPUT --source {address}")


def healed(machine: str) -> Step:
    """Let a machine's packets pass again."""
    return Step(
        how=How.PACKETS,
        where=machine,
        does=f"let packets of {machine} pass",
        by_hand=f"docker restart the container of {machine}.",
        script=_END,
    )


async def drop(scene: Scene, machine: str, *rules: str, then: str = "") -> None:
    """Drop what matches one of these rules, a chain (INPUT or OUTPUT) and iptables' matches; `then` is a script."""
    scene.promise(healed(machine))
    await scene.hands.packets(machine, _BEGIN + "".join(map(_dropping, rules)) + then)


def _dropping(rule: str) -> str:
    return f"iptables --wait --append {_CHAIN}-{rule} --jump DROP\n"
