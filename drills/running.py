"""Runs a series of drills, one after the other, with one set of clients, for as long as the stack comes back whole."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from drills.faults import CATALOGUE
from drills.model import Unmeasured
from drills.report.summary import Run, run_of
from drills.runner import Drills, NotMeasuredError
from drills.series import Series
from drills.subject import subject_of
from drills.workload import keeping
from machine.failure import Failure

MOST_MISSED = 2
"""So many drills in a row of which nothing is known end a series: it is not chance that the workload dies."""

ALL_RUN = "all its drills were run"
TIME_OVER = "its time was over"
NOT_WHOLE = "the stack was not whole within the bound"
INTERRUPTED = "it was interrupted"


async def run_series(drills: Drills, series: Series, minutes: float | None, tell: Callable[[Run], None]) -> bool:
    """Run the drills that are left, and note each on disk; False if the stack did not come back whole.

    A drill in which an invariant did not hold ends nothing as long as the stack comes back whole. At the end, but not
    where it was interrupted, vCenter and servers are asked whether the drills have left anything changed.

    Args:
        drills: How one is run.
        series: What is left, and what was measured.
        minutes: After so many no further drill begins.
        tell: Is called with what each measured.

    Raises:
        Failure: A drill could not be run, or what it broke could not be taken back.
    """
    series.begin_part(subject_of(drills.stack))
    why, drift = INTERRUPTED, None
    try:
        why = await _run_left(drills, series, time.monotonic() + 60 * minutes if minutes is not None else None, tell)
        drills.say("Looking whether the drills have left anything changed: vCenter and all servers are asked.")
        drift = await asyncio.to_thread(drills.drift)
    except Failure as failure:
        why = f"{failure.what}: {failure.why}"
        raise
    finally:
        series.end_part(why, drift)
    return why != NOT_WHOLE


async def _run_left(drills: Drills, series: Series, deadline: float | None, tell: Callable[[Run], None]) -> str:
    """Run them; returns why no further one is run."""
    missed = 0
    for number, name in series.left_over:
        if deadline is not None and time.monotonic() >= deadline:
            return TIME_OVER
        fault = CATALOGUE[name]
        folder = series.folder / f"{number:03}-{name}"
        drills.say(f"Drill {number} of {len(series.ordered.sequence)}, {name}: {fault.title}")
        series.begin_drill(number)
        began = datetime.now(UTC)
        try:
            result = await drills.run(fault, series.run_of(number), folder)
        except NotMeasuredError as failure:
            series.miss(Unmeasured(number, name, began, failure.why))
            missed += 1
            if missed == MOST_MISSED:
                raise
            drills.say(f"not measured: {failure.why}")
            continue
        missed = 0
        run = series.add(number, run_of(result, number, folder / keeping.FILE))
        tell(run)
        if result.whole is None:
            return NOT_WHOLE
    return ALL_RUN
