"""Chooses drills by chance: which may come, and how often.

A target is for the 95th percentile, which takes 20 runs. So drills of the targets come as much oftener in a series by
chance: 500 of them have each of these about 27 times, and 106 short freezes, in whatever state the fault before left
the stack.
"""

import random
from collections.abc import Sequence

from drills.faults.fault import Fault

OFTEN = {
    "freeze-primary-5s": 40,
    **dict.fromkeys(
        (
            "lose-worst-host",
            "lose-worst-host-unfenced",
            "kill-postgres",
            "freeze-primary-60s",
            "cut-primary",
            "lose-app",
            "lose-balancer",
            "switchover",
        ),
        10,
    ),
}
"""How many times as often as any other one a drill comes."""

NEVER = frozenset({"rolling-patch", "wake-primary-in-fencing"})
"""The first is no fault but a procedure: ten moves one after the other, each of which is a drill of its own, in eight
minutes. The second is an accident of tenths of a second, which takes two standing machines and a watch to arrange."""


def chosen(available: Sequence[Fault], count: int, seed: int | None) -> list[Fault]:
    """So many of the drills, the same ones for the same seed; one may come several times."""
    possible = [fault for fault in available if fault.name not in NEVER]
    weights = [OFTEN.get(fault.name, 1) for fault in possible]
    return random.Random(seed).choices(possible, weights, k=count)  # noqa: S311 (repeatable, not secret)
