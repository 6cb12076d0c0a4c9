"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")

_PAUSE_SECONDS = 0.1


def wait_until(question: Callable[[], T], *, seconds: float, what: str) -> T:
    """Ask until the answer is truthy and return it; fail, naming `what`, once `seconds` have gone by."""
    end = time.monotonic() + seconds
    while not (answer := question()):
        if time.monotonic() > end:
            pytest.fail(f"{what}: not within {seconds:g} s")
        time.sleep(_PAUSE_SECONDS)
    return answer
