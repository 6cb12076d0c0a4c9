"""A pretended site, on whose clock nobody waits."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from cli.workspace import Stack
from moves import site as sites
from tests.unit.drills.virtual_time import VirtualTimeLoop
from tests.unit.moves.pretend import Pretend


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:  # noqa: ARG001
    """Waiting costs no time here."""
    return {"virtual": VirtualTimeLoop}


@pytest.fixture
def dev(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """The lab's site, which has DRS."""
    return _pretend(Stack("dev"), monkeypatch)


@pytest.fixture
def prod(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """A real site, which has none."""
    return _pretend(Stack("prod"), monkeypatch)


def _pretend(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Pretend:
    found = Pretend(stack)
    monkeypatch.setattr(sites, "standing", found.standing)
    return found
