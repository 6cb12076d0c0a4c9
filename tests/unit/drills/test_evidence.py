"""What faults look for, on processes of this machine that the test has begun."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drills.faults import evidence


@contextmanager
def processes(count: int) -> Iterator[str]:
    """So many that wait; the shell function that knows them."""
    begun = [subprocess.Popen(["sleep", "60"]) for _ in range(count)]
    try:
        yield f"pids() {{ printf '%s\\n' {' '.join(str(one.pid) for one in begun)}; }}\n"
    finally:
        for one in begun:
            one.kill()
            one.wait()


def state(pid: int) -> str:
    """Of a process (proc(5)): T where it is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def run(script: str) -> subprocess.CompletedProcess[str]:
    """As on a server."""
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-s"], input=script, capture_output=True, text=True, timeout=30, check=False
    )


def test_killed_processes_are_gone_when_it_says_so() -> None:
    with processes(2) as pids:
        done = run(pids + evidence.KILLED)
        assert (done.stdout, done.stderr, done.returncode) == ("2 processes are gone\n", "", 0)


def test_stopped_processes_stand_still_when_it_says_so() -> None:
    with processes(3) as pids:
        done = run(pids + evidence.STOPPED)
        assert (done.stdout, done.stderr, done.returncode) == ("3 processes stand still\n", "", 0)
        ids = [int(one) for one in run(f"{pids}pids").stdout.split()]
        assert {state(one) for one in ids} == {"T"}


@pytest.mark.parametrize("script", [evidence.KILLED, evidence.STOPPED, evidence.SLOWED])
def test_no_process_is_no_effect(script: str) -> None:
    """`systemctl show` says 0 of a unit that does not run; kill would take that for the script's own group."""
    done = run("pids() { echo 0; }\n" + script)
    assert done.returncode == 1
    assert done.stderr == "there is no such process\n"


def test_processes_that_run_are_not_slowed() -> None:
    with processes(1) as pids:
        done = run(pids + evidence.SLOWED)
    assert done.returncode == 1
    assert done.stderr == "its processes stood still in 0 of 30 looks\n"


def test_processes_that_stand_still_most_of_the_time_are_slowed() -> None:
    with processes(1) as pids:
        pid = int(run(f"{pids}pids").stdout)
        script = f"while kill -STOP {pid}; do sleep 0.15; kill -CONT {pid}; sleep 0.02; done"
        slowing = subprocess.Popen(["bash", "-c", script], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while state(pid) != "T":
            assert time.monotonic() < deadline
        done = run(pids + evidence.SLOWED)
        slowing.kill()
        slowing.wait()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("its processes stood still in ")
