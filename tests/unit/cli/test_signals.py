"""Requests to end: what is on the user's terminal hears of them once, and a closed terminal breaks nothing off."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import remote, signals

REPOSITORY = Path(__file__).resolve().parents[3]
ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def _heard() -> Iterator[None]:
    """Signals arrive as in a ./perenne that a terminal has started, and afterwards as before."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ALL}
    signals.hear()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_heard")
@pytest.mark.parametrize("number", ALL)
def test_every_request_to_end_is_an_interrupt(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


@pytest.mark.usefixtures("_heard")
def test_a_terminal_is_closed_once() -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGHUP)  # the kernel's, after the shell's


@pytest.mark.usefixtures("_heard")
def test_what_nohup_has_started_outlives_its_terminal() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals.hear()
    signal.raise_signal(signal.SIGHUP)
    assert remote._run(["sh", "-c", "kill -HUP $PPID; exit 3"]) == 3
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.usefixtures("_heard")
def test_a_shell_on_a_server_ends_with_its_command() -> None:
    """So that the key for it, which is in a file, goes as well."""
    assert remote._run(["sh", "-c", "kill -TERM $PPID; exec sleep 600"]) == -signal.SIGTERM


_TAKES_BACK = """
import pathlib, signal, sys
from cli import remote, signals
signals.hear()
try:
    print("begun", flush=True)
    signal.pause()
except KeyboardInterrupt:
    print("taking back", file=sys.stderr, flush=True)
    print("taking back", flush=True)
    pathlib.Path(sys.argv[1]).write_text("taken back")
"""


def test_what_was_begun_is_taken_back_after_the_terminal_was_closed(tmp_path: Path) -> None:
    terminal, its = pty.openpty()
    from_terminal = ["env", "--default-signal=HUP", "setsid", "--ctty"]  # also where nohup has started the tests
    command = [*from_terminal, sys.executable, "-c", _TAKES_BACK, str(tmp_path / "done")]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=its, stdout=its, stderr=its) as process:
        os.close(its)
        assert os.read(terminal, 5) == b"begun"
        os.close(terminal)
        assert process.wait(60) == 0
    assert (tmp_path / "done").read_text() == "taken back"
