"""A server's own SSH key, changed on the server and then in what deployments expect of it.

Pulumi's commands know a server by one key only, so there is a moment in which it shows a key that they don't expect. It
ends when the stack file is written; were this process killed in that moment, `settle` finds out which key is shown.
"""
# ruff: noqa: PLC0415 (asyncssh takes its time, and most commands don't need it)

import asyncio
import time
from collections.abc import Callable

from blueprint import rotation
from blueprint.keys import public_key
from blueprint.rotation import Change
from blueprint.secrets import Stage, secrets_of
from machine.failure import Failure
from stack import ssh
from stack.vault import Vault
from stack.workspace import REPOSITORY

_SCRIPT = REPOSITORY / "components" / "guest" / "host-key.sh"
_PREFIX = "ssh-host-key-"
_ANSWER_SECONDS = 10.0
_PAUSE_SECONDS = 0.1


def settle(opened: Vault) -> None:
    """Expect of every server whose key is being rotated the key that it shows."""
    for name in _begun(opened):
        if _shown(opened, name) == public_key(opened.values[f"{Stage.NEXT}{name}"]):
            opened.keep(_used(opened, name))


def change(opened: Vault, progress: Callable[[str], None]) -> None:
    """Give every server whose key is being rotated its new one, one server after the other.

    Raises:
        Failure: A server can't be reached, refuses the key, or doesn't show it afterwards.
    """
    import asyncssh

    for name in _begun(opened):
        server = name.removeprefix(_PREFIX)
        try:
            asyncio.run(_install(opened, server, opened.values[f"{Stage.NEXT}{name}"]))
            _await_shown(opened, name)
        except (OSError, TimeoutError, asyncssh.Error) as error:
            why = str(error) or f"no answer within {_ANSWER_SECONDS:.0f} s"
            remedy = f"Mend that, then run {opened.stack.command('rotate')} again: it goes on from here."
            raise Failure(f"{server} did not take its new SSH host key", why, remedy) from error
        opened.keep(_used(opened, name))
        progress(f"{server} shows its new host key")


def _begun(opened: Vault) -> list[str]:
    known = {f"{_PREFIX}{server}" for server in opened.stack.settings.servers}
    return [name for name in rotation.names_in(opened.values, Stage.NEXT) if name in known]


def _used(opened: Vault, name: str) -> Change:
    settings = opened.stack.settings
    return rotation.use(settings, secrets_of(settings), opened.values, [name])


def _shown(opened: Vault, name: str) -> str | None:
    """The key that a server shows to whoever asks; None if it doesn't answer."""
    import asyncssh

    address = str(opened.stack.settings.servers[name.removeprefix(_PREFIX)].address)

    async def ask() -> str | None:
        async with asyncio.timeout(_ANSWER_SECONDS):
            key = await asyncssh.get_server_host_key(address, config=None)
        return key.export_public_key().decode().strip() if key else None

    try:
        return asyncio.run(ask())
    except (OSError, TimeoutError, asyncssh.Error):
        return None


async def _install(opened: Vault, server: str, key: str) -> None:
    async with asyncio.timeout(_ANSWER_SECONDS), ssh.login(opened.stack, opened, server) as connection:
        await connection.run(_SCRIPT.read_text(), input=key, check=True)


def _await_shown(opened: Vault, name: str) -> None:
    """Wait until a new connection is shown the new key: sshd takes an instant to reload."""
    wanted, deadline = public_key(opened.values[f"{Stage.NEXT}{name}"]), time.monotonic() + _ANSWER_SECONDS
    while _shown(opened, name) != wanted:
        if time.monotonic() > deadline:
            raise TimeoutError("it took the key and does not show it (journalctl -u ssh)")
        time.sleep(_PAUSE_SECONDS)
