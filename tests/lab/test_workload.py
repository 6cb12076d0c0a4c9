"""The drills' workload on the running lab, while nothing is broken: what it then reports is its own noise."""

import asyncio
from pathlib import Path

import pytest

from drills.model import Recording
from drills.workload.figures import figures
from drills.workload.plan import Load
from drills.workload.site import plan_for
from drills.workload.workload import Workload
from stack.vault import Vault
from stack.workspace import Stack

pytestmark = pytest.mark.lab

LOAD = Load(sessions=100, warm_seconds=5)
SECONDS = 10.0


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A recording of some quiet seconds."""

    async def record(folder: Path) -> Recording:
        stack = Stack("dev")
        async with Workload(plan_for(stack, Vault.open(stack), folder, LOAD)) as workload:
            await workload.record()
            await asyncio.sleep(SECONDS)
            return await workload.stop()

    return asyncio.run(record(tmp_path_factory.mktemp("workload")))


def test_nobody_is_failed(quiet: Recording) -> None:
    failed = [request for request in quiet.requests if not request.good]
    assert not failed
    assert figures(quiet).requests > 0.9 * SECONDS * (LOAD.requests_per_second + LOAD.writes_per_second)


def test_every_acknowledged_write_is_there_once(quiet: Recording) -> None:
    assert quiet.ledger.acknowledged == quiet.ledger.written > 0
    assert not (quiet.ledger.unchecked)
    assert not (quiet.ledger.lost)
    assert not (quiet.ledger.doubled)


def test_every_session_is_live(quiet: Recording) -> None:
    assert quiet.sessions.certain == quiet.sessions.sessions == LOAD.sessions
    assert not (quiet.sessions.unchecked)
    assert not (quiet.sessions.lost)


def test_one_server_accepts_writes(quiet: Recording) -> None:
    accepted = [sample for sample in quiet.writers if sample.accepted]
    assert len({(sample.server, sample.timeline) for sample in accepted}) == 1
    assert len({sample.server for sample in quiet.writers}) == 2, "the standby is asked, too"
    assert len(accepted) > 5 * SECONDS


def test_observer_sees_one_holder_of_everything_all_the_time(quiet: Recording) -> None:
    assert len(quiet.observations) > 4 * SECONDS
    for seen in quiet.observations:
        assert (len(seen.site_address), len(seen.database_address), len(seen.primary)) == (1, 1, 1), seen
        assert seen.votes == 3
    assert {seen.sync_standby for seen in quiet.observations} not in ({()}, set())


def test_load_costs_little(quiet: Recording) -> None:
    assert quiet.generator.cpu_seconds / quiet.seconds < 0.5, "share of one core"
