"""Takes a report into the documentation: `python -m drills.report.publish [FOLDER]`.

What a drill has written (.perenne/drill/report) is added to docs/drills; the overview, and what the rules' pages quote,
are made from it. Of each drill the newest series counts; a drill that did not run again keeps its former one, and each
series keeps its page of timelines. Without a folder, all is made anew from the results that are there.
"""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

from drills.report import document, rules
from drills.report.document import Document
from drills.report.overview import overview
from policies import pages

OVERVIEW = rules.RESULTS.with_name("results.md")
PAGE = "report.html"


def merged(former: Document, newer: Document) -> Document:
    """Both, in the former's order; of a drill that is in both, the newer's runs.

    Raises:
        ValueError: They were measured under different conditions, of which the pages know one set for all figures.
    """
    if (was := _conditions(former)) != (now := _conditions(newer)):
        raise ValueError(f"the published series were measured with {was}, this one with {now}")
    again = {drill.fault: drill for drill in newer.drills}
    drills = [again.pop(drill.fault, drill) for drill in former.drills]
    return replace(newer, drills=(*drills, *again.values()))


def _conditions(found: Document) -> tuple[object, ...]:
    """What the pages say of all figures at once."""
    machine = found.machine
    return found.stack, found.lab, machine.cores, machine.processor, round(machine.memory_gib), found.rates


def timelines() -> list[str]:
    """Names of the series' pages, the oldest first."""
    return sorted(page.name for page in OVERVIEW.parent.glob("timelines-*.html"))


def publish(report: Path | None = None) -> None:
    """Write it all.

    Raises:
        OSError: There is no report, or a folder can't be written.
        pydantic.ValidationError: The results are no report.
        ValueError: The report was measured under other conditions than those that are there; nothing is written.
    """
    found = document.parsed(rules.RESULTS.read_bytes())
    if report:
        newer = document.parsed((report / rules.RESULTS.name).read_bytes())
        found = merged(found, newer)
        began = min(run.began for drill in newer.drills for run in drill.runs)
        shutil.copyfile(report / PAGE, OVERVIEW.with_name(f"timelines-{began:%Y-%m-%d-%H%M}.html"))
        rules.RESULTS.write_bytes(document.as_json(found))
    OVERVIEW.write_text(overview(found, timelines()))
    rules.write()
    pages.write()


if __name__ == "__main__":
    publish(*map(Path, sys.argv[1:2]))
