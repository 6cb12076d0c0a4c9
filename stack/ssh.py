"""A machine of the site by its name, over SSH with the stack's own keys."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blueprint.keys import public_key
from blueprint.secrets import accepted
from machine.failure import Failure
from stack.vault import Vault
from stack.workspace import Stack

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from asyncssh import SSHClientConnection


@dataclass(frozen=True)
class Machine:
    """A host or server that Perenne logs in on as root."""

    name: str
    address: str
    host_key: str
    """In the form of known_hosts: `ssh-ed25519 AAAA…`."""
    other_host_keys: tuple[str, ...] = ()
    """Those by which it may be known, too, while its key is rotated."""

    @property
    def known_hosts(self) -> str:
        """What is known of it, in OpenSSH's form."""
        return "".join(f"{self.address} {key}\n" for key in (self.host_key, *self.other_host_keys))


def machine(stack: Stack, vault: Vault, name: str) -> Machine:
    """The host or server of that name.

    Raises:
        Failure: There is none, or it isn't known how it proves itself.
    """
    settings = stack.settings
    short = name.removesuffix(f".{settings.domain}")
    if short in settings.servers:
        keys = accepted(vault.values, f"ssh-host-key-{short}")
        if not keys:
            why = f"{stack.file.name} has no SSH key for it yet (perenne:ssh-host-key-{short})"
            raise Failure(f"{short} can't be trusted", why, f"Run {stack.command('init')}.")
        host_key, *others = map(public_key, keys)
        return Machine(short, str(settings.servers[short].address), host_key, tuple(others))
    if short not in settings.hosts:
        known = ", ".join([*settings.servers, *settings.hosts])
        raise Failure(f"{name} is unknown", f"{stack.file.name} has no server or host of that name", f"One of: {known}")
    if short not in settings.host_keys:
        why = f"{stack.file.name} does not say by which SSH key it is known (perenne:host_keys)"
        raise Failure(f"{short} can't be trusted", why, f"Run {stack.command('init')}.")
    return Machine(short, str(settings.hosts[short].address), settings.host_keys[short])


def login(stack: Stack, vault: Vault, name: str) -> "AbstractAsyncContextManager[SSHClientConnection]":
    """Log in on a machine as root with asyncssh: a context whose value is the connection.

    Raises:
        Failure: There is no such machine, or it isn't known how it proves itself.
    """
    import asyncssh  # noqa: PLC0415 (it takes its time)

    found = machine(stack, vault, name)
    return asyncssh.connect(
        found.address,
        username="root",
        client_keys=[asyncssh.import_private_key(vault.values["ssh-key"])],
        known_hosts=asyncssh.import_known_hosts(found.known_hosts),
        config=None,
        agent_path=None,
    )


async def said(stack: Stack, vault: Vault, name: str, command: str, seconds: float) -> str:
    """What a command on a machine printed; nothing if it can't be asked in time, or at all, or the command failed."""
    import asyncssh  # noqa: PLC0415 (it takes its time)

    try:
        async with asyncio.timeout(seconds), login(stack, vault, name) as connection:
            done = await connection.run(command, check=True)
    except (OSError, TimeoutError, asyncssh.Error, Failure):
        return ""
    return str(done.stdout)
