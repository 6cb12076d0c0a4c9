"""A working copy of its own for every test: nothing here touches the real one."""

import shutil
from pathlib import Path

import pytest

from cli import crypter, engine, workspace
from cli.workspace import Stack

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stack files alone, as git has them: without what `init` adds."""
    from cli import stackfile  # noqa: PLC0415

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
    monkeypatch.setattr(engine, "REPOSITORY", folder)
    monkeypatch.setattr(engine, "STATE", private / "state")
    monkeypatch.setattr(crypter, "_ROUNDS", 1000)  # test_crypter has the real number
    for variable in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_BACKEND_URL"):
        monkeypatch.delenv(variable, raising=False)
    return folder


@pytest.fixture
def dev(clone: Path) -> Stack:
    """The lab's stack."""
    assert (clone / "Pulumi.dev.yaml").exists()
    return Stack("dev")


def _made_in(text: str) -> list[str]:
    """What a running lab has added to the real stack file meanwhile."""
    import yaml  # noqa: PLC0415

    config = yaml.safe_load(text)["config"]
    made = [key for key, value in config.items() if isinstance(value, dict) and "secure" in value]
    return [key.removeprefix("perenne:") for key in [*made, "perenne:host_keys"]]
