"""The workload on a pretended site, both in this process: what it records, and what it catches."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from drills.model import Kind, Recording
from drills.workload import __main__ as process
from drills.workload import clock, keeping
from drills.workload.figures import figures
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
        self._said: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=loop.time))
        monkeypatch.setattr(process, "_say", lambda **what: self._said.put_nowait(what))
        self._task = asyncio.create_task(process._run(plan, private, self._lines))
        self._began = 0.0

    async def begin(self) -> None:
        """Wait until the load runs."""
        self._began = float((await self._said.get())["began"])

    async def let_pass(self, seconds: float) -> None:
        """Let the load run until so many seconds after its beginning."""
        await asyncio.sleep(max(0.0, seconds - self.now()))

    def now(self) -> float:
        """Seconds since the load began."""
        return asyncio.get_running_loop().time() - self._began

    async def stop(self) -> Recording:
        """End it, and return what it recorded."""
        self._lines.feed_data(b"stop\n")
        await self._task
        return keeping.read(Path((await self._said.get())["recording"]))


@pytest.fixture
async def begin(site: PretendSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Begins a load on the site."""

    async def begun(load: Load = LOAD) -> Running:
        running = Running(site.plan(tmp_path / "drill", load), tmp_path, monkeypatch)
        await running.begin()
        return running

    return begun


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
