"""A working copy of its own for every test: nothing here touches the real one."""

from pathlib import Path

import pytest

from cli import engine


@pytest.fixture
def clone(clone: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pulumi, too, works in it."""
    monkeypatch.setattr(engine, "REPOSITORY", clone)
    monkeypatch.setattr(engine, "STATE", clone / ".perenne" / "state")
    return clone
