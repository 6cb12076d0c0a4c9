"""What the lab keeps on disk: its record, its lock, its host keys."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from lab.errors import LabError
from lab.hostkey import ensure_host_keys, host_key_files
from lab.lock import locked
from lab.state import Record

SSHD_CONFIG = (Path(__file__).parents[3] / "lab/images/esxi/sshd_config").read_text()


def test_a_record_is_read_back(tmp_path: Path) -> None:
    record = Record(exists=True, generation="abc", port=8444)
    record.write(tmp_path)

    assert Record.read(tmp_path) == record


@pytest.mark.parametrize("content", ["", "{", '{"port": "x"}', "[]"])
def test_a_damaged_record_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "lab.json").write_text(content)

    assert Record.read(tmp_path) == Record()


def test_a_host_keeps_its_keys(tmp_path: Path) -> None:
    public = ensure_host_keys(tmp_path / "psexi02")
    files = dict(host_key_files(tmp_path / "psexi02"))

    assert public.startswith("ecdsa-sha2-nistp256 AAAA")
    assert ensure_host_keys(tmp_path / "psexi02") == public
    assert dict(host_key_files(tmp_path / "psexi02")) == files
    assert ensure_host_keys(tmp_path / "psexi03") != public
    for name, content in files.items():
        assert (tmp_path / "psexi02" / name).stat().st_mode & 0o777 == 0o600
        assert serialization.load_ssh_private_key(content, password=None)


def test_a_host_s_sshd_shows_the_keys_that_it_has_and_takes_no_others(tmp_path: Path) -> None:
    """As ESXi's: what a stack's login or recorded host key may be is then found out in the lab, not at a site."""
    ensure_host_keys(tmp_path)
    told = dict(line.split(maxsplit=1) for line in SSHD_CONFIG.splitlines() if not line.startswith("#"))
    shown = re.findall(r"^HostKey /etc/ssh/(\S+)$", SSHD_CONFIG, re.MULTILINE)

    assert set(shown) == dict(host_key_files(tmp_path)).keys()
    for option in ("HostKeyAlgorithms", "PubkeyAcceptedAlgorithms"):
        algorithms = told[option].split(",")
        assert {"ecdsa-sha2-nistp256", "rsa-sha2-256"} <= set(algorithms)
        assert not {"ssh-ed25519", "ssh-rsa"} & set(algorithms), "FIPS 140 knows neither Ed25519 keys nor SHA-1"


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
