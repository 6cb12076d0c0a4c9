"""A server's own key while it is being changed: what is expected of the server, and what it shows."""

import pytest

from blueprint.keys import public_key
from blueprint.rotation import Change
from blueprint.secrets import Kind, Secret
from stack import hostkeys, keys, ssh, vault
from stack.vault import Vault
from stack.workspace import Stack

NAME = "ssh-host-key-db01"


@pytest.fixture
def begun(dev: Stack) -> Vault:
    """The vault of a stack in which the key of db01 is being rotated."""
    opened = Vault.open_or_begin(dev, vault.new_passphrase)
    old, new = (keys.make(Secret(NAME, Kind.SSH_HOST_KEY, "")) for _ in range(2))
    opened.write({NAME: old}, {})
    opened.keep(Change({f"next-{NAME}": new}))
    return Vault.open(Stack("dev"))


@pytest.mark.parametrize("shows", ["next-", ""])
def test_a_kill_between_a_server_s_new_key_and_the_file_is_found_out(
    begun: Vault, monkeypatch: pytest.MonkeyPatch, shows: str
) -> None:
    used = begun.values[shows + NAME]
    monkeypatch.setattr(hostkeys, "_shown", lambda _opened, _name: public_key(used))
    hostkeys.settle(begun)
    assert Vault.open(Stack("dev")).values[NAME] == used


def test_a_server_is_known_by_both_keys_while_its_own_is_rotated(begun: Vault) -> None:
    found = ssh.machine(begun.stack, begun, "db01")
    old, new = (public_key(begun.values[name]) for name in (NAME, f"next-{NAME}"))
    assert found.known_hosts == f"{found.address} {old}\n{found.address} {new}\n"
