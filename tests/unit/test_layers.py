"""Who may import whom: each package only what lies below it, so that none has to be read to understand one below."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
_STACK = {"blueprint", "lab", "machine"}
_MOVES = _STACK | {"stack"}
_DRILLS = _MOVES | {"moves", "policies"}
MAY_IMPORT: dict[str, set[str]] = {
    "machine": set(),
    "blueprint": set(),
    "components": {"blueprint"},
    "__main__.py": {"blueprint", "components"},
    "policies": set(),
    "mutation": {"blueprint", "policies"},
    "offline": set(),
    "lab": {"blueprint", "machine"},
    "stack": _STACK,
    "moves": _MOVES,
    "drills": _DRILLS,
    "cli": _DRILLS | {"drills", "mutation", "offline"},
    "examples": set(),
}
"""Each package, and the others that it may import, also within a function."""


def imported(source: str) -> Iterator[tuple[int, str]]:
    """The line and the first name of every absolute import, wherever it stands."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, name.name.partition(".")[0]) for name in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield node.lineno, module.partition(".")[0]


def test_a_package_imports_only_what_lies_below_it() -> None:
    listed = subprocess.run(["git", "ls-files", "-z", "*.py"], cwd=PROJECT, capture_output=True, text=True, check=True)
    files = [Path(name) for name in listed.stdout.split("\0") if name and (PROJECT / name).is_file()]
    ours = {file.parts[0] for file in files}
    assert ours == {*MAY_IMPORT, "tests"}
    wrong = [
        f"{file}:{line}: {package} may not import {name}"
        for file in files
        if (package := file.parts[0]) in MAY_IMPORT
        for line, name in imported((PROJECT / file).read_text())
        if name in ours - MAY_IMPORT[package] - {package}
    ]
    assert wrong == []


def test_no_two_packages_may_import_each_other() -> None:
    layers = list(MAY_IMPORT)
    while layers:
        lowest = [package for package in layers if not MAY_IMPORT[package] & set(layers)]
        assert lowest, f"{', '.join(layers)} go in a circle"
        layers = [package for package in layers if package not in lowest]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import cli", [(1, "cli")]),
        ("import json, cli.app as app", [(1, "json"), (1, "cli")]),
        ("from cli.app import app", [(1, "cli")]),
        ("def work():\n    from cli import app", [(2, "cli")]),
        ("from .cli import app", []),
    ],
)
def test_an_import_is_seen_wherever_it_stands(source: str, found: list[tuple[int, str]]) -> None:
    assert list(imported(source)) == found
