"""Servers and hosts go out of use and come back; what redundancy does not allow is refused."""

import pytest

from machine.failure import Failure
from moves import node
from stack import drained_servers
from tests.unit.moves.pretend import Pretend


async def test_a_server_is_drained_by_its_own_script(dev: Pretend) -> None:
    await node.drain(dev.site, "app01")
    assert dev.done == ["drain app01"]
    assert any("app01 is drained" in line and "one is alone" in line for line in dev.said)
    await node.undrain(dev.site, "app01")
    assert dev.done == ["drain app01", "undrain app01"]
    assert not dev.drained


async def test_what_is_drained_stays_known_while_it_is_off(dev: Pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(what: str) -> None:
        raise Failure("app01 can't be reached", f"the connection was lost: {what}", "Look.")

    await node.drain(dev.site, "lb02")
    assert drained_servers.noted(dev.stack) == ["lb02"]
    await node.undrain(dev.site, "lb02")
    assert drained_servers.noted(dev.stack) == []
    monkeypatch.setattr(dev, "before", lose)
    with pytest.raises(Failure, match="app01 is not drained"):
        await node.drain(dev.site, "app01")
    assert drained_servers.noted(dev.stack) == ["app01"], "its script may still come to its end"


def test_a_note_that_is_none_is_told(dev: Pretend) -> None:
    dev.stack.drained_file.parent.mkdir()
    dev.stack.drained_file.write_text("{}")
    with pytest.raises(Failure, match="which servers are drained"):
        drained_servers.noted(dev.stack)


async def test_the_primary_is_drained_once_the_standby_has_taken_over(dev: Pretend) -> None:
    await node.drain(dev.site, "db02")
    assert dev.primary == "db01"
    assert any("no standby takes over" in line for line in dev.said)


async def test_only_one_is_drained_at_a_time(dev: Pretend) -> None:
    dev.drained.add("app01")
    with pytest.raises(Failure) as raised:
        await node.drain(dev.site, "lb02")
    assert "app01 is drained" in raised.value.why
    assert "./perenne undrain app01" in raised.value.remedy
    assert not dev.done


async def test_nothing_is_drained_while_a_host_is(dev: Pretend) -> None:
    dev.maintained.add("psexi02")
    with pytest.raises(Failure, match="psexi02 is drained"):
        await node.drain(dev.site, "app01")


async def test_nothing_is_drained_while_something_is_broken(dev: Pretend) -> None:
    dev.broken.add("app02")
    with pytest.raises(Failure, match="app02 does not serve"):
        await node.drain(dev.site, "app01")
    with pytest.raises(Failure, match="app02 does not serve"):
        await node.drain(dev.site, "psexi02")
    assert not dev.done


async def test_draining_what_is_drained_changes_nothing(dev: Pretend) -> None:
    await node.drain(dev.site, "app01")
    await node.drain(dev.site, "app01")
    assert dev.drained == {"app01"}


async def test_a_server_that_does_not_say_that_it_is_drained_is_not_to_be_stopped(dev: Pretend) -> None:
    def forget(what: str) -> None:
        dev.drained.clear()
        if what == "drain app01":
            dev.broken.add("app02")

    dev.before = forget
    with pytest.raises(Failure) as raised:
        await node.drain(dev.site, "app01")
    assert "Don't stop it" in raised.value.remedy


async def test_why_a_server_refuses_is_told_with_the_way_back(dev: Pretend) -> None:
    def refuse(_what: str) -> None:
        raise Failure("a command on app01 failed", "requests are still in progress", "Look there.")

    dev.before = refuse
    with pytest.raises(Failure) as raised:
        await node.drain(dev.site, "app01")
    assert raised.value.why == "requests are still in progress"
    assert "./perenne undrain app01 dev" in raised.value.remedy
    with pytest.raises(Failure, match="not in service yet"):
        await node.undrain(dev.site, "app01")


async def test_what_is_back_but_not_whole_is_said(dev: Pretend) -> None:
    dev.drained.add("app01")
    dev.broken.add("app02")
    with pytest.raises(Failure, match="app02 does not serve"):
        await node.undrain(dev.site, "app01")


async def test_the_witness_tells_of_backups_and_waits_for_one(dev: Pretend) -> None:
    await node.drain(dev.site, "wit01")
    assert any("keeps backups" in line for line in dev.said)
    await node.undrain(dev.site, "wit01")
    dev.answers["perenne-backup.service"] = "activating"
    with pytest.raises(Failure, match="a base backup is being taken"):
        await node.drain(dev.site, "wit01")
    assert not dev.drained


async def test_an_unknown_name_is_refused(dev: Pretend) -> None:
    with pytest.raises(Failure) as raised:
        await node.drain(dev.site, "app99")
    assert "app01" in raised.value.remedy


async def test_with_drs_vcenter_empties_the_host(dev: Pretend) -> None:
    await node.drain(dev.site, "psexi03")
    assert dev.done == ["enter psexi03"]
    assert "psexi03" not in dev.places.values()
    await node.undrain(dev.site, "psexi03")
    assert dev.done[1] == "exit psexi03"
    assert dev.places == {name: server.host for name, server in dev.settings.servers.items()}


async def test_without_drs_each_server_is_moved_where_its_tier_is_not(prod: Pretend) -> None:
    await node.drain(prod.site, "psexi02")
    assert prod.done[-1] == "enter psexi02"
    assert set(prod.done[:-1]) == {"lb01 to psexi04", "db02 to psexi03"}
    await node.undrain(prod.site, "psexi02")
    assert prod.places == {name: server.host for name, server in prod.settings.servers.items()}


async def test_a_vote_on_the_host_s_own_disk_is_shut_down_and_comes_back(prod: Pretend) -> None:
    await node.drain(prod.site, "psexi03")
    assert prod.done[-3:] == ["drain wit01", "shut down wit01", "enter psexi03"]
    assert {"app01 to psexi02", "lb02 to psexi04"} <= set(prod.done)
    await node.drain(prod.site, "psexi03")
    assert prod.done[-1] == "enter psexi03", "a second time there is nothing to do"
    await node.undrain(prod.site, "psexi03")
    after = prod.done[prod.done.index("exit psexi03") :]
    assert after[:3] == ["exit psexi03", "power on wit01", "undrain wit01"]
    assert prod.places == {name: server.host for name, server in prod.settings.servers.items()}


async def test_beside_such_a_vote_every_other_must_answer(prod: Pretend) -> None:
    prod.broken.add("db01")
    with pytest.raises(Failure, match="2 of 3 votes"):
        await node.drain(prod.site, "psexi03")
    assert not prod.done


async def test_a_server_that_only_keeps_backups_is_drained_like_any_other(prod: Pretend) -> None:
    await node.drain(prod.site, "bak01")
    assert any("no user needs it" in line for line in prod.said)
    await node.undrain(prod.site, "bak01")
    assert prod.done == ["drain bak01", "undrain bak01"]


async def test_without_drs_what_is_not_the_stack_s_stays_and_is_named(prod: Pretend) -> None:
    prod.extra = {"mail": "psexi03", "vCLS-1": "psexi03"}
    with pytest.raises(Failure, match="mail, not of this stack"):
        await node.drain(prod.site, "psexi03")
    assert not prod.done
