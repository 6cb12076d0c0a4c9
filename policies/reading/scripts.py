"""Files that a shell script writes: here-documents, and standard input that goes into a file."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from string import Template

_HERE = re.compile(r"<<(?P<strip>-?)\s*(?P<quote>[\"'\\]?)(?P<end>\w+)[\"']?")
_INTO = (
    re.compile(r"(?<![\d&])(?P<append>>>?)\s*[\"']?(?P<path>/[^\s\"'|;&<>]+)"),
    re.compile(r"\btee\s+(?P<append>-a\s+|--append\s+)?[\"']?(?P<path>/[^\s\"'|;&<>]+)"),
    re.compile(r"\b(?:install|cp)\b[^\n|;]*/dev/stdin\s+[\"']?(?P<path>/[^\s\"'|;&<>]+)(?P<append>)"),
)
_SETTING = re.compile(
    r"^\s*(?:export\s+|readonly\s+|local\s+)?(\w+)=(?:\"([^\"$`]*)\"|'([^']*)'|([^\s\"'$`;&|()]+))\s*$"
)

_LOOP = re.compile(
    r"\bfor\s+(?P<name>\w+)\s+in\s+(?P<words>[^;\n$`(){}]+?)\s*[;\n]\s*do\b(?P<body>(?:(?!\bdo\b).)*?)\bdone\b",
    re.DOTALL,
)
"""A loop over plain words, that has none in it."""
_NESTED = 3
"""Loops in loops are written out down to this depth."""


def unrolled(script: str) -> str:
    """The script with its loops over plain words written out."""
    for _ in range(_NESTED):
        script, loops = _LOOP.subn(_written_out, script)
        if not loops:
            break
    return script


def _written_out(loop: re.Match[str]) -> str:
    variable = re.compile(rf"\$(?:\{{{loop['name']}\}}|{loop['name']}\b)")
    return "\n".join(variable.sub(word, loop["body"]) for word in loop["words"].split())


def files(script: str, stdin: str | None = None, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The files that `script` writes, as far as its text tells, by path.

    Variables are replaced where the script or its `environment` sets them to plain words; others stay as they are.
    """
    return dict(_files(script, stdin, tuple((environment or {}).items())))


@lru_cache(maxsize=4096)
def _files(script: str, stdin: str | None, environment: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    settings = dict(environment)
    lines = iter(script.splitlines())
    for line in lines:
        if match := _SETTING.match(line):
            settings[match[1]] = next((one for one in match.groups()[1:] if one is not None), "")
        start = _HERE.search(line)
        target = _target(line)
        if start:
            text = "\n".join(_document(lines, start["end"], strip=bool(start["strip"]))) + "\n"
            if target:
                path, more = target
                content = text if start["quote"] else Template(text).safe_substitute(settings)
                found[path] = found.get(path, "") + content if more else content
    if stdin is not None and "<<" not in script and len(targets := list(_targets(script))) == 1:
        found[targets[0]] = stdin
    return tuple(found.items())


def _document(lines: Iterator[str], end: str, *, strip: bool) -> Iterator[str]:
    """The lines of a here-document; what follows it stays in `lines`."""
    for line in lines:
        if (line.lstrip("\t") if strip else line.rstrip()) == end:
            return
        yield line.lstrip("\t") if strip else line


def _target(line: str) -> tuple[str, bool] | None:
    """The file that a command writes, and whether it appends to it."""
    for pattern in reversed(_INTO):
        for match in pattern.finditer(line):
            if not match["path"].startswith("/dev/"):
                return match["path"], (match["append"] or "").strip() in (">>", "-a", "--append")
    return None


def _targets(script: str) -> Iterator[str]:
    """The files that commands of a script fill from standard input: cat, tee, install."""
    for line in script.splitlines():
        if re.search(r"\bcat\s*>|\btee\b|/dev/stdin", line) and "|" not in line.partition("tee")[0]:
            target = _target(line)
            if target:
                yield target[0]
