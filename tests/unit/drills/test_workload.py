"""The workload on a pretended site, both in this process: what it records, and what it catches."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drills.model import Kind, Recording
from drills.workload import __main__ as process
from drills.workload import clock, keeping
from drills.workload.figures import figures
from drills.workload.orders import Orders
from drills.workload.plan import Load, Plan
from tests.unit.drills.pretend_site import PretendSite, pretend_site

pytestmark = pytest.mark.virtual_time

LOAD = Load(
    requests_per_second=40,
    writes_per_second=20,
    sessions=10,
    think_seconds=1,
    connect_seconds=0.5,
    answer_seconds=0.95,
    arrivals_per_second=200,
    check_seconds=5,
    warm_seconds=0.1,
)
PERIOD = 1.0

Begin = Callable[..., Awaitable["Running"]]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[PretendSite]:
    async with pretend_site(tmp_path) as served:
        yield served


class Running:
    """What the workload's process does, in this one; it is spoken to as the process is."""

    def __init__(self, plan: Plan, private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._lines = asyncio.StreamReader()
        self._said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=loop.time))
        monkeypatch.setattr(process, "say", lambda **what: self._said.put_nowait(what))
        self._plan = plan
        self._task = asyncio.create_task(process._run(plan, private, Orders(self._lines)))
        self._began = 0.0

    async def begin(self) -> None:
        """Wait until all sessions are live."""
        assert await self._said.get() == {"live": self._plan.load.sessions}

    async def record(self, folder: str = "drill") -> None:
        """Begin a recording, and wait until the load runs."""
        self._lines.feed_data(f"record {Path(self._plan.folder) / folder}\n".encode())
        self._began = float((await self._said.get())["began"])

    async def let_pass(self, seconds: float) -> None:
        """Let the load run until so many seconds after its beginning."""
        await asyncio.sleep(max(0.0, seconds - self.now()))

    def now(self) -> float:
        """Seconds since the load began."""
        return asyncio.get_running_loop().time() - self._began

    async def stop(self) -> Recording:
        """End the recording, and return it."""
        self._lines.feed_data(b"stop\n")
        return keeping.read(Path((await self._said.get())["recording"]))

    async def end(self) -> None:
        """End the process."""
        self._lines.feed_eof()
        await self._task


@pytest.fixture
async def begin(site: PretendSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Begin]:
    """Begins a load on the site."""
    running: list[Running] = []

    async def begun(load: Load = LOAD) -> Running:
        running.append(Running(site.plan(tmp_path / "drill", load), tmp_path, monkeypatch))
        await running[-1].begin()
        await running[-1].record()
        return running[-1]

    yield begun
    for each in running:
        await each.end()


async def test_quiet_site_fails_nobody(site: PretendSite, begin: Begin) -> None:
    workload = await begin()
    await workload.let_pass(2 * PERIOD)
    recording = await workload.stop()
    found = figures(recording)
    assert found.failed == 0
    assert {request.node for request in recording.requests} == {"app01"}
    expected = recording.seconds * (40 + 20 + 10)
    assert expected * 0.8 < found.requests < expected * 1.2
    assert recording.ledger.written == recording.ledger.acknowledged == len(site.ledger) > 0
    assert not recording.ledger.lost
    assert recording.sessions.certain == recording.sessions.sessions == 10
    assert not recording.sessions.lost
    assert recording.generator.cpu_seconds > 0


async def test_lost_write_is_caught(site: PretendSite, begin: Begin) -> None:
    workload = await begin()
    await workload.let_pass(PERIOD)
    lost = site.ledger.pop()
    doubled = site.ledger[0]
    site.ledger.append(doubled)
    recording = await workload.stop()
    assert lost in recording.ledger.lost
    assert recording.ledger.doubled == (doubled,)


async def test_lost_session_is_caught_once(site: PretendSite, begin: Begin) -> None:
    workload = await begin()
    await workload.let_pass(PERIOD)
    site.sessions.pop(next(iter(site.sessions)))
    await workload.let_pass(3 * PERIOD)
    recording = await workload.stop()
    assert len(recording.sessions.lost) == 1
    assert recording.sessions.certain == 10


async def test_waiting_counts_as_outage_and_does_not_slow_the_load(site: PretendSite, begin: Begin) -> None:
    workload = await begin()
    await workload.let_pass(PERIOD)
    site.up.clear()
    before, began = len(site.asked), workload.now()
    await workload.let_pass(PERIOD + 0.6)
    asked_meanwhile, lasted = len(site.asked) - before, workload.now() - began
    site.up.set()
    await workload.let_pass(3 * PERIOD)
    recording = await workload.stop()
    found = figures(recording)
    assert lasted - 0.2 < found.outage < lasted + 1
    assert lasted - 0.2 < found.paused_writes < lasted + 1
    assert asked_meanwhile > 5, "what is due is sent, whatever became of what was sent before"


