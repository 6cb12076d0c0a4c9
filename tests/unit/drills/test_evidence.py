"""What faults look for, on processes of this machine that the test has begun."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drills.faults import evidence, packets, storage


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


def with_counters(packets: int) -> str:
    """A shell function `iptables` that has dropped so many."""
    listed = f"    {packets}      60 DROP       all  --  eth0   *       0.0.0.0/0            0.0.0.0/0"
    return f'iptables() {{ echo "Chain (1 references)"; echo "    pkts bytes target"; echo "{listed}"; }}\nSECONDS=14\n'


def test_dropped_packets_are_counted_in_both_directions() -> None:
    assert run(with_counters(3) + packets._SHOWN).stdout == "6 packets dropped\n"


def test_rules_that_no_packet_meets_cut_nobody_off() -> None:
    done = run(with_counters(0) + packets._SHOWN)
    assert done.returncode == 1
    assert done.stderr == "no packet came that was to be dropped, for 15 s\n"


@pytest.mark.parametrize(
    ("states", "stdout", "stderr"),
    [
        (["active", "dead"], "1 of 2 paths are dead\n", ""),
        (["active", "active"], "", "2 paths are active, 0 are dead\n"),
        (["dead"], "", "0 paths are active, 1 are dead\n"),
    ],
)
def test_a_host_must_have_lost_some_of_its_paths(states: list[str], stdout: str, stderr: str) -> None:
    listed = "".join(f"   State: {state}\\n" for state in states)
    done = run(f"esxcli() {{ printf '{listed}'; }}\n{storage._PATHS}")
    assert (done.stdout, done.stderr) == (stdout, stderr)
