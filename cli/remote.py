"""`./perenne ssh` and `logs`: a machine of the site by its name, on the user's terminal."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cli import packages, signals
from machine.failure import Failure
from stack.ssh import Machine, machine
from stack.vault import Vault
from stack.workspace import Stack, lab_name

_SSH = packages.Package("openssh-client", "ssh", "logs in on servers")


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
