"""The workload's process on a pretended site: that it begins, keeps what it must keep, and ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drills.clients import Clients
from drills.workload.workload import Workload, WorkloadFailure
from machine.failure import Failure
from tests.unit.drills.pretend_site import PretendSite, pretend_site
from tests.unit.drills.test_workload import LOAD

PERIOD = 0.3


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[PretendSite]:
    async with pretend_site(tmp_path) as served:
        yield served


async def let_pass(workload: Workload, seconds: float) -> None:
    """Let the load run: its duration is what is tested."""
    await asyncio.sleep(seconds - workload.now() if workload.now() < seconds else 0)


async def test_acknowledgements_are_kept_outside_the_site(site: PretendSite, tmp_path: Path) -> None:
    async with Workload(site.plan(tmp_path / "drill", LOAD)) as workload:
        await workload.record()
        await let_pass(workload, PERIOD)
        await workload.stop()
    kept = [json.loads(line)["id"] for line in (tmp_path / "drill" / "acknowledged.jsonl").read_text().splitlines()]
    assert sorted(kept) == sorted(site.ledger)


async def test_site_that_does_not_serve_begins_nothing(site: PretendSite, tmp_path: Path) -> None:
    site.up.clear()
    hasty = LOAD.model_copy(update={"answer_seconds": 0.1, "arrivals_per_second": 1000})
    with pytest.raises(Failure, match="10 of 10 sessions could not be begun"):
        async with Workload(site.plan(tmp_path / "drill", hasty)):
            pytest.fail("it began")


async def test_load_ends_when_the_drill_is_gone(site: PretendSite, tmp_path: Path) -> None:
    async with Workload(site.plan(tmp_path / "drill", LOAD)) as workload:
        await workload.record()
        await let_pass(workload, PERIOD)
    after = len(site.asked)
    await asyncio.sleep(0.3)
    assert len(site.asked) == after


async def test_drill_after_the_process_died_has_other_sessions_and_says_so(site: PretendSite, tmp_path: Path) -> None:
    async with Clients(site.plan(tmp_path, LOAD)) as clients:
        assert await clients.record(tmp_path / "1") == ()
        kill(clients)
        with pytest.raises(WorkloadFailure, match="its process has ended"):
            await clients.stop()
        assert not clients.live
        (note,) = await clients.record(tmp_path / "2")
        assert "10 sessions were begun anew, as the former ones ended: its process has ended" in note
        assert (await clients.stop()).sessions.certain == 10
        assert await clients.record(tmp_path / "3") == (), "it is told of one drill"


async def test_process_that_died_between_drills_is_replaced(site: PretendSite, tmp_path: Path) -> None:
    async with Clients(site.plan(tmp_path, LOAD)) as clients:
        await clients.record(tmp_path / "1")
        await clients.stop()
        kill(clients)
        (note,) = await clients.record(tmp_path / "2")
        assert "begun anew" in note
    assert site.begun == 20


def kill(clients: Clients) -> None:
    """End the workload's process as the kernel would that has no memory left."""
    assert clients._workload
    assert clients._workload._process
    clients._workload._process.kill()
