"""Drills on the running lab: what must hold in each, and that nothing stays broken however a drill ends."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.lab.conftest import LAB, PROJECT
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.destructive]

JOURNAL = PROJECT / ".perenne" / "drill" / "undo.json"
RESULTS = PROJECT / ".perenne" / "drill" / "report" / "results.json"
SESSIONS = "--sessions=100"

SEED = 11
"""Chooses the same three drills on every run of the tests; together they take about three minutes."""


def drill(*arguments: str) -> tuple[int, str]:
    """Run a drill to its end; its exit code and all that it printed."""
    done = subprocess.run(
        ["./perenne", "drill", SESSIONS, *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    return done.returncode, done.stdout


def drills_of(file: Path) -> list[dict[str, Any]]:
    """The drills in a report."""
    found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["drills"]
    return found


def test_seeded_selection_keeps_every_invariant() -> None:
    code, said = drill("--random=3", f"--seed={SEED}")
    assert code == 0, said
    runs = [run for found in drills_of(RESULTS) for run in found["runs"]]
    assert len(runs) == 3, said
    for run in runs:
        assert run["ledger"]["acknowledged"] > 0
        assert run["ledger"]["lost"] == []
        assert run["whole"] is not None
        assert all(invariant["held"] for invariant in run["invariants"])


def test_checker_finds_writes_that_were_lost() -> None:
    """With asynchronous replication, held up, acknowledged writes go with the primary: the ledger must show it."""
    code, said = drill("control-lose-writes")
    assert code == 0, said
    (run,) = drills_of(RESULTS)[0]["runs"]
    assert run["ledger"]["lost"], said
    assert "the checker finds out whether no acknowledged write is lost" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_drill_takes_its_fault_back(number: signal.Signals, engine: docker.DockerClient) -> None:
    begun, frozen = frozen_standby(engine)
    begun.send_signal(number)
    output, _ = begun.communicate(timeout=120)
    assert begun.returncode == 130, output
    assert state(engine, frozen) == "running"
    assert not JOURNAL.exists()


def test_next_command_takes_back_what_a_killed_drill_left(engine: docker.DockerClient) -> None:
    begun, frozen = frozen_standby(engine)
    begun.kill()
    begun.communicate(timeout=60)
    assert state(engine, frozen) == "paused"
    done = subprocess.run(
        ["./perenne", "status"], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert "freeze-standby-60s on stack dev is taken back first" in done.stdout
    assert state(engine, frozen) == "running"
    assert not JOURNAL.exists()


def test_drill_refuses_a_stack_that_is_not_whole(engine: docker.DockerClient) -> None:
    container = engine.containers.get(f"{LAB}-wit01")
    container.pause()
    try:
        code, said = drill("kill-postgres")
    finally:
        container.unpause()
    assert code == 1
    assert "nothing was broken: the stack is not whole" in said
    assert "wit01 does not serve" in said


def frozen_standby(engine: docker.DockerClient) -> tuple["subprocess.Popen[str]", str]:
    """Begin a drill that freezes a server for a minute; returns it once the server is frozen."""
    begun = subprocess.Popen(
        ["./perenne", "drill", SESSIONS, "freeze-standby-60s"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    databases = ("db01", "db02")

    def frozen() -> str:
        if begun.poll() is not None:
            pytest.fail(f"the drill ended early: {begun.communicate()[0]}")
        return next((name for name in databases if state(engine, name) == "paused"), "")

    return begun, wait_until(frozen, seconds=120, what="a database server is frozen")


def state(engine: docker.DockerClient, server: str) -> str:
    """The state of a server's container, in Docker's words."""
    return str(engine.containers.get(f"{LAB}-{server}").status)
