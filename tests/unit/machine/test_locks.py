"""One at a time, and the kernel frees what a killed process held."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine import locks


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process that holds the lock."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom machine import locks\n"
        f"with locks.exclusive(Path({str(tmp_path / 'lock')!r})):\n print(1, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


def test_what_another_process_holds_is_told(tmp_path: Path, holder: "subprocess.Popen[bytes]") -> None:
    with locks.exclusive_now(tmp_path / "lock") as lock:
        assert lock is None

    holder.kill()
    holder.wait()

    with locks.exclusive_now(tmp_path / "lock") as lock:
        assert lock is not None


def test_who_waits_gets_it_when_the_holder_ends(tmp_path: Path, holder: "subprocess.Popen[bytes]") -> None:
    holder.kill()
    with locks.exclusive(tmp_path / "lock"), locks.exclusive_now(tmp_path / "lock") as second:
        assert second is None


def test_a_lock_keeps_what_is_written_in_its_file(tmp_path: Path) -> None:
    with locks.exclusive_now(tmp_path / "lock") as lock:
        assert lock is not None
        lock.write("1")
    with locks.exclusive(tmp_path / "lock"):
        assert (tmp_path / "lock").read_text() == "1"
