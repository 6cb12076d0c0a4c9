"""The processes that commands start, and how they end with them."""

import os
import select
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

from cli.workspace import BIN, PROGRAM, REPOSITORY

GRACE_SECONDS = 20.0


def children() -> list[int]:
    """Descendants of this process in its own session; a daemon that was started to stay has left it."""
    session = os.getsid(0)
    parents: dict[int, list[int]] = {}
    for process in _all():
        if (parent := _parent(process)) is not None:
            parents.setdefault(parent, []).append(process)
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        for child in parents.get(waiting.pop(), []):
            if _session(child) == session:
                found.append(child)
                waiting.append(child)
    return found


def orphans() -> list[int]:
    """Plugins of this working copy that outlived a killed engine: those of offline/, and official ones.

    An engine starts its plugins in the program's folder (sdk/go/common/resource/plugin: `ExecPlugin`).
    """
    found = []
    for process in _all():
        arguments = _arguments(process)
        ours = str(REPOSITORY) in arguments and any(one.startswith("offline.") for one in arguments)
        official = _name(process).startswith("pulumi-") and _folder(process) == PROGRAM
        if ours or official or arguments[:1] == [str(BIN / "pulumi-resource-vsphere")]:
            parent = _parent(process)
            if parent is not None and _name(parent) not in ("pulumi", "python", "python3"):
                found.append(process)
    return found


def is_alive(process: int, name: str) -> bool:
    """Whether a process of that id runs and has that name, so that an id used again is not taken for it."""
    return _name(process) == name


def wait_for_end(process: int, seconds: float) -> bool:
    """Wait until a process, of whoever's, has ended; False if it has not in time."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)  # readable when the process has ended (pidfd_open(2))
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(handle)


def end(processes: Iterable[int], seconds: float = GRACE_SECONDS) -> None:
    """Ask processes to end, and kill those that don't in time."""
    processes = list(processes)
    for process in processes:
        _signal(process, signal.SIGTERM)
    for process in processes:
        if not wait_for_end(process, seconds):
            _signal(process, signal.SIGKILL)


def _signal(process: int, number: int) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return  # it has ended by itself


def _all() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _stat(process: int) -> list[str]:
    """Fields of proc(5)'s stat from the third one on: the name may hold blanks and parentheses."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []  # it has just ended


def _parent(process: int) -> int | None:
    fields = _stat(process)
    return int(fields[1]) if fields else None


def _session(process: int) -> int | None:
    fields = _stat(process)
    return int(fields[3]) if fields else None


def _arguments(process: int) -> list[str]:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _folder(process: int) -> Path | None:
    try:
        return Path(f"/proc/{process}/cwd").readlink()
    except OSError:
        return None


def _name(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:
        return ""
