"""What the machine itself did to the figures, in words."""

from collections import defaultdict
from collections.abc import Iterable
from statistics import median_low

from drills.model import Generator
from drills.report.document import DrillEntry


def models(drills: Iterable[DrillEntry], told: str) -> str:
    """On which processors drills ran: on one alone, or most of them on one, and which on another.

    Args:
        drills: The drills.
        told: The report's processor, for runs that don't tell their own.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for drill in drills:
        for name in dict.fromkeys(run.processor or told for run in drill.runs):
            found[name].append(f"`{drill.fault}`")
    if len(found) < 2:  # noqa: PLR2004 (one, or none)
        return next(iter(found), told)
    most = max(found, key=lambda name: len(found[name]))
    others = (f"{name}: {', '.join(faults)}" for name, faults in found.items() if name != most)
    return "; ".join([*others, f"{most}: all else"])


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
