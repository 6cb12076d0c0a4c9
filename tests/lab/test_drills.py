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

SEED = 28
"""Chooses the same drills on every run of the tests; together they take some minutes, of at most six."""


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
    code, said = drill("--random=4", f"--seed={SEED}", "--minutes=4")
    assert code == 0, said
    (series,) = json.loads(RESULTS.read_text(encoding="utf-8"))["random"]
    runs = [run for found in series["drills"] for run in found["runs"]]
    assert len(runs) >= 2, said
    assert not series["unmeasured"], said
    for run in runs:
        assert not [note for note in run["notes"] if "begun anew" in note], "the sessions live through all of them"
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


def test_interrupted_series_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("w") as file:
        begun = subprocess.Popen(
            ["./perenne", "drill", SESSIONS, "kill-httpd", "kill-etcd"], cwd=PROJECT, stdout=file, stderr=file
        )
    wait_until(
        lambda: begun.poll() is not None or "Drill 2 of 2" in log.read_text(), seconds=180, what="a second drill"
    )
    begun.send_signal(signal.SIGINT)
    assert begun.wait(timeout=120) == 130, log.read_text()
    assert [found["fault"] for found in drills_of(RESULTS)] == ["kill-httpd"], "what was measured is reported"
    code, said = drill("--resume")
    assert code == 0, said
    assert "1 of 2 drills are left" in said
    assert [found["fault"] for found in drills_of(RESULTS)] == ["kill-httpd", "kill-etcd"]
    assert not JOURNAL.exists()


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
