"""Requests to end: Ctrl-C, `kill` and a closed terminal, and how a program on the user's terminal hears of them."""

import os
import signal
import stat
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType


class Interrupted(Exception):  # noqa: N818  # it is no error
    """The user interrupted a command; the text says what it was doing."""


_REQUESTS = (signal.SIGTERM, signal.SIGHUP)
"""Those that reach ./perenne without reaching what it has started."""


def hear() -> None:
    """Have every request to end arrive as Ctrl-C does, so that what was begun is finished, or taken back."""
    # A shell has what it starts in the background ignore Ctrl-C; a request to end must still be heard.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # who uses nohup wants it to go on
        signal.signal(signal.SIGHUP, _hung_up)


def run(
    command: Sequence[str], number: signal.Signals, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> int:
    """Run a program on the user's terminal; returns its exit code.

    Ctrl-C reaches it from the terminal itself. Of other requests to end it gets the first as signal `number`, and no
    more: they come in twos (both the shell and the kernel tell of a closed terminal), and a second signal would have
    Pulumi stop at once.
    """
    process: subprocess.Popen[bytes] | None = None
    asked = told = False

    def tell() -> None:
        nonlocal told
        if process and asked and not told:
            told = True
            process.send_signal(number)

    def ask(request: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        if request == signal.SIGHUP:
            _leave_terminal()
        tell()

    handlers = {request: signal.getsignal(request) for request in (signal.SIGINT, *_REQUESTS)}
    try:
        signal.signal(signal.SIGINT, lambda *_: None)  # unlike SIG_IGN, it is not handed down to the program
        for request in _REQUESTS:
            if handlers[request] is not signal.SIG_IGN:
                signal.signal(request, ask)
        with subprocess.Popen(command, cwd=cwd, env=env) as process:
            tell()  # of what came while it was being started
            return process.wait()
    finally:
        for request, handler in handlers.items():
            signal.signal(request, handler)


def _hung_up(*_: object) -> None:
    """The terminal is closed: that counts once, as a second Ctrl-C would break off what the first has begun."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _leave_terminal()
    signal.raise_signal(signal.SIGINT)


def _leave_terminal() -> None:
    """Say no more on a closed terminal: every write would fail (EIO), and that would end what is being taken back."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        if stat.S_ISCHR(os.fstat(stream).st_mode):
            os.dup2(nowhere, stream)
    os.close(nowhere)
