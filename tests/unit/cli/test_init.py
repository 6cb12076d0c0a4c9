"""What `init` learns from the hosts of a real site."""

from functools import partial

import asyncssh
import pytest

from cli import init
from machine.failure import Failure


async def test_of_a_host_s_keys_the_ecdsa_key_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """ESXi has an RSA key, too, and asyncssh's own choice is that one: Pulumi's commands could not log in by it."""
    rsa, ecdsa = (asyncssh.generate_private_key(algorithm) for algorithm in ("ssh-rsa", "ecdsa-sha2-nistp256"))
    async with await asyncssh.listen("127.0.0.1", 0, server_host_keys=[rsa, ecdsa]) as server:
        _listens_at(server.get_port(), monkeypatch)
        key = await init._key_of("psexi02", "127.0.0.1")

    assert key == ecdsa.export_public_key().decode().strip()


async def test_a_host_with_nothing_but_an_rsa_key_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    async with await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[asyncssh.generate_private_key("ssh-rsa")]
    ) as server:
        _listens_at(server.get_port(), monkeypatch)
        with pytest.raises(Failure, match="the SSH key of psexi02 can't be asked for at "):
            await init._key_of("psexi02", "127.0.0.1")


def _listens_at(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncssh, "get_server_host_key", partial(asyncssh.get_server_host_key, port=port))
