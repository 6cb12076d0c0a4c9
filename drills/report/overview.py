"""The report as a page of Markdown, docs/drills/results.md: a line per drill, the forecasts, drills by chance."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from blueprint.forecast import Forecast
from drills import invariants
from drills.faults import CATALOGUE
from drills.model import Part, Unmeasured
from drills.report import record
from drills.report.document import Document, DrillEntry, RandomSeries, RunEntry, part_of
from drills.report.forecasts import UNFORETOLD, WANTED, Compared, compared, share
from drills.report.machine import models, processors
from drills.report.parts import drift_told, told
from drills.report.summary import ENOUGH_RUNS, Spread, Verdict, in_runs, judged
from drills.workload.figures import BREAK_SECONDS


def overview(found: Document, timelines: Iterable[str] = (), forecasts: Iterable[Forecast] = ()) -> str:
    """The page.

    Args:
        found: The results.
        timelines: Names of the pages with timelines, beside this one.
        forecasts: What the stack's settings let expect.
    """
    lines = [
        "# What was broken, and what users noticed",
        "",
        *_conditions(found),
        "",
        "Timelines: " + ", ".join(f"[{name}]({name})" for name in timelines),
        "",
        *_table([drill for drill in found.drills if not drill.without]),
        "",
        *_without_rules([drill for drill in found.drills if drill.without]),
        *_not_held(found.drills, "##", found.unmeasured, found.parts),
        "",
        *_on_record(found),
        *_when(found),
        *_forecasts(compared(found, forecasts)),
        *(line for series in found.random for line in _random(series)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _conditions(found: Document) -> Iterator[str]:
    machine, runs = found.machine, [run for drill in found.drills for run in drill.runs]
    first, last = min(run.began for run in runs), max(run.began for run in runs)
    yield (
        f"Made from [results.json](results.json) by `python -m drills.report.publish`; how it is measured: "
        f"[README.md](README.md). {in_runs(len(runs))} of {len(found.drills)} drills on stack `{found.stack}`, "
        f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, on {machine.cores} cores with "
        f"{machine.memory_gib:.0f} GiB ({models(found.drills, machine.processor)}); "
        f"{found.rates.requests_per_second:g} requests and {found.rates.writes_per_second:g} writes a second, "
        f"{found.rates.sessions:,} sessions. Load average when runs "
        f"began: {min(run.load_average[0] for run in runs):.1f} to {max(run.load_average[0] for run in runs):.1f}."
        f"{processors([run.generator for run in runs])}"
    )
    if found.lab:
        yield ""
        yield "Lab figures: vCenter, ESXi and vSphere HA's delays are simulated; servers and what they run are real."
    yield ""
    yield _writes(found.drills)


def _writes(drills: Iterable[DrillEntry]) -> str:
    ledgers = [run.ledger for drill in drills if not _control(drill) for run in drill.runs]
    acknowledged, lost = sum(each.acknowledged for each in ledgers), sum(len(each.lost) for each in ledgers)
    return f"**{acknowledged:,} writes were acknowledged, {lost:,} of them lost** (drills of the checker apart)."


def _control(drill: DrillEntry) -> bool:
    return bool(drill.without) or ((fault := CATALOGUE.get(drill.fault)) is not None and bool(fault.must_break))


def _table(drills: Iterable[DrillEntry]) -> Iterator[str]:
    yield "| drill | what happens | runs | outage | unserved | writes paused | target | | failed requests | whole |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for drill in drills:
        target = f"{drill.target.seconds:g} {drill.target.measure}" if drill.target else ""
        failed = f"{drill.failed:,} of {drill.requests:,} ({drill.failed_idempotent:,} idempotent)"
        yield (
            f"| `{drill.fault}` | {drill.title} | {len(drill.runs)} | {_spread(drill.outage, drill)} |"
            f" {_unserved(drill)} | {_spread(drill.paused_writes, drill)} | {target} | {_verdict(drill)} | {failed} |"
            f" {f'{drill.recovery.worst:.0f}' if drill.recovery else 'never'} |"
        )
    yield ""
    yield (
        f"Seconds; of several runs: median (worst), from {ENOUGH_RUNS} runs on: median · 95th percentile (worst), by "
        f"nearest rank. Targets are for the 95th percentile. Below {ENOUGH_RUNS} runs the worst run is compared with "
        "them, and the verdict says of how many runs it is. Outage is the longest time; "
        f"unserved all those above {BREAK_SECONDS:g} s together, in the worst run, where that was looked at."
    )


def _without_rules(drills: Sequence[DrillEntry]) -> Iterator[str]:
    """What faults cost where a rule was broken first: what the rule is for."""
    if not drills:
        return
    yield "## With a rule broken"
    yield ""
    yield "Each stack was sound but for one rule. What the same fault costs a sound stack is on the rule's page."
    yield ""
    yield "| drill | what happens | runs | outage | writes paused | failed requests | what gave way |"
    yield "|---|---|---|---|---|---|---|"
    for drill in drills:
        rule = f"[{drill.without}](../policies/{drill.without}.md)"
        yield (
            f"| `{drill.fault}` {rule} | {drill.title} | {len(drill.runs)} | {_spread(drill.outage, drill)} |"
            f" {_spread(drill.paused_writes, drill)} | {drill.failed:,} of {drill.requests:,} |"
            f" {drill.gave_way or 'nothing'} |"
        )
    yield ""


def _spread(spread: Spread, drill: DrillEntry) -> str:
    if len(drill.runs) == 1:
        return f"{spread.worst:.2f}"
    p95 = f" · {spread.p95:.2f}" if len(drill.runs) >= ENOUGH_RUNS else ""
    return f"{spread.median:.2f}{p95} ({spread.worst:.2f})"


def _unserved(drill: DrillEntry) -> str:
    known = [run.figures.unserved for run in drill.runs if run.figures.unserved is not None]
    return f"{max(known):.2f}" if known else ""


def _verdict(drill: DrillEntry) -> str:
    return "" if drill.verdict is Verdict.NO_TARGET else f"**{judged(drill.verdict, len(drill.runs))}**"


def _on_record(found: Document) -> Iterator[str]:
    """What was found broken in runs that count no more."""
    if not found.broken:
        return
    yield "## What was found broken before"
    yield ""
    yield "These runs are in no figure of this page any more: their drills ran again, or all was measured anew."
    yield ""
    yield from (f"- {line}" for line in record.told(found))
    yield ""


def _when(found: Document) -> Iterator[str]:
    """When named drills ran, and on what, where that is known."""
    if not found.parts:
        return
    yield "## When it ran"
    yield ""
    counted = Counter(part_of(run, found.parts) for drill in found.drills for run in drill.runs)
    yield from (_part(part, in_runs(counted[part])) for part in found.parts)
    yield ""


def _part(part: Part, drills: str = "") -> str:
    line = told(part, drills)
    return f"- **{line}**" if part.drift else f"- {line}"


def _not_held(
    drills: Sequence[DrillEntry], level: str, unmeasured: Sequence[Unmeasured], parts: Sequence[Part]
) -> Iterator[str]:
    """What did not hold, a line per drill and invariant, with the evidence of the first run in which it did not."""
    drifted = list(filter(None, map(drift_told, parts)))
    if not any(drill.broken for drill in drills) and not unmeasured and not drifted:
        yield "Every invariant held in every run."
        return
    yield f"{level} What did not hold"
    yield ""
    for drill in drills:
        broken = defaultdict(list)
        for run, each in drill.broken:
            broken[each.name].append((run, each.detail))
        for name, cases in broken.items():
            run, detail = cases[0]
            often = f"in {len(cases)} of {len(drill.runs)} runs, first " if len(drill.runs) > 1 else ""
            yield f"- `{drill.fault}`, {often}run {run.run} ({run.hit}): {name}: {detail}"
    for missed in unmeasured:
        yield f"- `{missed.fault}`, {missed.began:%Y-%m-%d %H:%M}, was not measured: {missed.why}"
    yield from (f"- **{line}**" for line in drifted)


def _forecasts(known: Sequence[Compared]) -> Iterator[str]:
    """How good the forecasts are."""
    if not known:
        return
    together = share(known)
    yield "## Forecast and measured"
    yield ""
    yield (
        f"`./perenne forecast` bounds what a fault costs before anything is deployed. **{together} were within the "
        f"bound**; wanted are {WANTED:.0%}{'' if together.reached else ', which is missed'}. Drills chosen by chance "
        "count, too."
    )
    yield ""
    yield "| fault | measure | bound | median | 95th percentile | worst | within |"
    yield "|---|---|---|---|---|---|---|"
    for one in known:
        spread, within = one.spread, f"{one.within} of {len(one.measured)}"
        yield (
            f"| `{one.forecast.fault}` | {one.forecast.measure} | {one.forecast.bound:.2f} | {spread.median:.2f} |"
            f" {spread.p95:.2f} | {spread.worst:.2f} | {within} |"
        )
    yield ""
    yield "Drills without a forecast:"
    yield ""
    for why, drills in _unforetold().items():
        yield f"- {', '.join(f'`{name}`' for name in drills)}: {why}"
    yield ""


def _unforetold() -> dict[str, list[str]]:
    """Reasons, each with its drills."""
    reasons = defaultdict(list)
    for name, why in UNFORETOLD.items():
        reasons[why].append(name)
    return reasons


def _random(series: RandomSeries) -> Iterator[str]:
    """Drills in a row, chosen by chance."""
    chance, runs = series.chance, series.runs
    yield f"## {chance.ordered} drills by chance, seed {chance.seed}"
    yield ""
    yield (
        f"`./perenne drill --random {chance.ordered} --seed {chance.seed}`: {in_runs(len(runs))} of "
        f"{len(series.drills)} drills, {_row(runs)}, on a stack that nobody mended between two drills of a part. "
        f"{_writes(series.drills)} Two writers were found in {_broken(runs, invariants.TWO_WRITERS)} runs; in "
        f"{_broken(runs, invariants.WHOLE)} the stack was not whole afterwards; "
        f"{sum(len(run.sessions.lost) for run in runs):,} sessions were lost, in "
        f"{sum(bool(run.sessions.lost) for run in runs)} runs."
    )
    yield ""
    yield "When it ran:"
    yield ""
    yield from map(_part, series.parts)
    yield ""
    yield from _table(series.drills)
    yield ""
    yield from _not_held(series.drills, "###", series.unmeasured, series.parts)
    yield ""


def _row(runs: Sequence[RunEntry]) -> str:
    """How far the sequence was run without a gap."""
    numbers = {run.number for run in runs}
    gaps = [number for number in range(min(numbers), max(numbers)) if number not in numbers]
    without = f", without {len(gaps)} of them ({', '.join(map(str, gaps))})" if gaps else ""
    return f"numbers {min(numbers)} to {max(numbers)} of the sequence{without}"


def _broken(runs: Iterable[RunEntry], name: str) -> int:
    return sum(any(each.name == name and not each.held for each in run.invariants) for run in runs)
