"""Processes are found by what they are, and ended."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from machine import processes


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that does nothing."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def test_a_process_is_described(sleeper: "subprocess.Popen[bytes]") -> None:
    assert sleeper.pid in processes.every()
    assert sleeper.pid in processes.children(os.getpid())
    assert sleeper.pid in processes.descendants()
    assert processes.parent(sleeper.pid) == os.getpid()
    assert processes.arguments(sleeper.pid) == ["sleep", "600"]
    assert processes.is_alive(sleeper.pid, "sleep")
    assert not processes.is_alive(sleeper.pid, "pulumi")


def test_what_has_left_the_session_is_no_descendant() -> None:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as daemon:
        assert daemon.pid not in processes.descendants()
        daemon.kill()


def test_a_process_that_does_not_end_in_time_is_told(sleeper: "subprocess.Popen[bytes]") -> None:
    assert not processes.wait_for_end(sleeper.pid, 0.01)


def test_all_are_waited_for(sleeper: "subprocess.Popen[bytes]") -> None:
    with subprocess.Popen(["sleep", "600"]) as other:
        handles = [handle for one in (sleeper, other) if (handle := processes.opened(one.pid)) is not None]
        sleeper.kill()
        assert not processes.wait_for_all(handles, 0.1)
        other.kill()
        assert processes.wait_for_all(handles, 5)
        for handle in handles:
            os.close(handle)


def test_who_does_not_listen_is_killed() -> None:
    program = "trap '' TERM; echo ready; while :; do sleep 1; done"
    with subprocess.Popen(["sh", "-c", program], stdout=subprocess.PIPE) as deaf:
        assert deaf.stdout
        deaf.stdout.readline()
        processes.end([deaf.pid], 0.1)
        assert deaf.wait(5) == -signal.SIGKILL


def test_who_does_not_listen_costs_no_more_for_being_several() -> None:
    program = "trap '' TERM; echo ready; while :; do sleep 1; done"
    with contextlib.ExitStack() as stack:
        deaf = [stack.enter_context(subprocess.Popen(["sh", "-c", program], stdout=subprocess.PIPE)) for _ in range(4)]
        for one in deaf:
            assert one.stdout
            one.stdout.readline()
        began = time.monotonic()
        processes.end([one.pid for one in deaf], 0.5)
        assert time.monotonic() - began < 1.5
        assert [one.wait(5) for one in deaf] == [-signal.SIGKILL] * 4


def test_what_has_ended_is_nothing_to_wait_for() -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    assert processes.opened(ended.pid) is None
    assert processes.wait_for_end(ended.pid, 0)
    assert processes.arguments(ended.pid) == []
    assert processes.parent(ended.pid) is None
    assert processes.folder(ended.pid) is None
