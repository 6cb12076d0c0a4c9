"""Runs of Pulumi that are killed: by `kill -9`, by the ids of processes that the test itself started."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from cli import plugins
from machine import processes
from stack.workspace import REPOSITORY, STATE, Stack

Killer = Callable[["subprocess.Popen[bytes]", int], str]
"""Kills something of a run, given the engine's process; returns what, or "" if that had just ended by itself."""

PATIENCE_SECONDS = 400.0
_POLL_SECONDS = 0.05


@contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str], log: IO[Any] | int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    """A run in a session of its own, so that its processes can be told from others'; it ends with the block."""
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=os.environ | environment | {"CI": "1"},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                kill_session(process)


def await_engine(process: "subprocess.Popen[bytes]", stack: Stack) -> int | None:
    """The run's engine, as soon as it changes something; None if the run ends before."""
    file = STATE / ".pulumi" / "stacks" / "perenne" / f"{stack.name}.json"
    deadline = time.monotonic() + PATIENCE_SECONDS
    engine, before = None, 0
    while process.poll() is None and time.monotonic() < deadline:
        if engine is None:
            own = (one for one in lock_holders(stack) if processes.is_alive(one, "pulumi"))
            engine = next((one for one in own if _session(one) == process.pid), None)
            before = _written(file)
        elif _written(file) not in {0, before}:
            return engine  # its first operation is noted
        time.sleep(_POLL_SECONDS)
    return None


def runs_for(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Let a run go on; False if it ends by itself before that time is over."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def kill_launcher(process: "subprocess.Popen[bytes]", _engine: int) -> str:
    """Kill what was started; the kernel interrupts its engine (`setpriv --pdeathsig`)."""
    process.kill()
    return "./perenne"


def kill_engine(_process: "subprocess.Popen[bytes]", engine: int) -> str:
    """Kill Pulumi; its plugins and what waits for it live on."""
    try:
        os.kill(engine, signal.SIGKILL)
    except ProcessLookupError:
        return ""
    return "the engine"


def kill_session(process: "subprocess.Popen[bytes]", _engine: int = 0) -> str:
    """Kill all processes of the run, what was started last before all others."""
    for one in sorted((one for one in processes.every() if _session(one) == process.pid), reverse=True):
        _kill(one)
    return "all processes of the run"


def lock_holders(stack: Stack) -> Iterator[int]:
    """Processes that have the stack locked, alive or not."""
    for file in (STATE / ".pulumi" / "locks" / "organization" / "perenne" / stack.name).glob("*.json"):
        try:
            yield int(json.loads(file.read_text())["pid"])
        except (FileNotFoundError, ValueError):
            continue  # it is just being written, or taken off


def survivors() -> list[int]:
    """Engines and plugins of this working copy."""
    found = plugins.orphans()
    for process in processes.every():
        is_engine = processes.folder(process) == REPOSITORY and processes.name(process).startswith("pulumi")
        if is_engine and process not in found:
            found.append(process)
    return found


def _written(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0  # it is just being replaced


def _session(process: int) -> int | None:
    try:
        return os.getsid(process)
    except ProcessLookupError:
        return None


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return  # it has ended with another one
