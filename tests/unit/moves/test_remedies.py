"""What moves and drills tell an operator to run names the stack that they act on, as `Stack.command` does."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
COMMAND = re.compile(r"\./perenne (status|up|undrain|logs|drain|switchover)")
FILES = [file for folder in ("moves", "drills") for file in sorted((PROJECT / folder).rglob("*.py"))]


def said(source: str) -> Iterator[str]:
    """The texts of a program, f-strings' parts included, but for docstrings: those of names, too."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PROJECT)))
def test_commands_name_their_stack(file: Path) -> None:
    """`./perenne status` alone is that of dev, whichever stack was acted on."""
    assert [text for text in said(file.read_text()) if COMMAND.search(text)] == []


def test_a_command_without_its_stack_is_found() -> None:
    source = '"""`./perenne drain`."""\nraise Failure(f"Look at ./perenne status: {why}", "./perenne forecast")'
    assert [text for text in said(source) if COMMAND.search(text)] == ["Look at ./perenne status: "]
