"""Takes a report into the documentation: `python -m drills.report.publish [--anew] [FOLDER]`.

What a drill has written (.perenne/drill/report) is added to docs/drills; the overview, and what the rules' pages quote,
are made from it. Of each drill the newest series counts; a drill that did not run again keeps its former one, and each
series keeps its page of timelines. Drills by chance are a section of their own: parts of one sequence are put together,
of a drill that ran again the newest run counts. With `--anew` all that was published before goes: it was measured under
other conditions, or on a stack that is no more. Either way, a run in which something did not hold that must stays on
record, whatever came later. Without a folder, the pages are made again from what is there.
"""

import shutil
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from blueprint.forecast import forecast
from drills.model import Part
from drills.report import document, rules
from drills.report.document import Document, DrillEntry, RandomSeries, RunEntry, drill_entry, part_of
from drills.report.overview import overview
from drills.report.record import on_record
from policies import pages
from stack.workspace import Stack

OVERVIEW = rules.RESULTS.with_name("results.md")
TIMELINES = "report.html"


def merged(former: Document, newer: Document) -> Document:
    """Both, in the former's order; of a drill that is in both, the newer's runs. What was broken stays on record.

    Raises:
        ValueError: They were measured under different conditions, of which the pages know one set for all figures.
    """
    if (was := _conditions(former)) != (now := _conditions(newer)):
        raise ValueError(f"the published series were measured with {was}, this one with {now}")
    former = _on_its_processor(former)
    again = {drill.fault: drill for drill in newer.drills}
    missed = tuple(each for each in former.unmeasured if each.fault not in again)
    kept = [again.pop(drill.fault, drill) for drill in former.drills]
    drills = (*kept, *again.values())
    found = replace(
        newer,
        drills=drills,
        unmeasured=(*missed, *newer.unmeasured),
        random=_random(former.random, newer.random),
        parts=_parts(former, newer, [run for drill in drills for run in drill.runs]),
    )
    return replace(found, broken=on_record(former, newer, shown=found))


def in_place_of(former: Document, newer: Document) -> Document:
    """The newer one alone; of the former the broken runs stay on record."""
    return replace(newer, broken=on_record(former, newer, shown=newer))


def _parts(former: Document, newer: Document, runs: Iterable[RunEntry]) -> tuple[Part, ...]:
    """When the runs ran that are left of both, and whatever left the site changed."""
    every = sorted({*former.parts, *newer.parts}, key=lambda part: part.began)
    known = {part_of(run, every) for run in runs}
    return tuple(part for part in every if part.drift or part in known)


def _random(former: Sequence[RandomSeries], newer: Sequence[RandomSeries]) -> tuple[RandomSeries, ...]:
    """All series by chance, the parts of one sequence together."""
    found = {series.chance: series for series in former}
    for series in newer:
        found[series.chance] = _continued(found[series.chance], series) if series.chance in found else series
    return tuple(found.values())


def _continued(former: RandomSeries, newer: RandomSeries) -> RandomSeries:
    """One sequence; what ran again counts as it ran last."""
    again = {run.number for run in newer.runs} | {each.number for each in newer.unmeasured}
    runs: dict[str, list[RunEntry]] = {}
    for drill in former.drills:
        runs[drill.fault] = [run for run in drill.runs if run.number not in again]
    for drill in newer.drills:
        runs.setdefault(drill.fault, []).extend(drill.runs)
    like = {drill.fault: drill for drill in (*former.drills, *newer.drills)}
    return RandomSeries(
        newer.chance,
        tuple(sorted({*former.parts, *newer.parts}, key=lambda part: part.began)),
        (*(each for each in former.unmeasured if each.number not in again), *newer.unmeasured),
        tuple(drill_entry(like[fault], of) for fault, of in runs.items() if of),
    )


def _conditions(found: Document) -> tuple[object, ...]:
    """What the pages say of all figures at once; the processor is each run's own."""
    machine = found.machine
    return found.stack, found.lab, machine.cores, round(machine.memory_gib), found.rates


def _on_its_processor(found: Document) -> Document:
    """The same of a report that told its processor for all runs at once."""

    def named(drill: DrillEntry) -> DrillEntry:
        runs = (replace(run, processor=run.processor or found.machine.processor) for run in drill.runs)
        return replace(drill, runs=tuple(runs))

    series = (replace(one, drills=tuple(map(named, one.drills))) for one in found.random)
    return replace(found, drills=tuple(map(named, found.drills)), random=tuple(series))


def page(found: Document) -> str:
    """The overview of results, with the forecasts of the stack's file as it is now."""
    return overview(found, timelines(), forecast(Stack(found.stack).settings))


def timelines() -> list[str]:
    """Names of the series' pages, the oldest first."""
    return sorted(page.name for page in OVERVIEW.parent.glob("timelines-*.html"))


def publish(report: Path | None = None, *, anew: bool = False) -> None:
    """Write it all.

    Args:
        report: The folder of the report to add, if there is one.
        anew: Whether it takes the place of all that was published before, but for the record of what was broken.

    Raises:
        OSError: There is no report, or a folder can't be written.
        pydantic.ValidationError: The results are no report.
        ValueError: The report was measured under other conditions than those that are there; nothing is written.
    """
    if report:
        newer = document.parsed((report / rules.RESULTS.name).read_bytes())
        former = document.parsed(rules.RESULTS.read_bytes()) if rules.RESULTS.exists() else None
        found = newer if former is None else in_place_of(former, newer) if anew else merged(former, newer)
        began = min(run.began for drill in newer.everything for run in drill.runs)
        own = OVERVIEW.with_name(f"timelines-{began:%Y-%m-%d-%H%M}.html")
        shutil.copyfile(report / TIMELINES, own)
        rules.RESULTS.write_bytes(document.as_json(found))
        for name in timelines() if anew else ():
            if name != own.name:
                OVERVIEW.with_name(name).unlink()
    OVERVIEW.write_text(page(document.parsed(rules.RESULTS.read_bytes())))
    rules.write()
    pages.write()


if __name__ == "__main__":
    given = ArgumentParser(description="Take a report into docs/drills.")
    given.add_argument(
        "--anew", action="store_true", help="drop what was published before, but not the record of broken runs"
    )
    given.add_argument("report", type=Path, nargs="?", help="the report's folder")
    told = given.parse_args()
    publish(told.report, anew=told.anew)
