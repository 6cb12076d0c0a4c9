"""One drill's course, on a site that is made up: when it looks whether the stack is whole, and what it reports."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drills import runner
from drills.faults.fault import Fault, Hit, Scene
from drills.invariants import TOOK_EFFECT, WHOLE
from drills.model import Invariant, Recording, Result
from drills.runner import Drills, NotMeasuredError
from drills.undo import How, Journal, Step
from drills.workload.workload import WorkloadFailure
from machine.failure import Failure
from moves.hands import LabHands
from moves.waiting import STEADY_SECONDS
from stack import upkeep
from stack.workspace import Stack
from tests.unit.drills.recordings import recording


@dataclass
class MadeUp:
    """What the drill sees, and what it did."""

    live: bool = False
    notes: tuple[str, ...] = ()
    whole: list[bool] = field(default_factory=list)
    """What the looks come to, one after the other; then the stack is whole."""
    fails: WorkloadFailure | None = None
    asked: threading.Event = field(default_factory=threading.Event)
    """Set once Pulumi has been asked."""
    looks: list[float] = field(default_factory=list)
    """For how long the stack had to stay whole, each time."""
    last_looks: int = 0
    """How often it was looked at in the end."""
    done: list[str] = field(default_factory=list)
    needs: list[str] = field(default_factory=list)
    """What somebody would have to look at in the end."""

    async def until_whole(
        self, _stack: Stack, *, seconds: float = 0.0, steady: float = STEADY_SECONDS
    ) -> tuple[float | None, Any]:
        """Look once."""
        if seconds == runner.LAST_LOOK_SECONDS:
            self.last_looks += 1
        else:
            self.looks.append(steady)
        whole = self.whole.pop(0) if self.whole else True
        return (time.monotonic() if whole else None), await self.standing(_stack)

    async def standing(self, _stack: Stack) -> Any:  # noqa: ANN401 (as much of it as a drill needs)
        """How it stands."""
        return SimpleNamespace(missing=list, site=SimpleNamespace(lab=None))

    async def record(self, folder: Path) -> tuple[str, ...]:
        """Begin a recording."""
        self.done.append(f"record {folder}")
        self.live = True
        return self.notes

    def now(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - 100.0

    async def stop(self) -> Recording:
        """End it."""
        self.done.append("stop")
        if self.fails:
            raise self.fails
        return recording(1.0)

    def changes(self) -> str:
        """Ask Pulumi."""
        self.asked.set()
        return ""

    async def perform(self, step: Step) -> None:
        """Take a step back."""
        self.done.append(step.does)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MadeUp:
    site = MadeUp()
    monkeypatch.setattr(runner, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(runner, "PHASE_SECONDS", 0.0)
    monkeypatch.setattr(runner, "until_whole", site.until_whole)
    monkeypatch.setattr(runner, "standing", site.standing)
    monkeypatch.setattr(upkeep, "needs", lambda _stack, _seconds: site.needs)
    monkeypatch.setattr(runner, "Performer", lambda *_: site)
    monkeypatch.setattr(runner, "Journal", partial(Journal, file=tmp_path / "undo.json"))
    return site


def drills(site: MadeUp) -> Drills:
    """Drills on it."""
    stack, nobody, clients = cast(
        "Any",
        (
            SimpleNamespace(name="dev", command=Stack("dev").command, settings=SimpleNamespace(has_fencing=False)),
            None,
            site,
        ),
    )
    return Drills(stack, LabHands(stack), nobody, clients, site.changes, lambda: "", lambda _: None)


async def aim(_scene: Scene) -> Hit:
    return Hit("db01, the primary", ("db01",))


async def kill(_scene: Scene, _hit: Hit) -> str:
    """What comes back by itself."""
    return "db01 is exited"


async def freeze(scene: Scene, hit: Hit) -> str:
    """What has to be taken back."""
    scene.promise(Step(how=How.UNPAUSE, where=hit.machine, does="let db01 go on", by_hand=""))
    return "db01 is paused"


KILLED = Fault("kill", "killed", aim, kill)
FROZEN = Fault("freeze", "frozen", aim, freeze, lasts=0.0)


async def test_what_comes_back_by_itself_is_looked_at_once(made_up: MadeUp, tmp_path: Path) -> None:
    result = await drills(made_up).run(KILLED, 1, tmp_path)
    assert made_up.looks == [STEADY_SECONDS, STEADY_SECONDS], "before the fault, and after it"
    assert made_up.last_looks == 1, "and when all was checked"
    assert result.whole is not None
    assert made_up.done == [f"record {tmp_path}", "stop"]


async def test_what_was_taken_back_is_looked_at_again(made_up: MadeUp, tmp_path: Path) -> None:
    result = await drills(made_up).run(FROZEN, 1, tmp_path)
    assert made_up.done == [f"record {tmp_path}", "let db01 go on", "stop"]
    assert made_up.looks == [STEADY_SECONDS, STEADY_SECONDS]
    assert result.undone is not None
    assert result.whole is not None
    assert result.whole >= result.undone
    made_up.looks.clear()
    stays = replace(FROZEN, lasts=None)
    assert (await drills(made_up).run(stays, 1, tmp_path)).whole is not None
    assert len(made_up.looks) == 3, "before the fault, with it, and without it"


async def test_stack_that_does_not_stay_whole_without_the_fault_is_not_whole(made_up: MadeUp, tmp_path: Path) -> None:
    made_up.whole = [True, True, False]
    result = await drills(made_up).run(replace(FROZEN, lasts=None), 1, tmp_path)
    assert result.whole is None
    (whole,) = (each for each in result.invariants if each.name == "the stack is whole again")
    assert not whole.held


async def test_next_drill_of_a_series_needs_but_a_glance(made_up: MadeUp, tmp_path: Path) -> None:
    series = drills(made_up)
    await series.run(KILLED, 1, tmp_path)
    made_up.looks.clear()
    await series.run(KILLED, 2, tmp_path)
    assert made_up.looks == [0.0, STEADY_SECONDS]


async def test_after_an_arrangement_the_stack_must_stay_whole(made_up: MadeUp, tmp_path: Path) -> None:
    async def arrange(_scene: Scene) -> None:
        made_up.done.append("arranged")

    made_up.live = True
    await drills(made_up).run(replace(KILLED, arrange=arrange), 1, tmp_path)
    assert made_up.looks == [0.0, STEADY_SECONDS, STEADY_SECONDS]
    assert made_up.done == ["arranged", f"record {tmp_path}", "stop"]


async def test_stack_that_is_not_whole_is_not_broken_further(made_up: MadeUp, tmp_path: Path) -> None:
    made_up.whole = [False]
    with pytest.raises(Failure, match="nothing was broken"):
        await drills(made_up).run(FROZEN, 1, tmp_path)
    assert not made_up.done


async def test_reader_is_told_that_sessions_were_begun_anew(made_up: MadeUp, tmp_path: Path) -> None:
    made_up.notes = ("1,000 sessions were begun anew",)
    result = await drills(made_up).run(replace(KILLED, notes=("a note",)), 1, tmp_path)
    assert result.notes == ("a note", "1,000 sessions were begun anew")


async def test_pulumi_is_asked_also_when_nothing_was_recorded(made_up: MadeUp, tmp_path: Path) -> None:
    made_up.fails = WorkloadFailure("the workload could not go on", "its process has ended", "")
    with pytest.raises(NotMeasuredError):
        await drills(made_up).run(FROZEN, 1, tmp_path)
    assert made_up.asked.is_set(), "what was begun has ended: two previews at once would wait for each other"
    assert made_up.done == [f"record {tmp_path}", "let db01 go on", "stop"]


async def test_what_has_another_role_by_then_is_not_broken(made_up: MadeUp, tmp_path: Path) -> None:
    """A standby that has become the primary meanwhile, say: the figures would be those of another fault."""
    hits = [Hit("db01, the primary", ("db01",)), Hit("db02, the primary", ("db02",))]

    async def moving(_scene: Scene) -> Hit:
        return hits.pop(0)

    with pytest.raises(NotMeasuredError, match="would hit db02, the primary now"):
        await drills(made_up).run(replace(FROZEN, aim=moving), 1, tmp_path)
    assert made_up.done == [f"record {tmp_path}", "stop"]


def found(result: Result, name: str) -> Invariant:
    """The one of that name."""
    (one,) = (each for each in result.invariants if each.name == name)
    return one


async def test_by_what_it_shows_that_the_fault_took_effect_is_in_the_report(made_up: MadeUp, tmp_path: Path) -> None:
    effect = found(await drills(made_up).run(FROZEN, 1, tmp_path), TOOK_EFFECT)
    assert effect.held
    assert effect.detail == "db01 is paused"


async def fails(scene: Scene, hit: Hit) -> str:
    """What is not brought about, or not to its end."""
    await freeze(scene, hit)
    raise Failure("app01 is not drained", "it did not end within 300 s", "")


async def test_fault_that_takes_no_effect_is_taken_back_and_not_measured(made_up: MadeUp, tmp_path: Path) -> None:
    """Nothing was broken: figures of it would be of a good day."""
    with pytest.raises(NotMeasuredError, match="did not end within 300 s"):
        await drills(made_up).run(replace(FROZEN, inject=fails, lasts=60.0), 1, tmp_path)
    assert made_up.done == [f"record {tmp_path}", "let db01 go on", "stop"]
    assert made_up.looks == [STEADY_SECONDS, STEADY_SECONDS], "the next drill finds it whole"


async def test_what_operators_do_and_can_t_is_reported_as_broken(made_up: MadeUp, tmp_path: Path) -> None:
    """A drain that fails, say: left out, it would be the one bad end that nobody hears of."""
    drained = replace(FROZEN, inject=fails, lasts=60.0, on_purpose=True)
    result = await drills(made_up).run(drained, 1, tmp_path)
    assert found(result, TOOK_EFFECT).detail == "app01 is not drained: it did not end within 300 s"
    assert not found(result, TOOK_EFFECT).held
    assert made_up.done == [f"record {tmp_path}", "let db01 go on", "stop"]
    assert result.whole is not None


async def test_interruption_is_no_result_also_where_the_fault_fails(made_up: MadeUp, tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def fails_later(scene: Scene, hit: Hit) -> str:
        begun.set()
        await asyncio.sleep(0)
        return await fails(scene, hit)

    running = asyncio.create_task(drills(made_up).run(replace(FROZEN, inject=fails_later), 1, tmp_path))
    await begun.wait()
    running.cancel()
    with pytest.raises(Failure, match="not drained"):
        await running
    assert "let db01 go on" in made_up.done


async def test_what_is_started_again_meanwhile_is_broken_again(made_up: MadeUp, tmp_path: Path) -> None:
    """As fencing does with a primary that is cut off: it would be back with all its packets."""
    restarts: asyncio.Queue[None] = asyncio.Queue()
    ended = asyncio.Event()

    async def starts(_machine: str) -> AsyncGenerator[None]:
        try:
            while True:
                await restarts.get()
                yield
        finally:
            ended.set()

    async def again(_scene: Scene, hit: Hit) -> None:
        made_up.done.append(f"break {hit.machine} again")

    restarts.put_nowait(None)
    restarts.put_nowait(None)
    series = replace(drills(made_up), hands=cast("Any", SimpleNamespace(starts=starts)))
    result = await series.run(replace(FROZEN, lasts=0.05, again=again), 1, tmp_path)
    assert made_up.done[1:4] == ["break db01 again", "break db01 again", "let db01 go on"]
    assert ended.is_set()
    assert found(result, TOOK_EFFECT).held


async def test_unit_that_does_not_run_in_the_end_is_missing(made_up: MadeUp, tmp_path: Path) -> None:
    made_up.needs = ["perenne-fencing.service does not run on db01"]
    whole = found(await drills(made_up).run(KILLED, 1, tmp_path), WHOLE)
    assert not whole.held
    assert whole.detail == "perenne-fencing.service does not run on db01"
