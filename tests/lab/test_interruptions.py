"""A removal and a deployment that are killed at moments that a seed chooses, and what the next run makes of it."""

import json
import random
import subprocess
from pathlib import Path

import docker
import pytest

from cli import pending
from cli.engine import Engine
from cli.toolchain import ensure
from stack.inventory import KINDS, inventory
from stack.labs import lab_of
from stack.vault import Vault
from stack.workspace import Stack
from tests import killing
from tests.lab.conftest import LAB, PROJECT

pytestmark = [pytest.mark.lab, pytest.mark.destructive]

SEED = 6
SERVER = "lb02"
LONGEST_SECONDS = 6.0
"""A removal or a new server takes longer, so that most of the moments are in the midst of it."""


@pytest.fixture
def pulumi() -> Engine:
    """The engine of the lab's stack."""
    stack = Stack("dev")
    return Engine(stack, ensure(print), lab_of(stack).prepare().environment)


def test_what_is_protected_is_not_destroyed(pulumi: Engine) -> None:
    (datastore, *_) = _urns(pulumi, ":VmfsDatastore")
    protect, unprotect = (["pulumi", "state", verb, datastore, "--yes"] for verb in ("protect", "unprotect"))
    _run(pulumi, [*protect, "--stack", "dev"]).check_returncode()
    try:
        refused = _run(pulumi, ["pulumi", "destroy", "--stack", "dev", "--preview-only", "--non-interactive"])
    finally:
        _run(pulumi, [*unprotect, "--stack", "dev"]).check_returncode()
    assert refused.returncode != 0
    assert datastore.rsplit("::", 1)[-1] in refused.stdout + refused.stderr
    assert "protect" in refused.stdout + refused.stderr


def test_killed_runs_are_taken_up_and_nothing_is_left_over(
    pulumi: Engine, engine: docker.DockerClient, tmp_path: Path
) -> None:
    chance = random.Random(SEED)  # noqa: S311 (moments that can be repeated, no secret)
    (vm,) = [urn for urn in _urns(pulumi, ":VirtualMachine") if urn.endswith(f"::{SERVER}-vm")]
    removal = ["pulumi", "destroy", "--stack", "dev", "--yes", "--target", vm, "--target-dependents"]
    turns: list[tuple[list[str], killing.Killer]] = [
        (removal, killing.kill_session),
        (["./perenne", "up"], killing.kill_engine),
        (["./perenne", "up"], killing.kill_launcher),
    ]
    for command, kill in turns:
        with (tmp_path / "log").open("ab") as log, killing.started(command, pulumi.environment, log) as run:
            holder = killing.await_engine(run, pulumi.stack)
            if holder and killing.runs_for(run, chance.uniform(1, LONGEST_SECONDS)):
                kill(run, holder)

    last = subprocess.run(["./perenne", "up"], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert last.returncode == 0, (tmp_path / "log").read_text() + last.stderr

    drift = subprocess.run(["./perenne", "drift", "--json"], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (drift.returncode, json.loads(drift.stdout)["drift"]) == (0, [])
    state = pulumi.state()
    assert pending.operations(state) == []
    with inventory(Stack("dev"), Vault.open(Stack("dev"))) as vcenter:
        for one in pending.records(state):
            if one["type"] in KINDS:
                assert vcenter.find(one["type"], one["inputs"]) == [one["id"]], one["urn"]
    guests = engine.containers.list(all=True, filters={"label": [f"perenne.lab={LAB}", "perenne.kind=guest"]})
    assert {(one.name or "").removeprefix(f"{LAB}-") for one in guests} == set(pulumi.stack.settings.servers)
    assert killing.survivors() == []
    assert list(killing.lock_holders(pulumi.stack)) == []


def _urns(pulumi: Engine, kind: str) -> list[str]:
    return [one["urn"] for one in pending.records(pulumi.state()) if one["type"].endswith(kind)]


def _run(pulumi: Engine, command: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=PROJECT, env=pulumi.environment, capture_output=True, text=True, check=False)
