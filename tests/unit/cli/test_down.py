"""Taking down: a real site only after two questions, a lab even when its stack file is spoilt."""

from pathlib import Path
from typing import Any

import pytest

from cli import down as module
from cli.down import down
from drills.undo import How, Journal, Step
from machine.failure import Failure
from stack import drained_servers, workspace
from stack.workspace import Stack


@pytest.mark.parametrize(("answers", "asked"), [([False], 1), ([True, False], 2)])
def test_one_no_keeps_a_real_site(
    clone: Path, monkeypatch: pytest.MonkeyPatch, answers: list[bool], asked: int
) -> None:
    assert clone.is_dir()
    monkeypatch.setattr(module, "working_engine", lambda *_, **__: pytest.fail("the engine was asked for"))
    questions: list[str] = []

    def confirm(question: str) -> bool:
        questions.append(question)
        return answers[len(questions) - 1]

    assert down(Stack("prod"), caches=False, confirm=confirm, destroy=False) == 1
    assert len(questions) == asked


class Destroyer:
    """An engine that notes what it is told to do."""

    def __init__(self, *resources: dict[str, Any]) -> None:
        self.document = {"deployment": {"resources": list(resources)}}
        self.told: list[tuple[str, ...]] = []

    def state(self) -> dict[str, Any]:
        """The state."""
        return self.document

    def attended(self, *arguments: str) -> int:
        """Destroys."""
        self.told.append(arguments)
        return 0


def resource(name: str, *, protect: bool) -> dict[str, Any]:
    return {"urn": f"urn:pulumi:prod::perenne::vsphere:index/datastore:VmfsDatastore::{name}", "protect": protect}


@pytest.mark.parametrize(("destroy", "asked"), [(False, 2), (True, 0)])
def test_two_yes_destroy_a_real_site_and_so_does_the_option(
    clone: Path, monkeypatch: pytest.MonkeyPatch, asked: int, *, destroy: bool
) -> None:
    assert clone.is_dir()
    pulumi, questions = Destroyer(resource("datastore01", protect=False)), list[str]()
    settled: dict[str, bool] = {}

    def working_engine(_stack: Stack, _display: object, **options: bool) -> Destroyer:
        settled.update(options)
        return pulumi

    def confirm(question: str) -> bool:
        questions.append(question)
        return True

    monkeypatch.setattr(module, "working_engine", working_engine)
    drained_servers.note(Stack("prod"), "app01")
    assert down(Stack("prod"), caches=False, confirm=confirm, destroy=destroy) == 0
    assert len(questions) == asked
    assert settled == {"destroy": True}
    assert pulumi.told == [("destroy", "--stack", "prod", *(["--yes"] if destroy else []))]
    assert drained_servers.noted(Stack("prod")) == []


def test_what_is_protected_is_named_and_nothing_destroyed(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert clone.is_dir()
    pulumi = Destroyer(resource("datastore01", protect=True), resource("datastore02", protect=False))
    monkeypatch.setattr(module, "working_engine", lambda *_, **__: pulumi)
    with pytest.raises(Failure) as failure:
        down(Stack("prod"), caches=False, confirm=lambda _: True, destroy=True)
    assert failure.value.why == "1 of its resources may not be deleted: VmfsDatastore datastore01"
    assert "protect: false" in failure.value.remedy
    assert pulumi.told == []


@pytest.fixture
def taken(clone: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the labs that were taken down; none is really there."""
    assert clone.is_dir()
    names: list[str] = []

    def take_down(name: str, *_: object, images: bool) -> bool:
        assert not images
        names.append(name)
        return True

    monkeypatch.setattr(module, "take_down", take_down)
    monkeypatch.setattr("cli.plugins.orphans", list)
    monkeypatch.setattr("cli.leftover.JOURNAL", workspace.PRIVATE / "drill" / "undo.json")
    monkeypatch.setenv("PERENNE_LAB", "a-test")
    return names


def test_a_lab_is_never_asked_about(dev: Stack, taken: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    dev.file.parent.joinpath(".perenne").mkdir()
    dev.generation_file.write_text("known")
    dev.file.write_text("config: [\n")  # spoilt while the lab was up
    assert down(Stack("dev"), caches=False, confirm=lambda _: pytest.fail("asked"), destroy=False) == 0
    assert taken == ["a-test"]
    assert not dev.generation_file.exists()
    assert "Removed: the lab's containers" in capsys.readouterr().err


@pytest.mark.parametrize(("drilled", "left"), [("dev", False), ("prod", True)])
def test_a_fault_of_a_killed_drill_is_gone_with_its_lab(
    dev: Stack, taken: list[str], drilled: str, *, left: bool
) -> None:
    journal = workspace.PRIVATE / "drill" / "undo.json"
    step = Step(how=How.UNPAUSE, where="db01", does="let db01 go on", by_hand="docker unpause")
    Journal(drilled, "db-freeze", journal).promise(step)
    assert down(dev, caches=False, confirm=lambda _: pytest.fail("asked"), destroy=False) == 0
    assert taken == ["a-test"]
    assert journal.exists() == left
