"""What must never be committed."""

import subprocess
from pathlib import Path

import pytest

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
