"""The report as data, `results.json`; its schema is docs/drills/results.schema.json."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from blueprint.terms import Measure
from drills.model import (
    Chance,
    Circumstances,
    Generator,
    Invariant,
    LedgerCheck,
    Machine,
    Observation,
    Part,
    Rates,
    SessionsCheck,
    SimulatedDelay,
    Target,
    Unmeasured,
)
from drills.report.summary import Run, Runs, Spread, Summary, Verdict, changes, spread, verdict
from drills.workload.figures import Figures

SCHEMA: Final = 1
"""Raised with every change that an old reader of `results.json` would not understand."""

RESULTS = Path(__file__).parents[2] / "docs" / "drills" / "results.json"
"""The published one."""


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One run; every single request is in the recording's own file."""

    run: int
    """Of its drill, counted from 1."""
    began: datetime
    hit: str
    seconds: float
    injected: float | None
    undone: float | None
    whole: float | None
    figures: Figures
    ledger: LedgerCheck
    sessions: SessionsCheck
    invariants: tuple[Invariant, ...]
    simulated: tuple[SimulatedDelay, ...]
    changes: tuple[Observation, ...]
    """Each time something else was observed: who held which address, who was primary, how many votes."""
    generator: Generator
    load_average: tuple[float, float, float]
    notes: tuple[str, ...]
    number: int = 0
    """Its place in the sequence of its series, counted from 1; 0 in reports that did not say it."""
    processor: str = ""
    """On what it ran: reports of several machines that differ in nothing else are put together."""

    @property
    def broken(self) -> tuple[Invariant, ...]:
        """Invariants that did not hold, whether they had to or not."""
        return tuple(each for each in self.invariants if not each.held)

    @property
    def recovery(self) -> float | None:
        """Seconds from the fault to full redundancy."""
        return None if self.whole is None or self.injected is None else self.whole - self.injected


