"""What a part of a series runs on, found out as it begins."""

import hashlib
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from blueprint.settings import Settings
from drills.model import Subject
from stack.workspace import REPOSITORY, Stack

_DIRTY = "-dirty"
"""What a commit's name ends with where the program is not quite that one (git-describe(1))."""

_DIGITS = 12
_NO_PROGRAM = (":!docs", ":!Pulumi.*.yaml")
"""A lab's secrets are put into its stack file, and settings have a digest of their own."""

_OF_ONE_LAB = {"host_keys", "logins"}
"""Settings that `init` and `rotate` write: another lab of the same stack file has others."""


def subject_of(stack: Stack) -> Subject:
    """What drills on a stack run on now.

    Raises:
        StackFileError: Its file can't be used.
    """
    return Subject(
        program=commit_of(REPOSITORY),
        settings=digest(stack.settings),
        lab_since=_changed(stack.generation_file) if stack.is_lab else None,
    )


def commit_of(folder: Path) -> str:
    """The commit of a working copy, with `-dirty` where its program is another; empty where nobody knows."""
    commit = _git(folder, "rev-parse", f"--short={_DIGITS}", "HEAD")
    changed = commit and _git(folder, "status", "--porcelain", "--", ".", *_NO_PROGRAM)
    if commit is None or changed is None:
        return ""
    return commit + (_DIRTY if changed else "")


def digest(settings: Settings) -> str:
    """The first digits of the SHA-256 of all settings, also of those that the stack file leaves at their defaults.

    Servers in another order are other settings: the first of a tier may be preferred.
    """
    text = settings.model_dump_json(exclude=_OF_ONE_LAB)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _changed(file: Path) -> datetime | None:
    """When a file was last written, UTC; it is written once for each life of a lab (cli.lab_start)."""
    return datetime.fromtimestamp(file.stat().st_mtime, UTC) if file.exists() else None


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says of a folder that is a working copy itself; None if it says nothing."""
    alone = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=folder,
            env=alone,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
