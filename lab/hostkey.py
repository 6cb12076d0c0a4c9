"""The SSH host key by which an ESXi host of the lab is known."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lab.files import PRIVATE, write


def ensure_host_key(path: Path) -> str:
    """Make an Ed25519 key in OpenSSH's format (mode 0600) unless there is one.

    Returns:
        Its public part, as in a known_hosts file: `ssh-ed25519 AAAA…`.
    """
    key = _read(path)
    if key is None:
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        write(path, private, PRIVATE)
    public = key.public_key()
    return public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def _read(path: Path) -> Ed25519PrivateKey | None:
    try:
        key = serialization.load_ssh_private_key(path.read_bytes(), password=None)
    except (FileNotFoundError, ValueError):
        return None
    return key if isinstance(key, Ed25519PrivateKey) else None
