"""Where servers go from a host that is emptied."""

from dataclasses import replace

import pytest

from machine.failure import Failure
from moves.placing import places, tied_to
from tests.unit.moves.pretend import Pretend, full


async def test_tiers_stay_apart_whichever_host_is_emptied(prod: Pretend) -> None:
    for leaving in await prod.hosts():
        found = prod.places | places(prod.stack, await prod.hosts(), leaving)
        assert [name for name, host in found.items() if host == leaving.name] == tied_to(prod.settings, leaving.name)
        for tier in (("lb01", "lb02"), ("app01", "app02"), ("db01", "db02")):
            assert len({found[name] for name in tier}) == 2


async def test_a_host_without_memory_takes_none(prod: Pretend) -> None:
    hosts = await prod.hosts()
    leaving = hosts[1]
    with pytest.raises(Failure, match="no other host has room"):
        places(prod.stack, [full(host) for host in hosts], leaving)


async def test_one_in_maintenance_or_away_takes_none(prod: Pretend) -> None:
    hosts = await prod.hosts()
    for changed in (replace(hosts[0], in_maintenance=True), replace(hosts[0], connected=False)):
        with pytest.raises(Failure, match="no other host has room"):
            places(prod.stack, [changed, *hosts[1:]], hosts[1])


async def test_votes_are_kept_apart_where_that_is_possible(dev: Pretend) -> None:
    """With a fourth host that has none, the witness goes there."""
    hosts = await dev.hosts()
    spare = replace(hosts[0], name="psexi05", runs=(), free_mib=1024 * 8)
    assert places(dev.stack, [*hosts, spare], hosts[1])["wit01"] == "psexi05"
