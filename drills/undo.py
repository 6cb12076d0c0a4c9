"""How faults are taken back, as data: written down before anything is broken, so that any later command can do it.

A drill that ends in whatever way takes its fault back. One that is killed can't; its journal,
`.perenne/drill/undo.json`, is still there, and the next `drill`, `up` or `status` does what it says.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from machine import files, locks
from machine.failure import Failure
from stack.workspace import JOURNAL

FOLDER = JOURNAL.parent

TRIES = 3
TRY_SECONDS = 60.0
_PAUSE_SECONDS = 1.0


class How(StrEnum):
    """By what means a step is taken."""

    SHELL = "shell"
    """A script on a server."""
    PACKETS = "packets"
    """A script in the network namespace of a lab's machine."""
    UNPAUSE = "unpause"
    """The machine's container goes on."""
    START = "start"
    """The machine's container is started."""
    POWER_ON = "power on"
    """The VM is powered on through vCenter."""
    END_MAINTENANCE = "end maintenance"
    """The host leaves maintenance mode."""
    HA_ON = "HA on"
    """vSphere HA is switched on."""
    RESTART_PRIORITY = "restart priority"
    """vSphere HA restarts the VM with the priority that `script` names."""
    HOME = "home"
    """The servers move back to the hosts where the stack file wants them."""


class Step(BaseModel):
    """One act that takes something back. It does no harm where there is nothing to take back, or twice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    how: How
    where: str
    """Server, host or other machine."""
    does: str
    """In words: `let PostgreSQL on db01 go on`."""
    by_hand: str
    """What to do where Perenne can't."""
    script: str = ""
    """What is to be run; for a restart priority, which one."""
    seconds: float = TRY_SECONDS
    """How long one try may take."""


class Performer(Protocol):
    """Takes steps."""

    async def perform(self, step: Step) -> None:
        """Take one.

        Raises:
            Failure: It can't be taken.
        """
        ...


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    stack: str
    fault: str
    steps: list[Step]


class Journal:
    """What has to be taken back, on disk before it is done."""

    def __init__(self, stack: str, fault: str, file: Path = JOURNAL) -> None:
        self._document = _Document(stack=stack, fault=fault, steps=[])
        self._file = file

    @classmethod
    def left(cls, file: Path = JOURNAL) -> "Journal | None":
        """The journal of a drill that was killed, if there is one.

        Raises:
            Failure: It can't be understood.
        """
        try:
            document = _Document.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            why = f"{file} is not what a drill writes: {error}"
            remedy = f"Look at the status of the stack that was drilled, mend what is broken, and remove {file}."
            raise Failure("what a killed drill left can't be taken back", why, remedy) from error
        journal = cls(document.stack, document.fault, file)
        journal._document = document
        return journal

    @property
    def stack(self) -> str:
        """The stack that was drilled."""
        return self._document.stack

    @property
    def fault(self) -> str:
        """The fault's name."""
        return self._document.fault

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is to be done, in the order of the promises; it is done backwards."""
        return tuple(self._document.steps)

    def promise(self, *steps: Step) -> None:
        """Write down what will take back what is about to be done."""
        self._document.steps += steps
        self._write()

    async def keep(self, performer: Performer, beyond: int = 0) -> list[str]:
        """Take back all but the first `beyond` steps, the last first; returns what could not be, and what to do."""
        left: list[str] = []
        for step in reversed(self.steps[beyond:]):
            if why := await _perform(performer, step):
                left.append(f"could not {step.does}: {why} To do: {step.by_hand}")
                continue
            self._document.steps.remove(step)
            self._write()
        if not self._document.steps:
            self._file.unlink(missing_ok=True)
        return left

    def _write(self) -> None:
        files.write(self._file, self._document.model_dump_json(indent=2), durable=True)


async def _perform(performer: Performer, step: Step) -> str:
    """Take a step, trying again where it fails; returns why it can't be taken."""
    why = ""
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(_PAUSE_SECONDS)
        try:
            async with asyncio.timeout(step.seconds):
                await performer.perform(step)
        except Failure as failure:
            why = f"{failure.why.rstrip('.')}."
        except TimeoutError:
            why = f"it did not end within {step.seconds:g} s."
        else:
            return ""
    return why


@contextmanager
def at_work(folder: Path = FOLDER) -> Iterator[bool]:
    """Hold the drill's lock; yields whether it was free. The kernel frees it with the process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with locks.exclusive_now(folder / "lock") as lock:
        yield lock is not None
