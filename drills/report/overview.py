"""The report as a page of Markdown, docs/drills/results.md: a line per drill, then what did not hold."""

from collections.abc import Iterable, Iterator

from drills.faults import CATALOGUE
from drills.report.document import Document, DrillEntry
from drills.report.summary import Spread, Verdict


def overview(found: Document, timelines: Iterable[str] = ()) -> str:
    """The page.

    Args:
        found: The results.
        timelines: Names of the pages with timelines, beside this one.
    """
    lines = [
        "# What was broken, and what users noticed",
        "",
        *_conditions(found),
        "",
        "Timelines: " + ", ".join(f"[{name}]({name})" for name in timelines),
        "",
        *_table(found),
        "",
        *_faults(found),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _conditions(found: Document) -> Iterator[str]:
    machine, runs = found.machine, [run for drill in found.drills for run in drill.runs]
    first, last = min(run.began for run in runs), max(run.began for run in runs)
    ledgers = [run.ledger for drill in found.drills if not _control(drill) for run in drill.runs]
    acknowledged, lost = sum(each.acknowledged for each in ledgers), sum(len(each.lost) for each in ledgers)
    yield (
        f"Made from [results.json](results.json) by `python -m drills.report.publish`; how it is measured: "
        f"[README.md](README.md). {len(runs)} runs of {len(found.drills)} drills on stack `{found.stack}`, "
        f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, on {machine.cores} cores ({machine.processor}) with "
        f"{machine.memory_gib:.0f} GiB; {found.rates.requests_per_second:g} requests and "
        f"{found.rates.writes_per_second:g} writes a second, {found.rates.sessions:,} sessions. Load average when runs "
        f"began: {min(run.load_average[0] for run in runs):.1f} to {max(run.load_average[0] for run in runs):.1f}."
    )
    if found.lab:
        yield ""
        yield "Lab figures: vCenter, ESXi and vSphere HA's delays are simulated; servers and what they run are real."
    yield ""
    yield f"**{acknowledged:,} writes were acknowledged, {lost:,} of them lost** (drills of the checker apart)."


def _control(drill: DrillEntry) -> bool:
    return (fault := CATALOGUE.get(drill.fault)) is not None and bool(fault.must_break)


def _table(found: Document) -> Iterator[str]:
    yield "| drill | what happens | runs | outage | writes paused | target | | failed requests | whole again |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for drill in found.drills:
        target = f"{drill.target.seconds:g} {drill.target.measure}" if drill.target else ""
        failed = f"{drill.failed:,} of {drill.requests:,} ({drill.failed_idempotent:,} idempotent)"
        yield (
            f"| `{drill.fault}` | {drill.title} | {len(drill.runs)} | {_spread(drill.outage, drill)} |"
            f" {_spread(drill.paused_writes, drill)} | {target} | {_verdict(drill)} | {failed} |"
            f" {f'{drill.recovery.worst:.0f}' if drill.recovery else 'never'} |"
        )
    yield ""
    yield "Seconds; of several runs: median (worst). Targets are for the 95th percentile, below 20 runs the worst run."


def _spread(spread: Spread, drill: DrillEntry) -> str:
    return f"{spread.worst:.2f}" if len(drill.runs) == 1 else f"{spread.median:.2f} ({spread.worst:.2f})"


def _verdict(drill: DrillEntry) -> str:
    return "" if drill.verdict is Verdict.NO_TARGET else f"**{drill.verdict}**"


def _faults(found: Document) -> Iterator[str]:
    broken = [(drill, run, each) for drill in found.drills for run, each in drill.broken]
    if not broken:
        yield "Every invariant held in every run."
        return
    yield "## What did not hold"
    yield ""
    for drill, run, each in broken:
        yield f"- `{drill.fault}`, run {run.run} ({run.hit}): {each.name}: {each.detail}"
