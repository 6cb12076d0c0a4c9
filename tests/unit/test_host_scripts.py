"""What ESXi hosts are told over SSH, run here with another path."""

import subprocess
from pathlib import Path

import pytest

from blueprint.esxi import access_script

OTHERS = "ssh-rsa AAAA admin@desk\n"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A host's authorized keys, with one that is not Perenne's."""
    file = tmp_path / "authorized_keys"
    file.write_text(f"{OTHERS}ssh-ed25519 OLD\n")
    file.chmod(0o600)
    return file


def tell(keys: Path, lines: str) -> "subprocess.CompletedProcess[str]":
    script = access_script().replace("/etc/ssh/keys-root/authorized_keys", str(keys))
    return subprocess.run(["sh", "-c", script], input=lines, text=True, capture_output=True, check=False)


def test_a_key_comes_beside_the_others_once(keys: Path) -> None:
    for _time in range(2):
        assert tell(keys, "accept ssh-ed25519 OLD\naccept ssh-ed25519 NEW\n").returncode == 0
    assert keys.read_text() == f"{OTHERS}ssh-ed25519 OLD\nssh-ed25519 NEW\n"


def test_a_last_line_without_its_end_stays_a_line_of_its_own(keys: Path) -> None:
    keys.write_text("ssh-rsa AAAA admin@desk")
    assert tell(keys, "accept ssh-ed25519 NEW\n").returncode == 0
    assert keys.read_text() == f"{OTHERS}ssh-ed25519 NEW\n"


def test_the_first_key_of_all_has_no_empty_line_before_it(keys: Path) -> None:
    keys.write_text("")
    assert tell(keys, "accept ssh-ed25519 NEW\n").returncode == 0
    assert keys.read_text() == "ssh-ed25519 NEW\n"


def test_a_key_goes_and_the_others_stay(keys: Path) -> None:
    assert tell(keys, "accept ssh-ed25519 NEW\nrefuse ssh-ed25519 OLD\n").returncode == 0
    assert keys.read_text() == f"{OTHERS}ssh-ed25519 NEW\n"
    assert keys.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in keys.parent.iterdir()] == [keys.name]


def test_the_last_key_of_all_can_go(keys: Path) -> None:
    keys.write_text("ssh-ed25519 OLD\n")
    assert tell(keys, "refuse ssh-ed25519 OLD\n").returncode == 0
    assert keys.read_text() == ""


def test_anything_else_is_refused(keys: Path) -> None:
    done = tell(keys, "allow ssh-ed25519 NEW\n")
    assert done.returncode == 1
    assert "NEW" not in done.stderr
