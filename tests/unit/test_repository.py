"""What must never be committed, and what must not escape the linters."""

import subprocess
from pathlib import Path

import pytest

from cli.tests import SHELL

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_no_secret_of_a_stack_is_committed(stack: str) -> None:
    """Not even encrypted: `up` writes a lab's into the working copy's file, `down` takes them out again."""
    committed = subprocess.run(
        ["git", "show", f"HEAD:Pulumi.{stack}.yaml"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    assert "secure:" not in committed
    assert "encryptionsalt" not in committed
    assert "host_keys" not in committed


def test_every_script_is_read_by_a_linter() -> None:
    """Python by its suffix, shell by its place: guests and images give scripts names without one."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    files = [PROJECT / name for name in listed.split("\0") if name]
    scripts = [file for file in files if file.is_file() and file.read_bytes().startswith(b"#!")]
    shell = {file for pattern in SHELL for file in PROJECT.glob(pattern)}
    assert scripts
    assert [file for file in scripts if file.suffix != ".py" and file not in shell] == []
