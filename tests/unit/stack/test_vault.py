"""A stack's secrets are read with its passphrase alone, which is written whole and never replaced."""

import errno
import os
from pathlib import Path

import pytest

from blueprint.rotation import Change
from machine.failure import Failure
from stack import vault
from stack.vault import Vault
from stack.workspace import Stack


def begun(stack: Stack) -> Vault:
    """The vault of a stack that has a secret."""
    opened = Vault.open_or_begin(stack, vault.new_passphrase)
    opened.write({"ssh-key": "a key"}, {})
    return opened


def test_a_real_stack_s_lost_passphrase_is_an_error(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "right")
    begun(Stack("prod"))
    assert not (clone / ".perenne" / "prod.passphrase").exists()
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "wrong")
    with pytest.raises(Failure, match="another passphrase"):
        Vault.open(Stack("prod"))
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    with pytest.raises(Failure, match="is missing"):
        Vault.open(Stack("prod"))


@pytest.mark.parametrize("variable", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", ""])
def test_nothing_is_encrypted_with_an_empty_passphrase(
    clone: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    prod = Stack("prod")
    before = prod.file.read_bytes()
    source = clone / "given" if variable else prod.passphrase_file
    source.parent.mkdir(exist_ok=True)
    source.write_text("\n")
    if variable:
        monkeypatch.setenv(variable, str(source) if variable.endswith("FILE") else "")
    with pytest.raises(Failure, match="is empty") as failure:
        begun(prod)
    named = variable if variable == "PULUMI_CONFIG_PASSPHRASE" else str(source)
    assert failure.value.why == f"{named} has nothing in it"
    assert "./perenne init prod" in failure.value.remedy
    assert prod.file.read_bytes() == before


@pytest.mark.parametrize("call", ["fsync", "link"])
def test_a_passphrase_that_can_t_be_written_leaves_no_part_of_it(
    clone: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, call, full)
        with pytest.raises(OSError, match="No space left"):
            begun(Stack("prod"))
    assert not list((clone / ".perenne").glob("*passphrase*"))
    begun(Stack("prod"))
    assert Stack("prod").passphrase_file.read_text().strip()


def test_a_passphrase_is_never_replaced(clone: Path) -> None:
    assert clone.is_dir()
    prod = Stack("prod")
    vault._keep_passphrase(prod, "first")
    with pytest.raises(FileExistsError):
        vault._keep_passphrase(prod, "second")
    assert prod.passphrase_file.read_text() == "first\n"


def test_a_step_is_written_at_once_with_what_it_removes(dev: Stack) -> None:
    """Were it two writes, a kill between them would leave a file that says neither step."""
    opened = begun(dev)
    opened.keep(Change({"next-ssh-key": "new"}))
    opened.keep(
        Change({"ssh-key": "new", "previous-ssh-key": "old"}, ("next-ssh-key",), {"pnp-manager": "pnp-manager_b"})
    )
    again = Vault.open(Stack("dev"))
    assert again.values == opened.values
    assert (again.values["ssh-key"], again.values["previous-ssh-key"]) == ("new", "old")
    assert "next-ssh-key" not in again.values
    assert again.stack.settings.login_of("pnp-manager") == "pnp-manager_b"
