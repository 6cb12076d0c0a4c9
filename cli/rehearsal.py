"""A change to a running stack, while clients use it: what they notice."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from cli.console import Display, out
from drills import invariants
from drills.model import Invariant, Recording
from drills.workload.figures import Figures, figures
from drills.workload.plan import Load
from drills.workload.site import plan_for
from drills.workload.workload import Workload
from stack.vault import Vault
from stack.workspace import PRIVATE, Stack

QUIET_SECONDS = 5.0
"""Load before the change, which its figures can be compared with, and after it."""

_FOLDER = PRIVATE / "rehearsal"
_LOAD = Load(sessions=200, longest_seconds=3600)


@dataclass(frozen=True)
class Noticed:
    """What clients saw while a stack was changed."""

    began: float
    """When the change began, seconds since the recording did."""
    seconds: float
    """How long it took."""
    recording: Recording
    figures: Figures
    invariants: tuple[Invariant, ...]

    @property
    def unharmed(self) -> bool:
        """Whether no request failed and all that must hold in every drill held."""
        return not self.figures.failed and all(each.held for each in self.invariants)


def observe(stack: Stack, change: Callable[[], None], display: Display) -> Noticed:
    """Make a change while clients use the stack.

    Raises:
        Failure: The stack is not steady enough to begin, or the change failed.
    """
    return asyncio.run(_observe(stack, change, display))


async def _observe(stack: Stack, change: Callable[[], None], display: Display) -> Noticed:
    with display.step("clients arrive"):
        workload = Workload(plan_for(stack, Vault.open(stack), _FOLDER, _LOAD))
        await workload.__aenter__()
    try:
        await workload.record()
        await asyncio.sleep(QUIET_SECONDS)
        began, clock = workload.now(), time.monotonic()
        await asyncio.to_thread(change)
        seconds = time.monotonic() - clock
        await asyncio.sleep(QUIET_SECONDS)
        with display.step("what clients saw"):
            recording = await workload.stop()
    finally:
        await workload.__aexit__()
    return Noticed(began, seconds, recording, figures(recording), invariants.of_recording(recording))


def show(noticed: Noticed) -> None:
    """Show it as a table."""
    seen, load = noticed.figures, noticed.recording.rates
    title = f"What users noticed of the change, which took {noticed.seconds:.0f} s (lab figures)"
    shown = Table("what", "measured", title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for what, measured, good in (
        (
            "requests",
            f"{seen.requests}, open loop: {load.requests_per_second:g} reads/s, {load.sessions} sessions",
            True,
        ),
        ("failed", f"{seen.failed}, {seen.failed_idempotent} of them could have been sent again", not seen.failed),
        ("longest time without an answer", f"{seen.outage:.2f} s, from +{seen.outage_began:.1f} s on", True),
        ("longest time without an acknowledged write", f"{seen.paused_writes:.2f} s", True),
        ("answers", f"{seen.median_answer * 1000:.0f} ms median, {seen.p95_answer * 1000:.0f} ms at 95 %", True),
        *((each.name, each.detail, each.held) for each in noticed.invariants),
    ):
        shown.add_row(what, Text(measured, "" if good else "red"))
    out.print(shown)
