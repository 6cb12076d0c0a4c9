"""The launcher: one environment per content of requirements.txt, made once, and made again when it is not whole."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cli import bootstrap

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The launcher with requirements that need no network, and a command that tells what it was started with."""
    folder = tmp_path / "clone"
    (folder / "cli").mkdir(parents=True)
    shutil.copy(REPOSITORY / "perenne", folder)
    shutil.copy(REPOSITORY / "cli" / "bootstrap.py", folder / "cli")
    (folder / "requirements.txt").write_text("# nothing\n")
    (folder / "cli" / "__main__.py").write_text("import os, sys; print(sys.prefix, os.getcwd(), sys.argv[1:])")
    return folder


def _start(clone: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [clone / "perenne", *arguments],
        cwd="/",
        env=os.environ | {"PERENNE_CACHE": str(clone.parent / "cache")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_environment_is_made_once(clone: Path) -> None:
    first = _start(clone, "up", "--help")
    assert first.stdout == f"{clone / '.venv'} {clone} ['up', '--help']\n", first.stderr
    assert "Set-up: done" in first.stderr
    assert (clone / ".venv").resolve().parent == clone.parent / "cache" / "venv"
    assert (clone / ".perenne").stat().st_mode & 0o077 == 0
    second = _start(clone)
    assert (second.stdout, second.stderr) == (first.stdout.replace("['up', '--help']", "[]"), "")


@pytest.mark.parametrize(
    ("files", "complete"),
    [
        ({"bin/python": "", "requirements.sha256": "abc\n"}, True),
        ({"bin/python": ""}, False),  # as an interruption leaves it
        ({"requirements.sha256": "abc\n"}, False),  # the machine's Python is gone
        ({"bin/python": "", "requirements.sha256": "def\n"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_only_a_whole_environment_counts(tmp_path: Path, files: dict[str, str], *, complete: bool) -> None:
    (tmp_path / "bin").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert bootstrap._is_complete(tmp_path, "abc") is complete


@pytest.mark.parametrize(
    ("output", "remedy"),
    [
        ("ERROR: No matching distribution found for pulumi==3.259.0", "make the Python package index reachable"),
        ("ERROR: Could not install packages due to an OSError: No space left on device", "free about 1 GB"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "what was downloaded is not what"),
    ],
)
def test_a_failing_download_says_what_was_tried_why_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, remedy: str
) -> None:
    monkeypatch.setattr(bootstrap, "LOG", tmp_path / "setup.log")
    with pytest.raises(bootstrap.SetupError) as error:
        bootstrap._run(["sh", "-c", f"echo '{output}'; exit 1"])
    assert f"Tried: sh -c echo '{output}'" in str(error.value)
    assert f"To do: {remedy}" in str(error.value)
    assert (tmp_path / "setup.log").read_text() == f"{output}\n"


def test_a_folder_that_is_not_ours_is_left_alone(clone: Path) -> None:
    (clone / ".venv").mkdir()
    done = _start(clone)
    assert done.returncode == 1
    assert "is not ours" in done.stderr


def test_without_a_python_that_is_new_enough_it_says_so(clone: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("readlink", "dirname", "sha256sum"):
        (folder / tool).symlink_to(str(shutil.which(tool)))
    old = folder / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\nexit 1\n')
    old.chmod(0o755)
    done = _start(clone, PATH=str(folder))
    assert done.returncode == 1
    assert "Perenne needs Python 3.11 or later" in done.stderr
    assert "Python 3.9.2" in done.stderr


def test_what_debian_keeps_in_another_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setattr("shutil.which", lambda _name: "/usr/bin/apt-get")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(bootstrap.SetupError, match=r"To do: sudo apt-get install --yes .* python3\.\d+-venv"):
        bootstrap._have_venv()
