"""Runs one drill: a whole stack, clients, a fault, recovery, what must hold."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from drills import invariants
from drills.clients import Clients
from drills.faults import targets
from drills.faults.fault import Fault, Hit, Scene, Simulated
from drills.model import Invariant, Recording, Result, SimulatedDelay
from drills.performing import Performer
from drills.undo import Journal
from drills.workload.workload import WorkloadFailure
from machine.failure import Failure
from moves.hands import Hands
from moves.standing import Standing, standing
from moves.vcenter import VCenter
from moves.waiting import STEADY_SECONDS, to_its_end, until_whole
from stack import upkeep
from stack.workspace import Stack

QUIET_SECONDS = 5.0
"""Steady load before the fault, which a figure can be compared with."""
PHASE_SECONDS = 0.4
"""Up to so much more, by chance: a fault that always hits the same moment between two requests of a kind, of which
there is one every 0.2 s, has always the same outage."""

LAST_LOOK_SECONDS = 10.0
"""For how long the look at the end is repeated, and answers are waited for: a busy machine may be late with them."""

_HA_SOURCES = {
    Simulated.HOST: "simulated: a host is declared dead 18 s after its last heartbeat (Epping, vSphere HA Deepdive)",
    Simulated.ISOLATION: (
        "simulated: a host declares itself isolated after 30 s and stops its VMs 30 s later (Epping, Isolation of a "
        "slave; vSphere API, ClusterDasVmSettingsIsolationResponse)"
    ),
    Simulated.GUEST: "simulated: vSphere HA restarts a VM 10 s after it failed, which is this lab's assumption",
}


class NotMeasuredError(Failure):
    """A fault was made and taken back, and what users saw of it is not known."""


@dataclass(frozen=True)
class Drills:
    """Runs drills on one stack."""

    stack: Stack
    hands: Hands
    vcenter: VCenter
    clients: Clients
    """Who use the site; they stay from drill to drill."""
    changes: Callable[[], str]
    """What `pulumi preview` would change; empty if nothing."""
    drift: Callable[[], str]
    """What is not as the program says, vCenter and servers asked (`Part.drift`); takes longer."""
    say: Callable[[str], None]

    async def run(self, fault: Fault, run: int, folder: Path) -> Result:
        """Run one drill.

        Raises:
            Failure: The stack is not whole, so that nothing would be measured; or the fault can't be taken back.
            NotMeasuredError: The fault was made and taken back, and what users saw of it is not known.
        """
        journal = Journal(self.stack.name, fault.name)
        try:
            return await self._run(fault, run, folder, journal)
        finally:
            await self._undo(journal)

    async def _run(self, fault: Fault, run: int, folder: Path, journal: Journal) -> Result:
        # The drill before, if there was one, has just seen the stack stay whole.
        found = await self._whole(steady=0.0 if self.clients.live else STEADY_SECONDS)
        scene = Scene(self.stack, self.hands, self.vcenter, journal, found)
        if fault.without:
            await self.clients.end()
        if fault.arrange:
            await fault.arrange(scene)
            scene = replace(scene, standing=await (standing(self.stack) if fault.without else self._whole()))
        # A broken rule outlasts the fault: what it takes to mend it is not measured.
        arranged = len(journal.steps) if fault.without else 0
        hit = await fault.aim(scene)
        self.say(f"{fault.name}: {hit.title}")
        notes = await self.clients.record(folder)
        await asyncio.sleep(QUIET_SECONDS + random.uniform(0.0, PHASE_SECONDS))  # noqa: S311 (no secret)
        await self._aim_again(fault, hit, scene)
        course = await self._course(fault, hit, scene, arranged)
        recording, changes = await self._checked()
        if not course.effect.held and not fault.on_purpose:
            raise NotMeasuredError(f"{fault.name} did not take effect", course.effect.detail, "Run it again.")
        if fault.without:
            course = await self._mended(course, journal)
        _, after = await until_whole(self.stack, seconds=LAST_LOOK_SECONDS, steady=0.0)
        needs = await asyncio.to_thread(upkeep.needs, self.stack, LAST_LOOK_SECONDS)
        held = (
            course.effect,
            *invariants.with_control(invariants.of_recording(recording), fault.must_break),
            invariants.whole_again(after, needs, whole=course.whole is not None, changes=changes),
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
            notes=(*fault.notes, *notes, *_about_fencing(self.stack, fault)),
            without=fault.without,
        )

    async def _aim_again(self, fault: Fault, hit: Hit, scene: Scene) -> None:
        """Make sure that the fault hits what it is aimed at: roles may have moved since.

        Raises:
            NotMeasuredError: They have; nothing was broken.
        """
        try:
            now = await fault.aim(replace(scene, standing=await standing(self.stack)))
        except Failure as failure:
            why = failure.why
        else:
            if now.machines == hit.machines:
                return
            why = f"it was aimed at {hit.title}, and would hit {now.title} now"
        await self._checked()
        raise NotMeasuredError("nothing was broken", why, "Run it again.")

    async def _mended(self, course: "_Course", journal: Journal) -> "_Course":
        """Mend the rule that was broken, and have the stack whole again."""
        await self.clients.end()
        await self._undo(journal)
        whole = await self._whole_again()
        return replace(course, whole=None if whole is None else whole + course.offset)

    async def _course(self, fault: Fault, hit: Hit, scene: Scene, arranged: int) -> "_Course":
        """Break it, and have it whole again: steadily, so that the address has settled when the recording ends.

        The first steps of the journal, as many as were `arranged`, are not taken back.
        """
        injected = self.clients.now()
        whole: float | None = None
        try:
            effect = await _break(fault, scene, hit)
            if fault.lasts is None:
                whole = await self._whole_again()
        finally:
            self.say("undoing it")
            undone = self.clients.now()
            taken_back = len(scene.journal.steps) > arranged
            await self._undo(scene.journal, arranged)
        # Everything is told on the recording's clock.
        offset = self.clients.now() - time.monotonic()
        if fault.without:
            return _Course(effect, injected, undone, None, offset)
        if fault.lasts is not None:
            whole = await self._whole_again()
        elif taken_back and await self._whole_again() is None:
            whole = None
        return _Course(effect, injected, undone, None if whole is None else whole + offset, offset)

    async def _whole_again(self) -> float | None:
        """When it came to be whole, on `time.monotonic()`; None if it did not within the bound, which is said."""
        since, found = await until_whole(self.stack)
        if since is None:
            self.say(f"not whole: {'; '.join(found.missing())}")
        return since

    async def _checked(self) -> tuple[Recording, str]:
        """What was recorded, its checks done, and what Pulumi would change, which is asked at the same time."""
        asked = asyncio.create_task(asyncio.to_thread(self.changes))
        try:
            return await self.clients.stop(), await asked
        except WorkloadFailure as failure:
            raise NotMeasuredError(failure.what, failure.why, failure.remedy, log=failure.log) from failure
        finally:
            await asyncio.wait([asked])

    async def _undo(self, journal: Journal, beyond: int = 0) -> None:
        left = await to_its_end(journal.keep(Performer(self.stack, self.hands, self.vcenter), beyond))
        if left:
            what = f"the fault {journal.fault} could not be taken back"
            remedy = f"Do that, then look at {self.stack.command('status')}; the next drill tries again."
            raise Failure(what, "\n".join(left), remedy)

    async def _whole(self, *, steady: float = STEADY_SECONDS) -> Standing:
        """The stack, once it is whole.

        Raises:
            Failure: It is not.
        """
        since, found = await until_whole(self.stack, seconds=60.0, steady=steady)
        if since is None:
            remedy = f"Mend it ({self.stack.command('status')}, {self.stack.command('up')}), then run the drill again."
            raise Failure("nothing was broken: the stack is not whole", "; ".join(found.missing()), remedy)
        return found

    @staticmethod
    def _promised(fault: Fault, recording: Recording, injected: float) -> tuple[Invariant, ...]:
        """What the fault promises beside the invariants."""
        return (
            *((invariants.primary_stays(recording, injected),) if fault.primary_stays else ()),
            *((invariants.idempotent_succeed(recording),) if fault.idempotent_succeed else ()),
            *((invariants.all_succeed(recording),) if fault.all_succeed else ()),
        )


@dataclass(frozen=True)
class _Course:
    effect: Invariant
    """Whether the fault took effect."""
    injected: float
    undone: float
    whole: float | None
    offset: float
    """From `time.monotonic()` to the recording's clock."""


