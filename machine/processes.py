"""The machine's processes: what they are, and how they are ended (proc(5), pidfd_open(2))."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

GRACE_SECONDS = 20.0


def every() -> Iterator[int]:
    """The ids of all processes."""
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def descendants() -> list[int]:
    """Those of this process in its own session; a daemon that was started to stay has left it."""
    session = os.getsid(0)
    by_parent: dict[int, list[int]] = {}
    for process in every():
        if (above := parent(process)) is not None:
            by_parent.setdefault(above, []).append(process)
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        for child in by_parent.get(waiting.pop(), []):
            if _session(child) == session:
                found.append(child)
                waiting.append(child)
    return found


def children(of: int) -> list[int]:
    """The processes whose parent is that one."""
    return [process for process in every() if parent(process) == of]


def is_alive(process: int, called: str) -> bool:
    """Whether a process of that id runs and has that name, so that an id used again is not taken for it."""
    return name(process) == called


def opened(process: int) -> int | None:
    """A handle of a process, which no other one can be taken for; None if it has ended. The caller closes it."""
    try:
        return os.pidfd_open(process)
    except ProcessLookupError:
        return None


def wait_for_end(process: int, seconds: float) -> bool:
    """Wait until a process, of whoever's, has ended; False if it has not in time."""
    if (handle := opened(process)) is None:
        return True
    try:
        return wait_for_all([handle], seconds)
    finally:
        os.close(handle)


def wait_for_all(handles: Iterable[int], seconds: float) -> bool:
    """Wait until the processes of these handles have ended; False if one has not in time."""
    poll = select.poll()
    running = set(handles)
    for handle in running:
        poll.register(handle, select.POLLIN)  # readable when the process has ended (pidfd_open(2))
    deadline = time.monotonic() + seconds
    while running:
        ended = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        if not ended:
            return False
        for handle, _event in ended:
            poll.unregister(handle)
            running.discard(handle)
    return True


def end(processes: Iterable[int], seconds: float = GRACE_SECONDS) -> None:
    """Ask processes to end, and kill those that don't in time, which is the same for all."""
    handles = [handle for process in processes if (handle := opened(process)) is not None]
    try:
        _signal(handles, signal.SIGTERM)
        if not wait_for_all(handles, seconds):
            _signal(handles, signal.SIGKILL)
    finally:
        for handle in handles:
            os.close(handle)


def parent(process: int) -> int | None:
    """Its parent; None if it has just ended, as for all below."""
    fields = _stat(process)
    return int(fields[1]) if fields else None


def arguments(process: int) -> list[str]:
    """Its command line; kernel threads and zombies have none."""
    try:
        line = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return []
    return line.removesuffix("\0").split("\0") if line else []


def folder(process: int) -> Path | None:
    """The folder that it works in."""
    try:
        return Path(f"/proc/{process}/cwd").readlink()
    except OSError:
        return None


def name(process: int) -> str:
    """The name of its program, of which the kernel keeps 15 characters."""
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:
        return ""


def _signal(handles: Iterable[int], number: int) -> None:
    for handle in handles:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            signal.pidfd_send_signal(handle, number)


def _session(process: int) -> int | None:
    fields = _stat(process)
    return int(fields[3]) if fields else None


def _stat(process: int) -> list[str]:
    """Fields of proc(5)'s stat from the third one on: the name may hold blanks and parentheses."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []  # it has just ended
