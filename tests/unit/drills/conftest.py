"""Which event loop a test runs on."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests.unit.drills.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests that are marked `virtual_time` wait for nothing; the others have the machine's time."""
    if item.get_closest_marker("virtual_time"):
        return {"virtual": VirtualTimeLoop}
    return {"real": asyncio.new_event_loop}
