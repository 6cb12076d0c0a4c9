"""Makes the virtual environment; the launcher runs it with the machine's own Python, so it needs nothing else.

Environments are kept in the cache, one per content of requirements.txt and Python, and linked as `.venv`. They can't be
moved once they are made: one is built at its final place and counts only when its last file, `requirements.sha256`, is
there. An interrupted build is removed and done again.
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
REQUIREMENTS = REPOSITORY / "requirements.txt"
LINK = REPOSITORY / ".venv"
LOG = REPOSITORY / ".perenne" / "logs" / "setup.log"
COMPLETE = "requirements.sha256"
_TAIL_LINES = 15


class SetupError(Exception):
    """Set-up can't go on; the text says what was tried, why it failed and what to do."""


def main() -> None:
    """Make the environment that requirements.txt wants, unless the cache has it, and link it."""
    checksum = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    environments = cache() / "venv"
    environment = environments / _key(checksum)
    try:
        _check_link()
        environments.mkdir(parents=True, exist_ok=True)
        with _locked(environment.with_suffix(".lock")):
            if not _is_complete(environment, checksum):
                _make(environment, checksum)
        _link(environment)
    except (SetupError, OSError) as error:
        sys.exit(f"The virtual environment could not be made.\n{error}")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted while making the virtual environment; the next ./perenne does it again.")


def cache() -> Path:
    """The folder of the user's that outlives the clone."""
    return Path(os.environ.get("PERENNE_CACHE") or Path.home() / ".cache" / "perenne").resolve()


def _key(checksum: str) -> str:
    interpreter = f"{sys.version} {Path(sys.executable).resolve()}"
    return hashlib.sha256(f"{checksum} {interpreter}".encode()).hexdigest()[:16]


def _is_complete(environment: Path, checksum: str) -> bool:
    try:
        return (environment / COMPLETE).read_text().strip() == checksum and (environment / "bin" / "python").exists()
    except FileNotFoundError:
        return False


def _make(environment: Path, checksum: str) -> None:
    number = sum("==" in line for line in REQUIREMENTS.read_text().splitlines())
    _say(f"Set-up: a virtual environment with {number} Python packages (about a minute; kept in {environment.parent})")
    _have_venv()
    shutil.rmtree(environment, ignore_errors=True)
    LOG.parent.parent.mkdir(mode=0o700, exist_ok=True)  # as stack.workspace.have_private has it
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text("")
    began = time.monotonic()
    # Links to the interpreter, so that Debian's security updates of Python reach the environment.
    _run([sys.executable, "-m", "venv", "--symlinks", str(environment)])
    install = ["install", "--require-hashes", "--only-binary=:all:", "--no-input", "--progress-bar=off"]
    pip = [
        str(environment / "bin" / "python"),
        "-m",
        "pip",
        "--disable-pip-version-check",
        *install,
        "-r",
        str(REQUIREMENTS),
    ]
    with _counting(number) as count:
        _run(pip, count)
    (environment / COMPLETE).write_text(f"{checksum}\n")
    _say(f"Set-up: done in {time.monotonic() - began:.0f} s")


def _have_venv() -> None:
    """Debian and Ubuntu keep a part of `venv` in a package of its own."""
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    command = ["apt-get", "install", "--yes", "--no-install-recommends", package]
    if shutil.which("apt-get") is None:
        raise SetupError(f"{sys.executable} has no module ensurepip.\nTo do: install Python's venv and ensurepip")
    if os.geteuid() != 0:
        raise SetupError(f"The package {package} is missing.\nTo do: sudo {' '.join(command)}")
    _say(f"Set-up: install {package} with apt-get")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    try:
        _run(command)
    except SetupError:
        _say("Set-up: the package lists are out of date; apt-get update, then again")
        _run(["apt-get", "update"])
        _run(command)


def _check_link() -> None:
    if LINK.exists() and not LINK.is_symlink():
        raise SetupError(f"{LINK} is there and is not ours.\nTo do: mv .venv another-name, then run this again")


def _link(environment: Path) -> None:
    new = LINK.with_name(f".venv.{os.getpid()}")
    new.symlink_to(environment)
    new.replace(LINK)


def _run(command: Sequence[str], line_read: Callable[[str], None] = lambda _: None) -> None:
    """Run a command with its output in the log; `line_read` is told each line."""
    with (
        LOG.open("a") as log,
        subprocess.Popen(
            command,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        lines = []
        for line in process.stdout or ():
            log.write(line)
            lines.append(line)
            line_read(line)
    if process.returncode:
        tail = "".join(lines[-_TAIL_LINES:])
        tried = " ".join(command)
        raise SetupError(f"Tried: {tried}\n{tail}To do: {_remedy(''.join(lines))}\nThe whole output is in {LOG}")


def _remedy(output: str) -> str:
    if "No space left" in output:
        return "free about 1 GB of disk space, then run this again"
    if "DO NOT MATCH THE HASHES" in output:
        return "what was downloaded is not what requirements.txt expects; look for what changes it on its way here"
    if "No matching distribution" in output or "onnect" in output or "timed out" in output or "resolve" in output:
        return (
            "make the Python package index reachable (pip config list shows which is asked; HTTPS_PROXY applies), "
            "then run this again"
        )
    return "run the command above by hand to see what it needs, then run this again"


@contextmanager
def _counting(number: int) -> Iterator[Callable[[str], None]]:
    """Show how many packages pip has looked at; on a terminal only."""
    terminal = sys.stderr.isatty() and not os.environ.get("CI")
    seen = 0

    def count(line: str) -> None:
        nonlocal seen
        if line.startswith("Collecting "):
            seen += 1
            text = f"{seen}/{number} {line.split()[1].partition('==')[0]}"
        elif line.startswith("Installing "):
            text = f"installing {number} packages"
        else:
            return
        if terminal:
            sys.stderr.write(f"\r\033[KSet-up: {text}")
            sys.stderr.flush()

    try:
        yield count
    finally:
        if terminal:
            sys.stderr.write("\r\033[K")


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Keep other processes out; the kernel lets go of the lock when this one dies."""
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Set-up: another process makes the virtual environment; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()
