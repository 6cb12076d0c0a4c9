"""Pulumi's passphrase secrets provider: what encrypts the secret values of a stack file.

Its format is that of the engine (sdk/go/common/resource/config/crypt.go): AES-256-GCM under a key that PBKDF2 with
SHA-256 makes of the passphrase and a salt in a million rounds. `pulumi config set` would rewrite the whole stack file
once per secret; this changes nothing else in it and takes a quarter of a second for all.
"""

import hashlib
import os
from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_ROUNDS = 1_000_000
_KEY_BYTES = 32
_SALT_BYTES = 8
_NONCE_BYTES = 12
_VERSION = "v1"
_PROBE = "pulumi"
"""The engine encrypts this word, to tell later whether a passphrase is the right one."""


class WrongPassphraseError(Exception):
    """The passphrase is not the one that the values were encrypted with, or they are damaged."""


@dataclass(frozen=True)
class Crypter:
    """Encrypts and decrypts values of one stack; `salt` is the stack file's `encryptionsalt`."""

    salt: str
    _cipher: AESGCM

    @classmethod
    def new(cls, passphrase: str) -> Self:
        """Begin with a salt of its own."""
        salt = os.urandom(_SALT_BYTES)
        cipher = _cipher(passphrase, salt)
        return cls(f"{_VERSION}:{b64encode(salt).decode()}:{_encrypt(cipher, _PROBE)}", cipher)

    @classmethod
    def of(cls, passphrase: str, salt: str) -> Self:
        """Go on with the salt of a stack file.

        Raises:
            WrongPassphraseError: The passphrase is not the stack's.
        """
        version, encoded, probe = [*salt.split(":", 2), "", ""][:3]
        try:
            if version != _VERSION:
                raise WrongPassphraseError(f"encryptionsalt of version {version!r} is not known")
            crypter = cls(salt, _cipher(passphrase, b64decode(encoded, validate=True)))
        except ValueError as error:
            raise WrongPassphraseError(f"encryptionsalt is damaged: {error}") from error
        if crypter.decrypt(probe) != _PROBE:
            raise WrongPassphraseError("encryptionsalt is damaged")
        return crypter

    def encrypt(self, value: str) -> str:
        """The text that stands behind `secure:`."""
        return _encrypt(self._cipher, value)

    def decrypt(self, secure: str) -> str:
        """Read the text behind `secure:`.

        Raises:
            WrongPassphraseError: It was encrypted with another key, or damaged.
        """
        try:
            version, nonce, sealed = secure.split(":")
            if version != _VERSION:
                raise WrongPassphraseError(f"encryption of version {version!r} is not known")
            return self._cipher.decrypt(b64decode(nonce), b64decode(sealed), None).decode()
        except (ValueError, InvalidTag) as error:
            raise WrongPassphraseError("the value was encrypted with another passphrase, or damaged") from error


@lru_cache(maxsize=4)
def _cipher(passphrase: str, salt: bytes) -> AESGCM:
    """Remembered, as it takes up to a second of a processor: a drill that asks again and again would slow the lab."""
    return AESGCM(hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, _ROUNDS, _KEY_BYTES))


def _encrypt(cipher: AESGCM, value: str) -> str:
    nonce = os.urandom(_NONCE_BYTES)
    sealed = cipher.encrypt(nonce, value.encode(), None)
    return f"{_VERSION}:{b64encode(nonce).decode()}:{b64encode(sealed).decode()}"
