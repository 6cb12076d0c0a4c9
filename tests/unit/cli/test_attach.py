"""Who works on a stack goes on from what a killed run left; who only looks is told who does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli import attach
from cli.console import Display
from cli.engine import Engine
from cli.toolchain import Pulumi
from machine.failure import Failure
from stack.workspace import Stack


class Left(Engine):
    """An engine of a real stack that was killed."""

    def release(self, progress: Callable[[str], None]) -> None:
        """Nothing holds it."""

    def ensure_stack(self) -> None:
        """It is there."""

    def state(self) -> dict[str, Any]:
        """Something was being made."""
        resource = {"urn": "urn:pulumi:prod::perenne::vsphere:index/vmfsDatastore:VmfsDatastore::datastore01"}
        return {"deployment": {"pending_operations": [{"type": "creating", "resource": resource}]}}


@pytest.fixture
def left(dev: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Left:
    killed = Left(dev, Pulumi("offline", tmp_path, None, "a test"))
    monkeypatch.setattr(attach, "check_secrets", lambda _: None)
    monkeypatch.setattr("stack.vault.Vault.open", lambda _: None)
    monkeypatch.setattr("stack.hostkeys.settle", lambda _: None)
    monkeypatch.setattr("cli.toolchain.ensure", lambda _: killed.pulumi)
    monkeypatch.setattr(attach, "Engine", lambda *_: killed)
    return killed


def test_who_only_looks_is_sent_to_up_after_a_kill(left: Left) -> None:
    with pytest.raises(Failure, match="killed while creating VmfsDatastore datastore01") as failure:
        attach.ready_engine(left.stack, Display(plain=True))
    assert "./perenne up dev" in failure.value.remedy


@pytest.mark.parametrize("destroy", [False, True])
def test_who_changes_something_settles_what_was_left(
    left: Left, monkeypatch: pytest.MonkeyPatch, *, destroy: bool
) -> None:
    settled: list[tuple[Engine, bool]] = []

    def settle(pulumi: Engine, _vcenter: object, _progress: object, *, destroy: bool) -> None:
        settled.append((pulumi, destroy))

    monkeypatch.setattr("cli.settlement.settle", settle)
    assert attach.working_engine(left.stack, Display(plain=True), destroy=destroy) is left
    assert settled == [(left, destroy)]