async def test_broken_connections_are_failures_and_not_repeated(site: PretendSite, begin: Begin) -> None:
    workload = await begin()
    await workload.let_pass(PERIOD)
    site.break_off = True
    await workload.let_pass(PERIOD + 0.5)
    site.break_off = False
    await workload.let_pass(2 * PERIOD)
    recording = await workload.stop()
    visits = [request for request in recording.requests if request.kind in {Kind.PAGE, Kind.API}]
    failed = [request for request in visits if not request.good]
    assert {request.kind for request in failed} == {Kind.PAGE, Kind.API}
    assert figures(recording).failed_idempotent == len(failed)
    assert site.broken_off == len(failed), "each was sent exactly once"


async def test_silent_site_ends_requests_by_their_own_time(site: PretendSite, begin: Begin) -> None:
    workload = await begin()
    await workload.let_pass(PERIOD)
    site.up.clear()
    await workload.let_pass(2.5 * PERIOD)
    site.up.set()
    recording = await workload.stop()
    timed_out = [request for request in recording.requests if request.error == "no answer in time"]
    assert timed_out
    assert all(0.8 < request.seconds < 3 for request in timed_out)


async def test_load_ends_by_itself(begin: Begin) -> None:
    bounded = LOAD.model_copy(update={"longest_seconds": PERIOD})
    workload = await begin(bounded)
    await workload.let_pass(2 * PERIOD)
    recording = await workload.stop()
    assert PERIOD <= recording.seconds < 2 * PERIOD
    assert not recording.ledger.unchecked


async def test_sessions_live_on_from_one_recording_to_the_next(site: PretendSite, begin: Begin) -> None:
    workload = await begin()
    await workload.let_pass(PERIOD)
    first = await workload.stop()
    await workload.record("next")
    assert workload.now() < 0.1, "each recording has its own clock"
    await workload.let_pass(PERIOD)
    second = await workload.stop()
    assert site.begun == len(site.sessions) == 10
    assert second.sessions.certain == 10
    assert second.began > first.began
    assert all(0 <= request.sent < second.seconds + 1 for request in second.requests)
    assert figures(second).requests == pytest.approx(figures(first).requests, rel=0.2)


async def test_each_recording_has_a_ledger_of_its_own(site: PretendSite, begin: Begin) -> None:
    workload = await begin()
    await workload.let_pass(PERIOD)
    first = await workload.stop()
    lost = site.ledger.pop()
    assert lost in {kept.id for kept in first.acknowledgements}
    await workload.record("next")
    await workload.let_pass(PERIOD)
    second = await workload.stop()
    assert not second.ledger.lost
    assert not {kept.id for kept in first.acknowledgements} & {kept.id for kept in second.acknowledgements}


async def test_session_that_was_found_lost_counts_in_that_recording_alone(site: PretendSite, begin: Begin) -> None:
    workload = await begin()
    await workload.let_pass(PERIOD)
    site.sessions.pop(next(iter(site.sessions)))
    first = await workload.stop()
    assert len(first.sessions.lost) == 1
    await workload.record("next")
    await workload.let_pass(PERIOD)
    second = await workload.stop()
    assert not second.sessions.lost
    assert second.sessions.certain == 10, "it was begun anew, so that it can be lost again"


async def test_session_whose_state_is_not_known_is_not_held_against_the_next_drill(
    site: PretendSite, begin: Begin
) -> None:
    workload = await begin(LOAD.model_copy(update={"check_seconds": 1.0}))
    await workload.let_pass(PERIOD)
    site.up.clear()
    first = await workload.stop()
    assert first.sessions.unchecked == "10 of 10 sessions did not answer"
    site.sessions.pop(next(iter(site.sessions)))
    site.up.set()
    await workload.record("next")
    await workload.let_pass(PERIOD)
    second = await workload.stop()
    assert not second.sessions.lost
    assert second.sessions.certain == 10


async def test_sessions_take_turns_across_recordings(site: PretendSite, begin: Begin) -> None:
    workload = await begin()
    for number in range(1, 5):
        await workload.let_pass(0.3)
        await workload.stop()
        await workload.record(str(number))
    assert all(writes == 2 for writes in site.sessions.values()), "one at the beginning, and one turn of each"


async def test_visitors_come_between_recordings_and_are_not_recorded(site: PretendSite, begin: Begin) -> None:
    workload = await begin()
    await workload.let_pass(PERIOD)
    await workload.stop()
    before = len(site.asked)
    await asyncio.sleep(PERIOD)
    assert len(site.asked) - before > 20
    await workload.record("next")
    recording = await workload.stop()
    assert len(recording.requests) < 10


async def test_process_that_is_asked_nothing_ends_by_itself(begin: Begin) -> None:
    workload = await begin(LOAD.model_copy(update={"longest_seconds": PERIOD}))
    await workload.stop()
    await asyncio.sleep(3 * PERIOD)
    assert workload._task.done()
