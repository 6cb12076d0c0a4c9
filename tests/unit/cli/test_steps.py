"""Steps side by side: order, number, failure, interruption."""

import subprocess
import threading

import pytest

from cli.console import Display, Progress
from cli.signals import Interrupted
from cli.steps import Step, run_steps
from machine.failure import Failure

WAIT_SECONDS = 10


@pytest.fixture
def display() -> Display:
    return Display(plain=True)


def test_a_step_begins_when_those_it_needs_have_ended(display: Display) -> None:
    order: list[str] = []

    def note(name: str, result: int, *after: Step[int]) -> Step[int]:
        def action(_progress: Progress) -> int:
            order.append(name)
            return result + sum(step.result for step in after)

        return Step(name, action, *after)

    first = note("first", 1)
    second = note("second", 2, first)
    third = note("third", 3, first, second)
    run_steps([third, second, first], display)
    assert order == ["first", "second", "third"]
    assert third.result == 7
    assert list(display.timings) == order


def test_two_run_at_once_and_no_more(display: Display) -> None:
    running = 0
    most = 0
    lock = threading.Lock()
    together = threading.Barrier(2)

    def action(_progress: Progress) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(WAIT_SECONDS)  # passes only while two are here
        with lock:
            running -= 1

    run_steps([Step(str(number), action) for number in range(4)], display, at_most=2)
    assert most == 2


def test_a_failure_keeps_later_steps_from_starting(display: Display) -> None:
    started: list[str] = []

    def fail(_progress: Progress) -> None:
        raise Failure("it failed", "for a reason", "mend it")

    broken = Step("broken", fail)
    with pytest.raises(Failure, match="it failed"):
        run_steps([broken, Step("later", lambda _progress: started.append("later"), broken)], display)
    assert started == []


def test_a_failure_ends_the_other_steps_processes(display: Display) -> None:
    began = threading.Event()
    ended: list[int] = []

    def long(_progress: Progress) -> None:
        with subprocess.Popen(["sleep", "600"]) as process:
            began.set()
            ended.append(process.wait())

    def fail(_progress: Progress) -> None:
        assert began.wait(WAIT_SECONDS)
        raise Failure("it failed", "for a reason", "mend it")

    with pytest.raises(Failure):
        run_steps([Step("long", long), Step("broken", fail)], display)
    assert ended == [-15]


def test_an_interruption_names_what_was_under_way(display: Display, monkeypatch: pytest.MonkeyPatch) -> None:
    began = threading.Event()

    def long(_progress: Progress) -> None:
        with subprocess.Popen(["sleep", "600"]) as process:
            began.set()
            process.wait()

    def interrupt(*_: object) -> object:
        assert began.wait(WAIT_SECONDS)
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.steps.queue.Queue.get", interrupt)
    with pytest.raises(Interrupted, match="long"):
        run_steps([Step("long", long)], display)


def test_a_result_is_there_only_afterwards() -> None:
    step = Step("early", lambda _progress: 1)
    with pytest.raises(RuntimeError, match="early"):
        assert step.result
