"""The SSH host keys by which an ESXi host of the lab is known."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from machine.files import PRIVATE, write

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Algorithm(StrEnum):
    """What kinds of key a host makes at its first boot ("vSphere Security", "ESXi Cryptographic Keys")."""

    ECDSA = "ecdsa"
    """P-256. `perenne:host_keys` has this one."""
    RSA = "rsa"
    """2048 bits."""

    @property
    def file(self) -> str:
        """Its name under /etc/ssh."""
        return f"ssh_host_{self}_key"


def ensure_host_keys(folder: Path) -> str:
    """Make a host's keys in OpenSSH's format (mode 0600), those that are not there.

    Returns:
        The public part of its ECDSA key, as in a known_hosts file: `ecdsa-sha2-nistp256 AAAA…`.
    """
    keys = {algorithm: _ensure(algorithm, folder / algorithm.file) for algorithm in Algorithm}
    public = keys[Algorithm.ECDSA].public_key()
    return public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def host_key_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each of a host's keys."""
    for algorithm in Algorithm:
        yield algorithm.file, (folder / algorithm.file).read_bytes()


def _ensure(algorithm: Algorithm, path: Path) -> Key:
    key = _read(path)
    if key is None:
        key = _new(algorithm)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        write(path, private, PRIVATE)
    return key


def _new(algorithm: Algorithm) -> Key:
    match algorithm:
        case Algorithm.ECDSA:
            return ec.generate_private_key(ec.SECP256R1())
        case Algorithm.RSA:
            return rsa.generate_private_key(65537, 2048)


def _read(path: Path) -> Key | None:
    try:
        key = serialization.load_ssh_private_key(path.read_bytes(), password=None)
    except (FileNotFoundError, ValueError):
        return None
    return key if isinstance(key, Key) else None
