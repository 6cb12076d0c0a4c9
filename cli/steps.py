"""Steps that may run side by side: each begins when those that it needs have ended."""

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from cli.console import Display, Progress
from cli.signals import Interrupted
from machine import processes

T = TypeVar("T")

_UNSET: Any = object()
_LEAVE_SECONDS = 2.0


class Step(Generic[T]):
    """One piece of work with a result.

    Args:
        name: What the user sees.
        action: The work; runs in a thread of its own.
        after: Steps whose results it needs.
    """

    def __init__(self, name: str, action: Callable[[Progress], T], *after: "Step[Any]") -> None:
        self.name = name
        self.action = action
        self.after = after
        self._result: T = _UNSET

    @property
    def result(self) -> T:
        """What the action returned; only steps that come after this one may ask."""
        if self._result is _UNSET:
            raise RuntimeError(f"step {self.name} has not ended")
        return self._result

    @property
    def is_done(self) -> bool:
        """Whether there is a result."""
        return self._result is not _UNSET

    def run(self, progress: Progress) -> None:
        """Do it."""
        self._result = self.action(progress)


def run_steps(steps: Sequence[Step[Any]], display: Display, at_most: int = 2) -> None:
    """Run all steps, at most so many at once, in the given order where they don't wait for each other.

    The first failure ends the others' processes and is raised; so does Ctrl-C. What they had made stays in the caches.

    Raises:
        Interrupted: By the user; it names the steps that were under way.
    """
    waiting = list(steps)
    running: dict[Step[Any], threading.Thread] = {}
    ended: queue.Queue[tuple[Step[Any], BaseException | None]] = queue.Queue()

    def work(step: Step[Any]) -> None:
        try:
            with display.step(step.name) as progress:
                step.run(progress)
        except BaseException as error:  # noqa: BLE001 (it is raised again, in the main thread)
            ended.put((step, error))
        else:
            ended.put((step, None))

    try:
        while waiting or running:
            ready = [step for step in waiting if all(needed.is_done for needed in step.after)]
            for step in ready[: at_most - len(running)]:
                waiting.remove(step)
                # A daemon: an interrupted command must not wait for a thread that waits for the network.
                running[step] = threading.Thread(target=work, args=(step,), name=step.name, daemon=True)
                running[step].start()
            step, error = ended.get()
            running.pop(step).join()
            if error is not None:
                raise error  # noqa: TRY301 (the handlers below are for this one, too)
    except KeyboardInterrupt:
        names = ", ".join(step.name for step in running)
        _end(running.values())
        raise Interrupted(names) from None
    except BaseException:
        _end(running.values())
        raise


def _end(threads: Iterable[threading.Thread]) -> None:
    """End what the threads wait for, so that they end too; one that waits for the network is left behind."""
    processes.end(processes.descendants())
    for thread in threads:
        thread.join(_LEAVE_SECONDS)
