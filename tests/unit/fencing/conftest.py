"""Which event loop a test runs on: the same choice as for the drills' tests."""

from tests.unit.drills.conftest import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
