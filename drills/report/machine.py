"""What the machine itself did to the figures, in words."""

from collections.abc import Iterable
from statistics import median_low

from drills.model import Generator


def processors(found: Iterable[Generator]) -> str:
    """How much the processors had to do, and how much of them the machine did not get."""
    busy = sorted(each.busy for each in found if each.busy is not None)
    stolen = sorted(each.stolen for each in found if each.stolen is not None)
    if not busy or not stolen:
        return ""
    return (
        f" Its processors were busy for {busy[0]:.0%} to {busy[-1]:.0%} of a run (median {median_low(busy):.0%}); "
        f"other machines on the same hardware took up to {stolen[-1]:.0%} away (median {median_low(stolen):.0%})."
    )
