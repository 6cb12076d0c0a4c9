"""The agent against a pretended site: whom it fences, when, and above all whom it doesn't."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from components.guest.fencing.agent.agent import Agent
from components.guest.fencing.agent.etcd import Lock, Off
from components.guest.fencing.agent.judgement import Patience
from components.guest.fencing.agent.protocols import Tools
from tests.unit.fencing.pretend_site import HOST, PretendPower, PretendSite, now

pytestmark = pytest.mark.virtual_time

CALM = 40.3
"""Seconds before anything happens; not a whole number, so that the last renewal was not just now."""


@asynccontextmanager
async def watched(site: PretendSite, name: str = "db02") -> AsyncIterator[None]:
    """An agent that has been watching for a while."""
    tools = Tools(ears=site, quorum=site, power=PretendPower(site), road=site)
    hosts = {f"{HOST}.vmlabs.int": HOST}
    agent = asyncio.create_task(Agent(name, hosts, Patience(5.5, 2.0, 1.0), tools).run())
    await asyncio.sleep(CALM)
    try:
        yield
    finally:
        agent.cancel()
        with suppress(asyncio.CancelledError):
            await agent


async def released_after(site: PretendSite, begin: float) -> float:
    """Seconds from the fault to the release."""
    (release,) = site.times("release")
    return release - begin


async def test_a_frozen_primary_is_powered_off_and_only_then_released() -> None:
    site = PretendSite()
    async with watched(site):
        begin = now()
        site.lose_primary()
        await asyncio.sleep(10)
    assert [what for what, _ in site.did] == ["server off", "release"]
    assert 5.5 <= await released_after(site, begin) < 6.1


async def test_the_way_to_it_is_closed_until_another_one_leads() -> None:
    site = PretendSite()
    async with watched(site):
        site.lose_primary()
        await asyncio.sleep(8)
        assert site.closed_at_release == ["db01"]
        site.promote()
        await asyncio.sleep(1)
        assert site.roads_closed == []


@pytest.mark.parametrize("seconds", [0.5, 2.0, 4.0, 5.0, 5.3])
async def test_a_short_freeze_is_left_alone(seconds: float) -> None:
    site = PretendSite()
    async with watched(site):
        for _ in range(20):
            site.lose_primary()
            await asyncio.sleep(seconds)
            site.come_back()
            await asyncio.sleep(7.13)
    assert site.did == []


async def test_one_that_sends_its_wal_again_is_left_the_time_to_answer() -> None:
    """As after a freeze of 5 s on a busy machine: PostgreSQL is there again, and Patroni not yet."""
    site = PretendSite()
    async with watched(site):
        for _ in range(5):
            site.lose_primary()
            await asyncio.sleep(5.4)
            site.sends_wal = True
            await asyncio.sleep(1.5)
            site.come_back()
            await asyncio.sleep(7.13)
            site.sends_wal = False
    assert site.did == []


async def test_one_whose_patroni_hangs_is_powered_off_all_the_same() -> None:
    """PostgreSQL goes on without it, and would do so beyond the end of its lease."""
    site = PretendSite(sends_wal=True)
    async with watched(site):
        begin = now()
        site.lose_primary()
        await asyncio.sleep(10)
    assert [what for what, _ in site.did] == ["server off", "release"]
    assert 7.5 <= await released_after(site, begin) < 8.1


async def test_one_that_ceases_to_send_wal_is_powered_off_at_once() -> None:
    site = PretendSite(sends_wal=True)
    async with watched(site):
        begin = now()
        site.lose_primary()
        await asyncio.sleep(6.2)
        site.sends_wal = False
        await asyncio.sleep(4)
    assert 6.2 <= await released_after(site, begin) < 6.6


async def test_the_log_tells_how_long_a_freeze_was(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="fencing")
    site = PretendSite()
    async with watched(site):
        site.lose_primary()
        await asyncio.sleep(4.0)
        site.come_back()
        await asyncio.sleep(3.0)
    (told,) = [message for message in caplog.messages if "answers again" in message]
    silent = re.fullmatch(r"db01 answers again, after ([\d.]+) s", told)
    assert silent is not None
    assert float(silent[1]) == pytest.approx(4.0, abs=0.5)


async def test_a_lost_host_is_powered_off_by_its_bmc() -> None:
    site = PretendSite()
    async with watched(site):
        begin = now()
        site.lose_host()
        await asyncio.sleep(6)
    assert [what for what, _ in site.did] == ["host off", "release"]
    assert 2.0 <= await released_after(site, begin) < 2.8
    assert site.noted_down == [Off("host", HOST)]


async def test_a_host_that_is_off_already_is_not_waited_for_and_not_noted() -> None:
    site = PretendSite()
    async with watched(site):
        begin = now()
        site.lose_host(off=True)
        await asyncio.sleep(6)
    assert [what for what, _ in site.did] == ["release"]
    assert await released_after(site, begin) < 2.2
    assert site.noted_down == []


async def test_a_server_that_somebody_powered_off_is_released_and_left_off() -> None:
    site = PretendSite()
    async with watched(site):
        begin = now()
        site.lose_primary(off=True)
        await asyncio.sleep(6)
        site.promote()
        await asyncio.sleep(10)
    assert [what for what, _ in site.did] == ["release"]
    assert await released_after(site, begin) < 2.2


async def test_the_quorum_s_leader_may_be_lost_with_the_host() -> None:
    site = PretendSite()
    async with watched(site):
        begin = now()
        site.lose_host(off=True)
        site.quorum_answers = False
        await asyncio.sleep(1.8)
        site.elect()
        site.quorum_answers = True
        await asyncio.sleep(6)
    assert [what for what, _ in site.did] == ["release"]
    assert await released_after(site, begin) < 4.5


@pytest.mark.parametrize(
    "spoil",
    [
        lambda site: setattr(site, "renews", True),
        lambda site: setattr(site, "quorum_answers", False),
        lambda site: setattr(site, "is_paused", True),
        lambda site: setattr(site, "sync", ("db01", ())),
        lambda site: setattr(site, "sync", ("db03", ("db02",))),
        lambda site: setattr(site, "able", False),
        lambda site: setattr(site, "locked", True),
    ],
    ids=["it renews", "no quorum", "paused", "not synchronous", "another leader's standby", "not able", "locked"],
)
async def test_nothing_is_done(spoil: Callable[[PretendSite], None]) -> None:
    site = PretendSite()
    async with watched(site):
        site.lose_host()
        spoil(site)
        await asyncio.sleep(18)
    assert site.did == []


async def test_the_primary_s_own_agent_does_nothing() -> None:
    site = PretendSite()
    async with watched(site, "db01"):
        site.lose_primary()
        await asyncio.sleep(18)
    assert site.did == []


async def test_what_can_t_be_powered_off_for_certain_is_not_released() -> None:
    site = PretendSite(vcenter_refuses=True, bmc_refuses=True)
    async with watched(site):
        site.lose_primary()
        await asyncio.sleep(18)
    assert site.did == []


async def test_a_lost_host_without_its_bmc_keeps_its_lease() -> None:
    site = PretendSite()
    async with watched(site):
        site.lose_host()
        site.bmc_answers = False
        await asyncio.sleep(18)
    assert site.did == []


async def test_a_host_that_answers_is_spared_where_vcenter_can_t_power_the_server_off() -> None:
    """Its other servers serve: the lease runs out, as without fencing."""
    site = PretendSite()
    async with watched(site):
        site.vcenter_answers = False
        site.lose_primary()
        await asyncio.sleep(14)
    assert site.did == []


async def test_a_primary_that_answers_again_is_left_alone_at_the_last_moment() -> None:
    site = PretendSite()
    lock = site.lock

    @asynccontextmanager
    async def late(holder: str) -> AsyncIterator[Lock | None]:
        site.come_back()
        async with lock(holder) as taken:
            yield taken

    site.lock = late  # type: ignore[method-assign]
    async with watched(site):
        site.lose_primary()
        await asyncio.sleep(14)
    assert site.did == []


async def test_a_primary_that_gave_its_standby_up_in_the_last_moment_is_powered_on_again() -> None:
    """It may have acknowledged what nobody else has: without it there would be no primary any more."""
    site = PretendSite(gives_up=True)
    async with watched(site):
        begin = now()
        site.lose_primary()
        await asyncio.sleep(12)
    assert [what for what, _ in site.did] == ["server off", "db01 on"]
    assert site.times("db01 on")[0] - begin < 9
    assert site.noted_down == []


async def test_another_machine_s_bmc_is_not_believed() -> None:
    site = PretendSite(bmc_uuid="00000000-0000-0000-0000-000000000000")
    async with watched(site):
        site.lose_host(off=True)
        await asyncio.sleep(18)
    assert site.did == []


async def test_a_bmc_that_powers_off_another_host_releases_nothing() -> None:
    """The host fell silent while vCenter was asked, and is there again once its BMC shows it off."""
    site = PretendSite(vcenter_refuses=True)
    answers, power_off = iter([False, True]), site.host_off_

    async def another(host: str, seconds: float) -> None:
        await power_off(host, seconds)
        site.host_silent[0] = None

    async def host_answers(_host: str) -> bool:
        return next(answers, True)

    site.host_off_ = another  # type: ignore[method-assign]
    site.host_answers = host_answers  # type: ignore[method-assign, assignment]
    async with watched(site):
        site.lose_primary()
        await asyncio.sleep(12)
    assert site.times("host off")
    assert not site.times("release")


async def test_a_host_is_not_powered_off_on_old_hearsay() -> None:
    site = PretendSite()
    async with watched(site):
        site.vcenter_answers = False
        await asyncio.sleep(20)
        site.lose_host()
        await asyncio.sleep(18)
    assert site.did == []


async def test_a_key_that_was_taken_anew_meanwhile_is_left_alone() -> None:
    site = PretendSite()
    power_off = site.server_off_

    async def slowly(server: str, seconds: float) -> None:
        await power_off(server, seconds)
        site.rename_leader()

    site.server_off_ = slowly  # type: ignore[method-assign]
    async with watched(site):
        site.lose_primary()
        await asyncio.sleep(6.5)
    assert not site.times("release")


async def test_vcenter_that_shows_a_living_primary_off_is_not_believed() -> None:
    site = PretendSite(server_off=True)
    async with watched(site):
        site.lose_primary(off=True)
        await asyncio.sleep(18)
    assert site.did == []


async def test_the_new_primary_powers_on_what_was_powered_off() -> None:
    site = PretendSite()
    async with watched(site):
        site.lose_primary()
        await asyncio.sleep(7)
        assert not site.times("db01 on")
        site.promote()
        await asyncio.sleep(4)
    assert len(site.times("db01 on")) == 1
    assert site.noted_down == []


async def test_a_note_outlives_the_agent_that_wrote_it() -> None:
    site = PretendSite(noted_down=[Off("host", HOST)])
    site.promote()
    async with watched(site):
        await asyncio.sleep(3)
    assert len(site.times(f"{HOST} on")) == 1


@pytest.mark.parametrize(
    ("off", "standbys", "led", "powered_on"),
    [
        (Off("server", "db01"), (), True, ["db01 on"]),
        (Off("server", "db01"), ("db02",), True, []),
        (Off("host", HOST), (), False, [f"{HOST} on"]),
        (Off("host", HOST), (), True, []),
        (Off("server", "wit01"), (), False, []),
    ],
)
async def test_what_nobody_can_lead_without_is_powered_on(
    off: Off, standbys: tuple[str, ...], *, led: bool, powered_on: list[str]
) -> None:
    """By whoever is there, as nobody may become primary: not a host, as long as somebody holds the leader key."""
    site = PretendSite(noted_down=[off], sync=("db01", standbys))
    if not led:
        site.leader = None
    async with watched(site):
        assert [what for what, _ in site.did] == powered_on
