"""The workload's process: `python -m drills.workload`, started by drills.workload.workload.

It has a process of its own so that nothing that the drill does delays a request. On standard input comes the plan, as
one line; then, for any number of recordings, `record FOLDER` and `stop`. The sessions live on from one recording to the
next, and visitors go on coming. The end of the input, as when the drill dies, ends the process. On standard output it
says, one JSON object a line, that the sessions are live, that a recording runs, and where it is kept.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from drills.workload import keeping
from drills.workload.client import Client
from drills.workload.clock import Clock, Stop
from drills.workload.observer import Watch
from drills.workload.orders import RECORD, Orders, say, standard_input
from drills.workload.plan import Load, Plan
from drills.workload.recording import Crew, Recorder, record
from drills.workload.sessions import Sessions
from drills.workload.visitors import visit
from drills.workload.writers import Writers

T = TypeVar("T")

NICENESS = -10
"""The load goes before what else runs on the machine: real clients have processors of their own. It needs a fifth of
one."""


async def main() -> int:
    """Do what the plan says; returns the exit code."""
    _go_first()
    lines = await standard_input()
    plan = Plan.model_validate_json(await lines.readline())
    failures: list[BaseException] = []
    with tempfile.TemporaryDirectory(prefix="perenne-") as private:
        try:
            await _run(plan, Path(private), Orders(lines))
        except* RuntimeError as group:
            failures = _leaves(group)
    if failures:
        say(failed="; ".join(str(error) for error in failures))
    return 1 if failures else 0


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The errors themselves, out of the groups around them."""
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


def _go_first() -> None:
    """Take precedence, where that is allowed; else the recording shows by how much the load was late."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
        # A session is scheduled as a whole (sched(7), the autogroup feature): niceness counts only within it.
        Path("/proc/self/autogroup").write_text(str(NICENESS), encoding="ascii")


async def _run(plan: Plan, private: Path, orders: Orders) -> None:
    """Begin the sessions, then make recordings until told to end.

    Raises:
        RuntimeError: The service is not steady enough to begin.
    """
    clock, recorder, over = Clock(), Recorder(), Stop()
    watch, probe = _watch(plan, private, clock), _writers(plan, private, clock)
    async with Client(plan.site, plan.load, clock, recorder) as client, asyncio.TaskGroup() as looking:
        sessions = Sessions(client, plan.site, plan.load, clock)
        crew = Crew(plan, clock, recorder, client, sessions, watch, lambda: _writers(plan, private, clock))
        try:
            if watch:
                looking.create_task(watch.watch(over))
            if probe:
                await probe.prepare()
            await sessions.begin()
            say(live=plan.load.sessions)
            await _recordings(crew, orders)
        finally:
            over.set()
    if probe:
        await probe.remove()


async def _recordings(crew: Crew, orders: Orders) -> None:
    """Make recordings, one after the other, until told to end, or until nobody says anything for too long."""
    while (order := await _visited(crew, _order(crew.plan.load, orders))).startswith(RECORD):
        folder = Path(order.removeprefix(RECORD).strip())
        ended = _Ended(orders, crew.plan.load.longest_seconds)
        recording = await record(crew, folder, lambda: say(began=crew.clock.began_monotonic), ended.wait())
        say(recording=str(keeping.write(recording, folder)))
        del recording  # some megabytes, of which hundreds may follow
        if not ended.goes_on:
            return
        await crew.sessions.begin()


async def _order(load: Load, orders: Orders) -> str:
    """The next order, but not before visitors came for a while: connections are made, and nodes have met such requests.

    Empty if the process is to end, also as nobody says anything.
    """
    now = asyncio.get_running_loop().time
    warm = now() + load.warm_seconds
    try:
        order = await orders.next(load.longest_seconds)
    except TimeoutError:
        return ""
    if order:
        await asyncio.sleep(warm - now())
    return order


async def _visited(crew: Crew, something: Awaitable[T]) -> T:
    """Let visitors come, whose requests are not recorded, until something else is done; then wait for their answers."""
    over = Stop()
    async with asyncio.TaskGroup() as group:
        group.create_task(visit(crew.client, crew.plan.site, crew.plan.load, crew.clock, over))
        try:
            return await something
        finally:
            over.set()


class _Ended:
    """How a recording ended."""

    def __init__(self, orders: Orders, longest: float) -> None:
        self._orders = orders
        self._longest = longest
        self.goes_on = False
        """Whether there may be another one."""

    async def wait(self) -> bool:
        """Wait for the end; returns whether anybody waits for the checks."""
        try:
            told = await self._orders.next(self._longest)
        except TimeoutError:
            return True
        self.goes_on = bool(told)
        return self.goes_on


def _watch(plan: Plan, private: Path, clock: Clock) -> Watch | None:
    if plan.observer is None:
        return None
    return Watch(plan.observer, plan.authority, _file(private / "client.pem", plan.observer.client_certificate), clock)


def _writers(plan: Plan, private: Path, clock: Clock) -> Writers | None:
    if plan.probe is None:
        return None
    return Writers(plan.probe, _file(private / "authority.pem", plan.authority), clock)


def _file(file: Path, content: str) -> str:
    file.touch(mode=0o600)
    file.write_text(content, encoding="utf-8")
    return str(file)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
