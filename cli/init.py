"""`./perenne init STACK` on a terminal: asks for what exists already, and shows what it did."""

import asyncio
import base64
import hashlib
import sys

import typer

from blueprint.keys import public_key
from cli.console import say
from cli.initialise import Initialised, asking, initialise
from machine.failure import Failure
from stack import vault
from stack.labs import known_secrets, lab_of
from stack.workspace import Stack, only_command

_ANSWER_SECONDS = 5.0
_HOST_KEYS = ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-ed25519")
"""What a host may show, ESXi's own first.

Not RSA, which it has, too: pulumi-command (1.2.1) asks for no algorithm but the first word of `host_key`, and `ssh-rsa`
means signatures with SHA-1, which ESXi's sshd refuses.
"""


def init(stack: Stack, *, yes: bool) -> int:
    """Make what is missing; returns the exit code.

    Args:
        stack: Whose secrets.
        yes: Trust the SSH keys that unknown ESXi hosts show, without asking.
    """
    with only_command():
        if stack.is_lab:
            prepared = lab_of(stack).prepare()
            done = initialise(stack, None, prepared.host_keys, known=known_secrets(prepared))
        else:
            asked = asking(_prompt if sys.stdin.isatty() else None)
            done = initialise(stack, asked, _host_keys(stack, yes=yes), lambda: _passphrase(stack))
    _report(stack, done)
    return 0


def _prompt(question: str) -> str:
    answer: str = typer.prompt(question, hide_input=True, err=True)
    return answer


def _passphrase(stack: Stack) -> str:
    chosen = ""
    if sys.stdin.isatty():
        question = f"A passphrase to encrypt the secrets of {stack.name} with (empty: one is made)"
        chosen = typer.prompt(
            question, default="", show_default=False, hide_input=True, confirmation_prompt=True, err=True
        )
    say(f"The passphrase of stack {stack.name} is kept in {stack.passphrase_file}.", "bold")
    say("Keep a copy in a safe place: without it nobody can read the stack's secrets or deploy it again.", "bold")
    return chosen or vault.new_passphrase()


def _host_keys(stack: Stack, *, yes: bool) -> dict[str, str]:
    """SSH keys of hosts that the stack file doesn't know yet, each confirmed by its fingerprint.

    Raises:
        Failure: A host doesn't answer, or nobody can be asked.
    """
    unknown = [name for name in stack.settings.hosts if name not in stack.settings.host_keys]
    keys: dict[str, str] = {}
    for name in unknown:
        key = asyncio.run(_key_of(name, str(stack.settings.hosts[name].address)))
        digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
        fingerprint = base64.b64encode(digest).decode().rstrip("=")
        say(f"{name} shows the key {key.split()[0]} SHA256:{fingerprint}")
        if not yes and not sys.stdin.isatty():
            why = "there is no terminal to ask on whether that fingerprint is the host's own"
            remedy = f"Run this on a terminal, or put the key under perenne:host_keys in {stack.file.name}."
            raise Failure(f"the SSH key of {name} is not confirmed", why, remedy)
        if not yes and not typer.confirm("Is that the host's own key (its console can show it)?", err=True):
            why = "its fingerprint was not confirmed"
            raise Failure(f"the SSH key of {name} is refused", why, "Find out who answers there.")
        keys[name] = key
    return keys


async def _key_of(name: str, address: str) -> str:
    """Ask a host for its public key, without logging in."""
    import asyncssh  # noqa: PLC0415 (it takes its time, and only real stacks need it here)

    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            key = await asyncssh.get_server_host_key(address, server_host_key_algs=_HOST_KEYS, config=None)
    except (OSError, TimeoutError, asyncssh.Error) as error:
        why = str(error) or "no answer"
        remedy = (
            f"Enable SSH on it, or put its key under perenne:host_keys; its address is perenne:hosts.{name}.address."
        )
        raise Failure(f"the SSH key of {name} can't be asked for at {address}", why, remedy) from error
    if key is None:
        raise Failure(f"the SSH key of {name} can't be asked for", f"{address} shows none", "Enable SSH on it.")
    return key.export_public_key().decode().strip()


def _report(stack: Stack, done: Initialised) -> None:
    if not done.made and not done.host_keys:
        say(f"Stack {stack.name} has all its secrets; nothing was changed.")
        return
    for name in done.made:
        say(f"  {name}")
    hosts = f" and the SSH keys of {', '.join(done.host_keys)}" if done.host_keys else ""
    say(f"{len(done.made)} secrets{hosts} are in {stack.file.name} now, secrets encrypted.")
    if not stack.is_lab:
        say("Perenne logs in on ESXi hosts with this key: a line in /etc/ssh/keys-root/authorized_keys of every host.")
        say(f"  {public_key(done.vault.values['ssh-key'])}", "bold")
    say(f"Next: ./perenne {'up' if stack.is_lab else 'preview'} {stack.name}")
