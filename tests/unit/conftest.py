"""How tests are shared out among the workers of pytest-xdist, and a working copy of its own for those that need one."""

import gc
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from stack.workspace import Stack

REPOSITORY = Path(__file__).resolve().parents[2]

_OF_RECORDED_STACKS = ("tests/unit/components/", "tests/unit/mutation/", "tests/unit/policies/test_rules.py")
"""Tests that record the program's stacks: the same ones, half a second each, so one worker does it once."""


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """The tests of a file stay together, and so do all that look at recorded stacks; most tests first."""

    def _split_scope(self, nodeid: str) -> str:
        return "recorded stacks" if nodeid.startswith(_OF_RECORDED_STACKS) else nodeid.split("::", 1)[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """Share out by what belongs together."""
    return _Scheduling(config, log)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what was imported: it stays until the end, and is large."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stack files alone, as git has them: without what `init` adds."""
    from stack import crypter, stackfile, workspace  # noqa: PLC0415 (few tests need them)

    folder = tmp_path / "clone"
    folder.mkdir()
    for file in REPOSITORY.glob("Pulumi*.yaml"):
        shutil.copy(file, folder)
    stack_file = folder / "Pulumi.dev.yaml"
    text = stack_file.read_text()
    stack_file.write_text(stackfile.without(text, _made_in(text), salt=True))
    private = folder / ".perenne"
    monkeypatch.setattr(workspace, "PROGRAM", folder)
    monkeypatch.setattr(workspace, "PRIVATE", private)
    monkeypatch.setattr(workspace, "LOGS", private / "logs")
    monkeypatch.setattr(crypter, "_ROUNDS", 1000)  # test_crypter has the real number
    for variable in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_BACKEND_URL"):
        monkeypatch.delenv(variable, raising=False)
    return folder


@pytest.fixture
def dev(clone: Path) -> "Stack":
    """The lab's stack."""
    from stack.workspace import Stack  # noqa: PLC0415

    assert (clone / "Pulumi.dev.yaml").exists()
    return Stack("dev")


def _made_in(text: str) -> list[str]:
    """What a running lab has added to the real stack file meanwhile."""
    import yaml  # noqa: PLC0415

    config = yaml.safe_load(text)["config"]
    made = [key for key, value in config.items() if isinstance(value, dict) and "secure" in value]
    return [key.removeprefix("perenne:") for key in [*made, "perenne:host_keys"]]
