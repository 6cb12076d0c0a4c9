"""The workload's process: `python -m drills.workload`, started by drills.workload.workload.

It has a process of its own so that nothing that the drill does delays a request. On standard input come the plan, as
one line, and then `stop`; the end of the input, as when the drill dies, ends it too. On standard output it says, one
JSON object a line, that the load is running, and where the recording is.
"""

import asyncio
import json
import os
import resource
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from drills.model import Generator, LedgerCheck, Recording, Request, SessionsCheck
from drills.workload import keeping
from drills.workload.client import Client
from drills.workload.clock import Clock, Stop
from drills.workload.figures import quantile
from drills.workload.ledger import Ledger
from drills.workload.machine import machine
from drills.workload.observer import Watch
from drills.workload.plan import Plan
from drills.workload.sessions import Sessions
from drills.workload.visitors import visit
from drills.workload.writers import Writers

NICENESS = -10
"""The load goes before what else runs on the machine: real clients have processors of their own. It needs a fifth of
one."""


async def main() -> int:
    """Do what the plan says; returns the exit code."""
    _go_first()
    lines = await _standard_input()
    plan = Plan.model_validate_json(await lines.readline())
    failures: list[BaseException] = []
    with tempfile.TemporaryDirectory(prefix="perenne-") as private:
        try:
            await _run(plan, Path(private), lines)
        except* RuntimeError as group:
            failures = _leaves(group)
    if failures:
        _say(failed="; ".join(str(error) for error in failures))
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


async def _run(plan: Plan, private: Path, lines: asyncio.StreamReader) -> None:
    """Begin, load until told to stop, check, and keep the recording.

    Raises:
        RuntimeError: The service is not steady enough to begin.
    """
    clock, stop, requests = Clock(), Stop(), list[Request]()
    folder = Path(plan.folder)
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 (before there is any load)
    facts = machine()
    watch, writers = _watch(plan, private, clock), _writers(plan, private, clock)
    recorder = _Recorder(requests)
    async with Client(plan.site, plan.load, clock, recorder) as client, asyncio.TaskGroup() as looking:
        sessions = Sessions(client, plan.site, plan.load, clock)
        try:
            if watch:
                looking.create_task(watch.watch(stop))
            if writers:
                await writers.prepare()
            await sessions.begin()
            await _warm(client, plan, clock)
            with Ledger(client, plan.site, clock, folder) as ledger:
                clock.restart()
                if watch:
                    watch.restart()
                recorder.on, before = True, _cpu_seconds()
                _say(began=clock.began_monotonic)
                async with asyncio.TaskGroup() as load:
                    load.create_task(visit(client, plan.site, plan.load, clock, stop))
                    load.create_task(ledger.write(plan.load, stop))
                    load.create_task(sessions.live(stop))
                    if writers:
                        load.create_task(writers.watch(stop))
                    wanted = await _until_told(lines, stop, plan.load.longest_seconds)
                    seconds, cost = clock.now(), _cpu_seconds() - before
                recorder.on = False
                kept, certain = await _check(ledger, sessions, plan.load.check_seconds if wanted else 0.0)
        finally:
            stop.set()
    if writers:
        await writers.remove()
    recording = Recording(
        began=clock.began,
        began_monotonic=clock.began_monotonic,
        seconds=seconds,
        path=plan.path,
        rates=plan.load.rates,
        requests=tuple(requests),
        acknowledgements=tuple(ledger.acknowledgements),
        writers=tuple(writers.samples) if writers else (),
        observations=tuple(watch.observations) if watch else (),
        ledger=kept,
        sessions=certain,
        generator=_generator(requests, cost),
        machine=facts,
    )
    file = folder / "recording.json"
    keeping.write(recording, file)
    _say(recording=str(file))


async def _warm(client: Client, plan: Plan, clock: Clock) -> None:
    """Let visitors come for a while, as they would have for days."""
    over = Stop()
    async with asyncio.TaskGroup() as group:
        group.create_task(visit(client, plan.site, plan.load, clock, over))
        await over.wait(plan.load.warm_seconds)
        over.set()


class _Recorder:
    """Keeps requests while the load runs; not those that begin sessions or check at the end."""

    def __init__(self, requests: list[Request]) -> None:
        self.on = False
        self._requests = requests

    def __call__(self, request: Request) -> None:
        if self.on:
            self._requests.append(request)


async def _until_told(lines: asyncio.StreamReader, stop: Stop, longest: float) -> bool:
    """Wait for the end of the load and end it; returns whether anybody waits for the checks."""
    loop = asyncio.get_running_loop()
    told = asyncio.create_task(lines.readline())
    signalled = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, signalled.set)
    interrupted = asyncio.create_task(signalled.wait())
    await asyncio.wait({told, interrupted}, timeout=longest, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    interrupted.cancel()
    if not told.done():
        told.cancel()
        return not signalled.is_set()
    return bool(told.result())


async def _check(ledger: Ledger, sessions: Sessions, seconds: float) -> tuple[LedgerCheck, SessionsCheck]:
    return await ledger.check(seconds), await sessions.check(seconds)


def _watch(plan: Plan, private: Path, clock: Clock) -> Watch | None:
    if plan.observer is None:
        return None
    return Watch(
        plan.observer, plan.site.authority, _file(private / "client.pem", plan.observer.client_certificate), clock
    )


def _writers(plan: Plan, private: Path, clock: Clock) -> Writers | None:
    if plan.probe is None:
        return None
    return Writers(plan.probe, _file(private / "authority.pem", plan.site.authority), clock)


def _file(file: Path, content: str) -> str:
    file.touch(mode=0o600)
    file.write_text(content, encoding="utf-8")
    return str(file)


def _generator(requests: list[Request], cpu_seconds: float) -> Generator:
    late = [request.sent - request.scheduled for request in requests] or [0.0]
    return Generator(cpu_seconds=cpu_seconds, late_p99=quantile(late, 0.99), late_worst=max(late))


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=2**20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def _say(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
