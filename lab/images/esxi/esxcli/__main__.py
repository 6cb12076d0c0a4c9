"""Runs one esxcli command."""

import sys
from collections.abc import Sequence
from pathlib import Path

# Importing them declares their commands.
from . import iscsi, network, storage, system  # noqa: F401
from .commands import find
from .errors import EsxcliError
from .host import STATE, Host
from .output import FORMATTERS, Printer, plain


def main(words: Sequence[str], state: Path = STATE) -> int:
    """Run the command; return the exit status."""
    try:
        printer, rest = _printer(words)
        command, options = find(rest)
        with Host.open(state) as host:
            result = command.run(host, command.parse(options))
    except EsxcliError as error:
        print(error, file=sys.stderr)
        return 1
    sys.stdout.write(printer(result))
    return 0


def _printer(words: Sequence[str]) -> tuple[Printer, Sequence[str]]:
    """Return what prints the result, and the words after the option that chose it."""
    if not words or words[0].partition("=")[0] != "--formatter":
        return plain, words
    _, equals, name = words[0].partition("=")
    rest = words[1:]
    if not equals:
        name, rest = (*rest[:1], "")[0], rest[1:]
    if name not in FORMATTERS:
        raise EsxcliError(f"Invalid formatter {name!r}. Choose from {', '.join(FORMATTERS)}")
    return FORMATTERS[name], rest


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
