"""Writes the report's files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from drills.model import Result
from drills.report import document, page


@dataclass(frozen=True, slots=True)
class Files:
    """Where the report is."""

    data: Path
    page: Path


def write(results: Sequence[Result], folder: Path, *, stack: str = "dev", lab: bool = True) -> Files:
    """Write `results.json` and `report.html` into a folder, replacing what is there.

    Raises:
        ValueError: There are no results.
        OSError: The folder can't be written.
    """
    if not results:
        raise ValueError("there are no results to report")
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(folder / "results.json", folder / "report.html")
    _replace(files.data, document.as_json(document.document(results, stack, lab=lab)))
    _replace(files.page, page.render(results, stack, lab=lab).encode())
    return files


def _replace(file: Path, content: bytes) -> None:
    """Put a file in place as a whole: an interruption leaves the old one."""
    new = file.with_name(f"{file.name}.new")
    new.write_bytes(content)
    new.replace(file)
