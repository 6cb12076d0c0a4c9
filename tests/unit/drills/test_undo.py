"""The journal: on disk before anything breaks, done backwards, and kept for as long as something is left."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from drills import undo
from drills.undo import How, Journal, Step, at_work
from machine.failure import Failure


@dataclass
class Hands:
    """Takes steps as told, and remembers the order."""

    refuse: set[str] = field(default_factory=set)
    taken: list[str] = field(default_factory=list)

    async def perform(self, step: Step) -> None:
        """Take it, or refuse."""
        self.taken.append(step.where)
        if step.where in self.refuse:
            raise Failure("no", "it is not there", "look")


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "_PAUSE_SECONDS", 0.0)


def step(where: str) -> Step:
    return Step(how=How.SHELL, where=where, does=f"mend {where}", by_hand=f"restart {where}", script="true")


def test_promise_is_on_disk_at_once_and_read_by_another_process(tmp_path: Path) -> None:
    file = tmp_path / "drill" / "undo.json"
    Journal("dev", "kill-postgres", file).promise(step("db01"), step("db02"))
    left = Journal.left(file)
    assert left is not None
    assert (left.stack, left.fault, left.steps) == ("dev", "kill-postgres", (step("db01"), step("db02")))


async def test_last_promise_is_kept_first_and_then_the_file_is_gone(tmp_path: Path) -> None:
    journal = Journal("dev", "x", tmp_path / "undo.json")
    journal.promise(step("one"), step("two"))
    hands = Hands()
    assert await journal.keep(hands) == []
    assert hands.taken == ["two", "one"]
    assert Journal.left(tmp_path / "undo.json") is None


async def test_what_cannot_be_undone_is_told_and_stays(tmp_path: Path) -> None:
    journal = Journal("dev", "x", tmp_path / "undo.json")
    journal.promise(step("one"), step("two"))
    hands = Hands(refuse={"two"})
    assert await journal.keep(hands) == ["could not mend two: it is not there. To do: restart two"]
    assert hands.taken == ["two"] * undo.TRIES + ["one"]
    left = Journal.left(tmp_path / "undo.json")
    assert left is not None
    assert left.steps == (step("two"),)


async def test_nothing_promised_leaves_no_file(tmp_path: Path) -> None:
    assert await Journal("dev", "x", tmp_path / "undo.json").keep(Hands()) == []
    assert not (tmp_path / "undo.json").exists()


def test_spoilt_journal_is_not_ignored(tmp_path: Path) -> None:
    (tmp_path / "undo.json").write_text("{")
    with pytest.raises(Failure, match="can't be taken back"):
        Journal.left(tmp_path / "undo.json")


def test_only_one_drill_at_a_time(tmp_path: Path) -> None:
    with at_work(tmp_path) as first, at_work(tmp_path) as second:
        assert first
        assert not second
    with at_work(tmp_path) as again:
        assert again
