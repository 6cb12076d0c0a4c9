"""Telling a user what is being done."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Progress: TypeAlias = Callable[[str], None]
"""Takes one line about what begins or has ended."""


@contextmanager
def timed(progress: Progress, step: str) -> Iterator[None]:
    """Tell of a step's beginning, and of its end with the seconds that it took."""
    progress(f"{step} …")
    began = time.monotonic()
    yield
    progress(f"{step}: {time.monotonic() - began:.0f} s")
