"""Writes the report's files."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from drills.model import Circumstances, Result
from drills.report import document
from drills.report.summary import Runs
from machine.files import write as replace


@dataclass(frozen=True, slots=True)
class Files:
    """Where the report is."""

    data: Path
    page: Path


def write(
    results: Runs | Iterable[Result],
    folder: Path,
    *,
    stack: str = "dev",
    lab: bool = True,
    went: Circumstances | None = None,
) -> Files:
    """Write `results.json` and `report.html` into a folder, replacing what is there.

    Args:
        results: What was measured.
        folder: Where the files are put.
        stack: Its name.
        lab: Whether vSphere was the lab's.
        went: How the series went.

    Raises:
        ValueError: There are no results.
        OSError: The folder can't be written, or a recording is not there any more.
    """
    from drills.report import page  # noqa: PLC0415 (drawing takes half a second to load, and few need it)

    runs = results if isinstance(results, Runs) else Runs(results)
    if not len(runs):
        raise ValueError("there are no results to report")
    files = Files(folder / "results.json", folder / "report.html")
    replace(files.data, document.as_json(document.document(runs, stack, lab=lab, went=went)))
    replace(files.page, page.render(runs, stack, lab=lab, went=went))
    return files
