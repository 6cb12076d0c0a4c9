"""The report as data, `results.json`; its schema is docs/drills/results.schema.json."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from drills.model import (
    Generator,
    Invariant,
    LedgerCheck,
    Machine,
    Observation,
    Rates,
    SessionsCheck,
    SimulatedDelay,
    Target,
)
from drills.report.summary import Run, Runs, Spread, Summary, Verdict, changes
from drills.workload.figures import Figures

SCHEMA: Final = 1
"""Raised with every change that an old reader of `results.json` would not understand."""


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One run; every single request is in the recording's own file."""

    run: int
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


@dataclass(frozen=True, slots=True)
class DrillEntry:
    """All runs of one drill. Spreads are seconds, by nearest rank."""

    fault: str
    title: str
    target: Target | None
    verdict: Verdict
    outage: Spread
    paused_writes: Spread
    recovery: Spread | None
    requests: int
    failed: int
    failed_idempotent: int
    proves: tuple[str, ...]
    runs: tuple[RunEntry, ...]

    @property
    def broken(self) -> tuple[tuple[RunEntry, Invariant], ...]:
        """Invariants that did not hold, each with its run."""
        return tuple((run, each) for run in self.runs for each in run.invariants if not each.held)


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


_ADAPTER = TypeAdapter(Document)


def document(runs: Runs, stack: str, *, lab: bool) -> Document:
    """The report of runs; there must be at least one."""
    first = next(iter(runs)).result.recording
    drills = tuple(_drill(summary) for summary in runs.summaries())
    return Document(SCHEMA, stack, lab, first.path, first.machine, first.rates, drills)


def as_json(found: Document) -> bytes:
    """The document as a file's content."""
    return _ADAPTER.dump_json(found, indent=2) + b"\n"


def parsed(content: bytes) -> Document:
    """The document in a file's content.

    Raises:
        pydantic.ValidationError: It is none.
    """
    return _ADAPTER.validate_json(content)


def schema() -> dict[str, Any]:
    """JSON Schema of the document."""
    return _ADAPTER.json_schema(mode="serialization")


def _drill(summary: Summary) -> DrillEntry:
    return DrillEntry(
        fault=summary.fault,
        title=summary.title,
        target=summary.target,
        verdict=summary.verdict,
        outage=summary.outage,
        paused_writes=summary.paused_writes,
        recovery=summary.recovery,
        requests=summary.requests,
        failed=summary.failed,
        failed_idempotent=summary.failed_idempotent,
        proves=tuple(sorted({rule for run in summary.runs for rule in run.result.proves})),
        runs=tuple(_run(run) for run in summary.runs),
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
        whole=result.whole,
        figures=run.figures,
        ledger=recording.ledger,
        sessions=recording.sessions,
        invariants=result.invariants,
        simulated=result.simulated,
        changes=changes(recording.observations),
        generator=recording.generator,
        load_average=recording.machine.load_average,
        notes=result.notes,
    )
