"""How tests are shared out among the workers of pytest-xdist: what records or renders something does it once."""

import gc

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

_OF_RECORDED_STACKS = ("tests/unit/components/", "tests/unit/mutation/", "tests/unit/policies/test_rules.py")
"""Tests that record the program's stacks: the same ones, of which each takes half a second."""


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """The tests of a file stay together, and so do all that look at recorded stacks; most tests first."""

    def _split_scope(self, nodeid: str) -> str:
        return "recorded stacks" if nodeid.startswith(_OF_RECORDED_STACKS) else nodeid.split("::", 1)[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """Share out by what belongs together."""
    return _Scheduling(config, log)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what was imported: it stays until the end, and is large."""
    gc.collect()
    gc.freeze()
