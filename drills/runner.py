"""Runs one drill: a whole stack, clients, a fault, recovery, what must hold."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from cli.failure import Failure
from cli.workspace import Stack
from drills import invariants
from drills.faults import targets
from drills.faults.fault import Fault, Hit, Scene, Simulated
from drills.hands import Hands
from drills.model import Invariant, Recording, Result, SimulatedDelay
from drills.performing import Performer
from drills.standing import Standing, standing
from drills.undo import Journal
from drills.vcenter import VCenter
from drills.waiting import until_whole
from drills.workload.plan import Plan
from drills.workload.workload import Workload

T = TypeVar("T")

QUIET_SECONDS = 5.0
"""Steady load before the fault, which a figure can be compared with."""
AFTER_SECONDS = 3.0
"""Load after the stack is whole: the virtual address must have settled in observations of that time."""

_HA_SOURCES = {
    Simulated.HOST: "simulated: a host is declared dead 18 s after its last heartbeat (Epping, vSphere HA Deepdive)",
    Simulated.GUEST: "simulated: vSphere HA restarts a VM 10 s after it failed, which is this lab's assumption",
}


@dataclass(frozen=True)
class Drills:
    """Runs drills on one stack."""

    stack: Stack
    hands: Hands
    vcenter: VCenter
    plan: Callable[[Path], Plan]
    """The workload's plan, for a folder in which the run is kept."""
    changes: Callable[[], str]
    """What `pulumi preview` would change; empty if nothing."""
    say: Callable[[str], None]

    async def run(self, fault: Fault, run: int, folder: Path) -> Result:
        """Run one drill.

        Raises:
            Failure: The stack is not whole, so that nothing would be measured; or the fault can't be brought about.
        """
        journal = Journal(self.stack.name, fault.name)
        try:
            return await self._run(fault, run, folder, journal)
        finally:
            await self._undo(journal)

    async def _run(self, fault: Fault, run: int, folder: Path, journal: Journal) -> Result:
        found = await self._whole()
        scene = Scene(self.stack, self.hands, self.vcenter, journal, found)
        if fault.arrange:
            await fault.arrange(scene)
            scene = replace(scene, standing=await self._whole())
        hit = await fault.aim(scene)
        self.say(f"{fault.name}: {hit.title}")
        async with Workload(self.plan(folder)) as workload:
            await asyncio.sleep(QUIET_SECONDS)
            course = await self._course(fault, hit, scene, workload)
            await asyncio.sleep(AFTER_SECONDS)
            recording = await workload.stop()
        after = await standing(self.stack)
        changes = await asyncio.to_thread(self.changes)
        held = (
            *invariants.with_control(invariants.of_recording(recording), fault.must_break),
            invariants.whole_again(after, whole=course.whole is not None, changes=changes),
            *self._promised(fault, recording, course.injected),
        )
        return Result(
            fault=fault.name,
            title=fault.title,
            hit=hit.title,
            run=run,
            target=fault.target_on(self.stack.settings),
            recording=recording,
            injected=course.injected,
            undone=course.undone,
            whole=course.whole,
            invariants=held,
            simulated=_simulated(fault, recording, course.injected, after),
            proves=fault.proves,
            notes=(*fault.notes, *_about_fencing(self.stack, fault)),
        )

    async def _course(self, fault: Fault, hit: Hit, scene: Scene, workload: Workload) -> "_Course":
        """Break it, and have it whole again."""
        injected = workload.now()
        whole: float | None = None
        try:
            await _to_its_end(fault.inject(scene, hit))
            if fault.lasts is not None:
                await asyncio.sleep(fault.lasts)
            else:
                whole, _ = await until_whole(self.stack)
        finally:
            self.say("undoing it")
            undone = workload.now()
            await self._undo(scene.journal)
        again, found = await until_whole(self.stack)
        if again is None:
            self.say(f"not whole: {'; '.join(found.missing())}")
        whole = again if fault.lasts is not None else whole and again and whole
        # Everything is told on the recording's clock.
        offset = workload.now() - time.monotonic()
        return _Course(injected, undone, None if whole is None else whole + offset)

    async def _undo(self, journal: Journal) -> None:
        left = await _to_its_end(journal.keep(Performer(self.stack, self.hands, self.vcenter)))
        if left:
            what = f"the fault {journal.fault} could not be taken back"
            raise Failure(what, "\n".join(left), "Do that, then look at ./perenne status; the next drill tries again.")

    async def _whole(self) -> Standing:
        """The stack, once it is whole.

        Raises:
            Failure: It is not.
        """
        since, found = await until_whole(self.stack, seconds=60.0)
        if since is None:
            remedy = f"Mend it (./perenne status, ./perenne up {self.stack.name}), then run the drill again."
            raise Failure("nothing was broken: the stack is not whole", "; ".join(found.missing()), remedy)
        return found

    @staticmethod
    def _promised(fault: Fault, recording: Recording, injected: float) -> tuple[Invariant, ...]:
        """What the fault promises beside the invariants."""
        return (
            *((invariants.primary_stays(recording, injected),) if fault.primary_stays else ()),
            *((invariants.idempotent_succeed(recording),) if fault.idempotent_succeed else ()),
        )


@dataclass(frozen=True)
class _Course:
    injected: float
    undone: float
    whole: float | None


async def _to_its_end(work: Coroutine[None, None, T]) -> T:
    """Finish what was begun, also when Ctrl-C comes meanwhile: half of a fault can't be taken back."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _simulated(fault: Fault, recording: Recording, injected: float, after: Standing) -> tuple[SimulatedDelay, ...]:
    """When the lab's vSphere HA did what, from its own events."""
    vcenter = after.site.lab and after.site.lab["vcenter"]
    if fault.simulated is Simulated.NONE or not vcenter:
        return ()
    began = recording.began + timedelta(seconds=injected)
    return tuple(
        SimulatedDelay(f"{event['event']} {event['vm'] or event['host']}", seconds, _HA_SOURCES[fault.simulated])
        for event in vcenter["ha_events"]
        if (seconds := (_time(event["time"]) - began).total_seconds()) >= 0
        and event["event"] in {"host declared dead", "restarted"}
    )


def _about_fencing(stack: Stack, fault: Fault) -> tuple[str, ...]:
    """Whether a lost primary was fenced, where that makes a difference to the figures."""
    if fault.target is None or fault.target not in (targets.HOST_LOST, targets.HOST_LOST_FENCED):
        return ()
    if not stack.settings.has_fencing or fault.fenced_target is None:
        return ("Without fencing, or with devices that failed it: the lost primary's lease had to run out.",)
    patience = stack.settings.fencing
    seconds = f"{patience.host_patience_seconds:g} s where its host is silent too, else {patience.patience_seconds:g} s"
    return (f"With fencing: a silent primary is powered off after {seconds}.",)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
