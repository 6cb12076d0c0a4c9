"""A patch goes through the whole site, one at a time, and stops where redundancy is not whole."""

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from machine.failure import Failure
from moves.patching import Patch, Work, order
from moves.record import Progress, Record
from tests.unit.moves.pretend import Pretend

RESTART = Work(packages=False, restart=True)
SERVERS_ONLY = Work(hosts=False, packages=False, restart=True)


@contextlib.contextmanager
def unseen(_step: str) -> Iterator[Callable[[str], None]]:
    yield lambda _line: None


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record(tmp_path / "patch" / "dev.json")


def patch(found: Pretend, work: Work, record: Record) -> Patch:
    return Patch(found.site, work, record, None, unseen)  # type: ignore[arg-type]


def progress() -> Progress:
    return Progress(began="2026-11-27T12:00:00+00:00")


async def test_roles_move_once_and_to_what_is_done(dev: Pretend) -> None:
    found = order(dev.settings, await dev.standing(dev.stack))
    assert found == ["wit01", "db01", "lb02", "app01", "app02", "lb01", "db02"]


async def test_every_server_is_patched_whatever_it_does(dev: Pretend, prod: Pretend) -> None:
    for found in (dev, prod):
        assert sorted(order(found.settings, await found.standing(found.stack))) == sorted(found.settings.servers)


async def test_each_is_drained_restarted_and_put_back_before_the_next(dev: Pretend, record: Record) -> None:
    await patch(dev, RESTART, record).run(progress())
    servers = ["wit01", "db01", "lb02", "app01", "app02", "lb01", "db02"]
    steps = [f"{what} {name}" for name in servers for what in ("drain", "restart", "undrain")]
    assert dev.done[: len(steps)] == steps
    hosts = [line for line in dev.done[len(steps) :] if re.match("enter|exit", line)]
    assert hosts == [f"{what} {name}" for name in dev.settings.hosts for what in ("enter", "exit")]
    assert not dev.drained
    assert not dev.maintained
    assert record.read() is None


async def test_it_stops_where_the_site_is_not_whole_and_goes_on_from_there(dev: Pretend, record: Record) -> None:
    def break_app02(what: str) -> None:
        if what == "undrain db01":
            dev.broken.add("app02")

    dev.before = break_app02
    with pytest.raises(Failure, match="app02 does not serve"):
        await patch(dev, SERVERS_ONLY, record).run(progress())
    kept = record.read()
    assert kept is not None
    assert (kept.done, kept.current) == (["wit01"], "db01")

    dev.before = lambda _what: None
    dev.broken.clear()
    dev.done.clear()
    await patch(dev, SERVERS_ONLY, record).run(kept)
    assert dev.done[0] == "drain db01", "what may be drained comes first"
    assert "drain wit01" not in dev.done
    assert record.read() is None


async def test_what_was_left_drained_is_taken_up_first(dev: Pretend, record: Record) -> None:
    dev.drained.add("app02")
    kept = Progress(began="", done=["wit01"], current="app02")
    await patch(dev, SERVERS_ONLY, record).run(kept)
    assert dev.done[:3] == ["drain app02", "restart app02", "undrain app02"]


async def test_only_what_lacks_packages_is_drained(dev: Pretend, record: Record) -> None:
    dev.answers["app01 "] = "openssl\nlibssl3\n"
    await patch(dev, Work(hosts=False), record).run(progress())
    assert dev.done == ["drain app01", "upgrade app01", "restart app01", "undrain app01"]


async def test_a_server_that_asks_for_a_restart_gets_it(dev: Pretend, record: Record) -> None:
    dev.answers["reboot-required"] = ""
    dev.answers["lb01 if [ -e /run/reboot-required"] = "yes"
    del dev.answers["reboot-required"]
    await patch(dev, Work(hosts=False), record).run(progress())
    assert dev.done == ["drain lb01", "restart lb01", "undrain lb01"]


