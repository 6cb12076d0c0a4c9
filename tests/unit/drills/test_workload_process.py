"""The workload's process on a pretended site: that it begins, keeps what it must keep, and ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.failure import Failure
from drills.workload.workload import Workload
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
        await let_pass(workload, PERIOD)
    after = len(site.asked)
    await asyncio.sleep(0.3)
    assert len(site.asked) == after
