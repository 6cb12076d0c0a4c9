"""Where servers go from a host that is emptied."""

from dataclasses import replace

import pytest

from blueprint.terms import Role
from machine.failure import Failure
from moves.placing import places, tied_to
from moves.standing import too_close
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


async def test_of_a_large_tier_no_more_share_a_host_than_must(prod: Pretend) -> None:
    """Four application servers on three hosts: two of them share one, and while a host is emptied two share each."""
    small = prod.settings.servers["app01"].model_copy(update={"memory_mib": 1024})
    host, *_ = prod.settings.hosts
    servers = {**prod.settings.servers, **dict.fromkeys(["app01", "app02", "app03", "app04"], small)}
    larger = prod.settings.model_copy(update={"servers": servers})
    spread = {name: server.host for name, server in larger.servers.items()}
    apps = larger.servers_of(Role.APPLICATION)
    hosts = list(larger.hosts)
    two_one_one = spread | dict(zip(apps, [hosts[0], hosts[1], hosts[2], hosts[0]], strict=True))
    assert list(too_close(larger, two_one_one)) == []
    assert list(too_close(larger, dict.fromkeys(apps, host))) == [f"4 application servers run on {host}"]
    assert list(too_close(larger, dict.fromkeys(prod.settings.servers_of(Role.DATABASE), host)))

    vars(prod.stack)["settings"] = larger
    prod.places |= two_one_one
    leaving = (await prod.hosts())[0]
    found = prod.places | places(prod.stack, await prod.hosts(), leaving)
    assert sorted(found[name] for name in apps) == sorted([*hosts[1:], *hosts[1:]])
