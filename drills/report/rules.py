"""What drills measured, for the pages of the policy rules (drills.report.publish writes them).

A page quotes the drill that its rule names, and of the others that prove the rule (`Fault.proves`) those in which
something did not hold that must, then those with the longest outages. They are measured on a stack that keeps the rule,
but for drills that take it away to check the checker.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from drills.faults import CATALOGUE
from drills.report import document
from drills.report.document import Document, DrillEntry
from drills.report.machine import models
from drills.report.summary import ENOUGH_RUNS, Spread, in_runs
from policies import pages
from policies.judging.rule import Rule
from policies.rules import RULES

RESULTS = document.RESULTS
QUOTED = pages.FOLDER / "measured"

_LONGEST = 4
"""Further drills that a page shows."""


def measured(found: Document, rules: Iterable[Rule[Any]] = RULES) -> dict[str, str]:
    """What each rule's page says, as Markdown by rule id; rules of which no drill was run have nothing."""
    drills = {rule.id: _drills(rule, found) for rule in rules if rule.drill}
    return {rule: _text(shown, found) for rule, shown in drills.items() if shown}


def write(results: Path = RESULTS, folder: Path = QUOTED) -> None:
    """Write a file per rule; what is there of rules that have nothing any more goes.

    Raises:
        OSError: There are no results, or the folder can't be written.
        pydantic.ValidationError: The results are no report.
    """
    texts = measured(document.parsed(results.read_bytes()))
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.md"):
        old.unlink()
    for rule, text in texts.items():
        (folder / f"{rule}.md").write_text(text)


def _drills(rule: Rule[Any], found: Document) -> list[DrillEntry]:
    """The rule's own drill; the one without the rule, beside the same fault with it; others that prove the rule.

    Of these first the broken ones, then the ones with the longest outage.
    """
    without = [drill for drill in found.drills if drill.without == rule.id]
    quoted = ["", rule.drill, *(_same_fault(drill) for drill in without)]
    sound = [drill for name in dict.fromkeys(quoted) for drill in found.drills if name and drill.fault == name]
    others = [
        drill for drill in found.drills if rule.id in drill.proves and drill.fault not in quoted and not drill.without
    ]
    return (
        sound
        + without
        + sorted(others, key=lambda drill: (not drill.broken, -drill.outage.worst, drill.fault))[:_LONGEST]
    )


def _text(shown: Sequence[DrillEntry], found: Document) -> str:
    return "\n".join([_lead(shown, found), "", *_table(shown), "", *_broken(shown), *_conditions(shown, found)]) + "\n"


def _lead(shown: Sequence[DrillEntry], found: Document) -> str:
    where = "Measured in the lab" if found.lab else f"Measured on stack {found.stack}"
    sound = [_sound(drill, where) for drill in shown if not drill.without][:1]
    return " ".join([*sound, *(_without(drill, shown) for drill in shown if drill.without)])


def _without(drill: DrillEntry, shown: Sequence[DrillEntry]) -> str:
    """What a fault costs where the rule is broken, beside what it costs where it is kept."""
    kept = next((each for each in shown[1:] if each.fault == _same_fault(drill)), None)
    beside = f"Where it is kept, `{kept.fault}` {_paused(kept)} (median of {_runs(kept)}). " if kept else ""
    broke = f"; what must hold elsewhere and did not: {drill.gave_way}" if drill.gave_way else ""
    return f"{beside}**With the rule broken**, `{drill.fault}` {_paused(drill)} (median of {_runs(drill)}){broke}."


def _same_fault(drill: DrillEntry) -> str:
    """The name of the fault of a drill without a rule, on a stack that keeps it."""
    fault = CATALOGUE.get(drill.fault)
    return fault.sound if fault else ""


def _paused(drill: DrillEntry) -> str:
    return f"paused users for {drill.outage.median:.2f} s and writes for {drill.paused_writes.median:.2f} s"


def _sound(drill: DrillEntry, where: str) -> str:
    paused = _paused(drill)
    if (fault := CATALOGUE.get(drill.fault)) and fault.must_break:
        broken = f"{_lost(drill)} acknowledged writes were lost"
        return f"{where}, the rule taken away for it: `{drill.fault}` {paused} (median of {_runs(drill)}); {broken}."
    return f"{where}, on a stack that keeps the rule: `{drill.fault}` {paused} (median of {_runs(drill)})."


def _table(shown: Sequence[DrillEntry]) -> Iterator[str]:
    yield "| drill | what happens | runs | without an answer | writes paused | failed requests | lost writes |"
    yield "|---|---|---|---|---|---|---|"
    for drill in shown:
        yield (
            f"| `{drill.fault}` | {drill.title} | {len(drill.runs)} | {_spread(drill.outage, drill)} |"
            f" {_spread(drill.paused_writes, drill)} | {drill.failed:,} of {drill.requests:,} | {_lost(drill)} |"
        )


def _broken(shown: Iterable[DrillEntry]) -> Iterator[str]:
    broken = [line for drill in shown for line in _broken_in(drill)]
    if broken:
        yield from ("**What must hold in every drill, and did not:**", "", *broken, "")


def _broken_in(drill: DrillEntry) -> Iterator[str]:
    """A line per invariant: how often, and the evidence of the first run."""
    cases: dict[str, list[str]] = {}
    for _, each in drill.broken:
        cases.setdefault(each.name, []).append(each.detail)
    for name, details in cases.items():
        often = f", {len(details)} of {len(drill.runs)} runs" if len(drill.runs) > 1 else ""
        yield f"- `{drill.fault}`{often}: {name}: {details[0]}"


def _conditions(shown: Sequence[DrillEntry], found: Document) -> Iterator[str]:
    machine = found.machine
    p95 = " · 95th percentile" if any(len(drill.runs) >= ENOUGH_RUNS for drill in shown) else ""
    yield (
        f"Seconds: median{p95} (worst). {machine.cores} cores ({models(shown, machine.processor)}), "
        f"{machine.memory_gib:.0f} GiB; "
        f"{found.rates.requests_per_second:g} requests and {found.rates.writes_per_second:g} writes a second, "
        f"{found.rates.sessions:,} sessions."
    )
    if found.lab:
        yield "vCenter, ESXi and the delays of vSphere HA are simulated; servers, and what runs on them, are real."
    yield "How it is measured: docs/drills/README.md."


def _spread(spread: Spread, drill: DrillEntry) -> str:
    p95 = f" · {spread.p95:.2f}" if len(drill.runs) >= ENOUGH_RUNS else ""
    return f"{spread.median:.2f}{p95} ({spread.worst:.2f})"


def _runs(drill: DrillEntry) -> str:
    return in_runs(len(drill.runs))


def _lost(drill: DrillEntry) -> int:
    return sum(len(run.ledger.lost) for run in drill.runs)
