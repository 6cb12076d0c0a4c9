"""The lab's hands, on a `docker` that is made up."""

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

import pytest

from machine.failure import Failure
from moves.hands import LabHands
from stack.workspace import Stack, lab_name

HANDS = LabHands(Stack("dev"))


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A program of that name, to be written: it is the first one that is found."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    program = tmp_path / "docker"
    program.touch(mode=0o755)
    return program


async def heard(machine: str, count: int) -> int:
    """How many starts were told, `count` at most."""
    told = 0
    async with aclosing(HANDS.starts(machine)) as starts:
        async for _ in starts:
            told += 1
            if told == count:
                break
    return told


def test_starts_of_one_machine_are_told_until_nobody_listens(docker: Path) -> None:
    """Docker tells also of machines whose name only begins so."""
    pid = docker.with_name("pid")
    name = f"{lab_name()}-app01"
    docker.write_text(f"#!/bin/sh\necho $$ >{pid}\necho {name}0\necho {name}\necho {name}\nexec sleep 60\n")
    assert asyncio.run(heard("app01", 2)) == 2
    assert not Path(f"/proc/{pid.read_text().strip()}").exists(), "it has ended, and was waited for"


def test_starts_that_nobody_can_tell_of_are_a_failure(docker: Path) -> None:
    docker.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(Failure, match="whether app01 is started again"):
        asyncio.run(heard("app01", 1))


def test_containers_are_asked_for_their_state(docker: Path) -> None:
    docker.write_text('#!/bin/sh\n[ "$1" != inspect ] || echo paused\n')
    assert asyncio.run(HANDS.container("pause", "app01")) == "paused"
