"""Files are replaced whole, and are private from the beginning."""

import errno
from pathlib import Path

import pytest

from machine.files import PRIVATE, tail, write


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


@pytest.mark.parametrize("durable", [False, True])
def test_a_write_that_fails_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, durable: bool
) -> None:
    write(tmp_path / "file", "whole")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync" if durable else "os.fchmod", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "file", "new", durable=durable)

    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "whole"


def test_a_log_is_known_by_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert tail(log) == "(no log)"

    log.write_text("".join(f"{number}\n" for number in range(100)))

    assert tail(log).splitlines()[-1] == "99"
    assert len(tail(log).splitlines()) == 15
