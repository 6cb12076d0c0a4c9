"""Takes a report into the documentation: `python -m drills.report.publish [FOLDER]`.

What a drill has written (.perenne/drill/report) goes to docs/drills; the overview, and what the rules' pages quote, are
made from it. Without a folder, both are made anew from the report that is there.
"""

import shutil
import sys
from pathlib import Path

from drills.report import document, rules
from drills.report.overview import overview
from policies import pages

OVERVIEW = rules.RESULTS.with_name("results.md")
PAGE = "report.html"


def publish(report: Path | None = None) -> None:
    """Write it all.

    Raises:
        OSError: There is no report, or a folder can't be written.
        pydantic.ValidationError: The results are no report.
    """
    if report:
        document.parsed((report / rules.RESULTS.name).read_bytes())
        for name in (rules.RESULTS.name, PAGE):
            shutil.copyfile(report / name, rules.RESULTS.parent / name)
    OVERVIEW.write_text(overview(document.parsed(rules.RESULTS.read_bytes())))
    rules.write()
    pages.write()


if __name__ == "__main__":
    publish(*map(Path, sys.argv[1:2]))
