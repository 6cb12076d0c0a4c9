"""Taking down: a real site only after two questions, a lab even when its stack file is spoilt."""

from pathlib import Path

import pytest

from cli import down as module
from cli.down import down
from cli.workspace import Stack


@pytest.mark.parametrize(("answers", "asked"), [([False], 1), ([True, False], 2)])
def test_one_no_keeps_a_real_site(
    clone: Path, monkeypatch: pytest.MonkeyPatch, answers: list[bool], asked: int
) -> None:
    assert clone.is_dir()
    monkeypatch.setattr(module, "ready_engine", lambda *_: pytest.fail("the engine was asked for"))
    questions: list[str] = []

    def confirm(question: str) -> bool:
        questions.append(question)
        return answers[len(questions) - 1]

    assert down(Stack("prod"), caches=False, confirm=confirm, destroy=False) == 1
    assert len(questions) == asked


def test_a_lab_is_never_asked_about(
    dev: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: list[str] = []

    def take_down(name: str, *_: object) -> bool:
        taken.append(name)
        return True

    monkeypatch.setattr(module, "take_down", take_down)
    monkeypatch.setattr("cli.processes.orphans", list)
    monkeypatch.setenv("PERENNE_LAB", "a-test")
    dev.file.parent.joinpath(".perenne").mkdir()
    dev.generation_file.write_text("known")
    dev.file.write_text("config: [\n")  # spoilt while the lab was up
    assert down(Stack("dev"), caches=False, confirm=lambda _: pytest.fail("asked"), destroy=False) == 0
    assert taken == ["a-test"]
    assert not dev.generation_file.exists()
    assert "Removed: the lab's containers" in capsys.readouterr().err
