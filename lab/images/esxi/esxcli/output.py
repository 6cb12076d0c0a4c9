"""esxcli's output: four kinds of result, each printed plainly or by a formatter."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Value = bool | int | str | Sequence[str]
Fields = Mapping[str, Value]
"""Values by their plain name: "Target Address"; formatters join its words to TargetAddress."""


@dataclass(frozen=True)
class Text:
    """A line of its own, or nothing; the plain answer of commands that change something."""

    text: str = ""


@dataclass(frozen=True)
class Structure:
    """One thing's fields."""

    fields: Fields


@dataclass(frozen=True)
class Table:
    """Things of one kind, printed in columns."""

    columns: Sequence[str]
    rows: Sequence[Fields]


@dataclass(frozen=True)
class Blocks:
    """Things of one kind with many fields, printed below each one's name."""

    blocks: Sequence[tuple[str, Fields]]


Result = Text | Structure | Table | Blocks


def plain(result: Result) -> str:
    """Print as esxcli does for people."""
    match result:
        case Text(text):
            return f"{text}\n" if text else ""
        case Structure(fields):
            return _indented(fields)
        case Blocks(blocks):
            return "\n".join(f"{name}\n{_indented(fields)}" for name, fields in blocks)
        case Table(columns, rows):
            return _columns(columns, [[_plain(row[column]) for column in columns] for row in rows])


def as_csv(result: Result) -> str:
    """Print comma-separated values: fields in alphabetical order, and after the last one a comma."""
    if isinstance(result, Text):
        return plain(result)
    things = _things(result)
    names = sorted({name for thing in things for name in thing})
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*names, ""])
    for thing in things:
        writer.writerow([*(_plain(thing.get(name, "")) for name in names), ""])
    return stream.getvalue()


def as_json(result: Result) -> str:
    """Print JSON: an array of objects, or one object, or one value."""
    match result:
        case Text(text):
            value: object = text
        case Structure():
            value = _things(result)[0]
        case _:
            value = _things(result)
    return json.dumps(value, indent=3) + "\n"


def as_keyvalue(result: Result) -> str:
    """Print one line per field, with its type."""
    match result:
        case Text(text):
            return f"string={text}\n"
        case Structure():
            lines = [_pair(name, value) for name, value in _things(result)[0].items()]
        case _:
            lines = [
                f"Item[{number}].{_pair(name, value)}"
                for number, thing in enumerate(_things(result))
                for name, value in thing.items()
            ]
    return "".join(f"{line}\n" for line in lines)


Printer = Callable[[Result], str]
FORMATTERS: Mapping[str, Printer] = {"csv": as_csv, "json": as_json, "keyvalue": as_keyvalue}


def _things(result: Structure | Table | Blocks) -> list[dict[str, Value]]:
    match result:
        case Structure(fields):
            things: Sequence[Fields] = [fields]
        case Table(_, rows):
            things = rows
        case Blocks(blocks):
            things = [fields for _, fields in blocks]
    return [{name.replace(" ", ""): value for name, value in thing.items()} for thing in things]


def _pair(name: str, value: Value) -> str:
    kind = {bool: "boolean", int: "integer", str: "string"}.get(type(value), "string[]")
    return f"{name}.{kind}={_plain(value)}"


def _plain(value: Value) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | str():
            return str(value)
        case _:
            return ", ".join(value)


def _indented(fields: Fields) -> str:
    return "".join(f"   {name}: {_plain(value)}\n" for name, value in fields.items())


def _columns(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    lines = [columns, ["-" * width for width in widths], *rows]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )
