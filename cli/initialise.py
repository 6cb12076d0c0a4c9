"""Makes the secrets that a stack misses and keeps them as its encrypted configuration."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from blueprint.keys import public_key
from blueprint.mistakes import StackFileError
from blueprint.secrets import Kind, Secret, missing, secrets_of
from cli import given
from machine.failure import Failure
from stack import keys, stackfile, vault
from stack.vault import Vault
from stack.workspace import Stack

Ask = Callable[[Secret], str]
"""Returns a secret of equipment that exists before Perenne."""


@dataclass(frozen=True)
class Initialised:
    """What `initialise` did."""

    vault: Vault
    made: list[str]
    """Names of the secrets that were made or asked for."""
    host_keys: list[str]
    """Hosts whose SSH key became known."""


def initialise(
    stack: Stack,
    ask: Ask | None,
    host_keys: Mapping[str, str],
    new_passphrase: Callable[[], str] = vault.new_passphrase,
    *,
    known: Mapping[str, str] = MappingProxyType({}),
) -> Initialised:
    """Make what is missing and write it into the stack file at once; what is there and good, or given, stays as it is.

    Args:
        stack: Whose secrets.
        ask: For secrets of equipment that exists; None makes those, too, as the lab's equipment takes what it is given.
        host_keys: Public SSH keys of ESXi hosts, by name.
        new_passphrase: For a stack that has none yet.
        known: Values that the lab's equipment has already, by name, as far as the stack needs them.

    Raises:
        Failure: Secrets that are there can't be read, or one has to be asked for and can't.
        StackFileError: The stack file can't be used.
    """
    if stack.is_lab:
        stack = _readable(stack)
    needed = list(secrets_of(stack.settings))
    opened = Vault.open_or_begin(stack, new_passphrase)
    changed: dict[str, str] = {}
    for secret in needed:
        value = opened.values.get(secret.name)
        if secret.name in known:
            if value != known[secret.name]:
                changed[secret.name] = known[secret.name]
            continue
        authority = changed.get("tls-authority") or opened.values.get("tls-authority", "")
        asked = ask if secret.given else None
        if value is None or not _can_stay(secret, value, authority, asked=asked is not None):
            changed[secret.name] = asked(secret) if asked else keys.make(secret, authority)
    if ask:
        given.check_site(stack.settings, opened.values, changed)
    new_hosts = [host for host, key in host_keys.items() if stack.settings.host_keys.get(host) != key]
    if changed or new_hosts:
        plain = {"host_keys": {**stack.settings.host_keys, **host_keys}} if new_hosts else {}
        if stack.is_lab:
            vault.note_made(stack, [*changed, *plain])
        opened.write(changed, plain)
    return Initialised(opened, list(changed), new_hosts)


def _can_stay(secret: Secret, value: str, authority: str, *, asked: bool) -> bool:
    """Whether a secret that is there need not be made or asked for anew."""
    if secret.kind is Kind.CERTIFICATE_AUTHORITY:
        return not keys.has_ended(value)  # what servers trust changes in steps: ./perenne rotate
    if secret.kind is Kind.SSH_KEY:
        # Perenne once made Ed25519 keys. No ESXi host takes one, so there is no site that knows it.
        return not public_key(value).startswith("ssh-ed25519 ")
    if asked and secret.kind is Kind.CERTIFICATE:
        # One that only ends soon is left to rotate; one of the stack's own is from before `certificate` was changed.
        of_use = not keys.has_ended(value) and all(keys.is_for(value, name) for name in secret.names)
        return of_use and not keys.is_signed_by(value, authority)
    return keys.is_good(secret, value, authority)


def check_secrets(stack: Stack) -> None:
    """Check that no secret is missing.

    Raises:
        StackFileError: Some are, one line each.
    """
    present = {name.removeprefix("perenne:") for name in stack.config}
    if mistakes := missing(secrets_of(stack.settings), present, f"{stack.command('init')} makes it"):
        raise StackFileError(stack.file.name, mistakes)


def variable_of(secret: Secret) -> str:
    """The environment variable that gives a secret where nobody can be asked."""
    return f"PERENNE_{secret.name.upper().replace('-', '_')}"


def asking(prompt: Callable[[str], str] | None) -> Ask:
    """Take given secrets from environment variables, else from the user.

    Args:
        prompt: Asks without showing what is typed; None where nobody can be asked.
    """

    def ask(secret: Secret) -> str:
        if value := os.environ.get(variable_of(secret), ""):
            return given.checked(secret, value, variable_of(secret))
        if prompt is None:
            raise Failure(
                f"the secret {secret.name} is missing ({secret.purpose})",
                "it exists already, so it can't be made, and there is no terminal to ask for it",
                f"Set {variable_of(secret)} in the environment, then run this again.",
            )
        if secret.kind in (Kind.AUTHORITIES, Kind.CERTIFICATE):
            file = prompt(f"file (PEM) with the {secret.purpose}")
            return given.checked(secret, given.text_of(file), file)
        limit = " (12 to 16 characters)" if secret.kind is Kind.CHAP else ""
        return given.checked(secret, prompt(f"{secret.purpose}{limit}"), "what was typed")

    return ask


def _readable(stack: Stack) -> Stack:
    """A lab's secrets live as long as the lab: those whose passphrase is lost are taken out, to be made again."""
    if stackfile.salt_of(stack.file.read_text()) is None:
        return stack
    try:
        Vault.open(stack)
    except Failure:
        vault.note_made(stack, [secret.name for secret in secrets_of(stack.settings)])
        vault.discard(stack)
        return stack.reread()
    return stack
