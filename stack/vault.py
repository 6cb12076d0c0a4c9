"""The encrypted configuration of a stack: its passphrase, its secrets, and how both are read and kept."""

import json
import os
import secrets
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from blueprint.loading import NAMESPACE
from blueprint.rotation import Change
from machine import files
from machine.failure import Failure
from stack import stackfile
from stack.crypter import Crypter, WrongPassphraseError
from stack.workspace import Stack, have_private

_PASSPHRASE_BYTES = 32


@dataclass
class Vault:
    """A stack's secrets in clear, in this process only."""

    stack: Stack
    values: dict[str, str] = field(repr=False)
    _crypter: Crypter = field(repr=False)

    @classmethod
    def open(cls, stack: Stack) -> "Vault":
        """Decrypt the secrets that the stack has.

        Raises:
            Failure: There are none, or the passphrase is not theirs.
            StackFileError: The stack file can't be read.
        """
        encrypted = _encrypted(stack)
        salt = stackfile.salt_of(stack.file.read_text())
        remedy = f"{stack.command('init')} makes what is missing."
        if salt is None:
            raise Failure(f"stack {stack.name} has no secrets yet", f"{stack.file.name} has none", remedy)
        passphrase = passphrase_of(stack)
        if passphrase is None:
            raise Failure(
                f"the secrets of stack {stack.name} can't be read",
                f"{stack.file.name} has them encrypted, and {stack.passphrase_file} with the passphrase is missing",
                "Bring the file back from where you keep it, or set PULUMI_CONFIG_PASSPHRASE.",
            )
        try:
            crypter = Crypter.of(passphrase, salt)
            return cls(stack, {name: crypter.decrypt(value) for name, value in encrypted.items()}, crypter)
        except WrongPassphraseError as error:
            raise Failure(
                f"the secrets of stack {stack.name} can't be read",
                str(error),
                f"Use the passphrase with which they were made ({stack.passphrase_file}).",
            ) from error

    @classmethod
    def open_or_begin(cls, stack: Stack, new_passphrase: Callable[[], str]) -> "Vault":
        """Decrypt the secrets of a stack, or begin where it has none; nothing is written but a new passphrase.

        Raises:
            Failure: It has secrets, and they can't be read.
            StackFileError: The stack file can't be read.
        """
        if "secretsprovider" in stack.file.read_text():
            raise Failure(
                f"init can't keep secrets for stack {stack.name}",
                f"{stack.file.name} names a secrets provider, and init encrypts with a passphrase only",
                "Give each secret that ./perenne preview misses with: pulumi config set --secret NAME",
            )
        if stackfile.salt_of(stack.file.read_text()):
            return cls.open(stack)
        passphrase = passphrase_of(stack)
        if passphrase is None:
            passphrase = new_passphrase()
            _keep_passphrase(stack, passphrase)
        return cls(stack, {}, Crypter.new(passphrase))

    def write(
        self,
        changed: Mapping[str, str],
        plain: Mapping[str, Mapping[str, str]],
        removed: Collection[str] = (),
    ) -> None:
        """Put secrets, encrypted, and plain values into the stack file, and take others out, all at once."""
        secure = {name: self._crypter.encrypt(value) for name, value in changed.items()}
        text = stackfile.without(self.stack.file.read_text(), removed)
        stackfile.write(self.stack.file, stackfile.with_values(text, self._crypter.salt, secure, plain))
        kept = {name: value for name, value in self.values.items() if name not in removed}
        self.values = kept | dict(changed)

    def keep(self, change: Change) -> None:
        """Write a step of a rotation into the stack file, all at once."""
        plain = {"logins": {**self.stack.settings.logins, **change.logins}} if change.logins else {}
        if self.stack.is_lab:
            note_made(self.stack, [*change.values, *plain])
        self.write(change.values, plain, change.removed)
        self.stack = self.stack.reread()


def passphrase_of(stack: Stack) -> str | None:
    """The stack's passphrase; for a lab its file alone counts, for others Pulumi's own variables come first.

    Raises:
        Failure: It is empty: Pulumi would take it, and anybody could read what it encrypts.
    """
    if not stack.is_lab:
        if (given := os.environ.get("PULUMI_CONFIG_PASSPHRASE")) is not None:
            return _not_empty(stack, given, "PULUMI_CONFIG_PASSPHRASE", "Set the variable to the passphrase")
        if file := os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
            return _read(stack, Path(file))
    return _read(stack, stack.passphrase_file)


def new_passphrase() -> str:
    """Make a passphrase that nobody has to remember."""
    return secrets.token_urlsafe(_PASSPHRASE_BYTES)


def discard(stack: Stack) -> list[str]:
    """Take out of a lab's stack file what `init` put there, and the passphrase; returns the keys."""
    made = made_by_init(stack)
    if made:
        text = stack.file.read_text()
        stackfile.write(stack.file, stackfile.without(text, made, salt=True))
    stack.made_file.unlink(missing_ok=True)
    stack.passphrase_file.unlink(missing_ok=True)
    return made


def made_by_init(stack: Stack) -> list[str]:
    """Which keys of a lab's stack file are `init`'s.

    Raises:
        Failure: What says so can't be understood.
    """
    try:
        names = json.loads(stack.made_file.read_text())
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise Failure(
            f"what init has put into {stack.file.name} can't be taken out",
            f"{stack.made_file} does not say what that is: {error}",
            f"Take secrets, perenne:host_keys and encryptionsalt out of {stack.file.name} (git diff shows them), "
            f"then remove {stack.made_file}.",
        ) from error
    return [str(name) for name in names]


def note_made(stack: Stack, names: list[str]) -> None:
    """Remember what `init` is about to add; it is noted first, so that an interruption leaves nothing behind."""
    have_private()
    files.write(stack.made_file, json.dumps(sorted({*made_by_init(stack), *names})), files.PRIVATE)


def _encrypted(stack: Stack) -> dict[str, str]:
    return {
        name.removeprefix(NAMESPACE): value["secure"]
        for name, value in stack.config.items()
        if name.startswith(NAMESPACE) and isinstance(value, dict) and "secure" in value
    }


def _read(stack: Stack, file: Path) -> str | None:
    try:
        text = file.read_text().strip()
    except FileNotFoundError:
        return None
    return _not_empty(stack, text, str(file), "Bring the file back from where you keep it")


def _not_empty(stack: Stack, passphrase: str, source: str, remedy: str) -> str:
    if passphrase:
        return passphrase
    raise Failure(
        f"the passphrase of stack {stack.name} is empty",
        f"{source} has nothing in it",
        f"{remedy}; if {stack.file.name} has no secrets yet, take it away, then run {stack.command('init')}.",
    )


def _keep_passphrase(stack: Stack, passphrase: str) -> None:
    """Write it where there is none: whole, and on the disk before anything is encrypted with it."""
    have_private()
    file = stack.passphrase_file
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}.") as draft:
        draft.write(f"{passphrase}\n")
        draft.flush()
        os.fsync(draft.fileno())
        os.link(draft.name, file)  # unlike a rename, it never takes the place of a passphrase
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # the file's name, too (fsync(2))
    finally:
        os.close(folder)
