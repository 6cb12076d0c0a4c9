"""The reference of the stack file, made from the settings' own descriptions: `python -m blueprint.reference`."""

import builtins
import math
import types
import typing
from ipaddress import IPv4Address, IPv4Network
from types import NoneType
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from blueprint.settings import Settings

_HEAD = """\
# The stack file

`Pulumi.<stack>.yaml` describes one site; every key below belongs to the namespace `perenne:`. This page is made from
`blueprint/settings.py` by `python -m blueprint.reference`; a test fails where they differ. Keys without a default are
required. Secrets are not here: `./perenne init STACK` makes them and keeps them encrypted in the same file.
"""


def reference() -> str:
    """Return the page as Markdown: one table per model, in the order in which a stack file mentions them."""
    sections: list[str] = []
    queue: list[type[BaseModel]] = [Settings]
    for model in queue:  # grows while it is read
        sections.append(_section(model))
        queue.extend(found for field in model.model_fields.values() for found in _models(field) if found not in queue)
    return "\n".join([_HEAD, *sections])


def _section(model: type[BaseModel]) -> str:
    rows = [
        f"| `{name}` | {_type(field)} | {_default(field)} | {' '.join(str(field.description).split())} |"
        for name, field in model.model_fields.items()
    ]
    summary = (model.__doc__ or "").strip().split("\n")[0]
    title = "Top level" if model is Settings else model.__name__
    return "\n".join(
        [f"## {title}", "", summary, "", "| key | type | default | meaning |", "|---|---|---|---|", *rows, ""]
    )


def _models(field: FieldInfo) -> list[type[BaseModel]]:
    candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
    return [each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)]


def _type(field: FieldInfo) -> str:
    models = _models(field)
    if models:
        link = f"[{models[0].__name__}](#{models[0].__name__.lower()})"
        if get_origin(field.annotation) is dict:
            return f"{link} by name"
        return link if field.annotation is models[0] else f"{link} or none"
    return _plain(field.annotation)


_WORDS = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "`true` or `false`",
    IPv4Address: "IPv4 address",
    IPv4Network: "IPv4 network",
    NoneType: "none",
}


def _plain(annotation: Any) -> str:  # noqa: ANN401  # what typing gives has no common type
    """A type in words, as who writes YAML calls it."""
    arguments = get_args(annotation)
    match get_origin(annotation):
        case builtins.dict:
            return f"{_plain(arguments[1])} by name"
        case builtins.tuple:
            return f"list of: {_plain(arguments[0])}"
        case typing.Annotated:
            return _plain(arguments[0])
        case typing.Union | types.UnionType:
            words = [_plain(one) for one in arguments]
        case typing.Literal:
            words = [f"`{word}`" for word in arguments]
        case _:  # what has no word here has its own: a StrEnum
            words = [_WORDS[annotation]] if annotation in _WORDS else [f"`{word}`" for word in annotation]
    return " or ".join(words)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    default = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, BaseModel):
        model = type(default)
        is_own = not any(each.is_required() for each in model.model_fields.values()) and default == model()
        return "those of its keys" if is_own else f"`{_flow(default)}`"
    return "none" if default is None else f"`{_flow(default)}`" if default not in ((), {}, "") else "empty"


def _flow(value: object) -> str:
    """A value as a stack file has it on one line."""
    listed = yaml.safe_dump([to_jsonable_python(value)], default_flow_style=True, sort_keys=False, width=math.inf)
    return listed.strip()[1:-1]


if __name__ == "__main__":
    print(reference(), end="")
