"""What must never be committed, and what must not escape the linters."""

import subprocess
from pathlib import Path

import yaml

from blueprint.secrets import is_secret_name
from cli.tests import SHELL

PROJECT = Path(__file__).parents[2]


def committed(stack: str) -> str:
    """The stack file as git has it."""
    return subprocess.run(
        ["git", "show", f"HEAD:Pulumi.{stack}.yaml"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout


def test_no_secret_of_the_lab_is_committed() -> None:
    """Not even encrypted: `up` writes a lab's into the working copy's file, `down` takes them out again."""
    text = committed("dev")
    assert "secure:" not in text
    assert "encryptionsalt" not in text
    assert "host_keys" not in text


def test_a_real_site_s_secrets_are_committed_encrypted() -> None:
    """As its owner does, where the workflow that looks for drift needs them."""
    config = yaml.safe_load(committed("prod"))["config"]
    secrets = {key: value for key, value in config.items() if is_secret_name(key.removeprefix("perenne:"))}
    assert [key for key, value in secrets.items() if "secure" not in value] == []


def test_every_script_is_read_by_a_linter() -> None:
    """Python by its suffix, shell by its place: guests and images give scripts names without one."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    files = [PROJECT / name for name in listed.split("\0") if name]
    scripts = [file for file in files if file.is_file() and file.read_bytes().startswith(b"#!")]
    shell = {file for pattern in SHELL for file in PROJECT.glob(pattern)}
    assert scripts
    assert [file for file in scripts if file.suffix != ".py" and file not in shell] == []
