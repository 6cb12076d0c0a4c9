"""What of a patch is possible where, and what is said when it is interrupted."""

import asyncio
import os
import pty
import sys
from pathlib import Path

import pytest

from cli import patch
from cli.signals import Interrupted
from machine.failure import Failure
from moves.patching import Patch, Work
from moves.record import Progress, Record
from stack import workspace
from stack.vault import Vault
from stack.workspace import Stack


def test_in_the_lab_servers_are_restarted_and_nothing_is_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    found = patch._possible(Stack("dev"), Work())
    assert not found.packages
    assert found.restart
    assert found.hosts
    assert "no packages are fetched" in " ".join(capsys.readouterr().err.split())


def test_on_a_real_site_packages_are_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert patch._possible(Stack("prod"), Work()) == Work()
    assert patch._attended(Stack("prod"), Work())


def test_hosts_need_somebody_or_a_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert not patch._possible(Stack("prod"), Work()).hosts
    assert "--host-command" in capsys.readouterr().err
    for work in (Work(host_command="esxcli software vib update"), Work(host_restart=True)):
        assert patch._possible(Stack("prod"), work).hosts
        assert not patch._attended(Stack("prod"), work)


@pytest.fixture
def interrupted(dev: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack whose patch is interrupted while app01 is worked on."""

    async def run(self: Patch, progress: Progress) -> None:
        progress.done.append("wit01")
        progress.current = "app01"
        self.record.write(progress)
        raise KeyboardInterrupt

    monkeypatch.setattr(patch, "PRIVATE", workspace.PRIVATE)
    monkeypatch.setattr(patch, "site_of", lambda _stack, _say: None)
    monkeypatch.setattr(Vault, "open", lambda _stack: None)
    monkeypatch.setattr(Patch, "run", run)
    return dev


def test_an_interrupted_patch_says_what_may_be_drained(interrupted: Stack) -> None:
    with pytest.raises(Interrupted, match=r"undrain app01 dev"):
        patch.patch(interrupted, Work(), anew=False)


def test_the_next_one_goes_on_unless_it_shall_begin_anew(
    interrupted: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    for anew, said in ((False, False), (False, True), (True, False)):
        with pytest.raises(Interrupted):
            patch.patch(interrupted, Work(), anew=anew)
        assert ("Going on with the patch" in capsys.readouterr().err) == said


def test_what_was_put_back_is_not_said_to_be_drained() -> None:
    assert patch._interrupted(Progress(began="", done=["wit01"]), Stack("dev")) == "nothing is drained; wit01 is done"


def test_a_record_belongs_to_its_stack(tmp_path: Path) -> None:
    one, other = Record(tmp_path / "dev.json"), Record(tmp_path / "prod.json")
    one.write(Progress(began="now", done=["wit01"]))
    assert other.read() is None
    one.forget()
    assert one.read() is None


async def test_an_operator_is_waited_for_until_the_host_is_updated(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was typed while the host was being emptied is no answer; a closed terminal is none either."""
    keyboard, terminal = pty.openpty()
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        os.write(keyboard, b"\n")
        attending = asyncio.create_task(patch._attend("psexi02"))
        done, _ = await asyncio.wait([attending], timeout=0.2)
        assert not done
        os.write(keyboard, b"\n")
        await attending
        closing = asyncio.create_task(patch._attend("psexi02"))
        await asyncio.wait([closing], timeout=0.1)
        os.write(keyboard, b"\x04")
        with pytest.raises(Failure, match="nobody says that psexi02 is updated"):
            await closing
    os.close(keyboard)
