"""One recording: from a moment at which sessions are live to one at which what they saw is checked."""

import asyncio
import resource
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from drills.model import Generator, Recording, Request
from drills.workload.client import Client
from drills.workload.clock import Clock, Stop
from drills.workload.figures import quantile
from drills.workload.ledger import Ledger
from drills.workload.machine import ProcessorTime, machine
from drills.workload.observer import Watch
from drills.workload.plan import Plan
from drills.workload.sessions import Sessions
from drills.workload.visitors import visit
from drills.workload.writers import Writers


class Recorder:
    """Keeps requests of a recording; not those that begin sessions, come between recordings, or check at the end."""

    def __init__(self) -> None:
        self._requests: list[Request] | None = None

    def __call__(self, request: Request) -> None:
        """Keep a request, if a recording runs."""
        if self._requests is not None:
            self._requests.append(request)

    def begin(self) -> None:
        """Keep what comes from now on."""
        self._requests = []

    def end(self) -> list[Request]:
        """Keep nothing any more; returns what was kept, and forgets it."""
        kept, self._requests = self._requests or [], None
        return kept


@dataclass(frozen=True)
class Crew:
    """Those who stay from recording to recording."""

    plan: Plan
    clock: Clock
    """Which every recording begins anew: nothing may be under way meanwhile whose time counts."""
    recorder: Recorder
    client: Client
    sessions: Sessions
    watch: Watch | None
    writers: Callable[[], Writers | None]
    """Makes a writers' probe, if there are database servers to be asked."""


async def record(crew: Crew, folder: Path, began: Callable[[], None], ended: Awaitable[bool]) -> Recording:
    """Load the site and record what happens, with a ledger of its own.

    Args:
        crew: Who does it.
        folder: Where acknowledgements are kept.
        began: Is called once the load runs.
        ended: Done when the load is to end; whether anybody waits for the checks.
    """
    plan, clock = crew.plan, crew.clock
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 (before there is any load)
    facts, writers, stop = machine(), crew.writers(), Stop()
    with Ledger(crew.client, plan.site, clock, folder) as ledger:
        clock.restart()
        if crew.watch:
            crew.watch.restart()
        crew.recorder.begin()
        before, processors = _cpu_seconds(), ProcessorTime.now()
        began()
        async with asyncio.TaskGroup() as load:
            load.create_task(visit(crew.client, plan.site, plan.load, clock, stop))
            load.create_task(ledger.write(plan.load, stop))
            load.create_task(crew.sessions.live(stop))
            if writers:
                load.create_task(writers.watch(stop))
            try:
                wanted = await ended
            finally:
                stop.set()
            seconds, cost = clock.now(), _cpu_seconds() - before
            shares = ProcessorTime.now().shares_since(processors)
        requests = crew.recorder.end()
        patience = plan.load.check_seconds if wanted else 0.0
        kept, certain = await ledger.check(patience), await crew.sessions.check(patience)
    observations = crew.watch.observations if crew.watch else ()
    return Recording(
        began=clock.began,
        began_monotonic=clock.began_monotonic,
        seconds=seconds,
        path=plan.path,
        rates=plan.load.rates,
        requests=tuple(requests),
        acknowledgements=tuple(ledger.acknowledgements),
        writers=tuple(writers.samples) if writers else (),
        observations=tuple(seen for seen in observations if seen.time <= seconds),
        ledger=kept,
        sessions=certain,
        generator=_generator(requests, cost, *shares),
        machine=facts,
    )


def _generator(requests: list[Request], cpu_seconds: float, busy: float, stolen: float) -> Generator:
    late = [request.sent - request.scheduled for request in requests] or [0.0]
    return Generator(cpu_seconds, quantile(late, 0.99), max(late), busy, stolen)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
