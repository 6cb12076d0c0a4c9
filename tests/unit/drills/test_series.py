"""A series of drills: what is on disk after each, and how it goes on after any end."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from drills import report, running
from drills.faults import Fault
from drills.model import Result, Subject
from drills.report import document
from drills.report.summary import run_of
from drills.runner import Drills, NotMeasuredError
from drills.running import run_series
from drills.series import ORDER, PROGRESS, Ordered, Series, unfinished
from drills.workload import keeping
from machine.failure import Failure
from stack.workspace import Stack
from tests.unit.drills.recordings import BEGAN, FAULT, recording

SEQUENCE = ("kill-httpd", "kill-etcd", "kill-httpd", "kill-patroni")


def result(fault: str, run: int = 1) -> Result:
    return Result(
        fault=fault,
        title=fault,
        hit="",
        run=run,
        target=None,
        recording=recording(1.0),
        injected=FAULT,
        whole=FAULT + 1,
    )


ON = Subject("0123abc", "4567def", BEGAN)


@pytest.fixture(autouse=True)
def _on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "subject_of", lambda _stack: ON)


@pytest.fixture
def series(tmp_path: Path) -> Series:
    return begun(tmp_path / "20261124T120000Z")


def begun(folder: Path, sequence: tuple[str, ...] = SEQUENCE, first: int = 1) -> Series:
    folder.mkdir()
    return Series.begin(folder, Ordered(stack="dev", sessions=10, sequence=sequence, seed=7, first=first))


class MadeUpDrills:
    """Runs nothing, but ends as it is told."""

    stack = Stack("dev")

    def __init__(self, *ends: BaseException | Result | None, left: str = "") -> None:
        self.left = left
        self.asked = 0
        self.ran: list[tuple[str, int, str]] = []
        self.said: list[str] = []
        self.say = self.said.append
        self._ends = list(ends)

    async def run(self, fault: Fault, run: int, folder: Path) -> Result:
        """Note what was to be run, and end."""
        self.ran.append((fault.name, run, folder.name))
        end = self._ends.pop(0) if self._ends else None
        if isinstance(end, BaseException):
            raise end
        folder.mkdir()  # noqa: ASYNC240 (there is nobody else)
        found = end or result(fault.name, run)
        keeping.write(found.recording, folder)
        return found

    def drift(self) -> str:
        """Say what the drills have left changed."""
        self.asked += 1
        return self.left

    def drills(self) -> Drills:
        """As what it is taken for."""
        return cast("Drills", self)


async def go(series: Series, *ends: BaseException | Result | None, minutes: float | None = None) -> MadeUpDrills:
    """Run what is left of a series."""
    drills = MadeUpDrills(*ends)
    await run_series(drills.drills(), series, minutes, lambda _: None)
    return drills


async def test_all_are_run_and_counted_by_fault(series: Series) -> None:
    drills = await go(series)
    assert drills.ran == [
        ("kill-httpd", 1, "001-kill-httpd"),
        ("kill-etcd", 1, "002-kill-etcd"),
        ("kill-httpd", 2, "003-kill-httpd"),
        ("kill-patroni", 1, "004-kill-patroni"),
    ]
    assert not series.left_over
    assert sorted(run.number for run in series.runs) == [1, 2, 3, 4]
    (part,) = series.circumstances.parts
    assert (part.first, part.last, part.why, part.interrupted) == (1, 4, running.ALL_RUN, "")
    assert part.ended
    assert (part.on, part.drift) == (ON, "")
    assert drills.asked == 1, "when all have run, not after each"


async def test_what_was_measured_is_on_disk_without_single_requests(series: Series) -> None:
    await go(series)
    again = Series.left(series.folder)
    assert [(run.number, run.figures) for run in again.runs] == [(run.number, run.figures) for run in series.runs]
    assert not any(run.result.recording.requests for run in again.runs)
    assert all(run.with_requests().result.recording.requests for run in again.runs)
    assert again.circumstances == series.circumstances


async def test_report_of_a_series_that_went_on_is_drawn_from_its_recordings(series: Series, tmp_path: Path) -> None:
    await go(series, minutes=0)
    again = Series.left(series.folder)
    await go(again)
    files = report.write(again.runs, tmp_path / "report", went=again.circumstances)
    assert files.page.read_text().count("<svg") == 3, "the worst run of each fault"
    (found,) = document.parsed(files.data.read_bytes()).random
    assert [run.number for run in found.runs] == [1, 2, 3, 4]
    assert found.chance.seed == 7
    assert len(found.parts) == 2


@pytest.mark.parametrize("end", [KeyboardInterrupt(), asyncio.CancelledError(), Failure("it can't be run", "why", "")])
async def test_interrupted_drill_runs_again(series: Series, end: BaseException) -> None:
    with pytest.raises(type(end)):
        await go(series, None, end)
    again = Series.left(series.folder)
    drills = await go(again)
    assert [name for name, _, _ in drills.ran] == ["kill-etcd", "kill-httpd", "kill-patroni"]
    first, second = again.circumstances.parts
    assert (first.first, first.last, first.interrupted, first.drift) == (1, 1, "kill-etcd", None)
    assert first.why == ("it can't be run: why" if isinstance(end, Failure) else running.INTERRUPTED)
    assert (second.first, second.last, second.interrupted, second.drift) == (2, 4, "", "")


@pytest.mark.parametrize("end", [KeyboardInterrupt(), asyncio.CancelledError()])
async def test_interrupted_while_it_is_asked_what_the_drills_left_nothing_is_known_of_it(
    series: Series, end: BaseException
) -> None:
    drills = MadeUpDrills()

    def drift() -> str:
        raise end

    drills.drift = drift  # type: ignore[method-assign]
    with pytest.raises(type(end)):
        await run_series(drills.drills(), series, None, lambda _: None)
    (part,) = Series.left(series.folder).circumstances.parts
    assert (part.why, part.drift) == (running.ALL_RUN, None)


@pytest.mark.parametrize("minutes", [None, 0.0])
async def test_what_the_drills_left_changed_is_noted_with_their_part(series: Series, minutes: float | None) -> None:
    drills = MadeUpDrills(left="ComputeCluster esxi-cluster haEnabled is false")
    assert await run_series(drills.drills(), series, minutes, lambda _: None), "the stack is whole all the same"
    (part,) = Series.left(series.folder).circumstances.parts
    assert part.drift == "ComputeCluster esxi-cluster haEnabled is false"
    assert any("changed" in line for line in drills.said), "it takes its time"


def test_progress_of_a_former_program_is_understood(series: Series) -> None:
    (series.folder / PROGRESS).write_text(
        '{"number":1,"at":"2026-11-30T22:40:00Z","event":"part began"}\n'
        '{"at":"2026-11-30T23:00:00Z","why":"it was interrupted","event":"part ended"}\n'
    )
    (part,) = Series.left(series.folder).circumstances.parts
    assert (part.on, part.drift) == (Subject(), None)


def test_killed_series_goes_on_where_it_was(series: Series) -> None:
    series.begin_part(ON)
    series.begin_drill(1)
    series.add(1, run_of(result("kill-httpd"), 1))
    series.begin_drill(2)
    progress = series.folder / PROGRESS
    progress.write_bytes(progress.read_bytes() + b'{"event":"measured","num')
    again = Series.left(series.folder)
    assert again.left_over == ((2, "kill-etcd"), (3, "kill-httpd"), (4, "kill-patroni"))
    again.begin_part(ON)
    first, second = Series.left(series.folder).circumstances.parts
    assert first.ended is None
    assert "killed" in first.why
    assert (first.last, first.interrupted) == (1, "kill-etcd")
    assert second.first == 2


async def test_no_drill_begins_after_the_time(series: Series) -> None:
    drills = await go(series, minutes=0)
    assert not drills.ran
    (part,) = series.circumstances.parts
    assert part.why == running.TIME_OVER
    assert part.last == part.first - 1


async def test_broken_invariant_ends_nothing_and_a_stack_that_is_not_whole_does(series: Series) -> None:
    drills = MadeUpDrills(None, replace(result("kill-etcd"), whole=None))
    assert not await run_series(drills.drills(), series, None, lambda _: None)
    assert len(drills.ran) == 2
    assert series.circumstances.parts[0].why == running.NOT_WHOLE
    assert len(series.left_over) == 2, "what was measured counts, and is not run again"


async def test_drill_that_was_not_measured_is_told_and_passed_over(series: Series) -> None:
    drills = await go(series, None, NotMeasuredError("the workload could not go on", "its process has ended", ""))
    assert len(drills.ran) == 4
    (missed,) = Series.left(series.folder).circumstances.unmeasured
    assert (missed.number, missed.fault, missed.why) == (2, "kill-etcd", "its process has ended")
    assert not series.left_over


async def test_workload_that_dies_again_and_again_ends_the_series(series: Series) -> None:
    dies = [NotMeasuredError("the workload could not go on", "its process has ended", "") for _ in range(3)]
    with pytest.raises(NotMeasuredError):
        await go(series, *dies)
    assert len(series.circumstances.unmeasured) == 2


async def test_series_can_begin_in_the_middle_of_its_sequence(tmp_path: Path) -> None:
    drills = await go(begun(tmp_path / "later", first=3))
    assert drills.ran == [("kill-httpd", 2, "003-kill-httpd"), ("kill-patroni", 1, "004-kill-patroni")]


async def test_newest_series_of_several_drills_that_has_some_left_goes_on(tmp_path: Path) -> None:
    begun(tmp_path / "1")
    begun(tmp_path / "2").begin_part(ON)
    begun(tmp_path / "3", ("kill-httpd",))
    await go(begun(tmp_path / "4"))
    found = unfinished(tmp_path)
    assert found
    assert found.folder.name == "2"
    assert unfinished(tmp_path / "1") is None


def test_what_is_no_series_is_told(series: Series) -> None:
    (series.folder / ORDER).write_text("{}")
    with pytest.raises(Failure, match="the series can't go on"):
        Series.left(series.folder)


def test_other_faults_make_another_sequence(series: Series) -> None:
    other = Ordered(stack="dev", sessions=10, sequence=SEQUENCE[::-1], seed=7)
    assert series.ordered.chance != other.chance
    assert series.ordered.chance == Ordered(stack="dev", sessions=99, sequence=SEQUENCE, seed=7, first=2).chance
