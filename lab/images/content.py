"""Names for what was built, after the content that it was built from."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

DIGITS = 12


def digest(files: Iterable[Path], *values: str) -> str:
    """Return 12 hexadecimal digits that change whenever a file (its name, mode or content) or a value does."""
    sha = hashlib.sha256()
    for value in values:
        sha.update(f"{value}\0".encode())
    for file in sorted(files):
        sha.update(f"{file.name}\0{file.stat().st_mode & 0o111:o}\0".encode())
        sha.update(hashlib.sha256(file.read_bytes()).digest())
    return sha.hexdigest()[:DIGITS]


def sha256(file: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
