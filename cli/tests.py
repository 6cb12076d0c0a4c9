"""`./perenne test`: everything that a change must pass, from formatting to the running lab."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli import artifacts, packages
from cli.console import PLAIN, Display, err, say
from cli.down import down
from cli.toolchain import venv_python
from cli.up import up
from lab.site import Condition
from offline.build import Go, find_go
from stack.labs import lab_of
from stack.workspace import REPOSITORY, Stack, cache, log_file

GO_MODULES = (REPOSITORY / "lab" / "vcenter", REPOSITORY / "offline" / "vsphere")
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.7"
SHELL = (
    "perenne",
    ".ci/run",
    "components/**/*.sh",
    "lab/images/**/*.sh",
    "lab/images/esxi/bin/*",
    "lab/images/esxi/start-host",
    "lab/images/guest/perenne-init",
    "tests/**/*.sh",
)

_TAIL_LINES = 60


@dataclass(frozen=True)
class Check:
    """One tool's run."""

    name: str
    command: Sequence[str | Path]
    folder: Path = REPOSITORY
    silent: bool = False
    """A tool that tells by its output alone, as `gofmt -l` does: any output is a failure."""


def run_all(stack: Stack, *, lint: bool, unit: bool, arguments: Sequence[str]) -> int:
    """Run it; returns 1 if anything failed.

    Args:
        stack: The lab's stack.
        lint: Leave out all tests but those of Go, which take seconds.
        unit: Leave out what needs the lab.
        arguments: Passed on to pytest on the lab.
    """
    display = Display(log_file("test"))
    failed = [check.name for check in _checks() if not _passes(check, display)]
    if lint:
        say(f"Failed: {', '.join(failed)}." if failed else "All passed; no test in Python or Java was run.")
        return 1 if failed else 0
    failed += [
        f"{project.name} (Java)" for project in artifacts.projects(stack.settings) if not _java(project, display)
    ]
    if not _pytest("unit tests", ["tests/unit", "--numprocesses=auto"]):
        failed.append("unit tests")
    if not unit and not failed and not _lab(stack, display, arguments):
        failed.append("lab tests")
    if failed:
        say(f"Failed: {', '.join(failed)}.", "red")
        if not unit and "lab tests" not in failed:
            say("The lab's tests were not run.")
        return 1
    say("All passed.", "green")
    return 0


def _checks() -> Iterator[Check]:
    python = [str(venv_python()), "-m"]
    yield Check("format (ruff)", [*python, "ruff", "format", "--check", "."])
    yield Check("lint (ruff)", [*python, "ruff", "check", "."])
    yield Check("types (mypy)", [*python, "mypy", "."])
    if shutil.which("shellcheck"):
        scripts = sorted(file for pattern in SHELL for file in REPOSITORY.glob(pattern))
        yield Check("shell (shellcheck)", ["shellcheck", *scripts])
    go = find_go(cache(), venv_python(), say)
    yield Check("workflows (actionlint)", [go.executable, "run", ACTIONLINT, "-color=false"])
    for module in GO_MODULES:
        yield from _go_checks(go, module)


def _go_checks(go: Go, module: Path) -> Iterator[Check]:
    name = module.relative_to(REPOSITORY)
    yield Check(f"{name}: gofmt", [go.executable.with_name("gofmt"), "-l", "."], module, silent=True)
    yield Check(f"{name}: go vet", [go.executable, "vet", "./..."], module)
    yield Check(f"{name}: go test", [go.executable, "test", "./..."], module)


def _passes(check: Check, display: Display) -> bool:
    progress = display.begin(check.name)
    done = subprocess.run(
        check.command,
        cwd=check.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    passed = done.returncode == 0 and not (check.silent and done.stdout.strip())
    display.log(done.stdout)
    display.end(progress, "✓" if passed else "✗", "green" if passed else "red")
    if not passed:
        err.print("\n".join(done.stdout.splitlines()[-_TAIL_LINES:]), markup=False)
    return passed


def _java(project: Path, display: Display) -> bool:
    if packages.missing(package for package in packages.LAB if package.executable in ("mvn", "javac")):
        say(f"  - {project.name} (Java): left out, as Maven or a JDK is missing (./perenne doctor)", "yellow")
        return True
    return _passes(Check(f"{project.name}: mvn verify", ["mvn", "--batch-mode", "--quiet", "verify"], project), display)


def _pytest(name: str, arguments: Sequence[str]) -> bool:
    """Run pytest on the user's terminal, which has its own progress and its closing line."""
    say(f"  … {name}")
    color = "no" if PLAIN else "auto"
    command = [str(venv_python()), "-m", "pytest", f"--color={color}", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, check=False).returncode == 0


def _lab(stack: Stack, display: Display, arguments: Sequence[str]) -> bool:
    """Run the tests on the lab; one that was brought up for them is taken down again."""
    with display.step("browser") as progress:
        packages.ensure([packages.BROWSER], progress)
    was_up = lab_of(stack).state().condition is Condition.HEALTHY
    try:
        up(stack, yes=True, timings=False)
        return _pytest("lab tests", ["tests/lab", "-m", "not long", *arguments])  # of two -m, the last counts
    finally:
        if not was_up:
            down(stack.reread(), caches=False, confirm=lambda _question: True, destroy=True)
