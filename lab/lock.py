"""One process at a time works on a lab, on the whole machine."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from lab.errors import LabError
from machine import processes

_CREDENTIALS = struct.Struct("3i")
"""A `struct ucred`: process, user, group (unix(7), SO_PEERCRED)."""

_held: set[str] = set()


@contextmanager
def locked(lab: str) -> Iterator[None]:
    """Hold the lab of that name for this process, which may ask for it again while it does.

    The lock is the name of an abstract socket (unix(7)): it needs no file, and the kernel frees it when its process
    ends in whatever way.

    Raises:
        LabError: another process holds it.
    """
    if lab in _held:
        yield
        return
    address = f"\0perenne-lab-{lab}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as lock:
        try:
            lock.bind(address)
        except OSError as error:
            why = f"{_holder(address)} is working on it"
            raise LabError(f"lab {lab} is busy", why, "Wait until that has ended, or interrupt it.") from error
        lock.listen()
        _held.add(lab)
        try:
            yield
        finally:
            _held.remove(lab)


def _holder(address: str) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as query:
        try:
            query.connect(address)
        except OSError:
            return "another process"  # it has just bound or just ended
        credentials = query.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process = _CREDENTIALS.unpack(credentials)[0]
    folder = processes.folder(process)
    return f"process {process} (in {folder})" if folder else f"process {process}"
