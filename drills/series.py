"""A series of drills on disk: what was ordered, and what came of it so far, so that it can go on after any end.

A folder has `series.json`, the sequence, and `progress.jsonl`, to which each event is appended as it happens.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from drills.model import Chance, Circumstances, Part, Subject, Unmeasured
from drills.report.summary import Run, Runs
from machine.failure import Failure

ORDER = "series.json"
PROGRESS = "progress.jsonl"

KILLED = "nobody could say: it was killed, or the machine went"


class Ordered(BaseModel):
    """What was ordered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    sessions: int
    sequence: tuple[str, ...]
    """Names of the drills, in the order in which they run."""
    first: int = 1
    """Number of the first of them that this series runs; those before it have run elsewhere."""
    seed: int | None = None
    """Where they were chosen by chance."""

    @property
    def chance(self) -> Chance | None:
        """How chance chose them, if it did."""
        if self.seed is None:
            return None
        digest = hashlib.sha256("\n".join(self.sequence).encode()).hexdigest()
        return Chance(self.seed, len(self.sequence), digest)


@dataclass(frozen=True, slots=True)
class PartBegan:
    """The series begins, or goes on."""

    number: int
    at: datetime
    on: Subject = field(default_factory=Subject)
    event: Literal["part began"] = "part began"


@dataclass(frozen=True, slots=True)
class DrillBegan:
    """A drill begins."""

    number: int
    event: Literal["drill began"] = "drill began"


@dataclass(frozen=True, slots=True)
class Measured:
    """A drill ran to its end."""

    number: int
    run: Run
    event: Literal["measured"] = "measured"


@dataclass(frozen=True, slots=True)
class Missed:
    """A drill ran, and nothing of it is known."""

    drill: Unmeasured
    event: Literal["missed"] = "missed"


@dataclass(frozen=True, slots=True)
class PartEnded:
    """The series ends, or pauses."""

    at: datetime
    why: str
    drift: str | None = None
    event: Literal["part ended"] = "part ended"


Event = Annotated[PartBegan | DrillBegan | Measured | Missed | PartEnded, Field(discriminator="event")]
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class Series:
    """A sequence of drills, and how far it has come."""

    def __init__(self, folder: Path, ordered: Ordered) -> None:
        self.folder = folder
        """Where its recordings are kept, too."""
        self.ordered = ordered
        self.runs = Runs()
        self._unmeasured: list[Unmeasured] = []
        self._parts: list[Part] = []
        self._under_way = 0
        self._next = ordered.first

    @classmethod
    def begin(cls, folder: Path, ordered: Ordered) -> "Series":
        """Begin one in a folder of its own."""
        (folder / ORDER).write_text(ordered.model_dump_json(indent=2), encoding="utf-8")
        return cls(folder, ordered)

    @classmethod
    def left(cls, folder: Path) -> "Series":
        """What is there of one.

        Raises:
            Failure: It can't be understood.
        """
        try:
            series = cls(folder, Ordered.model_validate_json((folder / ORDER).read_bytes()))
            for event in _events(folder / PROGRESS):
                series._learn(event)
        except (OSError, ValidationError) as error:
            why = f"{folder} is not what a drill writes: {error}"
            remedy = "Begin it anew; with --random N --seed S --from K where it had come to."
            raise Failure("the series can't go on", why, remedy) from error
        return series

    @property
    def left_over(self) -> tuple[tuple[int, str], ...]:
        """Number and name of the drills that are still to be run."""
        names = self.ordered.sequence
        return tuple((number, names[number - 1]) for number in range(self._next, len(names) + 1))

    @property
    def can_go_on(self) -> bool:
        """Whether it is one of several drills, and has some left."""
        return len(self.ordered.sequence) > 1 and bool(self.left_over)

    @property
    def circumstances(self) -> Circumstances:
        """How it went so far."""
        return Circumstances(self.ordered.chance, tuple(self._parts), tuple(self._unmeasured))

    def run_of(self, number: int) -> int:
        """Which run of its fault a drill is, counted from 1."""
        names = self.ordered.sequence
        return names[:number].count(names[number - 1])

    def begin_part(self, on: Subject) -> None:
        """Note that it begins, or goes on, and on what; what was cut off in the writing goes."""
        progress = self.folder / PROGRESS
        if progress.exists():
            os.truncate(progress, len(_whole_lines(progress)))
        self._note(PartBegan(self._next, datetime.now(UTC), on))

    def begin_drill(self, number: int) -> None:
        """Note which drill is under way."""
        self._note(DrillBegan(number))

    def add(self, number: int, run: Run) -> Run:
        """Note what a drill measured; returns it as it is kept."""
        kept = run.without_requests()
        self._note(Measured(number, kept))
        return kept

    def miss(self, drill: Unmeasured) -> None:
        """Note that a drill ran of which nothing is known."""
        self._note(Missed(drill))

    def end_part(self, why: str, drift: str | None = None) -> None:
        """Note why it goes on no further now, and what it left otherwise than the program says (`Part.drift`)."""
        self._note(PartEnded(datetime.now(UTC), why, drift))

    def _note(self, event: Event) -> None:
        with (self.folder / PROGRESS).open("ab") as file:
            file.write(_EVENT.dump_json(event) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._learn(event)

    def _learn(self, event: Event) -> None:
        match event:
            case PartBegan(number, at, on):
                self._interrupt()
                self._parts.append(Part(at, None, number, number - 1, KILLED, on=on))
            case DrillBegan(number):
                self._under_way = number
            case Measured(number, run):
                self.runs.keep(run)
                self._has_come_to(number)
            case Missed(drill):
                self._unmeasured.append(drill)
                self._has_come_to(drill.number)
            case PartEnded(at, why, drift):
                self._parts[-1] = replace(self._parts[-1], ended=at, why=why, drift=drift)
                self._interrupt()

    def _has_come_to(self, number: int) -> None:
        self._parts[-1] = replace(self._parts[-1], last=number)
        self._next, self._under_way = number + 1, 0

    def _interrupt(self) -> None:
        """Whatever was under way has not run to its end."""
        if self._under_way:
            name = self.ordered.sequence[self._under_way - 1]
            self._parts[-1] = replace(self._parts[-1], interrupted=name)
            self._under_way = 0


def unfinished(folder: Path) -> Series | None:
    """The newest series of several drills in a folder that has some left, if there is one.

    Raises:
        Failure: One that is newer can't be understood.
    """
    for file in sorted(folder.glob(f"*/{ORDER}"), reverse=True):
        series = Series.left(file.parent)
        if series.can_go_on:
            return series
    return None


def _events(file: Path) -> Iterator[Event]:
    """What was noted."""
    for line in _whole_lines(file).splitlines() if file.exists() else ():
        yield _EVENT.validate_json(line)


def _whole_lines(file: Path) -> bytes:
    """A file's content without a last line that was cut off in the writing."""
    content = file.read_bytes()
    return content[: content.rfind(b"\n") + 1]
