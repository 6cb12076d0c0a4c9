"""A stack file with a mistake is refused with one message naming field, value and remedy, and nothing is changed."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

from blueprint.mistakes import StackFileError
from cli import __main__
from cli.preview import preview
from stack import workspace
from stack.workspace import Stack
from tests.unit.wrong_by_hand import made_by_hand
from tests.unit.wrong_stack_files import Wrong, made_of_the_models

REPOSITORY = Path(__file__).parents[3]
GENERATED = list(made_of_the_models())
BY_HAND = list(made_by_hand())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the program is; no process can be started from it."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a process was started for a stack file that can't be used")

    monkeypatch.setattr(workspace, "PROGRAM", tmp_path)
    monkeypatch.setattr(workspace, "PRIVATE", tmp_path / ".perenne")
    monkeypatch.setattr(workspace, "LOGS", tmp_path / ".perenne" / "logs")
    monkeypatch.setattr(subprocess, "Popen", refuse)
    return tmp_path


def test_there_are_hundreds() -> None:
    assert len(GENERATED) >= 300
    assert len(BY_HAND) >= 100
    assert len({wrong.name for wrong in GENERATED}) == len(GENERATED)


@pytest.mark.parametrize("wrong", [*GENERATED, *BY_HAND], ids=lambda wrong: wrong.name)
def test_a_mistake_gets_one_message(folder: Path, wrong: Wrong) -> None:
    file = folder / "Pulumi.wrong.yaml"
    file.write_bytes(wrong.content)
    with pytest.raises(StackFileError) as caught:
        preview(Stack("wrong"), ())
    message, *rest = __main__._explained(caught.value).splitlines()
    assert rest == ["Nothing was started or changed."]
    said, _, remedy = message.partition("; ")
    assert said.startswith(f"Pulumi.wrong.yaml: {wrong.field}")
    assert wrong.value in said
    assert wrong.remedy in remedy
    assert "hunter2" not in message
    assert [entry.name for entry in folder.iterdir()] == [file.name]


@pytest.mark.parametrize("name", ["an even number of votes", "a secret in clear", "bytes"])
def test_the_command_ends_with_the_message(tmp_path: Path, name: str) -> None:
    for entry in REPOSITORY.iterdir():
        if entry.name not in {"cli", "stack", "perenne", ".git", ".perenne"} and not entry.match("Pulumi.*.yaml"):
            (tmp_path / entry.name).symlink_to(entry)
    for package in ("cli", "stack"):
        shutil.copytree(REPOSITORY / package, tmp_path / package)
    shutil.copy(REPOSITORY / "perenne", tmp_path)
    wrong = next(wrong for wrong in BY_HAND if wrong.name == name)
    (tmp_path / "Pulumi.wrong.yaml").write_bytes(wrong.content)
    before = {file: file.lstat().st_mtime_ns for file in tmp_path.iterdir()}
    done = subprocess.run(
        [tmp_path / "perenne", "preview", "wrong"],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    message, *rest = done.stderr.splitlines()
    assert message.startswith(f"Pulumi.wrong.yaml: {wrong.field}")
    assert wrong.remedy in message
    assert rest == ["Nothing was started or changed."]
    assert {file: file.lstat().st_mtime_ns for file in tmp_path.iterdir()} == before
