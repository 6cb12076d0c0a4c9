"""Changes to a stack file's text that leave everything else in it, comments and layout, as it is."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from blueprint.loading import NAMESPACE
from machine import files

_SALT = "encryptionsalt"
_CONFIG = re.compile(r"^config:[ \t]*(#.*)?$", re.MULTILINE)
_INDENT = "  "


def salt_of(text: str) -> str | None:
    """The salt that the encrypted values belong to."""
    found = re.search(rf"^{_SALT}:[ \t]*(\S+)", text, re.MULTILINE)
    return found.group(1).strip("\"'") if found else None


def with_values(text: str, salt: str, secure: Mapping[str, str], plain: Mapping[str, Mapping[str, str]]) -> str:
    """Put values at the end of the `config:` block, instead of those of the same keys.

    Args:
        text: The stack file.
        salt: Becomes its `encryptionsalt`.
        secure: Encrypted values by key, without namespace.
        plain: Values that are maps of text, by key.
    """
    text = without(text, [*secure, *plain], salt=True)
    found = _CONFIG.search(text)
    if not found:
        raise ValueError("there is no config: block")
    lines: list[str] = []
    for key, values in plain.items():
        lines.append(f"{_INDENT}{NAMESPACE}{key}:")
        lines += [f"{_INDENT * 2}{name}: {json.dumps(value)}" for name, value in values.items()]
    for key, value in secure.items():
        lines += [f"{_INDENT}{NAMESPACE}{key}:", f"{_INDENT * 2}secure: {value}"]
    end = _end_of_block(text, found.end())
    before, after = text[:end].rstrip("\n"), text[end:]
    added = "\n".join(["", *lines]) if lines else ""
    return f"{before}{added}\n{after}{_SALT}: {salt}\n"


def without(text: str, keys: Iterable[str], *, salt: bool = False) -> str:
    """Take out keys with everything that belongs to them, and the salt if asked to."""
    for key in keys:
        # The key's line, and the lines below it that are indented deeper.
        text = re.sub(rf"^([ \t]+){re.escape(NAMESPACE + key)}:.*\n(?:\1[ \t]+.*\n)*", "", text, flags=re.MULTILINE)
    if salt:
        text = re.sub(rf"^{_SALT}:.*\n?", "", text, flags=re.MULTILINE)
    return text


def _end_of_block(text: str, start: int) -> int:
    """Where the block that begins before `start` ends: at the next line that is not indented, empty or a comment."""
    following = re.compile(r"^[^\s#]", re.MULTILINE).search(text, start)
    return following.start() if following else len(text)


def write(file: Path, text: str) -> None:
    """Replace a file whole, and keep its mode."""
    mode = file.stat().st_mode & 0o777 if file.exists() else files.PUBLIC
    files.write(file, text, mode)
