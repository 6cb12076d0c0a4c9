"""The forms in which a secret could be found where it must not be: as it is, in base64 or hexadecimal, line by line."""

import base64
import json
from collections.abc import Iterator, Mapping

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

_P256_BYTES = 32
_END = "-----END "


class Forms:
    """Every form of every secret; text and files are searched for all of them at once."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._names = {form: name for name, value in secrets.items() for form in forms_of(value)}

    @property
    def lines(self) -> bytes:
        """All forms, a line each, as `grep --fixed-strings --file` reads them."""
        return b"".join(form + b"\n" for form in self._names)

    @property
    def names(self) -> set[str]:
        """What is searched for: all secrets of which anything is not public."""
        return set(self._names.values())

    def found_in(self, content: bytes) -> set[str]:
        """The names of the secrets that are there in any form."""
        return {name for form, name in self._names.items() if form in content}


def forms_of(value: str) -> Iterator[bytes]:
    """The forms of one secret. What is public, as the certificate of a key or of an authority, is none of them."""
    if value.startswith("-----BEGIN CERTIFICATE-----"):
        return
    if "PRIVATE KEY-----" in value:
        drawn = _drawn(value)
        yield from _pem_lines(value, drawn)
    else:
        drawn = value.encode()
        yield drawn
        yield json.dumps(value)[1:-1].encode()
    yield drawn.hex().encode()
    for offset in range(3):
        yield from _in_base64(drawn, offset)


def _in_base64(drawn: bytes, offset: int) -> Iterator[bytes]:
    """What of a longer text in base64 depends on the secret alone; it begins `offset` bytes after a multiple of 3."""
    text = b"\0" * offset + drawn + b"\0" * 3
    whole = slice(-(-offset * 8 // 6), (offset + len(drawn)) * 8 // 6)
    yield base64.b64encode(text)[whole]
    yield base64.urlsafe_b64encode(text)[whole]


def _drawn(pem: str) -> bytes:
    """The part of a private key that was drawn by chance: all else follows from it, and some of it is public."""
    if "OPENSSH" in pem:
        key = load_ssh_private_key(pem.encode(), password=None)
        if isinstance(key, Ed25519PrivateKey):
            return key.private_bytes_raw()
        assert isinstance(key, EllipticCurvePrivateKey)
        return _p256(key).lstrip(b"\0")  # a number, which has no zeros before it there (mpint, RFC 4251, 5)
    loaded = load_pem_private_key(pem.encode(), password=None)
    assert isinstance(loaded, EllipticCurvePrivateKey)
    return _p256(loaded)


def _p256(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_numbers().private_value.to_bytes(_P256_BYTES, "big")


def _pem_lines(pem: str, drawn: bytes) -> Iterator[bytes]:
    """The lines of the PEM text that hold any of what was drawn."""
    _, *body = pem[: pem.index(_END)].strip().splitlines()
    start = base64.b64decode("".join(body)).index(drawn)
    position = 0
    for line in body:
        begins, ends = position * 6 // 8, (position + len(line)) * 6 // 8
        if begins < start + len(drawn) and ends > start:
            yield line.encode()
        position += len(line)