async def test_nothing_is_drained_where_no_package_source_answers(
    dev: Pretend, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = dev.shell

    async def without_source(server: str, script: str, *, seconds: float = 0.0) -> str:
        if "update" in script:
            raise Failure("a command failed", "Temporary failure resolving", "Look.")
        return await shell(server, script, seconds=seconds)

    monkeypatch.setattr(dev, "shell", without_source)
    with pytest.raises(Failure) as raised:
        await patch(dev, Work(), record).run(progress())
    assert "--no-packages" in raised.value.remedy
    assert not dev.done


@pytest.mark.parametrize("when", ["drain app01", "restart app01", "undrain app01"])
async def test_ctrl_c_leaves_nothing_drained(dev: Pretend, record: Record, when: str) -> None:
    interrupted = asyncio.Event()

    def interrupt(what: str) -> None:
        if what == when:
            interrupted.set()

    dev.before = interrupt
    task = asyncio.create_task(patch(dev, SERVERS_ONLY, record).run(progress()))
    await interrupted.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert dev.done[-1] == "undrain app01"
    assert not dev.drained
    kept = record.read()
    assert kept is not None
    assert "app01" not in kept.done
    assert kept.current == ""


async def test_what_fails_while_it_is_interrupted_is_told_and_stays_drained(dev: Pretend, record: Record) -> None:
    begun = asyncio.Event()

    def break_app02(what: str) -> None:
        if what == "drain app01":
            dev.broken.add("app02")
            begun.set()

    dev.before = break_app02
    task = asyncio.create_task(patch(dev, SERVERS_ONLY, record).run(progress()))
    await begun.wait()
    task.cancel()
    with pytest.raises(Failure, match="app02 does not serve"):
        await task
    assert dev.drained == {"app01"}
    kept = record.read()
    assert kept is not None
    assert kept.current == "app01"


async def test_ctrl_c_during_an_installation_leaves_the_restart_to_the_next_patch(dev: Pretend, record: Record) -> None:
    dev.answers["app01 "] = "openssl\n"
    begun = asyncio.Event()

    def install(what: str) -> None:
        if what == "upgrade app01":
            dev.answers.clear()  # nothing is newer from here on, and Debian does not ask for a restart by itself
            begun.set()

    dev.before = install
    task = asyncio.create_task(patch(dev, Work(hosts=False), record).run(progress()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert dev.done == ["drain app01", "upgrade app01", "undrain app01"]
    kept = record.read()
    assert kept is not None
    dev.done.clear()
    await patch(dev, Work(hosts=False), record).run(kept)
    assert dev.done == ["drain app01", "restart app01", "undrain app01"]
    assert record.read() is None


async def test_what_was_killed_during_an_installation_is_restarted(
    dev: Pretend, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = dev.shell

    async def lost(server: str, script: str, *, seconds: float = 0.0) -> str:
        said = await shell(server, script, seconds=seconds)
        if dev.done[-1:] == ["upgrade app01"]:
            dev.answers.clear()
            raise Failure("app01 can't be reached", "Connection lost", "Look.")
        return said

    dev.answers["app01 "] = "openssl\n"
    with monkeypatch.context() as at_first:
        at_first.setattr(dev, "shell", lost)
        with pytest.raises(Failure, match="packages could not be installed"):
            await patch(dev, Work(hosts=False), record).run(progress())
    kept = record.read()
    assert kept is not None
    assert (kept.current, kept.to_restart) == ("app01", ["app01"])
    dev.done.clear()
    await patch(dev, Work(hosts=False), record).run(kept)
    assert dev.done == ["drain app01", "restart app01", "undrain app01"]


async def test_no_server_is_restarted_while_dpkg_is_at_work(
    dev: Pretend, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = dev.shell
    waited: list[list[str]] = []

    async def busy(server: str, script: str, *, seconds: float = 0.0) -> str:
        if "DPkg::Lock::Timeout=3600 check" in script:
            waited.append(dev.done[-1:])
            if server == "db01":
                raise Failure("a command on db01 failed", "E: dpkg was interrupted", "Look.")
        return await shell(server, script, seconds=seconds)

    monkeypatch.setattr(dev, "shell", busy)
    with pytest.raises(Failure, match="db01, which is drained, can't be restarted now"):
        await patch(dev, SERVERS_ONLY, record).run(progress())
    assert waited == [["drain wit01"], ["drain db01"]]
    assert "restart db01" not in dev.done


async def test_a_patch_that_leaves_servers_out_does_not_forget_their_restart(dev: Pretend, record: Record) -> None:
    kept = Progress(began="yesterday", to_restart=["app01", "not-a-server-any-more"])
    record.write(kept)
    await patch(dev, Work(servers=False), record).run(kept)
    assert record.read() == Progress(began="yesterday", to_restart=["app01"])
    assert "app01: left out, and still to be restarted" in dev.said


def test_a_patch_that_begins_anew_does_not_forget_a_restart(record: Record) -> None:
    record.write(Progress(began="yesterday", done=["wit01"], current="app01", to_restart=["app01"]))
    record.forget()
    assert record.read() == Progress(began="yesterday", to_restart=["app01"])


async def test_a_record_that_is_none_is_told(record: Record, tmp_path: Path) -> None:
    file = tmp_path / "patch" / "dev.json"
    file.parent.mkdir()
    file.write_text("{}")
    with pytest.raises(Failure, match="how far the last patch came"):
        record.read()
    record.forget()
    assert record.read() is None
