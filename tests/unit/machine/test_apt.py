"""Packages are installed with an apt-get that only pretends."""

import os
from pathlib import Path

import pytest

from machine import apt
from machine.failure import Failure


def pretend(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """Have `script` be what apt-get does; returns the file with its calls, in which options are left out."""
    program, calls = folder / "bin" / "apt-get", folder / "calls"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nshift\necho "$1 $DEBIAN_FRONTEND" >>{calls}\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return calls


def test_what_is_there_is_installed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = pretend(tmp_path, monkeypatch, "echo installed")
    log = tmp_path / "logs" / "apt.log"

    apt.install(["maven"], log, pytest.fail)

    assert calls.read_text() == "install noninteractive\n"
    assert log.read_text() == "installed\n"


def test_package_lists_are_renewed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f'[ "$1" = install ] && [ ! -e {tmp_path}/renewed ] && exit 100; touch {tmp_path}/renewed'
    calls = pretend(tmp_path, monkeypatch, script)
    said: list[str] = []

    apt.install(["maven"], tmp_path / "log", said.append)

    assert [line.split()[0] for line in calls.read_text().splitlines()] == ["install", "update", "install"]
    assert len(said) == 1


def test_what_is_nowhere_is_told_with_apt_s_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, monkeypatch, 'echo "no such package"; [ "$1" = update ]')
    (tmp_path / "log").write_text("of an earlier run")

    with pytest.raises(Failure, match="no such package") as caught:
        apt.install(["maven", "chromium"], tmp_path / "log", print)

    assert "earlier" not in caught.value.why
    assert "install --yes --no-install-recommends maven chromium" in caught.value.remedy
    assert caught.value.log == tmp_path / "log"


def test_ctrl_c_does_not_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dpkg that is killed half-way has to be mended by hand."""
    pretend(tmp_path, monkeypatch, f"ps -o sid= -p $$ >{tmp_path}/session")
    apt.install(["maven"], tmp_path / "log", pytest.fail)
    assert int((tmp_path / "session").read_text()) != os.getsid(0)
