"""Locks between processes; the kernel frees them with the process that holds one, however that ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def exclusive(file: Path) -> Iterator[None]:
    """Hold the lock of a file, which is made where there is none, after whoever holds it now."""
    with file.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def exclusive_now(file: Path) -> Iterator[TextIO | None]:
    """Hold the lock of a file, which is made where there is none; yields it, or None where another process holds it."""
    with file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield lock