async def _break(fault: Fault, scene: Scene, hit: Hit) -> Invariant:
    """Break it, for as long as that lasts, or until the stack is whole without it; says whether it took effect.

    What operators do and can't is a result, too: a drain that fails is what its drill is there to find.
    """
    try:
        shown = await to_its_end(fault.inject(scene, hit))
        if fault.lasts is not None:
            await _last(fault, fault.lasts, scene, hit)
    except Failure as failure:
        if (task := asyncio.current_task()) and task.cancelling():
            raise  # Ctrl-C came meanwhile
        return invariants.took_no_effect(failure)
    return invariants.took_effect(shown)


async def _last(fault: Fault, seconds: float, scene: Scene, hit: Hit) -> None:
    """Wait for so long, and break again what is started again."""
    if fault.again is None:
        await asyncio.sleep(seconds)
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), contextlib.aclosing(scene.hands.starts(hit.machine)) as starts:
            async for _ in starts:
                await to_its_end(fault.again(scene, hit))


def _simulated(fault: Fault, recording: Recording, injected: float, after: Standing) -> tuple[SimulatedDelay, ...]:
    """When the lab's vSphere HA did what, from its own events."""
    vcenter = after.site.lab and after.site.lab.vcenter
    if fault.simulated is Simulated.NONE or not vcenter:
        return ()
    began = recording.began + timedelta(seconds=injected)
    return tuple(
        SimulatedDelay(f"{event.event} {event.vm or event.host}", seconds, _HA_SOURCES[fault.simulated])
        for event in vcenter.ha_events
        if (seconds := (event.time - began).total_seconds()) >= 0
        and event.event in {"host declared dead", "host isolated", "isolation response", "restarted"}
    )


def _about_fencing(stack: Stack, fault: Fault) -> tuple[str, ...]:
    """Whether a lost primary was fenced, where that makes a difference to the figures."""
    if fault.target is None or fault.target not in (targets.HOST_LOST, targets.HOST_LOST_FENCED):
        return ()
    if fault.simulated is Simulated.ISOLATION:
        return ()  # its servers go on, and are heard: there is nobody to fence
    if not stack.settings.has_fencing or fault.fenced_target is None:
        return ("Without fencing, or with devices that failed it: the lost primary's lease had to run out.",)
    patience = stack.settings.fencing
    seconds = f"{patience.host_patience_seconds:g} s where its host is silent too, else {patience.patience_seconds:g} s"
    return (f"With fencing: a silent primary is powered off after {seconds}.",)
