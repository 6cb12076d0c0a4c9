"""What the lab keeps on disk: files replaced whole, its record, its lock, its host keys."""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from lab.errors import LabError
from lab.files import PRIVATE, write
from lab.hostkey import ensure_host_key
from lab.lock import locked
from lab.state import Record


def test_a_private_file_is_made_private_even_over_an_open_one(tmp_path: Path) -> None:
    path = tmp_path / "run" / "secret"
    write(path, "old")
    assert path.stat().st_mode & 0o777 == 0o644

    write(path, "old", PRIVATE)

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_with_the_same_content_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "file", "same")
    before = (tmp_path / "file").stat()

    write(tmp_path / "file", b"same")

    assert (tmp_path / "file").stat() == before


def test_a_draft_left_behind_by_a_kill_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file.new").write_text("half")

    write(tmp_path / "file", "whole")

    assert (tmp_path / "file").read_text() == "whole"


def test_a_record_is_read_back(tmp_path: Path) -> None:
    record = Record(exists=True, generation="abc", port=8444)
    record.write(tmp_path)

    assert Record.read(tmp_path) == record


@pytest.mark.parametrize("content", ["", "{", '{"port": "x"}', "[]"])
def test_a_damaged_record_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "lab.json").write_text(content)

    assert Record.read(tmp_path) == Record()


def test_a_host_keeps_its_key(tmp_path: Path) -> None:
    public = ensure_host_key(tmp_path / "psexi02")

    assert public.startswith("ssh-ed25519 AAAA")
    assert ensure_host_key(tmp_path / "psexi02") == public
    assert ensure_host_key(tmp_path / "psexi03") != public
    assert (tmp_path / "psexi02").stat().st_mode & 0o777 == 0o600
    assert serialization.load_ssh_private_key((tmp_path / "psexi02").read_bytes(), password=None)


def test_a_process_may_take_its_lock_twice_and_others_may_after_it() -> None:
    with locked("unit-twice"), locked("unit-twice"):
        pass
    with locked("unit-twice"):
        pass


def test_another_process_is_named() -> None:
    program = (
        "import sys\nfrom lab.lock import locked\nwith locked('unit-busy'):\n print(1, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(LabError, match=f"process {holder.pid} "), locked("unit-busy"):
            pytest.fail("two processes hold the lab")
        holder.kill()
    with locked("unit-busy"):
        pass
