"""`./perenne ssh` and `logs`: a machine of the site by its name, over SSH with the stack's own keys."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blueprint.keys import public_key
from blueprint.secrets import accepted
from cli import packages, signals
from cli.vault import Vault
from cli.workspace import Stack, lab_name
from machine.failure import Failure

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection

_SSH = packages.Package("openssh-client", "ssh", "logs in on servers")


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
        host_key, *others = map(public_key, accepted(vault.values, f"ssh-host-key-{short}"))
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


def ssh(stack: Stack, name: str, command: Sequence[str]) -> int:
    """Open a shell on a machine, or run a command there; returns its exit code."""
    if stack.is_lab and name in {*stack.settings.storage, "vcenter", "client"}:
        terminal = ["--tty"] if not command and os.isatty(0) else []
        shell = command or ["sh"]
        return _run(["docker", "exec", "--interactive", *terminal, f"{lab_name()}-{name}", *shell])
    vault = Vault.open(stack)
    found = machine(stack, vault, name)
    with _ssh_options(found, vault) as options:
        return _run(["ssh", *options, f"root@{found.address}", *command])


def logs(stack: Stack, name: str, *, follow: bool, unit: str | None, lines: int) -> int:
    """Show a machine's journal; that of the lab's own equipment is what its container says."""
    if stack.is_lab and name in {*stack.settings.storage, *stack.settings.hosts, "vcenter", "client"}:
        following = ["--follow"] if follow else []
        return _run(["docker", "logs", *following, f"--tail={lines}", f"{lab_name()}-{name}"])
    options = [f"--lines={lines}", *(["--follow"] if follow else []), *([f"--unit={unit}"] if unit else [])]
    return ssh(stack, name, ["journalctl", "--no-pager", *options])


async def said(stack: Stack, vault: Vault, name: str, command: str, seconds: float) -> str:
    """What a command on a machine printed; nothing if the machine can't be asked in time, or the command failed."""
    import asyncssh  # noqa: PLC0415 (it takes its time)

    try:
        async with asyncio.timeout(seconds), login(stack, vault, name) as connection:
            done = await connection.run(command, check=True)
    except (OSError, TimeoutError, asyncssh.Error):
        return ""
    return str(done.stdout)


@contextmanager
def _ssh_options(found: Machine, vault: Vault) -> Iterator[list[str]]:
    """Options that bring the stack's key and know the machine's; the files are gone afterwards."""
    if shutil.which("ssh") is None:
        raise Failure("there is no SSH client", "ssh is not on the PATH", f"Run: {packages.command_for([_SSH])}")
    runtime = os.environ.get("XDG_RUNTIME_DIR")  # in memory, where there is one
    with tempfile.TemporaryDirectory(
        prefix="perenne-", dir=runtime if runtime and Path(runtime).is_dir() else None
    ) as folder:
        key, known = Path(folder) / "key", Path(folder) / "known_hosts"
        key.touch(mode=0o600)
        key.write_text(vault.values["ssh-key"])
        known.write_text(found.known_hosts)
        settings = {
            "IdentityFile": key,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": known,
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": 5,
            "LogLevel": "ERROR",
        }
        yield ["-F", "none", *(f"-o{name}={value}" for name, value in settings.items())]


def _run(command: Sequence[str]) -> int:
    """Run a command on the user's terminal; what asks ./perenne to end ends it."""
    return signals.run(command, signal.SIGTERM)
