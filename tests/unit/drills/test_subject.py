"""What drills run on: the commit, the settings, the lab."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drills.subject import commit_of, digest, subject_of
from stack import workspace
from stack.workspace import Stack

SETTINGS = Stack("dev").settings


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working copy with one commit."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "clone"
    (folder / "docs").mkdir(parents=True)
    for name in ("program.py", "Pulumi.dev.yaml", "docs/results.md"):
        (folder / name).write_text("as it was")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "commit", "--quiet", "--message=all")
    return folder


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_a_commit_is_marked_where_the_program_is_another(clone: Path) -> None:
    commit = commit_of(clone)
    assert len(commit) == 12
    assert git(clone, "rev-parse", "HEAD").startswith(commit)
    (clone / "Pulumi.dev.yaml").write_text("with the lab's secrets")
    (clone / "docs" / "results.md").write_text("with another line")
    assert commit_of(clone) == commit, "settings have a digest of their own"
    (clone / "new.py").write_text("in no commit")
    assert commit_of(clone) == f"{commit}-dirty"
    (clone / "new.py").unlink()
    (clone / "program.py").write_text("changed")
    assert commit_of(clone) == f"{commit}-dirty"


def test_what_is_no_working_copy_has_no_commit(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert commit_of(clone / "docs") == "", "one around it is not meant"
    monkeypatch.setenv("PATH", str(clone))
    assert commit_of(clone) == "", "without git"


def test_digest_tells_settings_apart_but_not_labs() -> None:
    known = digest(SETTINGS)
    other = SETTINGS.fencing.model_copy(update={"patience_seconds": SETTINGS.fencing.patience_seconds + 1})
    assert digest(SETTINGS.model_copy(update={"fencing": other})) != known
    assert digest(SETTINGS.model_copy(update={"servers": dict(reversed(SETTINGS.servers.items()))})) != known
    assert digest(Stack("dev").settings) == known
    key = dict.fromkeys(SETTINGS.hosts, "ecdsa-sha2-nistp256 AAAA")
    assert digest(SETTINGS.model_copy(update={"host_keys": key, "logins": {"pnp-manager": "b"}})) == known


def test_a_lab_is_as_old_as_its_vcenters_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "PRIVATE", tmp_path)
    assert subject_of(Stack("dev")).lab_since is None
    made = datetime(2026, 11, 30, 20, 31, tzinfo=UTC)
    for name in ("dev", "prod"):
        file = Stack(name).generation_file
        file.write_text("0123")
        os.utime(file, (made.timestamp(), made.timestamp()))
    on = subject_of(Stack("dev"))
    assert (on.lab_since, on.settings) == (made, digest(SETTINGS))
    assert subject_of(Stack("prod")).lab_since is None, "a real site"