@dataclass(frozen=True, slots=True)
class DrillEntry:
    """All runs of one drill. Spreads are seconds, by nearest rank."""

    fault: str
    title: str
    target: Target | None
    verdict: Verdict
    """Of as many runs as there are: below `ENOUGH_RUNS` it says little of the 95th percentile (`summary.judged`)."""
    outage: Spread
    paused_writes: Spread
    recovery: Spread | None
    requests: int
    failed: int
    failed_idempotent: int
    proves: tuple[str, ...]
    runs: tuple[RunEntry, ...]
    without: str = ""
    """Id of the rule that was broken for it; empty where the stack was sound."""

    @property
    def broken(self) -> tuple[tuple[RunEntry, Invariant], ...]:
        """Invariants that had to hold and did not, each with its run."""
        if self.without:
            return ()
        return tuple((run, each) for run in self.runs for each in run.broken)

    @property
    def gave_way(self) -> str:
        """In words, the invariants that did not hold, whether they had to or not; empty if all did."""
        names = (each.name if each.known else f"{each.name} (not known)" for run in self.runs for each in run.broken)
        return ", ".join(dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class RandomSeries:
    """Drills that were chosen by chance and ran in a row; between two of one part nobody mended the stack."""

    chance: Chance
    parts: tuple[Part, ...]
    unmeasured: tuple[Unmeasured, ...]
    drills: tuple[DrillEntry, ...]

    @property
    def runs(self) -> tuple[RunEntry, ...]:
        """All runs, in the order of the sequence."""
        return tuple(sorted((run for drill in self.drills for run in drill.runs), key=lambda run: run.number))


@dataclass(frozen=True, slots=True)
class BrokenRun:
    """A run in which something did not hold that must, and which is not among the runs of the report any more."""

    fault: str
    began: datetime
    stack: str
    program: str
    """The commit; empty where it is not known."""
    hit: str
    invariants: tuple[Invariant, ...]
    """Those that did not hold."""


@dataclass(frozen=True, slots=True)
class Document:
    """The whole report."""

    schema: Literal[1]
    stack: str
    lab: bool
    """Whether vSphere and its HA were the lab's simulation: then every figure is a lab figure."""
    path: str
    machine: Machine
    rates: Rates
    drills: tuple[DrillEntry, ...]
    """Drills that were named."""
    unmeasured: tuple[Unmeasured, ...] = ()
    """Runs of them of which nothing is known."""
    random: tuple[RandomSeries, ...] = ()
    parts: tuple[Part, ...] = ()
    """When the named ones ran, and on what; reports of before 1 December don't say it."""
    broken: tuple[BrokenRun, ...] = ()
    """What was found broken, and whose drill, or number of a sequence, counts as it ran since."""

    @property
    def everything(self) -> tuple[DrillEntry, ...]:
        """All drills, those that were chosen by chance included: a fault may come several times."""
        return (*self.drills, *(drill for series in self.random for drill in series.drills))


_ADAPTER = TypeAdapter(Document)


def document(runs: Runs, stack: str, *, lab: bool, went: Circumstances | None = None) -> Document:
    """The report of runs; there must be at least one."""
    went = went or Circumstances()
    first = next(iter(runs)).result.recording
    drills = tuple(_drill(summary) for summary in runs.summaries())
    found = Document(
        schema=SCHEMA,
        stack=stack,
        lab=lab,
        path=first.path,
        machine=first.machine,
        rates=first.rates,
        drills=drills,
        unmeasured=went.unmeasured,
        parts=went.parts,
    )
    if went.chance is None:
        return found
    return replace(
        found,
        drills=(),
        unmeasured=(),
        parts=(),
        random=(RandomSeries(went.chance, went.parts, went.unmeasured, drills),),
    )


def as_json(found: Document) -> bytes:
    """The document as a file's content; every run is a line."""
    return "".join(_written(_ADAPTER.dump_python(found, mode="json"))).encode() + b"\n"


def parsed(content: bytes) -> Document:
    """The document in a file's content.

    Raises:
        pydantic.ValidationError: It is none.
    """
    return _ADAPTER.validate_json(content)


def schema() -> dict[str, Any]:
    """JSON Schema of the document."""
    return _ADAPTER.json_schema(mode="serialization")


def part_of(run: RunEntry, parts: Iterable[Part]) -> Part | None:
    """Of which of these a run was, if it is known: the last one that had begun by then, and had not ended."""
    under_way = [part for part in parts if part.began <= run.began and (part.ended is None or run.began <= part.ended)]
    return max(under_way, key=lambda part: part.began, default=None)


def drill_entry(like: DrillEntry, runs: Sequence[RunEntry]) -> DrillEntry:
    """An entry of the same drill with other runs, of which there must be one."""
    return _entry(like.fault, like.title, like.target, _Rules(like.proves, like.without), runs)


def _drill(summary: Summary) -> DrillEntry:
    proves = tuple(sorted({rule for run in summary.runs for rule in run.result.proves}))
    rules = _Rules(proves, summary.runs[0].result.without)
    return _entry(summary.fault, summary.title, summary.target, rules, [_run(run) for run in summary.runs])


@dataclass(frozen=True)
class _Rules:
    """What a drill has to do with rules."""

    proves: tuple[str, ...]
    without: str


def _entry(fault: str, title: str, target: Target | None, rules: "_Rules", runs: Sequence[RunEntry]) -> DrillEntry:
    outage = spread(run.figures.outage for run in runs)
    paused_writes = spread(run.figures.paused_writes for run in runs)
    recoveries = [run.recovery for run in runs]
    measured = paused_writes if target and target.measure is Measure.PAUSED_WRITES else outage
    broken = any(run.broken for run in runs)
    return DrillEntry(
        fault=fault,
        title=title,
        target=target,
        verdict=verdict(target, measured, broken=broken, without=rules.without),
        outage=outage,
        paused_writes=paused_writes,
        recovery=None if None in recoveries else spread(one for one in recoveries if one is not None),
        requests=sum(run.figures.requests for run in runs),
        failed=sum(run.figures.failed for run in runs),
        failed_idempotent=sum(run.figures.failed_idempotent for run in runs),
        proves=rules.proves,
        runs=tuple(runs),
        without=rules.without,
    )


def _run(run: Run) -> RunEntry:
    result, recording = run.result, run.result.recording
    return RunEntry(
        run=result.run,
        began=recording.began,
        hit=result.hit,
        seconds=recording.seconds,
        injected=result.injected,
        undone=result.undone,
        whole=None if result.without else result.whole,
        figures=run.figures,
        ledger=recording.ledger,
        sessions=recording.sessions,
        invariants=result.invariants,
        simulated=result.simulated,
        changes=changes(recording.observations),
        generator=recording.generator,
        load_average=recording.machine.load_average,
        notes=result.notes,
        number=run.number,
        processor=recording.machine.processor,
    )


def _written(value: object, key: str = "", indent: str = "") -> Iterator[str]:
    """JSON, indented, but for each of the `runs`: hundreds of them are to be read, and compared, as lines."""
    deeper = f"{indent}  "
    match value:
        case dict() if value:
            yield "{"
            for place, (name, inner) in enumerate(value.items()):
                yield f"{',' if place else ''}\n{deeper}{json.dumps(name)}: "
                yield from _written(inner, name, deeper)
            yield f"\n{indent}}}"
        case list() if value:
            yield "["
            for place, inner in enumerate(value):
                yield f"{',' if place else ''}\n{deeper}"
                yield from [json.dumps(inner, ensure_ascii=False)] if key == "runs" else _written(inner, "", deeper)
            yield f"\n{indent}]"
        case _:
            yield json.dumps(value, ensure_ascii=False)
