"""The workload's process on a pretended site: what it records, what it catches, and that it ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.failure import Failure
from drills.model import Kind
from drills.workload.figures import figures
from drills.workload.plan import Load
from drills.workload.workload import Workload
from tests.unit.drills.pretend_site import PretendSite, pretend_site

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


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[PretendSite]:
    async with pretend_site(tmp_path) as served:
        yield served


async def let_pass(workload: Workload, seconds: float) -> None:
    """Let the load run: its duration is what is tested."""
    await asyncio.sleep(seconds - workload.now() if workload.now() < seconds else 0)


async def test_quiet_site_fails_nobody(site: PretendSite, tmp_path: Path) -> None:
    async with Workload(site.plan(tmp_path / "drill", LOAD)) as workload:
        await let_pass(workload, 2 * PERIOD)
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


async def test_acknowledgements_are_kept_outside_the_site(site: PretendSite, tmp_path: Path) -> None:
    async with Workload(site.plan(tmp_path / "drill", LOAD)) as workload:
        await let_pass(workload, PERIOD)
        await workload.stop()
    kept = [json.loads(line)["id"] for line in (tmp_path / "drill" / "acknowledged.jsonl").read_text().splitlines()]
    assert sorted(kept) == sorted(site.ledger)


async def test_lost_write_is_caught(site: PretendSite, tmp_path: Path) -> None:
    async with Workload(site.plan(tmp_path / "drill", LOAD)) as workload:
        await let_pass(workload, PERIOD)
        lost = site.ledger.pop()
        doubled = site.ledger[0]
        site.ledger.append(doubled)
        recording = await workload.stop()
    assert lost in recording.ledger.lost
    assert recording.ledger.doubled == (doubled,)


async def test_lost_session_is_caught_once(site: PretendSite, tmp_path: Path) -> None:
    async with Workload(site.plan(tmp_path / "drill", LOAD)) as workload:
        await let_pass(workload, PERIOD)
        site.sessions.pop(next(iter(site.sessions)))
        await let_pass(workload, 3 * PERIOD)
        recording = await workload.stop()
    assert len(recording.sessions.lost) == 1
    assert recording.sessions.certain == 10


async def test_waiting_counts_as_outage_and_does_not_slow_the_load(site: PretendSite, tmp_path: Path) -> None:
    async with Workload(site.plan(tmp_path / "drill", LOAD)) as workload:
        await let_pass(workload, PERIOD)
        site.up.clear()
        before, began = len(site.asked), workload.now()
        await let_pass(workload, PERIOD + 0.6)
        asked_meanwhile, lasted = len(site.asked) - before, workload.now() - began
        site.up.set()
        await let_pass(workload, 3 * PERIOD)
        recording = await workload.stop()
    found = figures(recording)
    assert lasted - 0.2 < found.outage < lasted + 1
    assert lasted - 0.2 < found.paused_writes < lasted + 1
    assert asked_meanwhile > 5, "what is due is sent, whatever became of what was sent before"


async def test_broken_connections_are_failures_and_not_repeated(site: PretendSite, tmp_path: Path) -> None:
    async with Workload(site.plan(tmp_path / "drill", LOAD)) as workload:
        await let_pass(workload, PERIOD)
        site.break_off = True
        await let_pass(workload, PERIOD + 0.5)
        site.break_off = False
        await let_pass(workload, 2 * PERIOD)
        recording = await workload.stop()
    visits = [request for request in recording.requests if request.kind in {Kind.PAGE, Kind.API}]
    failed = [request for request in visits if not request.good]
    assert {request.kind for request in failed} == {Kind.PAGE, Kind.API}
    assert figures(recording).failed_idempotent == len(failed)
    assert site.broken_off == len(failed), "each was sent exactly once"


async def test_silent_site_ends_requests_by_their_own_time(site: PretendSite, tmp_path: Path) -> None:
    async with Workload(site.plan(tmp_path / "drill", LOAD)) as workload:
        await let_pass(workload, PERIOD)
        site.up.clear()
        await let_pass(workload, 2.5 * PERIOD)
        site.up.set()
        recording = await workload.stop()
    timed_out = [request for request in recording.requests if request.error == "no answer in time"]
    assert timed_out
    assert all(0.8 < request.seconds < 3 for request in timed_out)


async def test_site_that_does_not_serve_begins_nothing(site: PretendSite, tmp_path: Path) -> None:
    site.up.clear()
    hasty = LOAD.model_copy(update={"answer_seconds": 0.1, "arrivals_per_second": 1000})
    with pytest.raises(Failure, match="10 of 10 sessions could not be begun"):
        async with Workload(site.plan(tmp_path / "drill", hasty)):
            pytest.fail("it began")


async def test_load_ends_when_the_drill_is_gone(site: PretendSite, tmp_path: Path) -> None:
    async with Workload(site.plan(tmp_path / "drill", LOAD)) as workload:
        await let_pass(workload, 0.5 * PERIOD)
    after = len(site.asked)
    await asyncio.sleep(0.3)
    assert len(site.asked) == after


async def test_load_ends_by_itself(site: PretendSite, tmp_path: Path) -> None:
    bounded = LOAD.model_copy(update={"longest_seconds": PERIOD})
    async with Workload(site.plan(tmp_path / "drill", bounded)) as workload:
        await let_pass(workload, 2 * PERIOD)
        recording = await workload.stop()
    assert PERIOD <= recording.seconds < 2 * PERIOD
    assert not recording.ledger.unchecked
