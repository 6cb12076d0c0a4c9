"""Runs in which something did not hold that must: they stay on record, whatever their drill came to later."""

from collections.abc import Iterator, Sequence

from drills.model import Part
from drills.report.document import BrokenRun, Document, DrillEntry, part_of
from drills.report.summary import in_runs


def on_record(*reports: Document, shown: Document) -> tuple[BrokenRun, ...]:
    """The broken runs of all these reports that are no longer among the runs that are shown, the oldest first."""
    counted = {(drill.fault, run.began) for drill in shown.everything for run in drill.runs}
    found = {(run.fault, run.began): run for one in reports for run in (*one.broken, *_broken_in(one))}
    return tuple(sorted((run for key, run in found.items() if key not in counted), key=lambda run: run.began))


def told(found: Document) -> Iterator[str]:
    """A sentence or two for each: what did not hold, and what came of it since."""
    for broken in found.broken:
        stack = f", stack `{broken.stack}`" if broken.stack != found.stack else ""
        commit = f", commit {broken.program}" if broken.program else ""
        what = "; ".join(f"{each.name}: {each.detail}" for each in broken.invariants)
        when = f"{broken.began:%Y-%m-%d %H:%M} UTC{stack}{commit}"
        yield f"`{broken.fault}`, {when} ({broken.hit}): {what}. {_since(broken, found)}"


def _broken_in(report: Document) -> Iterator[BrokenRun]:
    """Those among the runs of a report."""
    yield from _broken_of(report.stack, report.drills, report.parts)
    for series in report.random:
        yield from _broken_of(report.stack, series.drills, series.parts)


def _broken_of(stack: str, drills: Sequence[DrillEntry], parts: Sequence[Part]) -> Iterator[BrokenRun]:
    for drill in drills:
        for run in drill.runs:
            if not drill.without and run.broken:
                part = part_of(run, parts)
                yield BrokenRun(
                    fault=drill.fault,
                    began=run.began,
                    stack=stack,
                    program=part.on.program if part else "",
                    hit=run.hit,
                    invariants=run.broken,
                )


def _since(broken: BrokenRun, found: Document) -> str:
    """How often its drill ran later, of all runs that are shown, and whether everything held."""
    runs = [run for drill in found.everything if drill.fault == broken.fault for run in drill.runs]
    later = [run for run in runs if run.began > broken.began]
    if broken.stack != found.stack or not later:
        return "No later run of it is shown here."
    again = sum(bool(run.broken) for run in later)
    return f"Ran again since: {in_runs(len(later))}, {f'{again} of them broken' if again else 'all held'}."
