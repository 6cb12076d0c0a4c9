"""A pretended site, on whose clock nobody waits."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from moves import site as sites
from stack import workspace
from stack.workspace import Stack
from tests.unit.drills.virtual_time import VirtualTimeLoop
from tests.unit.moves.pretend import Pretend


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:  # noqa: ARG001
    """Waiting costs no time here."""
    return {"virtual": VirtualTimeLoop}


@pytest.fixture
def dev(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pretend:
    """The lab's site, which has DRS."""
    return _pretend(Stack("dev"), monkeypatch, tmp_path)


@pytest.fixture
def prod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pretend:
    """A real site, which has none."""
    return _pretend(Stack("prod"), monkeypatch, tmp_path)


def _pretend(stack: Stack, monkeypatch: pytest.MonkeyPatch, private: Path) -> Pretend:
    monkeypatch.setattr(workspace, "PRIVATE", private)
    found = Pretend(stack)
    monkeypatch.setattr(sites, "standing", found.standing)
    return found
