"""What a deployment needs to have been built: the services of this repository, and the lab's vCenter."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from blueprint.artifacts import is_local
from blueprint.settings import Settings
from cli.toolchain import venv_python
from machine.failure import Failure
from stack.workspace import REPOSITORY, cache, log_file

_TAIL_LINES = 15
_NOT_FOUND = 127


def projects(settings: Settings) -> list[Path]:
    """Maven projects of this repository that deliver a service: those whose `target/` an artifact lies in."""
    artifacts = [REPOSITORY / service.artifact for service in settings.services.values() if is_local(service)]
    found = {folder.parent for artifact in artifacts for folder in artifact.parents if folder.name == "target"}
    return sorted(project for project in found if (project / "pom.xml").exists())


def build(settings: Settings, progress: Callable[[str], None]) -> None:
    """Build the services whose sources have changed since.

    Raises:
        Failure: One doesn't build.
    """
    for project in projects(settings):
        key = _digest(project)
        made_from = project / "target" / "perenne.sha256"
        if made_from.exists() and made_from.read_text() == key:
            continue
        progress(f"{project.name}: mvn package")
        # Maven leaves the classes of sources that are gone where they were.
        shutil.rmtree(project / "target", ignore_errors=True)
        maven(project, "package", "-DskipTests")
        made_from.write_text(key)


def maven(project: Path, *goals: str) -> None:
    """Run Maven in a project.

    Raises:
        Failure: It is missing or fails.
    """
    log = log_file(f"maven-{project.name}")
    command = ["mvn", "--batch-mode", "--no-transfer-progress", f"--file={project}", *goals]
    try:
        with log.open("wb") as output:
            # It ends with this process, even when that is killed: a second one must not find it still at work.
            tied = ["setpriv", "--pdeathsig", "TERM", *command]
            done = subprocess.run(tied, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
    except FileNotFoundError:
        raise Failure(f"{project.name} can't be built", "setpriv is missing", "Run ./perenne doctor.") from None
    if done.returncode == _NOT_FOUND:
        raise Failure(f"{project.name} can't be built", "Maven is missing", "Run ./perenne doctor.")
    if done.returncode:
        errors = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("[ERROR]")]
        remedy = f"Mend that, then run this again; by hand: {' '.join(command)}"
        raise Failure(f"{project.name} can't be built", "\n".join(errors[:_TAIL_LINES]), remedy, log=log)


def vcenter(progress: Callable[[str], None]) -> Path:
    """Build the lab's vCenter; returns the program, which lies in the cache.

    Raises:
        BuildError: It can't be built.
    """
    from offline.build import find_go, go_build  # noqa: PLC0415 (only here)

    go = find_go(cache(), venv_python(), progress)
    return go_build(go, REPOSITORY / "lab" / "vcenter", "vcenter", cache(), progress)


def _digest(project: Path) -> str:
    digest = hashlib.sha256(b"built into an empty folder\n")
    for file in _sources(project):
        digest.update(f"{file.relative_to(project)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _sources(project: Path) -> Iterable[Path]:
    return [project / "pom.xml", *sorted(file for file in (project / "src" / "main").rglob("*") if file.is_file())]
