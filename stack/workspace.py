"""Where things are: the working copy, its private folder, the user's cache, and the stacks."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from machine import locks
from machine.failure import Failure

if TYPE_CHECKING:
    from blueprint.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[1]
TWIN = os.environ.get("PERENNE_TWIN", "")
"""The stack whose twin in the lab this process works on, as `./perenne twin` has it; empty for any other."""
PROGRAM = REPOSITORY / ".perenne" / "twin" / TWIN if TWIN else REPOSITORY
"""Where the program is run and its stack files are: this working copy, or a twin's folder with links to it."""
PRIVATE = PROGRAM / ".perenne"
"""Everything of this working copy's, or of the twin's, that git doesn't keep."""
LOGS = PRIVATE / "logs"
BIN = PRIVATE / "bin"
STATE = PRIVATE / "state"
"""Pulumi's state of stacks for which no other backend is chosen."""
JOURNAL = PRIVATE / "drill" / "undo.json"
"""What a drill has broken and must take back (drills.undo)."""
LAB = PRIVATE / "lab"

_STACK_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")


def cache() -> Path:
    """The folder of the user's that outlives the clone."""
    return Path(os.environ.get("PERENNE_CACHE") or Path.home() / ".cache" / "perenne").resolve()


def lab_name() -> str:
    """The lab's name on this machine."""
    return os.environ.get("PERENNE_LAB") or (f"twin-{TWIN}" if TWIN else "perenne")


def have_private() -> None:
    """Make the private folder, which nobody else may look into."""
    PRIVATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    if PRIVATE.stat().st_mode & 0o077:
        PRIVATE.chmod(0o700)
    LOGS.mkdir(exist_ok=True)


def log_file(name: str) -> Path:
    """The file for the details of one kind of work; each run starts it afresh."""
    have_private()
    file = LOGS / f"{name}.log"
    file.write_text("")
    return file


_OWN = {".git", ".perenne"}
"""What a folder with links does not share with the working copy."""


def link_program(folder: Path) -> None:
    """Make or renew a folder from which the program can be run with other stack files.

    It has links to everything of the working copy but the stack files, and a private folder of its own.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / ".perenne").mkdir(mode=0o700, exist_ok=True)
    wanted = {entry.name: entry for entry in REPOSITORY.iterdir()}
    for name in (*_OWN, *(file.name for file in REPOSITORY.glob("Pulumi.*.yaml"))):
        wanted.pop(name, None)
    for link in folder.iterdir():
        if link.is_symlink():
            link.unlink()
    for name, entry in wanted.items():
        (folder / name).symlink_to(entry)


@dataclass(frozen=True)
class Stack:
    """A stack by its name, which its file `Pulumi.<name>.yaml` describes."""

    name: str

    def __post_init__(self) -> None:
        if not _STACK_NAME.match(self.name):
            raise Failure(f"{self.name!r} is no stack", "a stack's name has letters, digits, . _ and -", "Correct it.")

    @property
    def file(self) -> Path:
        """Its stack file."""
        return PROGRAM / f"Pulumi.{self.name}.yaml"

    def command(self, verb: str, *arguments: str) -> str:
        """How a user gives a command for this stack: `./perenne drain db01 prod`; `./perenne twin prod drain db01`."""
        if TWIN:
            words = ["twin", TWIN, verb, *arguments]
        elif verb in {"ssh", "logs"}:  # what comes after the server's name is for the server
            words = [verb, "--stack", self.name, *arguments]
        else:
            words = [verb, *arguments, self.name]
        return " ".join(["./perenne", *words])

    @property
    def passphrase_file(self) -> Path:
        """What its encrypted configuration is read with."""
        return PRIVATE / f"{self.name}.passphrase"

    @property
    def made_file(self) -> Path:
        """Which keys `init` added to a lab's stack file, so that `down` can take them out again."""
        return PRIVATE / f"{self.name}.made.json"

    @property
    def generation_file(self) -> Path:
        """Which lab the stack's state belongs to."""
        return PRIVATE / f"{self.name}.generation"

    @property
    def drained_file(self) -> Path:
        """Which of its servers were taken out of use (stack.drained_servers)."""
        return PRIVATE / "drained" / f"{self.name}.json"

    @property
    def authority_file(self) -> Path:
        """The certificate of the site's authority, written by the program (components.stack)."""
        return PRIVATE / f"{self.name}-ca.pem"

    @cached_property
    def settings(self) -> "Settings":
        """What the stack file says now.

        Raises:
            StackFileError: It can't be a site.
        """
        from blueprint.loading import settings_from_file  # noqa: PLC0415 (pydantic takes its time)

        return settings_from_file(self.file)

    def check_file(self) -> None:
        """Have the stack file read, so that a mistake in it is found before anything is started.

        Raises:
            StackFileError: It can't be a site.
        """
        _ = self.settings

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration in the stack file, encrypted values included."""
        from blueprint.loading import config_of  # noqa: PLC0415

        return config_of(self.file)

    def reread(self) -> "Stack":
        """The same stack with its file read again when it is next asked."""
        return Stack(self.name)

    @property
    def is_lab(self) -> bool:
        """Whether it lives in the embedded lab.

        Raises:
            StackFileError: The stack file can't be read.
        """
        return bool(TWIN) or self.config.get("perenne:environment") == "dev"


@contextmanager
def only_command(private: Path | None = None) -> Iterator[None]:
    """Keep other commands of this working copy out while one changes things; the kernel frees the lock.

    Args:
        private: The private folder of what is changed, where that is not this process's own (`PRIVATE`).

    Raises:
        Failure: Another command is at work.
    """
    if private is None:
        have_private()
        private = PRIVATE
    file = private / "command.lock"
    with locks.exclusive_now(file) as lock:
        if lock is None:
            process = file.read_text().strip()
            raise Failure(
                "another ./perenne is at work in this folder",
                f"process {process or 'unknown'} has not ended",
                f"Wait for it, or interrupt it with Ctrl-C or: kill {process or 'ITS-ID'}",
            )
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
